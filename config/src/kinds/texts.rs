//! Kinds that are a text or a switch.

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
