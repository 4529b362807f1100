//! The kind for addresses and networks that are trusted.

use super::lists::{listed, parts};
use super::{Complaint, Described, Kind, Shape};
use crate::allowed_ips::{self, AllowedIps};
use crate::node::Node;

/// Addresses and networks, possibly none, or `*` for all.
pub(crate) struct Networks;

/// The text that stands for every address.
const ALL: &str = "*";

impl Described for Networks {
    fn expected(&self) -> String {
        "an IP address, a network (10.0.0.0/8) or a list of them, or \"*\"".to_owned()
    }

    fn shape(&self) -> Shape {
        Shape::List
    }
}

impl Kind for Networks {
    type Value = AllowedIps;

    fn read(&self, node: &Node) -> Result<AllowedIps, Vec<Complaint>> {
        let parts = parts(self, node)?;
        if matches!(parts.as_slice(), [(_, text)] if text.trim() == ALL) {
            return Ok(AllowedIps::All);
        }
        let one = |(part, text): (Node, &str)| match text.trim() {
            ALL => Err(Complaint::of(&part, "holds \"*\" beside others").hint("\"*\" alone trusts every address")),
            text => match allowed_ips::network(text) {
                Ok(network) => Ok((part, network)),
                Err(reason) => {
                    let expected = "must hold IP addresses and networks (10.0.0.0/8)";
                    Err(Complaint::of(&part, format!("{expected}, not {text:?}: {reason}")))
                }
            },
        };
        listed(parts.into_iter().map(one), allowed_ips::text).map(AllowedIps::Networks)
    }

    fn value(&self, value: &AllowedIps) -> Option<toml::Value> {
        Some(match value {
            AllowedIps::All => toml::Value::String(ALL.to_owned()),
            AllowedIps::Networks(networks) => {
                let text = |network| toml::Value::String(allowed_ips::text(network));
                toml::Value::Array(networks.iter().map(text).collect())
            }
        })
    }
}
