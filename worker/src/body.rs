//! A request's body while it arrives: in memory at first, then in a temporary file that has no name.
//!
//! The application is called when all of it is here, so a client that sends slowly costs memory or disk, never a thread.
//!
//! It reads no socket: `connection` feeds it what has come.

use std::io;

use tapster_python::RequestBody;
use tapster_wire::Reject;
use tapster_wire::http1::{Chunked, Event};

use crate::budget::Share;
use crate::deadlines::Millis;
use crate::pace::Pace;
use crate::temporary::{Storage, TemporaryFile};

/// A body larger than this, in bytes, goes to a file.
const IN_MEMORY: usize = 512 * 1024;
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
