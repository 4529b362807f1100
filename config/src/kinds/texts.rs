//! Kinds that are a word: a text, a switch, the level of the log.

use super::{Complaint, Described, Kind, Shape};
use crate::node::{Node, Raw};

/// A text that is not empty.
pub(crate) struct Text;

impl Described for Text {
    fn expected(&self) -> String {
        "a text that is not empty".to_owned()
    }
}

impl Kind for Text {
    type Value = String;

    fn read(&self, node: &Node) -> Result<String, Vec<Complaint>> {
        match &node.raw {
            Raw::Text(text) if !text.trim().is_empty() && !text.contains('\0') => Ok(text.trim().to_owned()),
            _ => Err(vec![Complaint::unexpected(self, node)]),
        }
    }

    fn value(&self, value: &String) -> Option<toml::Value> {
        (!value.is_empty()).then(|| toml::Value::String(value.clone()))
    }
}

/// On or off.
pub(crate) struct Switch;

impl Described for Switch {
    fn expected(&self) -> String {
        "true or false".to_owned()
    }

    fn shape(&self) -> Shape {
        Shape::Switch
    }
}

impl Kind for Switch {
    type Value = bool;

    fn read(&self, node: &Node) -> Result<bool, Vec<Complaint>> {
        match &node.raw {
            Raw::Truth(truth) => Ok(*truth),
            Raw::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(true),
                "false" | "no" | "off" | "0" => Ok(false),
                _ => Err(vec![Complaint::unexpected(self, node)]),
            },
            _ => Err(vec![Complaint::unexpected(self, node)]),
        }
    }

    fn value(&self, value: &bool) -> Option<toml::Value> {
        Some(toml::Value::Boolean(*value))
    }
}

/// How severe a report must be to be written, the least severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// Everything, for looking into a problem.
    Debug,
    /// What happens: starts, stops, reloads.
    Info,
    /// What may need attention.
    Warning,
    /// What failed.
    Error,
    /// What keeps the server from serving.
    Critical,
}

impl LogLevel {
    /// All of them, the least severe first.
    pub const ALL: [Self; 5] = [Self::Debug, Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// Its name in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// The level of the log.
pub(crate) struct Level;

impl Described for Level {
    fn expected(&self) -> String {
        "debug, info, warning, error or critical".to_owned()
    }
}

impl Kind for Level {
    type Value = LogLevel;

    fn read(&self, node: &Node) -> Result<LogLevel, Vec<Complaint>> {
        let complaint = || Complaint::unexpected(self, node);
        let Raw::Text(text) = &node.raw else {
            return Err(vec![complaint()]);
        };
        let text = text.trim().to_ascii_lowercase();
        LogLevel::ALL.into_iter().find(|level| level.name() == text).ok_or_else(|| {
            let near = crate::foreign::nearest(&text, LogLevel::ALL.map(LogLevel::name));
            vec![near.map_or_else(complaint, |near| complaint().hint(format!("did you mean \"{near}\"?")))]
        })
    }

    fn value(&self, value: &LogLevel) -> Option<toml::Value> {
        Some(toml::Value::String(value.name().to_owned()))
    }
}
