//! What trusted proxies say of the request that they pass on: who sent it, and by which scheme, host, port and prefix.
//!
//! Reads fields, and never decides whether the peer may send them: the worker asks [`Trust::read`] only where the peer
//! is a trusted proxy. Whatever the proxies say twice must be said the same way, since of two answers one is a lie.

mod elements;
mod node;
mod place;

use std::net::IpAddr;

use crate::grammar::trim;
use crate::head::Head;
use crate::networks::Networks;
use crate::reject::{Reason, Reject};
use elements::Said;
use node::Node;
use place::{host, port, prefix};

/// The fields that trusted proxies are known to set, or at least to clear. What a proxy passes on as the client sent it
/// must not be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrustedHeaders {
    /// X-Forwarded-For.
    pub x_forwarded_for: bool,
    /// X-Forwarded-Proto, read as a list of schemes. As a scheme header it needs no mention here.
    pub x_forwarded_proto: bool,
    /// X-Forwarded-Host.
    pub x_forwarded_host: bool,
    /// X-Forwarded-Port.
    pub x_forwarded_port: bool,
    /// X-Forwarded-Prefix.
    pub x_forwarded_prefix: bool,
    /// Forwarded (RFC 7239).
    pub forwarded: bool,
}

/// The scheme by which the client speaks to the first proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As in `wsgi.url_scheme`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// RFC 3986 section 3.1: schemes are case-insensitive. WebSocket's begin as HTTP requests.
    fn parse(text: &[u8]) -> Option<Self> {
        let is = |name: &[u8]| text.eq_ignore_ascii_case(name);
        if is(b"https") || is(b"wss") {
            return Some(Self::Https);
        }
        (is(b"http") || is(b"ws")).then_some(Self::Http)
    }
}

/// Who sent the request to the outermost trusted proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// The address, as it was written: an IPv4-mapped one stays one.
    pub address: IpAddr,
    /// The port, where the proxy tells it.
    pub port: Option<u16>,
}

/// What was said; `None` is that nobody who is trusted said it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin<'b> {
    /// The scheme that the client used.
    pub scheme: Option<Scheme>,
    /// The client. Also `None` where the proxies do not know it.
    pub client: Option<Client>,
    /// The host that the client asked for, possibly with a port: valid as a Host field, and not empty.
    pub host: Option<&'b [u8]>,
    /// The port that the client connected to; not 0.
    pub port: Option<u16>,
    /// The path that the proxy took off in front of the target's: percent-encoded, without a slash at its end. Empty if
    /// it was "/".
    pub prefix: Option<&'b [u8]>,
}

/// Which fields are believed, and which proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    known: Box<[Known]>,
    /// A bit for each length that a known name has; the highest stands for all lengths from 63.
    lengths: u64,
    proxies: Networks,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    name: Box<[u8]>,
    meaning: Meaning,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Meaning {
    /// A scheme header, and its value for https.
    Secure(Box<[u8]>),
    For,
    Proto,
    Host,
    Port,
    Prefix,
    Forwarded,
}

/// The fields found in one request. Of a list only the last field counts, since its last element does.
#[derive(Debug, Default)]
struct Found<'b> {
    any: bool,
    scheme: Option<Scheme>,
    has_for: bool,
    has_forwarded: bool,
    proto: Option<&'b [u8]>,
    host: Option<&'b [u8]>,
    port: Option<&'b [u8]>,
    prefix: Option<&'b [u8]>,
}

const FOR: &[u8] = b"x-forwarded-for";
const FORWARDED: &[u8] = b"forwarded";

impl Trust {
    /// Believes the scheme headers (name, and the value that says https), the fields of `headers`, and in lists of
    /// addresses the `proxies`.
    #[must_use]
    pub fn new(scheme_headers: Vec<(String, String)>, headers: TrustedHeaders, proxies: Networks) -> Self {
        let lists = [
            (headers.x_forwarded_for, FOR, Meaning::For),
            (headers.x_forwarded_proto, b"x-forwarded-proto", Meaning::Proto),
            (headers.x_forwarded_host, b"x-forwarded-host", Meaning::Host),
            (headers.x_forwarded_port, b"x-forwarded-port", Meaning::Port),
            (headers.x_forwarded_prefix, b"x-forwarded-prefix", Meaning::Prefix),
            (headers.forwarded, FORWARDED, Meaning::Forwarded),
        ];
        let lists = lists.into_iter().filter(|(trusted, ..)| *trusted);
        let lists = lists.map(|(_, name, meaning)| Known { name: name.into(), meaning });
        let schemes = scheme_headers.into_iter().map(|(name, value)| Known {
            name: name.into_bytes().into(),
            meaning: Meaning::Secure(value.into_bytes().into()),
        });
        // The first of a name counts: a trusted list takes the place of the scheme header of the same name.
        let known: Box<[Known]> = lists.chain(schemes).collect();
        let lengths = known.iter().fold(0, |lengths, known| lengths | length_bit(known.name.len()));
        Self { known, lengths, proxies }
    }

    /// What the trusted fields of `head`, whose spans are of `buf`, say. Only for requests whose peer is trusted.
    ///
    /// # Errors
    /// [`Reason::SchemeContradiction`] where scheme headers disagree; [`Reason::ForwardedMalformed`];
    /// [`Reason::ForwardedContradiction`] where Forwarded and an X-Forwarded field disagree.
    #[inline]
    pub fn read<'b>(&self, head: &Head, buf: &'b [u8]) -> Result<Origin<'b>, Reject> {
        let mut found = Found::default();
        for field in &head.fields {
            // Most requests have no such field, and the lengths of most names say so.
            if self.lengths & length_bit(field.name.len()) != 0 {
                self.note(field.name.of(buf), field.value.of(buf), &mut found)?;
            }
        }
        if !found.any {
            return Ok(Origin::default());
        }
        Ok(self.conclude(&found, head, buf)?)
    }

    fn note<'b>(&self, name: &[u8], value: &'b [u8], found: &mut Found<'b>) -> Result<(), Reason> {
        let Some(known) = self.known.iter().find(|known| name.eq_ignore_ascii_case(&known.name)) else {
            return Ok(());
        };
        found.any = true;
        match &known.meaning {
            Meaning::Secure(secure) => {
                let scheme = if value == &**secure { Scheme::Https } else { Scheme::Http };
                if found.scheme.is_some_and(|earlier| earlier != scheme) {
                    return Err(Reason::SchemeContradiction);
                }
                found.scheme = Some(scheme);
            }
            Meaning::For => found.has_for = true,
            Meaning::Forwarded => found.has_forwarded = true,
            Meaning::Proto => found.proto = Some(value),
            Meaning::Host => found.host = Some(value),
            Meaning::Port => found.port = Some(value),
            Meaning::Prefix => found.prefix = Some(value),
        }
        Ok(())
    }

    fn conclude<'b>(&self, found: &Found<'b>, head: &Head, buf: &'b [u8]) -> Result<Origin<'b>, Reason> {
        let mut said = Said::default();
        if found.has_forwarded {
            for value in values(head, buf, FORWARDED) {
                said.take(value, &self.proxies).ok_or(Reason::ForwardedMalformed)?;
            }
        }
        let listed_scheme = found.proto.map(|list| element(list, Scheme::parse)).transpose()?;
        let listed_host = found.host.map(|list| element(list, host)).transpose()?;
        let listed_client = found.has_for.then(|| self.walk(head, buf)).transpose()?;

        let client = either(listed_client, said.client(), Node::joined)?;
        let scheme = either(listed_scheme, said.scheme()?, |one, other| (one == other).then_some(one))?;
        if found.scheme.zip(scheme).is_some_and(|(one, other)| one != other) {
            return Err(Reason::SchemeContradiction);
        }
        let host = either(listed_host, said.host(), |one, other| one.eq_ignore_ascii_case(other).then_some(one))?;
        let port = found.port.map(|list| element(list, port)).transpose()?;
        if host.and_then(port_of).zip(port).is_some_and(|(one, other)| one != other) {
            return Err(Reason::ForwardedContradiction);
        }
        Ok(Origin {
            scheme: scheme.or(found.scheme),
            client: client.and_then(Node::client),
            host,
            port,
            prefix: found.prefix.map(|list| element(list, prefix)).transpose()?,
        })
    }

    /// Goes through X-Forwarded-For from its right end, as long as the addresses are those of trusted proxies: each has
    /// appended the address that it saw, so that the first other one is the client's. What is left of that, the client
    /// wrote. If all are trusted, the request was made by the leftmost.
    ///
    /// If everybody is trusted, the rightmost is the answer: only that was surely written by the peer, and walking on
    /// would let any client choose its address.
    fn walk(&self, head: &Head, buf: &[u8]) -> Result<Node, Reason> {
        let mut node = Node::Hidden;
        let elements = values(head, buf, FOR).rev().flat_map(|value| value.rsplit(|&byte| byte == b','));
        for element in elements {
            node = Node::listed(trim(element)).ok_or(Reason::ForwardedMalformed)?;
            if !node.is_passed(&self.proxies) {
                break;
            }
        }
        Ok(node)
    }
}

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

/// The values of all fields of that name.
fn values<'a, 'b: 'a>(head: &'a Head, buf: &'b [u8], name: &'a [u8]) -> impl DoubleEndedIterator<Item = &'b [u8]> + 'a {
    let fields = head.fields.iter().filter(move |field| field.name.of(buf).eq_ignore_ascii_case(name));
    fields.map(move |field| field.value.of(buf))
}

/// The last element of a list, which is the one that the peer appended or left as the only one.
fn element<'b, T>(list: &'b [u8], parse: impl FnOnce(&'b [u8]) -> Option<T>) -> Result<T, Reason> {
    let last = list.rsplit(|&byte| byte == b',').next().map(trim);
    last.and_then(parse).ok_or(Reason::ForwardedMalformed)
}

/// The port that a valid host names.
fn port_of(host: &[u8]) -> Option<u16> {
    let colon = memchr::memrchr(b':', host)?;
    // A colon within brackets belongs to an IPv6 address.
    str::from_utf8(&host[colon + 1..]).ok()?.parse().ok()
}

/// What an X-Forwarded field and Forwarded say together; `join` has no answer where they differ.
fn either<T>(listed: Option<T>, said: Option<T>, join: impl FnOnce(T, T) -> Option<T>) -> Result<Option<T>, Reason> {
    match (listed, said) {
        (Some(listed), Some(said)) => join(listed, said).map(Some).ok_or(Reason::ForwardedContradiction),
        (listed, said) => Ok(listed.or(said)),
    }
}
