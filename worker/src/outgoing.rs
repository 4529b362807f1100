//! What a client has yet to take of a reply: in memory, and before that on disk.
//!
//! A client that takes a large reply slowly would otherwise hold the application, which has more to give. So above a mark in
//! memory the reply goes on in a temporary file that has no name, and the application with its next block.
//!
//! It never closes a connection: errors are its owner's. Used by `connection`, and by `backlog` while the application is at work.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::sendfile::sendfile64;
use tapster_python::HIGH_WATER;
use tapster_wire::Outbox;

use crate::budget::Share;
use crate::seat::Wanted;
use crate::socket::Socket;
use crate::temporary::{Storage, TemporaryFile};

/// With a file of this many bytes for one reply, its application waits until the client has taken them all.
const MOST_ON_DISK: u64 = 1024 * 1024 * 1024;

/// A reply's bytes, in the order that they are sent: those on disk, then those in memory.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) memory: Outbox,
    disk: Disk,
    /// The last part of the reply, where that is a file of the application's.
    pub(crate) file: Option<Box<FilePart>>,
    /// For what is in memory while nobody works on it.
    share: Share,
}

/// How far sending has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// As far as the socket would take it, or to the end.
    Stopped,
    /// There is more, and the socket may take it: others have their turn first.
    Paused,
}

/// A part of a file, which the client takes after the application is done with it.
#[derive(Debug)]
pub(crate) struct FilePart {
    file: OwnedFd,
    /// From here, in bytes,
    offset: u64,
    /// to here.
    end: u64,
    /// The request that it is sent for.
    wanted: Wanted,
}

/// So much of a file, the application's or one of ours, is sent before other connections have their turn, in bytes.
const AT_ONCE: usize = 1 << 20;

/// Whether a part of the reply is on disk.
#[derive(Debug, Default)]
enum Disk {
    /// None is.
    #[default]
    Unused,
    /// These bytes are.
    Holds(Spool),
    /// None is, and none can be: it has failed for this reply.
    Failed,
}

/// Bytes in a file without a name.
#[derive(Debug)]
struct Spool {
    file: TemporaryFile,
    sent: u64,
    /// The disk has refused more.
    full: bool,
}

impl Outgoing {
    /// Nothing.
    pub(crate) fn new(storage: &Storage) -> Self {
        Self { memory: Outbox::default(), disk: Disk::default(), file: None, share: storage.memory.share() }
    }

    /// Takes over what `out` holds, behind all else.
    pub(crate) fn append(&mut self, out: &mut Outbox) {
        if self.memory.is_empty() {
            std::mem::swap(&mut self.memory, out);
        } else {
            self.memory.end().extend_from_slice(out.waiting());
            out.clear();
        }
    }

    /// Puts what an earlier part of the same reply has left before what is here.
    pub(crate) fn follow(&mut self, mut earlier: Self) {
        earlier.append(&mut self.memory);
        earlier.file = self.file.take();
        *self = earlier;
    }

    /// Sends what the socket takes.
    #[inline]
    pub(crate) fn flush(&mut self, socket: &Socket) -> io::Result<Flow> {
        match &self.file {
            // With more to come, the last bytes before a file wait for it.
            Some(_) if self.disk.waiting() == 0 => socket.flush_before_more(&mut self.memory)?,
            _ => {
                if self.flush_bytes(socket)? == Flow::Paused {
                    return Ok(Flow::Paused);
                }
            }
        }
        match &mut self.file {
            Some(part) if self.memory.is_empty() && self.disk.waiting() == 0 => {
                let flow = part.send(socket)?;
                if part.left() == 0 {
                    self.file = None;
                }
                Ok(flow)
            }
            _ => Ok(Flow::Stopped),
        }
    }

    /// The same without the application's file.
    #[inline]
    pub(crate) fn flush_bytes(&mut self, socket: &Socket) -> io::Result<Flow> {
        flush(&mut self.memory, &mut self.disk, socket)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.disk.waiting() == 0 && self.memory.is_empty() && self.file.is_none()
    }

    /// How many bytes are waiting.
    pub(crate) fn waiting(&self) -> u64 {
        let file = self.file.as_ref().map_or(0, |part| part.left());
        self.memory.waiting().len() as u64 + self.disk.waiting() + file
    }

    /// Takes the memory that `spare` keeps, if it has none in use.
    #[inline]
    pub(crate) fn borrow(&mut self, spare: &mut Outbox) {
        if self.memory.is_empty() {
            std::mem::swap(&mut self.memory, spare);
        }
    }

    /// Gives the memory back if nothing is waiting in it: an idle connection has none.
    #[inline]
    pub(crate) fn give_back(&mut self, spare: &mut Outbox) {
        if self.memory.is_empty() {
            *spare = std::mem::take(&mut self.memory);
            self.share.resize(0);
            if matches!(self.disk, Disk::Failed) {
                self.disk = Disk::Unused;
            }
        }
    }

    /// Whether there is more than is kept in memory.
    #[inline]
    pub(crate) fn is_much(&self) -> bool {
        self.memory.waiting().len() > HIGH_WATER
    }

    /// Whether the application may go on: what is too much for memory has gone to disk, and the disk is not full.
    #[inline]
    pub(crate) fn has_room(&mut self, storage: &Storage) -> bool {
        let waiting = self.memory.waiting().len();
        if waiting <= HIGH_WATER && self.share.resize(waiting as u64) {
            return true;
        }
        let spooled = spool(&mut self.memory, &mut self.disk, storage);
        self.share.resize(self.memory.waiting().len() as u64);
        spooled
    }

    /// The same for a reply that the application has finished: whether there is room for it at all, in memory or on disk.
    pub(crate) fn is_kept(&mut self, storage: &Storage) -> bool {
        self.has_room(storage) || self.share.resize(self.memory.waiting().len() as u64)
    }
}

impl Disk {
    /// How many bytes it holds that have not been sent.
    fn waiting(&self) -> u64 {
        match self {
            Self::Holds(spool) => spool.file.len() - spool.sent,
            Self::Unused | Self::Failed => 0,
        }
    }
}

impl FilePart {
    /// So many bytes from that place on, as the reply to a request.
    pub(crate) fn new(file: OwnedFd, offset: u64, length: u64, wanted: Wanted) -> Self {
        Self { file, offset, end: offset.saturating_add(length), wanted }
    }

    fn left(&self) -> u64 {
        self.end - self.offset
    }

    fn send(&mut self, socket: &Socket) -> io::Result<Flow> {
        let wanted = &self.wanted;
        send_file(socket, &self.file, &mut self.offset, self.end, |what| {
            log::error!("the file that was being sent for {wanted} {what}; its client is cut off");
        })
    }
}

/// Sends what the socket takes of a file from `offset`, which moves on, to `end`; or [`AT_ONCE`]. What is wrong with the file
/// itself is told to `complain`, as the end of a sentence about it.
fn send_file(
    socket: &Socket,
    file: &impl AsFd,
    offset: &mut u64,
    end: u64,
    complain: impl Fn(&str),
) -> io::Result<Flow> {
    let mut room = AT_ONCE;
    while *offset < end && room > 0 {
        let mut place = offset.cast_signed();
        let count = usize::try_from(end - *offset).unwrap_or(usize::MAX).min(room);
        match sendfile64(socket, file, Some(&mut place), count) {
            Ok(0) => {
                complain("became shorter");
                return Err(ErrorKind::UnexpectedEof.into());
            }
            Ok(sent) => {
                *offset += sent as u64;
                room -= sent;
            }
            Err(Errno::EAGAIN) => return Ok(Flow::Stopped),
            Err(Errno::EINTR) => {}
            Err(error) => {
                if is_of_file(error) {
                    complain(&format!("can't be read: {error}"));
                }
                return Err(error.into());
            }
        }
    }
    Ok(if *offset < end { Flow::Paused } else { Flow::Stopped })
}

/// Whether an error of sendfile(2) is about the file, and not about the client.
#[cold]
fn is_of_file(error: Errno) -> bool {
    matches!(error, Errno::EIO | Errno::EINVAL | Errno::EOVERFLOW | Errno::ENOMEM | Errno::ESTALE | Errno::EACCES)
}

#[inline]
fn flush(memory: &mut Outbox, disk: &mut Disk, socket: &Socket) -> io::Result<Flow> {
    if let Disk::Holds(spool) = disk {
        let flow = spool.send(socket)?;
        if spool.sent < spool.file.len() {
            return Ok(flow);
        }
        *disk = Disk::Unused;
    }
    socket.flush(memory)?;
    Ok(Flow::Stopped)
}

#[cold]
fn spool(memory: &mut Outbox, disk: &mut Disk, storage: &Storage) -> bool {
    let spooled = match disk {
        Disk::Failed => return false,
        // The whole file counts: what has been sent of it takes its place until all has.
        Disk::Holds(spool) if spool.full || spool.file.len() > MOST_ON_DISK => return false,
        Disk::Holds(spool) => spool.file.append(memory.waiting()),
        Disk::Unused => storage.file().and_then(|mut file| {
            file.append(memory.waiting())?;
            *disk = Disk::Holds(Spool { file, sent: 0, full: false });
            Ok(())
        }),
    };
    match spooled {
        Ok(()) => {
            memory.clear();
            true
        }
        Err(error) => {
            // A full disk costs no reply: this one goes on at its client's pace.
            storage.complain("a reply", &error);
            match disk {
                Disk::Unused => *disk = Disk::Failed,
                Disk::Holds(spool) => spool.full = true,
                Disk::Failed => {}
            }
            false
        }
    }
}

impl Spool {
    fn send(&mut self, socket: &Socket) -> io::Result<Flow> {
        let end = self.file.len();
        send_file(socket, self.file.file(), &mut self.sent, end, |what| {
            log::error!("what is kept on disk of a reply {what}; its client is cut off");
        })
    }
}
