//! [`AllowedIps`]: the addresses that are trusted, read from their texts and written back. Never resolves a name,
//! and leaves it to the worker to look a peer up in them.

use std::net::IpAddr;

use ipnet::IpNet;

/// The peers that are trusted by their address. Those of Unix sockets have none, and are trusted in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedIps {
    /// `*`: everyone.
    All,
    /// Those in one of these networks; an address alone is a network of one. An empty list trusts nobody.
    Networks(Vec<IpNet>),
}

impl AllowedIps {
    /// This machine itself: 127.0.0.1 and ::1.
    pub(crate) fn loopback() -> Self {
        let addresses = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1u16])];
        Self::Networks(addresses.map(IpNet::from).into())
    }
}

/// Reads an address or a network, or says what is wrong with the text, as the rest of a sentence.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let Some((address, length)) = text.split_once('/') else {
        return Err("it is not an IP address".to_owned());
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(format!("{address:?} is not an IP address"));
    };
    if let Some(network) = length.parse::<IpAddr>().ok().and_then(|mask| IpNet::with_netmask(address, mask).ok()) {
        return Err(format!("write \"{}\"", network.trunc()));
    }
    let longest = if address.is_ipv4() { 32 } else { 128 };
    // `parse` alone would take "+8".
    let digits = Some(length).filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()));
    let network = digits.and_then(|digits| digits.parse().ok()).and_then(|length| IpNet::new(address, length).ok());
    match network {
        None => Err(format!("after the slash comes a number from 0 to {longest}")),
        Some(network) if network != network.trunc() => {
            Err(format!("it has bits beyond the network's; for the network write \"{}\"", network.trunc()))
        }
        Some(network) => Ok(network),
    }
}

/// The text that [`network`] reads as the same; an address alone as such.
pub(crate) fn text(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() { network.addr().to_string() } else { network.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_have_one_canonical_text() {
        let table = [
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.1/32", "10.0.0.1"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::1", "::1"),
            ("0:0::1/128", "::1"),
            ("FD00::/8", "fd00::/8"),
            ("::/0", "::/0"),
        ];
        for (given, canonical) in table {
            let read = network(given);
            assert_eq!(read.as_ref().map(text).as_deref(), Ok(canonical), "{given}");
            assert_eq!(network(canonical), read);
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_to_write() {
        let table = [
            ("", "it is not an IP address"),
            ("localhost", "it is not an IP address"),
            ("10.0.0", "it is not an IP address"),
            ("10.0.0.256", "it is not an IP address"),
            ("127.0.0.1:80", "it is not an IP address"),
            ("[::1]", "it is not an IP address"),
            ("fe80::1%eth0", "it is not an IP address"),
            ("10/8", "\"10\" is not an IP address"),
            ("10.0.0.1/8", "it has bits beyond the network's; for the network write \"10.0.0.0/8\""),
            ("fd00::1/64", "it has bits beyond the network's; for the network write \"fd00::/64\""),
            ("10.0.0.0/255.0.0.0", "write \"10.0.0.0/8\""),
            ("10.0.0.0/33", "after the slash comes a number from 0 to 32"),
            ("10.0.0.0/", "after the slash comes a number from 0 to 32"),
            ("10.0.0.0/+8", "after the slash comes a number from 0 to 32"),
            ("::/129", "after the slash comes a number from 0 to 128"),
        ];
        for (text, reason) in table {
            assert_eq!(network(text), Err(reason.to_owned()), "{text}");
        }
    }
}
