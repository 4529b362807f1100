//! Chunked bodies (RFC 9112 section 7.1), taken apart as they come.
//!
//! A state machine over bytes: it copies no data and keeps none, so it can be fed pieces of any size. Line ends are
//! CRLF only, sizes are strict, extensions are checked and ignored, trailers are checked and discarded; all have
//! limits. Called by the worker's connection for bodies that [`Body::Chunked`](crate::Body) announces.

use super::extension::{Extension, Step};
use super::trailer::Trailers;
use crate::grammar::hex_digit;
use crate::reject::{Reason, Reject};

/// The digits of a size that surely fits 64 bits.
const MAX_SIZE_DIGITS: u8 = 16;

/// Extensions may be so many bytes a chunk line.
const MAX_EXTENSION_BYTES: u16 = 256;

/// All extensions of a body together may exceed its data by so many bytes: or else a client could keep us busy with
/// lines that carry next to nothing.
const EXTENSION_ALLOWANCE_BYTES: u64 = 16 << 10;

/// The decoder of one body.
#[derive(Clone, Debug)]
pub struct Chunked {
    state: State,
    body_limit: u64,
    /// The sizes of all chunks begun so far.
    announced: u64,
    extension_bytes: u64,
}

#[derive(Clone, Debug)]
enum State {
    Size { size: u64, digits: u8 },
    Extension { size: u64, at: Extension, bytes: u16 },
    SizeFeed { size: u64 },
    Data { left: u64 },
    DataReturn,
    DataFeed,
    Trailers(Trailers),
    Ended,
}

/// What one call to [`Chunked::decode`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded<'i> {
    /// How many bytes of the input are done with, data included.
    pub consumed: usize,
    /// What they were.
    pub event: Event<'i>,
}

/// What a piece of a chunked body was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'i> {
    /// A run of the body's data, never empty: the end of what was consumed.
    Data(&'i [u8]),
    /// The body has ended; the next request begins behind what was consumed.
    End,
    /// All input was consumed, and the body goes on.
    NeedMore,
}

impl Chunked {
    /// A decoder at the body's first byte. `body_limit` is in bytes of data; 0 is no limit.
    #[must_use]
    pub fn new(body_limit: u64) -> Self {
        Self { state: FIRST_LINE, body_limit, announced: 0, extension_bytes: 0 }
    }

    /// Consumes from `input`, up to the end of the first run of data or of the body.
    ///
    /// Call again with what was not consumed until the event is [`Event::End`] or [`Event::NeedMore`].
    ///
    /// # Errors
    ///
    /// 400 for malformed framing, 413 when the chunks announced exceed the limit, 431 for too many trailers. The
    /// decoder can't go on after an error.
    pub fn decode<'i>(&mut self, input: &'i [u8]) -> Result<Decoded<'i>, Reject> {
        let mut consumed = 0;
        loop {
            let rest = &input[consumed..];
            match (&mut self.state, rest) {
                (State::Ended, _) => return Ok(Decoded { consumed, event: Event::End }),
                (_, []) => return Ok(Decoded { consumed, event: Event::NeedMore }),
                (State::Data { left }, _) => {
                    let run = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                    *left -= run as u64;
                    if *left == 0 {
                        self.state = State::DataReturn;
                    }
                    return Ok(Decoded { consumed: consumed + run, event: Event::Data(&rest[..run]) });
                }
                (_, [byte, ..]) => {
                    self.step(*byte)?;
                    consumed += 1;
                }
            }
        }
    }

    /// Whether the body's last byte was consumed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Every transition that one byte of framing can cause.
    fn step(&mut self, byte: u8) -> Result<(), Reason> {
        let next = match self.state {
            State::Size { size, digits } => match (hex_digit(byte), byte) {
                (Some(_), _) if digits == MAX_SIZE_DIGITS => return Err(Reason::ChunkSize),
                (Some(digit), _) => State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 },
                (None, _) if digits == 0 => return Err(Reason::ChunkSize),
                (None, b'\r') => State::SizeFeed { size },
                (None, _) => {
                    let at = Extension::first(byte).ok_or(Reason::ChunkSize)?;
                    State::Extension { size, at, bytes: self.count_extension_byte(0)? }
                }
            },
            State::Extension { size, at, bytes } => match at.step(byte).ok_or(Reason::ChunkExtension)? {
                Step::LineEnd => State::SizeFeed { size },
                Step::Within(at) => State::Extension { size, at, bytes: self.count_extension_byte(bytes)? },
            },
            State::SizeFeed { size } => {
                expect(byte, b'\n', Reason::BareCr)?;
                self.begin_chunk(size)?
            }
            State::DataReturn => {
                expect(byte, b'\r', Reason::ChunkEnd)?;
                State::DataFeed
            }
            State::DataFeed => {
                expect(byte, b'\n', Reason::ChunkEnd)?;
                FIRST_LINE
            }
            State::Trailers(ref mut trailers) => {
                if !trailers.step(byte)? {
                    return Ok(());
                }
                State::Ended
            }
            // Not reached: `decode` feeds no byte of these to this function.
            State::Data { .. } | State::Ended => return Ok(()),
        };
        self.state = next;
        Ok(())
    }

    fn begin_chunk(&mut self, size: u64) -> Result<State, Reason> {
        if size == 0 {
            return Ok(State::Trailers(Trailers::default()));
        }
        self.announced = self.announced.checked_add(size).ok_or(Reason::ChunkSize)?;
        if self.body_limit != 0 && self.announced > self.body_limit {
            return Err(Reason::BodySize);
        }
        Ok(State::Data { left: size })
    }

    fn count_extension_byte(&mut self, bytes: u16) -> Result<u16, Reason> {
        self.extension_bytes += 1;
        let too_many_in_all = self.extension_bytes > self.announced.saturating_add(EXTENSION_ALLOWANCE_BYTES);
        if bytes == MAX_EXTENSION_BYTES || too_many_in_all {
            return Err(Reason::ChunkExtensionSize);
        }
        Ok(bytes + 1)
    }
}

const FIRST_LINE: State = State::Size { size: 0, digits: 0 };

fn expect(byte: u8, expected: u8, otherwise: Reason) -> Result<(), Reason> {
    if byte == expected { Ok(()) } else { Err(otherwise) }
}
