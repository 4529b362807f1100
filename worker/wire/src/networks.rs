//! Which addresses are meant by a list of networks, such as "forwarded_allow_ips".
//!
//! Answers one question and knows nothing of what hangs on the answer. Asked by the worker for a connection's peer, and
//! by [`crate::forwarded`] for the proxies that a request came through.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// A set of networks, or everybody. The default is nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks(Members);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Members {
    All,
    Of(Box<[IpNet]>),
}

impl Networks {
    /// Everybody, as "*" says: also peers that have no address.
    #[must_use]
    pub fn all() -> Self {
        Self(Members::All)
    }

    /// The addresses in any of `networks`. One that holds nothing but IPv4-mapped addresses counts as its IPv4 network.
    pub fn of(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(Members::Of(networks.into_iter().map(unmapped).collect()))
    }

    /// Whether `address` is in one of the networks. An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) counts as its
    /// IPv4 address, and only as that: it is how a socket of both families shows an IPv4 peer.
    #[inline]
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match &self.0 {
            Members::All => true,
            Members::Of(networks) => {
                let address = address.to_canonical();
                networks.iter().any(|network| network.contains(&address))
            }
        }
    }

    /// Whether everybody is meant.
    #[inline]
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0 == Members::All
    }
}

impl Default for Networks {
    fn default() -> Self {
        Self(Members::Of(Box::default()))
    }
}

/// The bits of an IPv6 address that say that it is an IPv4-mapped one.
const MAPPED_BITS: u8 = 96;

fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(six) = network else { return network };
    let four = six.prefix_len().checked_sub(MAPPED_BITS).zip(six.addr().to_ipv4_mapped());
    match four.map(|(bits, address)| Ipv4Net::new(address, bits)) {
        Some(Ok(four)) => IpNet::V4(four),
        _ => network,
    }
}
