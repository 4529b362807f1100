//! The channel between two servers of which one is to take the other's place, at either end, and the start of the new one.
//!
//! The new server is a child of the old one: this program, by the name by which it was started, with the same command line,
//! environment and directory. It finds its end of the channel by a variable that it removes at once. The old server's end of
//! the channel is open for as long as that server lives, so its end tells the new one that it is alone.
//!
//! Decides nothing: `decide/upgrade.rs` does. Called by `main`, `run`, `event_loop` and `perform`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::{Rc, Weak};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use tapster_config::{Bind, Sources};
use tapster_ipc::succession::{Estate, Heirloom, Staff, ToPredecessor, ToSuccessor, Up, pair};
use tapster_ipc::{ReceiveError, logging};
use tapster_sys::fds::Inherited;
use tapster_sys::{environment, signals};

use crate::door;
use crate::event::Event;
use crate::listeners::Listener;

/// The variable that has the number of the new server's end. None of `TAPSTER_…`, which are settings.
const VARIABLE: &str = "PREDECESSOR_OF_TAPSTER";
/// Those by which a service manager names the process that it has started, and that name the new server from then on.
const OWN_PID: [&str; 2] = ["LISTEN_PID", "WATCHDOG_PID"];
/// The event loop's tokens for the two ends.
pub(crate) const TOKENS: [Token; 2] = [PREDECESSOR, SUCCESSOR];
const PREDECESSOR: Token = Token(1);
const SUCCESSOR: Token = Token(2);

/// What a new server has of the one whose place it is to take.
#[derive(Debug)]
pub struct Heritage {
    channel: ToPredecessor,
    pid: i32,
    staff: Option<Staff>,
    listeners: Vec<Rc<Listener>>,
}

impl Heritage {
    /// Finds what this process was started with, if another server has started it; takes its variable out of the environment,
    /// and has those of a service manager name this process. To be called before anything looks at the environment.
    ///
    /// # Errors
    /// A sentence for the terminal: the variable is there, but not what it names.
    pub fn of_process(inherited: &mut Inherited) -> Result<Option<Self>, String> {
        let Some(value) = env::var_os(VARIABLE) else { return Ok(None) };
        let failed =
            |what: String| format!("{VARIABLE} is set, but {what}: only a server that starts its successor sets it");
        let taken = environment::remove_all(&[VARIABLE]).and_then(|()| {
            let number = value.to_str().and_then(|text| text.parse().ok()).ok_or(io::ErrorKind::InvalidInput)?;
            ToPredecessor::of(inherited.take(number)?)
        });
        let channel = taken.map_err(|error| failed(format!("{value:?} is not its channel ({error})")))?;
        let (estate, fds) = channel.receive().map_err(|error| match error {
            ReceiveError::Gossip(what) => {
                failed(format!("the server that runs has sent {what}; it is of a version that needs a restart"))
            }
            ReceiveError::Empty | ReceiveError::Closed => failed("nothing has come over its channel".into()),
        })?;
        // A version that says it not at all, or in another way, has said nothing.
        let staff = channel.receive_staff().ok();
        take_names(estate.pid).map_err(|error| failed(format!("the environment can't be changed ({error})")))?;
        let listeners = listeners(&estate, fds).map_err(failed)?;
        Ok(Some(Self { channel, pid: estate.pid, staff, listeners }))
    }

    /// The pid of the server before.
    #[must_use]
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// How many workers it has, if it has said so.
    #[must_use]
    pub(crate) fn staff(&self) -> Option<Staff> {
        self.staff
    }

    /// How many of its sockets somebody else has by now.
    #[must_use]
    pub(crate) fn kept(&self) -> usize {
        self.listeners.iter().filter(|listener| Rc::strong_count(listener) > 1).count()
    }

    /// The sockets that it listens at, shared with it.
    #[must_use]
    pub(crate) fn listeners(&self) -> &[Rc<Listener>] {
        &self.listeners
    }
}

fn take_names(predecessor: i32) -> io::Result<()> {
    let (old, own) = (predecessor.to_string(), std::process::id().to_string());
    let is_old = |name: &&str| env::var_os(name).is_some_and(|value| value == *old);
    let names: Vec<_> = OWN_PID.into_iter().filter(is_old).map(|name| (name.to_owned(), own.clone())).collect();
    environment::set_all(&names)
}

fn listeners(estate: &Estate, fds: Vec<OwnedFd>) -> Result<Vec<Rc<Listener>>, String> {
    if fds.len() != estate.listeners.len() {
        return Err(format!("{} sockets have come for {} addresses", fds.len(), estate.listeners.len()));
    }
    let shared = |(heirloom, socket): (&Heirloom, OwnedFd)| {
        let bind: Bind = heirloom.bind.parse().map_err(|error| format!("the address {:?}: {error}", heirloom.bind))?;
        Ok(Rc::new(Listener::shared(bind, socket, heirloom.place)))
    };
    estate.listeners.iter().zip(fds).map(shared).collect()
}

/// The ends of the channels that this server has.
#[derive(Debug)]
pub(crate) struct Succession {
    registry: Registry,
    predecessor: Option<ToPredecessor>,
    /// What this server has of its predecessor, in the predecessor's order.
    inherited: Vec<Weak<Listener>>,
    successor: Option<ToSuccessor>,
    /// What the successor has of this server, in the order in which it was sent.
    bequeathed: Vec<Weak<Listener>>,
    /// Whether this server listens somewhere where the successor does not.
    has_more: bool,
    /// The pid file that the successor takes over.
    claimed: PathBuf,
}

impl Succession {
    /// No other server; `registry` is the event loop's.
    #[must_use]
    pub(crate) fn new(registry: Registry) -> Self {
        let (inherited, bequeathed, claimed) = (Vec::new(), Vec::new(), PathBuf::new());
        Self { registry, predecessor: None, inherited, successor: None, bequeathed, has_more: false, claimed }
    }

    /// Hears the predecessor's end from now on. What of its sockets this server has not taken is closed.
    ///
    /// # Errors
    /// The errno of epoll_ctl(2).
    pub(crate) fn attend(&mut self, heritage: Heritage) -> io::Result<()> {
        self.registry.register(&mut SourceFd(&heritage.channel.as_raw_fd()), PREDECESSOR, Interest::READABLE)?;
        self.inherited = heritage.listeners.iter().map(Rc::downgrade).collect();
        self.predecessor = Some(heritage.channel);
        Ok(())
    }

    /// Starts the new server, and returns its pid. `staff` is what it is to begin with, `is_daemon` whether this one is in the
    /// background.
    ///
    /// # Errors
    /// What could not be done, and the system's reason.
    pub(crate) fn launch(
        &mut self,
        program: &Program,
        open: &[Rc<Listener>],
        staff: Staff,
        is_daemon: bool,
    ) -> Result<i32, String> {
        if std::process::id() == 1 {
            return Err("it is process 1, with whose end a container ends: replace the container by one of the new program, and \
                        stop this one then"
                .into());
        }
        let failed = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
        let (ours, theirs) = pair().map_err(failed("no channel can be made to it"))?;
        let heirloom = |one: &Rc<Listener>| Heirloom { bind: one.bind().to_string(), place: one.place() };
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        let estate = Estate { pid, listeners: open.iter().map(heirloom).collect() };
        let fds: Vec<BorrowedFd<'_>> = open.iter().map(|listener| listener.as_fd()).collect();
        ours.send(&estate, &fds).map_err(failed("the sockets can't be passed to it"))?;
        ours.send_staff(staff).map_err(failed("the number of workers can't be passed to it"))?;
        self.registry
            .register(&mut SourceFd(&ours.as_raw_fd()), SUCCESSOR, Interest::READABLE)
            .map_err(failed("its channel can't be polled"))?;
        // From here on nothing is forked but the new server, so nobody else keeps its end.
        theirs.keep_across_exec().map_err(failed("its channel can't be passed to it"))?;
        let pid = program.start(theirs.as_raw_fd(), is_daemon)?;
        open.iter().for_each(|listener| listener.share(true));
        self.bequeathed = open.iter().map(Rc::downgrade).collect();
        self.has_more = false;
        self.successor = Some(ours);
        Ok(pid)
    }

    /// What the server at the other end has to say.
    pub(crate) fn hear(&mut self, token: Token) -> Vec<Event> {
        match token {
            PREDECESSOR => self.hear_predecessor(),
            SUCCESSOR => self.hear_successor(),
            _ => Vec::new(),
        }
    }

    fn hear_predecessor(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            match self.predecessor.as_ref().map(ToPredecessor::is_named_main) {
                Some(Ok(())) => events.push(Event::NamedMain),
                Some(Err(ReceiveError::Closed)) => {
                    self.predecessor = None;
                    events.push(Event::PredecessorGone);
                    return events;
                }
                None | Some(Err(ReceiveError::Empty)) => return events,
                // It has nothing more to say to this version.
                Some(Err(ReceiveError::Gossip(_))) => {}
            }
        }
    }

    fn hear_successor(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            match self.successor.as_ref().map(ToSuccessor::receive) {
                Some(Ok(up)) => {
                    let keeps = |number: usize| up.kept.iter().any(|&kept| usize::try_from(kept) == Ok(number));
                    let left = self.bequeathed.iter().enumerate().filter(|(number, _)| !keeps(*number));
                    for listener in left.filter_map(|(_, listener)| listener.upgrade()) {
                        log::info!("The new server does not listen at {}", listener.bind());
                        listener.share(false);
                        self.has_more = true;
                    }
                    self.claimed = up.pid_file.into();
                    events.push(Event::SuccessorUp { keeps_all: !self.has_more });
                }
                Some(Err(ReceiveError::Gossip(what))) => log::warn!("The new server sent what is no message: {what}"),
                Some(Err(ReceiveError::Closed)) => {
                    // The end of its process is told by the kernel.
                    self.successor = None;
                    return events;
                }
                None | Some(Err(ReceiveError::Empty)) => return events,
            }
        }
    }

    /// A reload of this server has opened these listeners: answers whether the successor, if there is one, lacks one of them.
    pub(crate) fn lacks(&mut self, open: &[Rc<Listener>]) -> bool {
        let has = |listener: &Rc<Listener>| self.bequeathed.iter().any(|one| one.as_ptr() == Rc::as_ptr(listener));
        self.has_more |= self.successor.is_some() && !open.iter().all(has);
        self.has_more
    }

    /// Tells the successor that the service manager hears it from now on.
    pub(crate) fn name_main(&self) {
        if let Some(Err(error)) = self.successor.as_ref().map(ToSuccessor::name_main) {
            log::warn!("The new server can't be told that it is the service's main process: {error}");
        }
    }

    /// The listeners are this server's alone again.
    pub(crate) fn disinherit(&mut self) {
        for listener in self.bequeathed.drain(..).filter_map(|listener| listener.upgrade()) {
            listener.share(false);
        }
        self.claimed = PathBuf::new();
    }

    /// Tells the predecessor that this server serves, and which pid file it will take over.
    pub(crate) fn report_up(&self, pid_file: Option<&Path>) {
        let Some(predecessor) = &self.predecessor else { return };
        let kept = self.inherited.iter().enumerate().filter(|(_, listener)| listener.strong_count() > 0);
        let kept = kept.filter_map(|(number, _)| u32::try_from(number).ok()).collect();
        let pid_file = pid_file.map(|path| path.display().to_string()).unwrap_or_default();
        if let Err(error) = predecessor.send(&Up { kept, pid_file }) {
            log::warn!("The server before this one can't be told that this one serves: {error}");
        }
    }

    /// What was shared with the predecessor is this server's.
    pub(crate) fn take_over(&mut self) {
        for listener in self.inherited.drain(..).filter_map(|listener| listener.upgrade()) {
            listener.share(false);
        }
    }

    /// Whether the successor takes this pid file over.
    #[must_use]
    pub(crate) fn claims(&self, pid_file: &Path) -> bool {
        self.claimed == pid_file
    }
}

/// This program, as it was started.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its name on the command line.
    name: OsString,
    /// The file: through the link by which it was started, where it was, so that one that is set anew is followed.
    path: PathBuf,
    args: Vec<OsString>,
    cwd: PathBuf,
}

impl Program {
    /// This process's. To be called while its file is there.
    ///
    /// # Errors
    /// Where the file can't be found out.
    pub(crate) fn of_process(sources: &Sources) -> io::Result<Self> {
        let file = door::executable()?;
        let name = env::args_os().next().unwrap_or_else(|| file.clone().into());
        let path = named(&name, &sources.cwd).filter(|path| is_same(path, Path::new("/proc/self/exe"))).unwrap_or(file);
        Ok(Self { name, path, args: sources.args.clone(), cwd: sources.cwd.clone() })
    }

    /// Starts it with a descriptor that it is to find, and returns its pid. Its end is the reaper's to see.
    fn start(&self, channel: i32, is_daemon: bool) -> Result<i32, String> {
        let mut command = Command::new(&self.path);
        command.arg0(&self.name).args(&self.args).current_dir(&self.cwd).env(VARIABLE, channel.to_string());
        signals::start_afresh(&mut command);
        // In the background there is no other place for what it has to say before its own log is open.
        if let Some(log) = logging::duplicate().ok().flatten().filter(|_| is_daemon) {
            command.stderr(log);
        }
        let started = signals::block_all().and_then(|()| {
            // A signal that came before the exec would run this server's handler in the child.
            let started = command.spawn();
            signals::unblock_all()?;
            started
        });
        let child = started
            .map_err(|error| format!("{} can't be run in {}: {error}", self.path.display(), self.cwd.display()))?;
        i32::try_from(child.id()).map_err(|error| error.to_string())
    }
}

/// The file that a name on a command line stands for, as a shell finds it.
fn named(name: &OsStr, cwd: &Path) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(cwd.join(name));
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| cwd.join(folder).join(name)).find(|file| file.is_file())
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    identity(one).is_some_and(|one| Some(one) == identity(other))
}
