//! Kinds that say as whom the application runs: a user, a group, a mask of permissions.
//!
//! [`Kind::verify`] asks the system's databases whether a name exists; whether this process may become it, is the arbiter's
//! to find out.

use nix::unistd::{Group, User};

use super::{Complaint, Described, Kind};
use crate::node::{Node, Raw};

/// A user or a group, by its name or its number; it may be left out.
pub(crate) struct Account {
    pub(crate) names: Names,
}

/// Where a name is looked up.
#[derive(Clone, Copy)]
pub(crate) enum Names {
    /// passwd(5), or what stands for it.
    Users,
    /// group(5), or what stands for it.
    Groups,
}

impl Names {
    fn word(self) -> &'static str {
        match self {
            Self::Users => "user",
            Self::Groups => "group",
        }
    }

    fn has(self, name: &str) -> nix::Result<bool> {
        match self {
            Self::Users => User::from_name(name).map(|found| found.is_some()),
            Self::Groups => Group::from_name(name).map(|found| found.is_some()),
        }
    }
}

impl Described for Account {
    fn expected(&self) -> String {
        format!("the name or the number of a {}", self.names.word())
    }
}

impl Kind for Account {
    type Value = Option<String>;

    fn read(&self, node: &Node) -> Result<Option<String>, Vec<Complaint>> {
        let text = match &node.raw {
            Raw::Whole(Ok(number)) => number.to_string(),
            Raw::Text(text) => text.trim().to_owned(),
            _ => return Err(vec![Complaint::unexpected(self, node)]),
        };
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        // The highest number means "leave it as it is" to the kernel.
        let is_id = text.parse::<u32>().is_ok_and(|number| number != u32::MAX);
        let is_name = !is_number && !text.starts_with(['-', '+']) && !text.contains([':', '/', '\0']);
        if !text.is_empty() && (is_id || is_name) {
            Ok(Some(text))
        } else {
            Err(vec![Complaint::unexpected(self, node)])
        }
    }

    fn value(&self, value: &Option<String>) -> Option<toml::Value> {
        value.clone().map(toml::Value::String)
    }

    fn verify(&self, value: &Option<String>) -> Result<(), String> {
        let Some(name) = value.as_deref().filter(|name| name.parse::<u32>().is_err()) else { return Ok(()) };
        let word = self.names.word();
        match self.names.has(name) {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("names {name:?}, and there is no such {word} on this system")),
            Err(errno) => {
                Err(format!("names {name:?}, and the system can't say whether there is such a {word}: {errno}"))
            }
        }
    }
}

/// A mask of file permissions, which may be left out.
pub(crate) struct Mask;

/// All that a mask can take away.
const WHOLE: u32 = 0o777;

impl Described for Mask {
    fn expected(&self) -> String {
        "a mask of permissions in octal, such as \"0027\", from 0 to 0777".to_owned()
    }
}

impl Kind for Mask {
    type Value = Option<u32>;

    fn read(&self, node: &Node) -> Result<Option<u32>, Vec<Complaint>> {
        let mask = match &node.raw {
            Raw::Whole(Ok(number)) => u32::try_from(*number).ok(),
            Raw::Text(text) => octal(text.trim()),
            _ => None,
        };
        match mask.filter(|mask| *mask <= WHOLE) {
            Some(mask) => Ok(Some(mask)),
            None => Err(vec![Complaint::unexpected(self, node)]),
        }
    }

    fn value(&self, value: &Option<u32>) -> Option<toml::Value> {
        value.map(|mask| toml::Value::String(format!("{mask:04o}")))
    }
}

/// Octal digits, with or without `0o` in front. `from_str_radix` alone would take a sign.
fn octal(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| u32::from_str_radix(digits, 8).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(number: i64) -> Node {
        Node { raw: Raw::Whole(Ok(number)), span: 0..0 }
    }

    #[test]
    fn a_mask_is_octal_in_a_text_and_what_it_is_in_a_number() {
        let table = [("0027", 0o27), ("27", 0o27), ("0o077", 0o77), ("0", 0), ("777", 0o777)];
        for (text, mask) in table {
            assert_eq!(Mask.read(&Node::text(text)).unwrap(), Some(mask), "{text}");
        }
        assert_eq!(Mask.read(&whole(0o27)).unwrap(), Some(0o27));
        for wrong in ["", "-1", "+7", "8", "1000", "rwx", "0x12"] {
            assert!(Mask.read(&Node::text(wrong)).is_err(), "{wrong}");
        }
        assert!(Mask.read(&whole(512)).is_err() && Mask.read(&whole(-1)).is_err());
        assert_eq!(Mask.value(&Some(0o27)), Some(toml::Value::String("0027".into())));
    }

    #[test]
    fn accounts_are_names_or_numbers_and_names_exist() {
        let kind = Account { names: Names::Users };
        assert_eq!(kind.read(&Node::text(" root ")).unwrap().as_deref(), Some("root"));
        assert_eq!(kind.read(&whole(1000)).unwrap().as_deref(), Some("1000"));
        for wrong in ["", "-1", "4294967295", "99999999999", "a:b", "-x"] {
            assert!(kind.read(&Node::text(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(kind.verify(&Some("root".into())), Ok(()));
        assert_eq!(kind.verify(&Some("4711".into())), Ok(()), "a number needs no name");
        assert!(kind.verify(&Some("no-such-user".into())).unwrap_err().contains("no such user"));
        let groups = Account { names: Names::Groups };
        assert!(groups.verify(&Some("no-such-group".into())).unwrap_err().contains("no such group"));
    }
}
