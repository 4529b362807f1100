//! As whom a process runs: taking on another user for good.
//!
//! Decides nothing about who that is; the arbiter's `identity` does. Called by `door`, in a template's process, which has one
//! thread.

use std::io;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, getresgid, getresuid, setgroups, setresgid, setresuid};

/// A user, and the groups it is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// The user.
    pub uid: Uid,
    /// Its group.
    pub gid: Gid,
    /// All supplementary groups.
    pub groups: Vec<Gid>,
}

/// Becomes that user, without a way back: real, effective and saved, with these groups alone, and no capability unless it is
/// root. That a way back is closed is tried, and not believed.
///
/// The kernel forgets over this which signal the death of the parent sends: set it afterwards.
///
/// # Errors
/// The errno of setgroups(2), setresgid(2), setresuid(2) or capset(2), with the name of the call; an error too where the old
/// user could be had back. The process is then in a state between two users, and must end.
pub fn take_on(ids: &Ids) -> io::Result<()> {
    let named = |call: &'static str| move |errno: Errno| io::Error::other(format!("{call}: {}", errno.desc()));
    // Groups first: who has given up being root may not change them.
    setgroups(&ids.groups).map_err(named("setgroups"))?;
    setresgid(ids.gid, ids.gid, ids.gid).map_err(named("setresgid"))?;
    setresuid(ids.uid, ids.uid, ids.uid).map_err(named("setresuid"))?;
    if !ids.uid.is_root() {
        drop_capabilities().map_err(|error| io::Error::other(format!("capset: {error}")))?;
        require_no_way_back(ids)?;
    }
    // A process that has changed its user may be looked at by root alone, itself included: /proc/self would be closed to the
    // application, and to tools that print stacks. What is in its memory here is what it is to have anyway, and a program that
    // is executed would be open too.
    prctl::set_dumpable(true)?;
    Ok(())
}

/// Sets which permissions new files do not get, in this process and those that it forks.
pub fn set_umask(mask: u32) {
    umask(Mode::from_bits_truncate(mask));
}

fn require_no_way_back(ids: &Ids) -> io::Result<()> {
    let (users, groups) = (getresuid()?, getresgid()?);
    let all_users = [users.real, users.effective, users.saved].iter().all(|uid| *uid == ids.uid);
    let all_groups = [groups.real, groups.effective, groups.saved].iter().all(|gid| *gid == ids.gid);
    let root = Uid::from_raw(0);
    if !all_users || !all_groups || setresuid(root, root, root).is_ok() {
        return Err(io::Error::other("the process could become root again"));
    }
    Ok(())
}

/// Gives up all capabilities; with them go the ambient ones, which a program that is executed would get. Of root's, the change
/// of the user has taken them already; an arbiter that is not root, but may change its user, hands its own down.
fn drop_capabilities() -> io::Result<()> {
    /// The version of the structures below (capget(2), `_LINUX_CAPABILITY_VERSION_3`).
    const VERSION: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION, 0];
    // Effective, permitted and inheritable, each for two ranges of 32.
    let none = [0_u32; 6];
    // SAFETY: the header and the data have the size and form that capset takes in this version, live until it returns, and are
    // only read.
    match unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
