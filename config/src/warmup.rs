//! A request that a worker runs before it takes traffic: a path, or a URL whose host the request names.
//!
//! Pure. Read by `kinds/lists.rs`; the worker makes the request.

use std::fmt;
use std::str::FromStr;

/// What to ask the application for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Warmup {
    /// Whether the application is to see `https`.
    pub https: bool,
    /// The host, with its port where one is written; `None` is `localhost`.
    pub host: Option<String>,
    /// The path, with the query where there is one; begins with a slash.
    pub target: String,
}

impl FromStr for Warmup {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it holds a space or another character that has to be percent-encoded");
        }
        if text.contains('#') {
            return Err("what follows a # is never sent to a server");
        }
        let (https, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ if text.starts_with('/') => return Ok(Self { https: false, host: None, target: text.to_owned() }),
            _ => return Err("it begins with neither a slash nor http:// or https://"),
        };
        let (host, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if host.is_empty() || host.contains(['?', '@', '\\']) {
            return Err("between // and the next slash there must be a host, perhaps with a port");
        }
        let target = if target.is_empty() { "/" } else { target };
        Ok(Self { https, host: Some(host.to_owned()), target: target.to_owned() })
    }
}

impl fmt::Display for Warmup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{}://{host}", if self.https { "https" } else { "http" })?;
        }
        f.write_str(&self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_or_a_url_is_read_and_written_alike() {
        let table = [
            ("/", (false, None, "/")),
            ("/health?deep=1", (false, None, "/health?deep=1")),
            ("http://www.example.com/path", (false, Some("www.example.com"), "/path")),
            ("https://[::1]:8443/", (true, Some("[::1]:8443"), "/")),
        ];
        for (text, (https, host, target)) in table {
            let host = host.map(str::to_owned);
            let expected = Warmup { https, host, target: target.to_owned() };
            assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
            assert_eq!(expected.to_string(), text);
        }
        assert_eq!("http://example.com".parse::<Warmup>().unwrap().to_string(), "http://example.com/");
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in ["", "health", "ftp://example.com/", "http:///", "http://?/", "http://a@b/", "/a b", "/ü", "/#top"]
        {
            assert!(text.parse::<Warmup>().is_err(), "{text}");
        }
    }
}
