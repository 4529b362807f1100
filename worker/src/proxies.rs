//! What is believed of the proxies in front, and of whom.
//!
//! Decides which peers are trusted, once a connection, and what a trusted one may say of a request. What the header fields
//! mean is `tapster_wire`'s; what becomes of it in `environ`, `tapster_python`'s. Asked by `connection`, `job` and the
//! reactor.

use std::net::IpAddr;

use tapster_config::{AllowedIps, ForwardedHeader, HeaderMap, ProxyProtocol, Settings};
use tapster_wire::forwarded::{Origin, Trust, TrustedHeaders};
use tapster_wire::proxy_protocol::ProxyMode;
use tapster_wire::{FieldNames, Head, Networks, Reason, Reject};

/// The settings about proxies, in force.
pub(crate) struct Proxies {
    forwarders: Networks,
    trust: Trust,
    stranger_names: FieldNames,
    forwarder_names: FieldNames,
    /// The version of the PROXY header that every connection begins with, where one does.
    pub(crate) preface: Option<ProxyMode>,
    senders_of_prefaces: Networks,
    /// Where the application is mounted, unless a request says otherwise: without a slash at its end, mostly empty.
    pub(crate) mount_point: String,
}

/// What a peer may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// What its requests say of their origin is believed.
    pub(crate) forwards: bool,
    /// It may tell the client's address in a PROXY header.
    pub(crate) sends_preface: bool,
}

impl Proxies {
    /// As the settings have it. `mount_point` is the environment's `SCRIPT_NAME`, as gunicorn reads it.
    pub(crate) fn new(settings: &Settings, mount_point: &str) -> Self {
        let forwarders = networks(&settings.forwarded_allow_ips);
        let headers = trusted_headers(&settings.trusted_proxy_headers);
        let header_map = match settings.header_map {
            HeaderMap::Drop => tapster_wire::HeaderMap::Drop,
            HeaderMap::Refuse => tapster_wire::HeaderMap::Refuse,
            HeaderMap::Dangerous => tapster_wire::HeaderMap::Dangerous,
        };
        Self {
            trust: Trust::new(settings.secure_scheme_headers.clone(), headers, forwarders.clone()),
            forwarders,
            stranger_names: FieldNames::new(header_map),
            forwarder_names: FieldNames::with_exempt(header_map, settings.forwarder_headers.iter().map(String::as_str)),
            preface: match settings.proxy_protocol {
                ProxyProtocol::Off => None,
                ProxyProtocol::V1 => Some(ProxyMode::V1),
                ProxyProtocol::V2 => Some(ProxyMode::V2),
                ProxyProtocol::Auto => Some(ProxyMode::Auto),
            },
            senders_of_prefaces: networks(&settings.proxy_allow_ips),
            mount_point: mount_point.trim_end_matches('/').to_owned(),
        }
    }

    /// What the peer at this address may do. Who can reach a Unix socket has been let in by its directory's permissions.
    pub(crate) fn standing(&self, peer: Option<IpAddr>) -> Standing {
        let is_in = |networks: &Networks| peer.is_none_or(|ip| networks.contains(ip));
        Standing { forwards: is_in(&self.forwarders), sends_preface: is_in(&self.senders_of_prefaces) }
    }

    /// The field names with underscores that the peer may send.
    #[inline]
    pub(crate) fn names(&self, standing: Standing) -> &FieldNames {
        if standing.forwards { &self.forwarder_names } else { &self.stranger_names }
    }

    /// Takes the environment's mount point off the path of a request that names none itself.
    #[inline]
    pub(crate) fn mount(&self, head: &mut Head, buffer: &[u8]) -> Result<(), Reject> {
        if self.mount_point.is_empty() || head.script_name.is_some() {
            return Ok(());
        }
        head.mount_at(self.mount_point.as_bytes(), buffer).map_err(Reject::from)
    }

    /// What the request says of its origin.
    #[inline]
    pub(crate) fn origin<'b>(&self, standing: Standing, head: &Head, buffer: &'b [u8]) -> Result<Origin<'b>, Reject> {
        if !standing.forwards {
            return Ok(Origin::default());
        }
        let origin = self.trust.read(head, buffer)?;
        if let (Some(prefix), Some(name)) = (origin.prefix, head.script_name)
            && prefix != name.of(buffer)
        {
            return Err(Reason::ForwardedContradiction.into());
        }
        Ok(origin)
    }
}

fn networks(ips: &AllowedIps) -> Networks {
    match ips {
        AllowedIps::All => Networks::all(),
        AllowedIps::Networks(networks) => Networks::of(networks.iter().copied()),
    }
}

fn trusted_headers(headers: &[ForwardedHeader]) -> TrustedHeaders {
    let has = |header| headers.contains(&header);
    TrustedHeaders {
        x_forwarded_for: has(ForwardedHeader::XForwardedFor),
        x_forwarded_proto: has(ForwardedHeader::XForwardedProto),
        x_forwarded_host: has(ForwardedHeader::XForwardedHost),
        x_forwarded_port: has(ForwardedHeader::XForwardedPort),
        x_forwarded_prefix: has(ForwardedHeader::XForwardedPrefix),
        forwarded: has(ForwardedHeader::Forwarded),
    }
}
