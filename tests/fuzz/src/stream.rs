//! A connection's whole stream of bytes: head, body, the next head, as the worker's connection reads it.

use tapster_wire::http1::{Chunked, Event};
use tapster_wire::{Body, FieldNames, Head, Limits, Reason, Reject};

use super::arrival;
use super::chunked;
use super::head::{Meaning, parse, refusal_names_its_rule, written_again as head_written_again};
use super::settings::{self, GENEROUS};

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its head.
    pub meaning: Meaning,
    /// Its body, as far as it has come.
    pub body: Vec<u8>,
    /// Where it begins, and where it ends unless the stream ends first.
    pub place: (usize, Option<usize>),
}

/// All that a stream came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The requests in their order.
    pub requests: Vec<Request>,
    /// What ended them, if not the end of the bytes.
    pub refusal: Option<Reject>,
}

/// The first byte chooses limits and names, the second how the rest is cut.
pub fn check(input: &[u8]) -> Vec<Reason> {
    let mut bytes = input;
    let choice = settings::choice(&mut bytes);
    let seed = settings::choice(&mut bytes);
    let exchange = check_with(bytes, &settings::limits(choice), &settings::names(choice), seed);
    exchange.refusal.map(|reject| reject.reason).into_iter().collect()
}

/// What `bytes` came to, of which everything was checked that must hold.
pub fn check_with(bytes: &[u8], limits: &Limits, names: &FieldNames, seed: u8) -> Exchange {
    let exchange = read(bytes, &arrival::whole(bytes.len()), limits, names);
    assert_eq!(exchange, read(bytes, &arrival::pieces(bytes.len(), seed), limits, names), "in pieces");
    assert_eq!(exchange, read(bytes, &arrival::trickled(bytes.len()), limits, names), "byte by byte");
    if let Some(reject) = exchange.refusal {
        refusal_names_its_rule(reject);
    }
    each_is_the_same_alone(bytes, limits, names, &exchange);
    all_are_the_same_when_written_again(bytes, limits, names, seed, &exchange);
    exchange
}

/// Reads as the bytes come in: at each of `ends`, so many of them are there.
#[must_use]
pub fn read(bytes: &[u8], ends: &[usize], limits: &Limits, names: &FieldNames) -> Exchange {
    let exchange = Exchange { requests: Vec::new(), refusal: None };
    let mut reading = Reading { limits, names, head: Head::default(), exchange, at: 0, state: State::Head };
    for &end in ends {
        if let Err(reject) = reading.go_on(&bytes[..end]) {
            reading.exchange.refusal = Some(reject);
            break;
        }
    }
    reading.exchange
}

struct Reading<'a> {
    limits: &'a Limits,
    names: &'a FieldNames,
    /// Reused, as a connection does it.
    head: Head,
    exchange: Exchange,
    /// How many bytes are consumed.
    at: usize,
    state: State,
}

enum State {
    Head,
    Length(u64),
    Chunked(Chunked),
    /// The client wants no more answers.
    Over,
}

impl Reading<'_> {
    fn go_on(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        while self.step(bytes)? {}
        Ok(())
    }

    /// Whether there was enough to go on.
    fn step(&mut self, bytes: &[u8]) -> Result<bool, Reject> {
        let rest = &bytes[self.at..];
        match &mut self.state {
            State::Over => return Ok(false),
            State::Head => {
                if parse(rest, self.limits, self.names, &mut self.head)?.is_none() {
                    return Ok(false);
                }
                let place = (self.at, None);
                self.exchange.requests.push(Request {
                    meaning: Meaning::of(rest, &self.head),
                    body: Vec::new(),
                    place,
                });
                assert!(self.head.size > 0 && self.head.size <= rest.len());
                self.at += self.head.size;
                match self.head.body {
                    Body::None => self.end_request(),
                    Body::Length(length) => self.state = State::Length(length),
                    Body::Chunked => self.state = State::Chunked(Chunked::new(self.limits.body)),
                }
            }
            State::Length(0) => self.end_request(),
            State::Length(left) => {
                let run = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                *left -= run as u64;
                self.at += run;
                self.append(&rest[..run]);
                return Ok(run > 0);
            }
            State::Chunked(decoder) => {
                let decoded = decoder.decode(rest)?;
                self.at += decoded.consumed;
                assert!(decoded.consumed > 0 || decoded.event == Event::NeedMore, "an event without bytes");
                match decoded.event {
                    Event::Data(run) => self.append(run),
                    Event::End => self.end_request(),
                    Event::NeedMore => return Ok(false),
                }
            }
        }
        Ok(true)
    }

    fn append(&mut self, run: &[u8]) {
        if let Some(request) = self.exchange.requests.last_mut() {
            request.body.extend_from_slice(run);
        }
    }

    fn end_request(&mut self) {
        if let Some(request) = self.exchange.requests.last_mut() {
            request.place.1 = Some(self.at);
        }
        self.state = if self.head.keep_alive { State::Head } else { State::Over };
    }
}

/// A request's meaning and end come from its own bytes, not from its neighbours'.
fn each_is_the_same_alone(bytes: &[u8], limits: &Limits, names: &FieldNames, exchange: &Exchange) {
    let mut next = 0;
    for request in &exchange.requests {
        let (start, Some(end)) = request.place else { continue };
        assert_eq!(start, next, "requests leave no gap");
        assert!(end > start, "a request of no bytes");
        next = end;
        let alone = read(&bytes[start..end], &arrival::whole(end - start), limits, names);
        let moved = Request { place: (0, Some(end - start)), ..request.clone() };
        assert_eq!(alone, Exchange { requests: vec![moved], refusal: None });
    }
}

/// The complete requests, written plainly one behind the other, as a proxy does it.
fn all_are_the_same_when_written_again(
    bytes: &[u8],
    limits: &Limits,
    names: &FieldNames,
    seed: u8,
    exchange: &Exchange,
) {
    let complete: Vec<&Request> = exchange.requests.iter().filter(|request| request.place.1.is_some()).collect();
    let mut again = Vec::new();
    for request in &complete {
        let rest = &bytes[request.place.0..];
        let Ok(Some(head)) = parse(rest, limits, names, &mut Head::default()) else { panic!("accepted before") };
        again.extend_from_slice(&head_written_again(rest, &head));
        match head.body {
            Body::Chunked => again.extend_from_slice(&chunked::written_again(&request.body, seed)),
            Body::None | Body::Length(_) => again.extend_from_slice(&request.body),
        }
    }
    let second = read(&again, &arrival::whole(again.len()), &GENEROUS, names);
    assert_eq!(second.refusal, None);
    let content = |request: &Request| (request.meaning.clone(), request.body.clone());
    let (first, second): (Vec<_>, Vec<_>) =
        (complete.into_iter().map(content).collect(), second.requests.iter().map(content).collect());
    assert_eq!(first, second);
}
