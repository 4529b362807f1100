//! What a server and the one that is to take its place say to each other: a socket pair, a few messages, and its end.
//!
//! The two may be of different versions, so this is kept apart from `message`, and what is here changes only with the number in
//! its first byte. Used by the arbiter at both ends; decides nothing.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::channel::{ReceiveError, keep_across_exec, receive, set_nonblocking};
use crate::message::{MOST_BYTES, Reader, Writer};

/// The old server's end of the channel to the new one.
#[derive(Debug)]
pub struct ToSuccessor(OwnedFd);

/// The new server's end of the channel to the old one.
#[derive(Debug)]
pub struct ToPredecessor(OwnedFd);

/// From the old server, before the new one is there: what it has. Brings the descriptors of the listeners, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estate {
    /// The old server's pid.
    pub pid: i32,
    /// Its listeners.
    pub listeners: Vec<Heirloom>,
}

/// From the old server, right behind the estate: how many workers it has, which the new one is to begin with. It is the new one's
/// settings that bound that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staff {
    /// What its settings ask for, at most.
    pub workers: u32,
    /// How many more than that signals have asked for, or fewer.
    pub shift: i32,
    /// How many there are to be, by those or by the load.
    pub wanted: u32,
}

/// A listener that both servers have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heirloom {
    /// Its name, as a `bind` setting writes it.
    pub bind: String,
    /// The device and inode of the path that it is bound to, if it has one that the server has made.
    pub place: Option<(u64, u64)>,
}

/// From the new server: it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Up {
    /// Which of the listeners it has kept, by their places in the estate.
    pub kept: Vec<u32>,
    /// The pid file that it takes over when the old server has gone; empty where it has none.
    pub pid_file: String,
}

/// The estate's message, with the number of its form.
const ESTATE: u8 = 1;
/// The message that the new server serves, likewise.
const UP: u8 = 2;
/// The message that the new server is the service's main process, likewise. A version that does not know it passes it over.
const MAIN: u8 = 3;
/// The message with the number of workers, likewise.
const STAFF: u8 = 4;

/// Makes a channel. Neither end blocks, and neither outlives an exec(2) until [`ToPredecessor::keep_across_exec`].
///
/// # Errors
/// The errno of socketpair(2) or fcntl(2).
pub fn pair() -> io::Result<(ToSuccessor, ToPredecessor)> {
    let (old, new) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    set_nonblocking(old.as_fd())?;
    set_nonblocking(new.as_fd())?;
    Ok((ToSuccessor(old), ToPredecessor(new)))
}

impl ToSuccessor {
    /// Hands over what there is; `fds` are the listeners'.
    ///
    /// # Errors
    /// As [`tapster_sys::rights::send`]; `InvalidInput` where it is too long for one message.
    pub fn send(&self, estate: &Estate, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        tapster_sys::rights::send(self.0.as_fd(), &estate.encode()?, fds)
    }

    /// Says how many workers there are.
    ///
    /// # Errors
    /// As [`tapster_sys::rights::send`].
    pub fn send_staff(&self, staff: Staff) -> io::Result<()> {
        tapster_sys::rights::send(self.0.as_fd(), &staff.encode(), &[])
    }

    /// Says that the service manager has been told to hear the new server from now on.
    ///
    /// # Errors
    /// As [`tapster_sys::rights::send`].
    pub fn name_main(&self) -> io::Result<()> {
        tapster_sys::rights::send(self.0.as_fd(), &Writer::new(MAIN).0, &[])
    }

    /// What the new server has said.
    ///
    /// # Errors
    /// Where there is nothing; after [`ReceiveError::Gossip`] the next call goes on.
    pub fn receive(&self) -> Result<Up, ReceiveError> {
        receive(self.0.as_fd(), Up::decode).map(|(up, _fds)| up)
    }
}

impl ToPredecessor {
    /// The end that this process was started with.
    ///
    /// # Errors
    /// The errno of fcntl(2).
    pub fn of(socket: OwnedFd) -> io::Result<Self> {
        set_nonblocking(socket.as_fd())?;
        Ok(Self(socket))
    }

    /// Keeps this end open across exec(2), for the new server.
    ///
    /// # Errors
    /// The errno of fcntl(2).
    pub fn keep_across_exec(&self) -> io::Result<()> {
        keep_across_exec(self.0.as_fd())
    }

    /// Says that this server serves.
    ///
    /// # Errors
    /// As [`tapster_sys::rights::send`].
    pub fn send(&self, up: &Up) -> io::Result<()> {
        tapster_sys::rights::send(self.0.as_fd(), &up.encode(), &[])
    }

    /// What the old server has handed over, and the listeners' descriptors.
    ///
    /// # Errors
    /// Where there is nothing; [`ReceiveError::Closed`] once the old server has gone.
    pub fn receive(&self) -> Result<(Estate, Vec<OwnedFd>), ReceiveError> {
        receive(self.0.as_fd(), Estate::decode)
    }

    /// How many workers the old server has, right after that.
    ///
    /// # Errors
    /// Where there is nothing, as from a version that does not say it; else as [`ToPredecessor::receive`].
    pub fn receive_staff(&self) -> Result<Staff, ReceiveError> {
        receive(self.0.as_fd(), Staff::decode).map(|(staff, _fds)| staff)
    }

    /// Hears, after that, that this server is the service's main process.
    ///
    /// # Errors
    /// Where there is nothing, as [`ToPredecessor::receive`]; after [`ReceiveError::Gossip`] the next call goes on.
    pub fn is_named_main(&self) -> Result<(), ReceiveError> {
        let is_main =
            |bytes: &[u8]| Reader::new(bytes).is_some_and(|(kind, fields)| kind == MAIN && fields.is_at_end());
        receive(self.0.as_fd(), |bytes| is_main(bytes).then_some(())).map(drop)
    }
}

impl AsRawFd for ToSuccessor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsRawFd for ToPredecessor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Estate {
    fn encode(&self) -> io::Result<Vec<u8>> {
        let message = self.listeners.iter().fold(Writer::new(ESTATE).i32(self.pid), |message, heirloom| {
            let (device, inode) = heirloom.place.unwrap_or_default();
            message.whole_text(&heirloom.bind).u32(u32::from(heirloom.place.is_some())).u64(device).u64(inode)
        });
        let bytes = message.0;
        if bytes.len() > MOST_BYTES {
            let text =
                format!("the addresses take {} bytes, more than the {MOST_BYTES} that there may be", bytes.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(bytes)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, mut fields) = Reader::new(bytes)?;
        let pid = fields.i32().filter(|_| kind == ESTATE)?;
        let mut listeners = Vec::new();
        while !fields.is_at_end() {
            let bind = fields.text()?;
            let has_place = fields.u32()? != 0;
            let place = (fields.u64()?, fields.u64()?);
            listeners.push(Heirloom { bind, place: has_place.then_some(place) });
        }
        Some(Self { pid, listeners })
    }
}

impl Staff {
    fn encode(self) -> Vec<u8> {
        Writer::new(STAFF).u32(self.workers).i32(self.shift).u32(self.wanted).0
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, mut fields) = Reader::new(bytes)?;
        let workers = fields.u32().filter(|_| kind == STAFF)?;
        let staff = Self { workers, shift: fields.i32()?, wanted: fields.u32()? };
        fields.is_at_end().then_some(staff)
    }
}

impl Up {
    fn encode(&self) -> Vec<u8> {
        self.kept.iter().fold(Writer::new(UP).whole_text(&self.pid_file), |message, number| message.u32(*number)).0
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, mut fields) = Reader::new(bytes)?;
        let pid_file = fields.text().filter(|_| kind == UP)?;
        let kept: Vec<u32> = std::iter::from_fn(|| fields.u32()).collect();
        fields.is_at_end().then_some(Self { kept, pid_file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_messages_survive_the_way_and_the_end_is_seen() {
        let (old, new) = pair().unwrap();
        let (kept, _other) = nix::unistd::pipe().unwrap();
        let estate = Estate {
            pid: 4711,
            listeners: vec![
                Heirloom { bind: "127.0.0.1:8000".into(), place: None },
                Heirloom { bind: "unix:/run/ü".into(), place: Some((7, u64::MAX)) },
            ],
        };
        old.send(&estate, &[kept.as_fd(), kept.as_fd()]).unwrap();
        let (received, fds) = new.receive().unwrap();
        assert_eq!((received, fds.len()), (estate, 2));
        assert!(matches!(new.receive_staff(), Err(ReceiveError::Empty)), "as of a version before");
        let staff = Staff { workers: 2, shift: -1, wanted: 1 };
        old.send_staff(staff).unwrap();
        assert_eq!(new.receive_staff().unwrap(), staff);
        for up in [Up { kept: vec![1], pid_file: "/run/a.pid".into() }, Up { kept: vec![], pid_file: String::new() }] {
            new.send(&up).unwrap();
            assert_eq!(old.receive().unwrap(), up);
        }
        assert!(matches!(old.receive(), Err(ReceiveError::Empty)));
        assert!(matches!(new.is_named_main(), Err(ReceiveError::Empty)));
        old.name_main().unwrap();
        assert!(new.is_named_main().is_ok());
        old.name_main().unwrap();
        assert!(matches!(new.receive(), Err(ReceiveError::Gossip(_))), "as a version before hears it");
        old.send_staff(staff).unwrap();
        assert!(matches!(new.is_named_main(), Err(ReceiveError::Gossip(_))), "likewise");
        drop(old);
        assert!(matches!(new.is_named_main(), Err(ReceiveError::Closed)));
    }

    #[test]
    fn what_is_cut_short_or_of_another_form_is_no_message() {
        let estate = Estate { pid: 1, listeners: vec![Heirloom { bind: "a:1".into(), place: None }] }.encode().unwrap();
        let up = Up { kept: vec![3], pid_file: "/x".into() }.encode();
        let staff = Staff { workers: 2, shift: 3, wanted: 5 }.encode();
        assert!((0..staff.len()).all(|cut| Staff::decode(&staff[..cut]).is_none()));
        for cut in (0..estate.len()).filter(|cut| *cut != 5) {
            assert_eq!(Estate::decode(&estate[..cut]), None, "cut at {cut}");
        }
        for cut in (0..up.len()).filter(|cut| *cut != 7) {
            assert_eq!(Up::decode(&up[..cut]), None, "cut at {cut}");
        }
        assert_eq!((Estate::decode(&up), Up::decode(&estate), Staff::decode(&up)), (None, None, None));
    }
}
