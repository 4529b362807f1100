//! [`Bind`]: an address to listen at, read from its text and written back. Never resolves a name or opens a socket.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

/// The port of a host that is given without one.
const DEFAULT_PORT: u16 = 8000;
/// The longest socket path: `sun_path` without its closing NUL, in bytes.
pub(crate) const UNIX_PATH_MAX: usize = 107;

/// An address to listen at. Its `Display` is its canonical text, which reads back as an equal value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bind {
    /// `HOST:PORT`, `:PORT` (host `0.0.0.0`), `[IPV6]:PORT`.
    Tcp {
        /// A name or an address; IPv6 without its brackets.
        host: String,
        /// Zero takes a free one.
        port: u16,
    },
    /// `unix:PATH`.
    Unix {
        /// Absolute, once the settings are loaded.
        path: PathBuf,
    },
    /// `unix:@NAME`: Linux's abstract namespace.
    Abstract {
        /// Without the leading `@` or NUL.
        name: String,
    },
    /// `fd://N`: a listening socket, inherited under this number.
    Fd(i32),
    /// `fd://NAME`: the listening sockets that a service manager passed under this name.
    Passed(String),
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix { path } => write!(f, "unix:{}", path.display()),
            Self::Abstract { name } => write!(f, "unix:@{name}"),
            Self::Fd(number) => write!(f, "fd://{number}"),
            Self::Passed(name) => write!(f, "fd://{name}"),
        }
    }
}

impl FromStr for Bind {
    /// What is wrong with the text, as the rest of a sentence.
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:")) {
            return unix(path);
        }
        if let Some(which) = text.strip_prefix("fd://") {
            return inherited(which);
        }
        let address = text.strip_prefix("tcp://").unwrap_or(text);
        if let Some((scheme, rest)) = address.split_once("://") {
            return Err(format!("{scheme}:// says nothing here: write {:?}", rest.trim_end_matches('/')));
        }
        if address.starts_with(['/', '.']) {
            return Err(format!("for a Unix socket write \"unix:{address}\""));
        }
        tcp(address)
    }
}

/// The part after `fd://`.
fn inherited(which: &str) -> Result<Bind, String> {
    if which.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(number) = which.parse()
    {
        return Ok(Bind::Fd(number));
    }
    // What systemd takes for a name (FileDescriptorName=), but for what could not stand in a list, or looks like a number.
    let is_letter = |byte: u8| byte.is_ascii_graphic() && !b":,/".contains(&byte);
    if which.starts_with(|first: char| first.is_ascii_alphabetic())
        && which.bytes().all(is_letter)
        && which.len() <= 255
    {
        return Ok(Bind::Passed(which.to_owned()));
    }
    Err("after fd:// comes the number of a descriptor, or the name of a socket that a service manager passes"
        .to_owned())
}

/// The part after `unix:`.
fn unix(path: &str) -> Result<Bind, String> {
    let (bind, rest) = match path.strip_prefix(['@', '\0']) {
        Some(name) => (Bind::Abstract { name: name.to_owned() }, name),
        None => (Bind::Unix { path: PathBuf::from(path) }, path),
    };
    if rest.is_empty() {
        return Err("after unix: comes the path of the socket, or @ and a name".to_owned());
    }
    if rest.contains('\0') {
        return Err("a socket's path or name holds no NUL".to_owned());
    }
    if rest.len() > UNIX_PATH_MAX {
        return Err(format!("it has {} bytes, and the system allows a socket {UNIX_PATH_MAX}", rest.len()));
    }
    Ok(bind)
}

fn tcp(address: &str) -> Result<Bind, String> {
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("the bracket is not closed")?;
        if !is_ipv6(host) {
            return Err(format!("{host:?} is not an IPv6 address"));
        }
        match after {
            "" => (host, None),
            _ => (host, Some(after.strip_prefix(':').ok_or("after the bracket comes a colon and the port")?)),
        }
    } else if is_ipv6(address) {
        return Err(format!("an IPv6 address stands in brackets: \"[{address}]:{DEFAULT_PORT}\""));
    } else {
        match address.rsplit_once(':') {
            Some((host, port)) => (plain_host(host, port)?, Some(port)),
            None if !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(format!("for a port write \":{address}\" or \"127.0.0.1:{address}\""));
            }
            None if address.is_empty() => return Err("it is empty".to_owned()),
            None => (plain_host(address, "8000")?, None),
        }
    };
    let port = match port {
        None => DEFAULT_PORT,
        // `parse` alone would take "+80".
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| format!("{digits:?} is not a port (0 to 65535)"))?
        }
        Some(digits) => return Err(format!("{digits:?} is not a port (0 to 65535)")),
    };
    Ok(Bind::Tcp { host: host.to_owned(), port })
}

/// A name or an IPv4 address; nothing stands for every address.
fn plain_host<'a>(host: &'a str, port: &str) -> Result<&'a str, String> {
    match host {
        "" => Ok("0.0.0.0"),
        "*" => Err(format!("for every address write \":{port}\"")),
        _ if host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) => Ok(host),
        _ => Err(format!("{host:?} is not the name or address of a host")),
    }
}

/// Whether it is an IPv6 address, with or without a zone (`fe80::1%eth0`).
fn is_ipv6(host: &str) -> bool {
    let (address, zone) = host.split_once('%').unwrap_or((host, "0"));
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        text.parse::<Bind>().map(|bind| bind.to_string())
    }

    #[test]
    fn every_form_of_an_address_has_one_canonical_text() {
        let table = [
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("localhost", "localhost:8000"),
            ("LOCALHOST:80", "LOCALHOST:80"),
            (":9000", "0.0.0.0:9000"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("[::1]:8001", "[::1]:8001"),
            ("[::]", "[::]:8000"),
            ("[fe80::1%eth0]:80", "[fe80::1%eth0]:80"),
            ("tcp://app_1.internal:81", "app_1.internal:81"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("unix:///run/app.sock", "unix:/run/app.sock"),
            ("unix:app.sock", "unix:app.sock"),
            ("unix:@app", "unix:@app"),
            ("unix:\0app", "unix:@app"),
            ("fd://3", "fd://3"),
            ("fd://web", "fd://web"),
            ("fd://tapster.socket", "fd://tapster.socket"),
        ];
        for (text, canonical) in table {
            assert_eq!(read(text).as_deref(), Ok(canonical), "{text}");
            assert_eq!(read(canonical).as_deref(), Ok(canonical));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        let table = [
            ("", "it is empty"),
            ("8000", "for a port write \":8000\" or \"127.0.0.1:8000\""),
            ("localhost:http", "\"http\" is not a port (0 to 65535)"),
            ("localhost:", "\"\" is not a port (0 to 65535)"),
            ("localhost:65536", "\"65536\" is not a port (0 to 65535)"),
            ("localhost:+80", "\"+80\" is not a port (0 to 65535)"),
            ("::1", "an IPv6 address stands in brackets: \"[::1]:8000\""),
            ("[::1", "the bracket is not closed"),
            ("[::1]8000", "after the bracket comes a colon and the port"),
            ("[localhost]:80", "\"localhost\" is not an IPv6 address"),
            ("*:80", "for every address write \":80\""),
            ("http://localhost:80/", "http:// says nothing here: write \"localhost:80\""),
            ("/run/app.sock", "for a Unix socket write \"unix:/run/app.sock\""),
            ("a b:80", "\"a b\" is not the name or address of a host"),
            ("unix:", "after unix: comes the path of the socket, or @ and a name"),
            ("unix:@", "after unix: comes the path of the socket, or @ and a name"),
        ];
        for (text, reason) in table {
            assert_eq!(read(text), Err(reason.to_owned()), "{text}");
        }
        for text in ["fd://", "fd://-1", "fd://99999999999", "fd://a:b", "fd://a b", "fd://3rd"] {
            assert!(read(text).unwrap_err().starts_with("after fd:// comes the number of a descriptor, or"), "{text}");
        }
        let long = format!("unix:/{}", "x".repeat(107));
        assert_eq!(read(&long), Err("it has 108 bytes, and the system allows a socket 107".to_owned()));
    }
}
