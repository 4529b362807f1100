//! As whom the application runs, by the settings `user`, `group`, `initgroups` and `umask`.
//!
//! Looked up by the arbiter, at the start and at each reload, so that what is wrong with it is known before anything has
//! changed; taken on by the template (`door`). The arbiter itself stays what it is. Called by `load`,
//! `check`, `run` before anything is opened, and `perform` when the log is.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, fchown, getegid, geteuid, getgrouplist};
use tapster_config::Settings;
use tapster_sys::identity::{Ids, set_umask, take_on};

/// What a template makes of itself, before anything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Whom it becomes; `None` is nobody else.
    ids: Option<Ids>,
    /// Which permissions its files do not get; `None` leaves that as it is.
    umask: Option<u32>,
    /// The variables that say who one is, for somebody else.
    variables: Vec<(String, String)>,
}

/// The capabilities (capabilities(7)) without which nobody becomes another user, or ends that user's processes.
const NEEDED: [(u32, &str); 3] = [(5, "CAP_KILL"), (6, "CAP_SETGID"), (7, "CAP_SETUID")];

/// The number that stands for "leave it as it is" where an id is to be changed (setresuid(2), chown(2)).
const NOBODY_AT_ALL: u32 = u32::MAX;
const NO_NUMBER: &str = "this number can't be anybody's, since the kernel takes it for `no change`";

impl Identity {
    /// Whom the settings name.
    ///
    /// # Errors
    /// A sentence: there is no such user or group, or this process may not become it.
    pub(crate) fn of(settings: &Settings) -> Result<Self, String> {
        let umask = settings.umask;
        let user = settings.user.as_deref().map(account).transpose()?;
        let uid = user.as_ref().map_or_else(geteuid, |account| account.uid);
        let gid = match (settings.group.as_deref(), &user) {
            (Some(group), _) => group_id(group)?,
            (None, Some(account)) => account.gid.ok_or_else(|| {
                format!(
                    "user = {:?} is a number that no name belongs to: say by `group` which group it is in",
                    account.text
                )
            })?,
            (None, None) => getegid(),
        };
        if (uid, gid) == (geteuid(), getegid()) {
            return Ok(Self { ids: None, umask, variables: Vec::new() });
        }
        may_change(settings)?;
        let name = user.as_ref().and_then(|account| account.name.as_deref());
        let groups = match name.filter(|_| settings.initgroups) {
            Some(name) => all_groups(name, gid)?,
            None => vec![gid],
        };
        let variables = if uid == geteuid() { Vec::new() } else { user.map_or_else(Vec::new, Account::variables) };
        Ok(Self { ids: Some(Ids { uid, gid, groups }), umask, variables })
    }

    /// Becomes it. For a process with one thread, which has to end where this fails.
    ///
    /// # Errors
    /// As [`take_on`].
    pub(crate) fn assume(&self) -> io::Result<()> {
        if let Some(ids) = &self.ids {
            take_on(ids)?;
        }
        if let Some(mask) = self.umask {
            set_umask(mask);
        }
        Ok(())
    }

    /// The variables of the environment that say who one is.
    #[must_use]
    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// Makes a log file that is the arbiter's the application's user's own, who has to open it too.
    ///
    /// Only a plain file at that very name: whoever may write to its directory could else be given another's file, by a link.
    ///
    /// # Errors
    /// The errno of fchown(2) or stat(2).
    pub(crate) fn give(&self, file: &File, path: &Path) -> io::Result<()> {
        let Some(ids) = &self.ids else { return Ok(()) };
        let (open, named) = (file.metadata()?, path.symlink_metadata()?);
        let is_that = (open.dev(), open.ino()) == (named.dev(), named.ino());
        if is_that && open.is_file() && open.nlink() == 1 && open.uid() == geteuid().as_raw() && ids.uid != geteuid() {
            fchown(file.as_fd(), Some(ids.uid), Some(ids.gid))?;
        }
        Ok(())
    }
}

/// A user as the setting names it.
struct Account {
    text: String,
    uid: Uid,
    /// The primary group; of a number that no name belongs to it is not known.
    gid: Option<Gid>,
    name: Option<String>,
    home: Option<String>,
}

impl Account {
    /// As login(1) and systemd set them. Somebody without a name has the root directory as a home, and no name in the
    /// environment either.
    fn variables(self) -> Vec<(String, String)> {
        let (name, home) = (self.name.unwrap_or_default(), self.home.unwrap_or_else(|| "/".to_owned()));
        [("HOME", home), ("USER", name.clone()), ("LOGNAME", name)]
            .map(|(variable, value)| (variable.to_owned(), value))
            .into()
    }
}

fn account(text: &str) -> Result<Account, String> {
    let number = text.parse().ok().map(Uid::from_raw);
    if number.is_some_and(|uid| uid.as_raw() == NOBODY_AT_ALL) {
        return Err(format!("user = {text:?}: {NO_NUMBER}"));
    }
    let found = number.map_or_else(|| User::from_name(text), User::from_uid);
    match (found, number) {
        (Ok(Some(user)), _) => Ok(Account {
            text: text.to_owned(),
            uid: user.uid,
            gid: Some(user.gid),
            home: Some(user.dir.to_string_lossy().into_owned()),
            name: Some(user.name),
        }),
        (_, Some(uid)) => Ok(Account { text: text.to_owned(), uid, gid: None, name: None, home: None }),
        (Ok(None), None) => Err(format!("user = {text:?}: there is no such user on this system")),
        (Err(errno), None) => Err(format!("user = {text:?} can't be looked up: {errno}")),
    }
}

fn group_id(text: &str) -> Result<Gid, String> {
    if let Ok(number) = text.parse() {
        if number == NOBODY_AT_ALL {
            return Err(format!("group = {text:?}: {NO_NUMBER}"));
        }
        return Ok(Gid::from_raw(number));
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid),
        Ok(None) => Err(format!("group = {text:?}: there is no such group on this system")),
        Err(errno) => Err(format!("group = {text:?} can't be looked up: {errno}")),
    }
}

/// What initgroups(3) would set. Looked up here, since the template's process is to do as little as it can.
fn all_groups(name: &str, gid: Gid) -> Result<Vec<Gid>, String> {
    let text = CString::new(name).map_err(|_| format!("user = {name:?} can't be a name"))?;
    getgrouplist(&text, gid).map_err(|errno| format!("the groups of user = {name:?} can't be looked up: {errno}"))
}

/// Whether this process may become somebody else, and end what it started as that.
fn may_change(settings: &Settings) -> Result<(), String> {
    let have = capabilities().unwrap_or(if geteuid().is_root() { u64::MAX } else { 0 });
    let lacking: Vec<_> = NEEDED.iter().filter(|(bit, _)| have & (1 << bit) == 0).map(|(_, name)| *name).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let wanted = match (&settings.user, &settings.group) {
        (Some(user), _) => format!("user = {user:?}"),
        (None, group) => format!("group = {:?}", group.as_deref().unwrap_or_default()),
    };
    Err(format!(
        "{wanted}: tapster runs as uid {}, gid {} without {}, and only root can run the application as somebody else: start \
         it as root, or leave `user` and `group` out and start it as whom it shall run as (User= and Group= in a systemd unit)",
        geteuid(),
        getegid(),
        lacking.join(", ")
    ))
}

/// The effective capabilities of this process, a bit each.
fn capabilities() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(user: Option<&str>, group: Option<&str>) -> Settings {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Settings { user: text(user), group: text(group), ..Settings::default() }
    }

    #[test]
    fn oneself_is_nobody_else() {
        let own = (geteuid().to_string(), getegid().to_string());
        let identity = Identity::of(&settings(Some(&own.0), Some(&own.1))).unwrap();
        assert_eq!(identity, Identity::default());
        assert_eq!(Identity::of(&settings(None, None)).unwrap(), Identity::default());
    }

    #[test]
    fn a_number_without_a_name_needs_a_group() {
        let error = Identity::of(&settings(Some("3999999999"), None)).unwrap_err();
        assert!(error.contains("say by `group`"), "{error}");
    }

    #[test]
    fn the_number_that_changes_nothing_is_refused() {
        for (user, group) in [(Some("4294967295"), Some("1")), (None, Some("4294967295"))] {
            let error = Identity::of(&settings(user, group)).unwrap_err();
            assert!(error.contains("4294967295") && error.contains("can't be anybody's"), "{error}");
        }
    }

    #[test]
    fn who_is_unknown_is_named() {
        for (user, group) in [(Some("no-such-user"), None), (None, Some("no-such-group"))] {
            let error = Identity::of(&settings(user, group)).unwrap_err();
            assert!(error.contains("no-such-") && error.contains("on this system"), "{error}");
        }
    }

    #[test]
    fn only_who_may_can_become_somebody_else() {
        let found = Identity::of(&settings(Some("3999999999"), Some("3999999998")));
        if geteuid().is_root() && may_change(&settings(None, None)).is_ok() {
            let identity = found.unwrap();
            let ids = identity.ids.unwrap();
            assert_eq!((ids.uid.as_raw(), ids.gid.as_raw()), (3_999_999_999, 3_999_999_998));
            assert_eq!(ids.groups, [ids.gid]);
            assert_eq!(identity.variables[0], ("HOME".to_owned(), "/".to_owned()));
        } else {
            assert!(found.unwrap_err().contains("only root can"));
        }
    }
}
