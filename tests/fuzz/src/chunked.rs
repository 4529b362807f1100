//! Chunked bodies: `Chunked::decode`.

use tapster_wire::http1::{Chunked, Event, reply};
use tapster_wire::{Reason, Reject};

use super::arrival;
use super::head::refusal_names_its_rule;
use super::settings;

/// What a body came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The data, as far as it was given out.
    pub data: Vec<u8>,
    /// How it ended.
    pub end: End,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It goes on.
    Open,
    /// With its last byte, behind so many.
    Behind(usize),
    /// It broke a rule.
    Refused(Reject),
}

/// The first byte chooses the limit, the second how the rest, a body and what follows it, is cut.
pub fn check(input: &[u8]) -> Vec<Reason> {
    let mut bytes = input;
    let limit = settings::body_limit(settings::choice(&mut bytes));
    let seed = settings::choice(&mut bytes);

    let outcome = decode(bytes, &arrival::whole(bytes.len()), limit);
    assert_eq!(outcome, decode(bytes, &arrival::pieces(bytes.len(), seed), limit), "in pieces");
    let ends: Vec<usize> = (0..=bytes.len()).collect();
    assert_eq!(outcome, decode(bytes, &ends, limit), "byte by byte");
    assert!(limit == 0 || outcome.data.len() as u64 <= limit);
    match outcome.end {
        End::Open => {}
        End::Behind(size) => {
            assert_eq!(read_loosely(bytes), Some((outcome.data.clone(), size)));
            is_the_same_when_written_again(&outcome.data, seed);
        }
        End::Refused(reject) => {
            refusal_names_its_rule(reject);
            return vec![reject.reason];
        }
    }
    Vec::new()
}

/// Feeds a decoder as the bytes come in: at each of `ends`, so many of them are there.
#[must_use]
pub fn decode(bytes: &[u8], ends: &[usize], limit: u64) -> Outcome {
    let mut decoder = Chunked::new(limit);
    let (mut data, mut at) = (Vec::new(), 0);
    for &end in ends {
        loop {
            let decoded = match decoder.decode(&bytes[at..end]) {
                Ok(decoded) => decoded,
                Err(reject) => return Outcome { data, end: End::Refused(reject) },
            };
            assert!(decoded.consumed <= end - at, "no more is consumed than was given");
            at += decoded.consumed;
            assert_eq!(decoder.has_ended(), decoded.event == Event::End);
            match decoded.event {
                Event::Data(run) => {
                    assert!(
                        !run.is_empty() && run == &bytes[at - run.len()..at],
                        "data is the end of what was consumed"
                    );
                    data.extend_from_slice(run);
                }
                Event::NeedMore => {
                    assert_eq!(at, end, "what is not consumed comes again");
                    break;
                }
                Event::End => {
                    assert!(decoded.consumed > 0);
                    let again = decoder.decode(&bytes[at..]).map(|decoded| (decoded.consumed, decoded.event));
                    assert_eq!(again, Ok((0, Event::End)), "what follows a body is not the body's");
                    return Outcome { data, end: End::Behind(at) };
                }
            }
        }
    }
    Outcome { data, end: End::Open }
}

/// A second reading, as loose as any proxy's: lines end in a line feed, and a size is what a line begins with. Where the
/// body is accepted it must find the same data, and the same end.
fn read_loosely(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut data, mut at) = (Vec::new(), 0);
    loop {
        let line = line_at(bytes, at)?;
        at += line.len();
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = usize::from_str_radix(str::from_utf8(&line[..digits]).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        data.extend_from_slice(bytes.get(at..at + size)?);
        at += size;
        at += line_at(bytes, at).filter(|line| line.trim_ascii().is_empty())?.len();
    }
    loop {
        let line = line_at(bytes, at)?;
        at += line.len();
        if line.trim_ascii().is_empty() {
            return Some((data, at));
        }
    }
}

/// With its line feed.
fn line_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?;
    rest.iter().position(|&byte| byte == b'\n').map(|feed| &rest[..=feed])
}

fn is_the_same_when_written_again(data: &[u8], seed: u8) {
    let again = written_again(data, seed);
    let expected = Outcome { data: data.to_vec(), end: End::Behind(again.len()) };
    assert_eq!(decode(&again, &arrival::whole(again.len()), 0), expected);
}

/// The data in chunks of our own.
#[must_use]
pub fn written_again(data: &[u8], seed: u8) -> Vec<u8> {
    let mut out = Vec::new();
    for pair in arrival::pieces(data.len(), seed).windows(2) {
        reply::chunk(&mut out, &data[pair[0]..pair[1]]);
    }
    reply::last_chunk(&mut out);
    out
}
