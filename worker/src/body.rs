//! A request's body while it arrives: in memory at first, then in a temporary file that has no name.
//!
//! The application is called when all of it is here, so a client that sends slowly costs memory or disk, never a thread.
//!
//! It decides nothing about its connection, which feeds it what has come, or has it read.

use std::io;

use tapster_python::RequestBody;
use tapster_wire::Reject;
use tapster_wire::http1::{Chunked, Event};

use crate::budget::Share;
use crate::deadlines::Millis;
use crate::pace::Pace;
use crate::socket::Socket;
use crate::temporary::{Storage, TemporaryFile};

/// A body larger than this, in bytes, goes to a file.
const IN_MEMORY: usize = 2 * 1024 * 1024;
/// Of a larger rest so much is read straight to where it is kept, in bytes; less goes by way of the connection's buffer.
const DIRECT: usize = 16 * 1024;
/// The most that is read at once so.
const STEP: usize = 256 * 1024;
/// Memory for a body whose first byte has not come is at most so many bytes.
const RESERVED: usize = 16 * 1024;

/// A body that is arriving.
#[derive(Debug)]
pub(crate) struct Arriving {
    pub(crate) pace: Pace,
    framing: Framing,
    store: Store,
}

#[derive(Debug)]
enum Framing {
    Length { missing: u64 },
    Chunked(Chunked),
}

/// A body that is here.
#[derive(Debug)]
pub(crate) enum Store {
    Memory { bytes: Vec<u8>, share: Share },
    File(TemporaryFile),
}

/// Why a body can't be taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The client's mistake.
    Client(Reject),
    /// This machine's: the temporary file can't be made or written.
    Disk(io::Error),
}

impl Arriving {
    /// A body of that many bytes, whose head was complete at `now`.
    pub(crate) fn of_length(length: u64, now: Millis, storage: &Storage) -> Self {
        // Of a larger body no more is reserved than has come: many clients announce what they never send.
        let expected = usize::try_from(length).unwrap_or(RESERVED).min(RESERVED);
        let store = Store::Memory { bytes: Vec::with_capacity(expected), share: storage.memory.share() };
        Self { pace: Pace::new(now), framing: Framing::Length { missing: length }, store }
    }

    /// A body in chunks, of at most `limit` bytes; 0 for no limit.
    pub(crate) fn chunked(limit: u64, now: Millis, storage: &Storage) -> Self {
        let framing = Framing::Chunked(Chunked::new(limit));
        Self {
            pace: Pace::new(now),
            framing,
            store: Store::Memory { bytes: Vec::new(), share: storage.memory.share() },
        }
    }

    /// How many bytes the rest of the body is, where that is known.
    pub(crate) fn missing(&self) -> Option<u64> {
        match &self.framing {
            Framing::Length { missing } => Some(*missing),
            Framing::Chunked(_) => None,
        }
    }

    /// Takes what belongs to the body from the front of `bytes`. Answers how much that was, and whether the body is
    /// complete now.
    pub(crate) fn feed(&mut self, bytes: &[u8], storage: &Storage) -> Result<(usize, bool), Refused> {
        match &mut self.framing {
            Framing::Length { missing } => {
                let count = usize::try_from(*missing).unwrap_or(usize::MAX).min(bytes.len());
                self.store.append(&bytes[..count], storage).map_err(Refused::Disk)?;
                *missing -= count as u64;
                Ok((count, *missing == 0))
            }
            Framing::Chunked(decoder) => {
                let mut used = 0;
                loop {
                    let decoded = decoder.decode(&bytes[used..]).map_err(Refused::Client)?;
                    used += decoded.consumed;
                    match decoded.event {
                        Event::Data(data) => self.store.append(data, storage).map_err(Refused::Disk)?,
                        Event::End => return Ok((used, true)),
                        Event::NeedMore => return Ok((used, false)),
                    }
                }
            }
        }
    }

    /// Reads once from the socket straight into memory, where the body is kept there and much of it is missing. Answers how
    /// many bytes came, and whether that was less than there was room for, so that no more is waiting.
    pub(crate) fn read_from(&mut self, socket: &Socket) -> Option<io::Result<(usize, bool)>> {
        let (Framing::Length { missing }, Store::Memory { bytes, share }) = (&mut self.framing, &mut self.store) else {
            return None;
        };
        let room = usize::try_from(*missing).unwrap_or(usize::MAX).min(STEP);
        let size = bytes.len() + room;
        if room < DIRECT || size > IN_MEMORY || !share.resize(size as u64) {
            return None;
        }
        let read = socket.receive(bytes, room);
        share.resize(bytes.len() as u64);
        Some(read.map(|count| {
            *missing -= count as u64;
            (count, count < room)
        }))
    }

    /// The body, complete.
    pub(crate) fn into_store(self) -> Store {
        self.store
    }
}

impl Store {
    fn append(&mut self, data: &[u8], storage: &Storage) -> io::Result<()> {
        match self {
            Self::Memory { bytes, share } => {
                let size = bytes.len() + data.len();
                if size <= IN_MEMORY && share.resize(size as u64) {
                    bytes.extend_from_slice(data);
                } else {
                    let mut file = storage.file()?;
                    file.append(bytes)?;
                    file.append(data)?;
                    *self = Self::File(file);
                }
                Ok(())
            }
            Self::File(file) => file.append(data),
        }
    }

    /// The body as the application gets it.
    pub(crate) fn as_request_body(&mut self) -> io::Result<RequestBody<'_>> {
        match self {
            Self::Memory { bytes, .. } if bytes.is_empty() => Ok(RequestBody::Empty),
            Self::Memory { bytes, .. } => Ok(RequestBody::Memory(bytes)),
            Self::File(file) => Ok(RequestBody::File { file: file.reopened()?, length: file.len() }),
        }
    }
}
