//! The environment as a source of settings: `TAPSTER_<KEY>`, and the variables that hosting platforms set.
//!
//! Every variable that begins with `TAPSTER_` must be one of ours, so that a mistyped one is not silently without
//! effect. An empty one counts as unset. Called by `layers.rs`.

use std::collections::BTreeMap;

use crate::errors::Fault;
use crate::foreign;
use crate::items::Item;
use crate::layers::{Given, Origin};
use crate::node::Node;
use crate::settings::ITEMS;

/// How our variables begin.
pub(crate) const PREFIX: &str = "TAPSTER_";
/// The variable that names the settings file.
pub(crate) const CONFIG: &str = "TAPSTER_CONFIG";

/// The settings that the environment gives, weaker ones first, and what is wrong with it.
pub(crate) fn settings(env: &BTreeMap<String, String>) -> (Vec<Given>, Vec<Fault>) {
    let mut given = Vec::new();
    let mut faults = Vec::new();
    for item in ITEMS {
        if let Some(platform) = &item.platform
            && let Some(value) = set(env, platform.variable)
        {
            match (platform.reading)(value) {
                Ok(text) => given.push(Given {
                    item,
                    node: Node::text(text),
                    origin: Origin::Variable(platform.variable.to_owned()),
                }),
                Err(says) => faults.push(Fault::new(format!("{} {says}, not {value:?}", platform.variable))),
            }
        }
        let name = item.variable();
        match set(env, &name) {
            None => {}
            Some(value) if value.contains('\u{fffd}') => faults.push(Fault::new(format!("{name} is not UTF-8"))),
            Some(value) => given.push(Given { item, node: Node::text(value), origin: Origin::Variable(name) }),
        }
    }
    faults.extend(env.iter().filter_map(|(name, value)| unknown(name, value)));
    (given, faults)
}

/// The variable's value, unless it is unset or empty.
pub(crate) fn set<'a>(env: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    env.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// A variable that begins like ours and is not one.
fn unknown(name: &str, value: &str) -> Option<Fault> {
    let key = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
    let ours = name == CONFIG || ITEMS.iter().any(|item| item.variable() == name);
    if ours || is_service_link(name, value) {
        return None;
    }
    let hint = foreign::hint(&key, &Item::variable, &[("config", CONFIG)]);
    Some(Fault::new(format!("{name} is not a setting")).hint(hint.or_else(|| Some(format!("unset {name}")))))
}

/// Whether Kubernetes set it for a service called "tapster" or "tapster-…": it gives each service's address to every
/// container of the namespace, and nobody can mistype those.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_address = |value: &str| ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let of_port = |rest: &str| {
        let (port, kind) = rest.split_once('_').unwrap_or((rest, ""));
        let protocol = kind.split('_').next().unwrap_or("");
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && matches!(protocol, "TCP" | "UDP" | "SCTP")
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_address(value))
        || name.split("_PORT_").skip(1).any(of_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_kubernetes_service_called_tapster_are_let_pass() {
        let table = [
            ("TAPSTER_SERVICE_HOST", "10.0.0.1"),
            ("TAPSTER_SERVICE_PORT", "8000"),
            ("TAPSTER_SERVICE_PORT_HTTP", "8000"),
            ("TAPSTER_PORT", "tcp://10.0.0.1:8000"),
            ("TAPSTER_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
            ("TAPSTER_PORT_8000_TCP_PROTO", "tcp"),
            ("TAPSTER_WEB_PORT_80_TCP_ADDR", "10.0.0.1"),
        ];
        for (name, value) in table {
            assert_eq!(unknown(name, value), None, "{name}");
        }
        assert!(unknown("TAPSTER_PORT", "8000").is_some());
        assert!(unknown("TAPSTER_PORT_X", "8000").is_some());
    }
}
