//! Carries out what `decide` has decided, each action by the file that holds its mechanism. Decides nothing.
//!
//! Owns what actions need: channels, listeners, the scoreboard. Called by `run`.

mod upgrade;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;

use log::Level;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tapster_config::{Settings, Sources};
use tapster_ipc::{ExitCode, Order, Report, Scoreboard, Slot, channel, logging};
use tapster_sys::fds::Inherited;
use tapster_sys::stamp;

use crate::action::{Action, Notice};
use crate::channels::Channels;
use crate::daemon::Background;
use crate::event::Event;
use crate::fleet::{Child, Limits};
use crate::listeners::Listener;
use crate::load::{self, Loaded};
use crate::pidfile::Pidfile;
use crate::running;
use crate::spawn::{self, Recipe};
use crate::systemd::Service;
use crate::upgrade::{Program, Succession};

/// What actions work on.
#[derive(Debug)]
pub(crate) struct Stage {
    sources: Sources,
    /// What `fd://N` may name.
    inherited: Inherited,
    /// What the server was started with, which settles what no reload can change.
    original: Settings,
    scoreboard: Scoreboard,
    /// What each generation was made from.
    loaded: BTreeMap<u64, Loaded>,
    /// The generation that serves, whose settings the arbiter follows.
    followed: u64,
    /// What was loaded and is no generation's yet.
    waiting: Option<Loaded>,
    /// The service manager, if there is one.
    pub service: Service,
    /// The command that waits for a server in the background to be ready.
    pub background: Option<Background>,
    /// Listeners that wait for their queues to be emptied while the server stops.
    closing: Vec<Rc<Listener>>,
    /// What an upgrade starts.
    program: Program,
    /// Removed at the end.
    pidfile: Option<Pidfile>,
}

/// What an action has brought about at once.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// To be decided on before anything that has happened elsewhere.
    pub events: VecDeque<Event>,
    /// Whether the arbiter is to end, and with which status.
    pub exit: Option<ExitCode>,
}

impl Stage {
    /// Makes the scoreboard; `first` is what the first generation is made from.
    ///
    /// # Errors
    /// As [`Scoreboard::create`].
    pub(crate) fn new(
        sources: Sources,
        inherited: Inherited,
        first: Loaded,
        pidfile: Option<Pidfile>,
    ) -> io::Result<Self> {
        let scoreboard = Scoreboard::create()?;
        let program = Program::of_process(&sources)?;
        let original = first.settings.clone();
        Ok(Self {
            sources,
            inherited,
            original,
            scoreboard,
            loaded: BTreeMap::from([(1, first)]),
            followed: 1,
            waiting: None,
            service: Service::of_process(),
            background: None,
            closing: Vec::new(),
            program,
            pidfile,
        })
    }

    /// Where the workers say what they are doing.
    #[must_use]
    pub(crate) fn scoreboard(&self) -> &Scoreboard {
        &self.scoreboard
    }

    /// How many connections wait to be accepted, at all listeners of a generation.
    pub(crate) fn unaccepted(&self, generation: u64) -> u32 {
        let listeners = self.loaded.get(&generation).map_or(&[][..], |loaded| &loaded.listeners);
        listeners.iter().map(|listener| listener.unaccepted()).fold(0, u32::saturating_add)
    }

    /// What a generation was made from.
    #[must_use]
    pub(crate) fn settings(&self, generation: u64) -> Option<&Settings> {
        self.loaded.get(&generation).map(|loaded| &loaded.settings)
    }

    /// Carries out `actions` in their order.
    pub(crate) fn perform(
        &mut self,
        actions: Vec<Action>,
        channels: &mut Channels,
        succession: &mut Succession,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        for action in actions {
            match action {
                Action::Log(level, text) => log::log!(level, "{text}"),
                Action::LogRunning { level, text, slot } => self.log_running(level, &text, slot),
                Action::Reopen { by } => self.reopen(&by),
                Action::Refuse(reason) => log::debug!("Refused: {reason}"),
                Action::Conclude { outcome, .. } => log::debug!("The reload is over: {outcome:?}"),
                Action::SpawnTemplate { generation } => {
                    outcome.events.extend(self.spawn_template(generation, channels));
                }
                Action::Fork { generation, slot } => outcome.events.extend(self.fork(generation, slot, channels)),
                Action::Attend { slot } => outcome.events.extend(attend(Child::Worker(slot), channels)),
                Action::Replay(event) => outcome.events.push_back(event),
                Action::Tell { child, order } => outcome.events.extend(tell(child, &order, channels)),
                Action::Kill { pid, signal } => {
                    if let Err(error) = kill(Pid::from_raw(pid), signal) {
                        log::warn!("{signal} can't be sent to pid {pid}: {error}");
                    }
                }
                Action::Discard { child } => self.discard(child, channels),
                Action::LoadSettings { .. } => outcome.events.push_back(self.load_settings()),
                Action::Adopt { generation } => outcome.events.extend(self.adopt(generation, succession)),
                Action::Follow { generation } => self.follow(generation),
                Action::Forget { generation } => drop(self.loaded.remove(&generation)),
                Action::CloseListeners { at_once } => self.close_listeners(at_once),
                Action::RefuseConnections => self.refuse_connections(),
                Action::LeaveAddresses { generation } => self.leave_addresses(generation),
                Action::Notify(notice) => self.notify(&notice, succession),
                Action::Upgrade { .. }
                | Action::Disinherit
                | Action::ReportUp
                | Action::BecomeMain
                | Action::TakeOver { .. } => {
                    outcome.events.extend(self.perform_beside(&action, succession));
                }
                Action::Exit(exit) => {
                    self.refuse_connections();
                    outcome.exit = Some(exit);
                }
            }
        }
        outcome
    }

    fn reopen(&self, by: &str) {
        match logging::reopen() {
            Ok(Some(path)) => {
                log::info!("{by}: the log {} has been opened anew", path.display());
                // Before the workers are told, who open it as the user that they run as.
                let loaded = self.loaded.get(&self.followed).or_else(|| self.loaded.values().next_back());
                let identity = loaded.map(|loaded| &loaded.identity);
                let given = identity.map(|identity| logging::open(&path).and_then(|file| identity.give(&file, &path)));
                if let Some(Err(error)) = given {
                    log::error!("{by}: the log {} can't be made that of `user`: {error}", path.display());
                }
            }
            Ok(None) => log::debug!("{by}: the log is the standard error stream, which can't be opened anew"),
            Err((path, error)) => {
                let path = path.display();
                log::error!("{by}: the log {path} can't be opened anew, and goes on in the file that it had: {error}");
            }
        }
    }

    fn log_running(&self, level: Level, text: &str, slot: u32) {
        let running = self.scoreboard.slot(slot).map(Slot::running).unwrap_or_default();
        log::log!(level, "{text}{}", running::clause(&running, stamp::monotonic()));
    }

    fn notify(&mut self, notice: &Notice, succession: &Succession) {
        self.service.notify(notice);
        if matches!(notice, Notice::MainPid(_)) {
            // Else nobody would speak to the manager for as long as this server takes to end.
            succession.name_main();
        }
        if *notice == Notice::Ready
            && let Some(background) = self.background.take()
            && let Err(error) = background.ready()
        {
            log::error!("The command that started the server can't be let go: {error}");
        }
    }

    fn spawn_template(&self, generation: u64, channels: &mut Channels) -> Vec<Event> {
        let failed = |error: io::Error| vec![Event::SpawnFailed { generation, reason: error.to_string() }];
        let Some(loaded) = self.loaded.get(&generation) else {
            return failed(io::Error::other("its settings are gone"));
        };
        let recipe = Recipe {
            generation,
            settings: &loaded.settings,
            listeners: &loaded.listeners,
            identity: &loaded.identity,
            scoreboard: &self.scoreboard,
            is_daemon: self.original.daemon,
            check: false,
        };
        match spawn::template(&recipe) {
            Ok((pid, channel)) => {
                let child = Child::Template(generation);
                channels.keep(child, channel);
                let mut events = vec![Event::Spawned { generation, pid }];
                events.extend(attend(child, channels));
                events
            }
            Err(error) => failed(error),
        }
    }

    fn fork(&self, generation: u64, slot: u32, channels: &mut Channels) -> Option<Event> {
        if let Some(slot) = self.scoreboard.slot(slot) {
            slot.clear();
        }
        let sent = channel::pair().and_then(|(ours, childs)| {
            channels.keep(Child::Worker(slot), ours);
            let fds = [std::os::fd::AsFd::as_fd(&childs)];
            channels.tell(Child::Template(generation), &Order::Fork { slot }, &fds)
        });
        let error = sent.err()?;
        let report = Report::ForkFailed { slot, reason: format!("the template can't be told: {error}") };
        Some(Event::Report { from: Child::Template(generation), report })
    }

    fn discard(&self, child: Child, channels: &mut Channels) {
        channels.discard(child);
        if let Child::Worker(slot) = child
            && let Some(slot) = self.scoreboard.slot(slot)
        {
            // Its siblings would go on leaving connections to it.
            slot.set_accepting(false);
        }
    }

    /// The listeners of all generations, each once.
    fn open(&self) -> Vec<Rc<Listener>> {
        let mut open: Vec<Rc<Listener>> = Vec::new();
        for listener in self.loaded.values().flat_map(|loaded| &loaded.listeners) {
            if !open.iter().any(|known| Rc::ptr_eq(known, listener)) {
                open.push(Rc::clone(listener));
            }
        }
        open
    }

    fn load_settings(&mut self) -> Event {
        let open = self.open();
        match load::reload(&self.sources, &open, &mut self.inherited) {
            Ok(loaded) => {
                let stays = |listener: &Rc<Listener>| loaded.listeners.iter().any(|named| Rc::ptr_eq(named, listener));
                let leaves_addresses = !open.iter().all(stays);
                let limits = Limits { leaves_addresses, ..load::limits(&loaded.settings) };
                self.waiting = Some(loaded);
                Event::SettingsLoaded { limits }
            }
            Err(reason) => Event::SettingsRefused { reason },
        }
    }

    fn adopt(&mut self, generation: u64, succession: &mut Succession) -> Option<Event> {
        let loaded = self.waiting.take()?;
        for (key, reason) in self.original.needing_restart(&loaded.settings) {
            log::warn!("The setting {key} has changed, but stays as it was until a restart: {reason}");
        }
        self.loaded.insert(generation, loaded);
        succession.lacks(&self.open()).then_some(Event::SuccessorLacks)
    }

    fn follow(&mut self, generation: u64) {
        self.followed = generation;
        let followed = self.loaded.get(&generation).map(|loaded| load::start_log(&loaded.settings));
        if let Some(Err(reason)) = followed {
            log::error!("The log stays where it is: {reason}");
        }
    }

    fn close_listeners(&mut self, at_once: bool) {
        self.waiting = None;
        for loaded in self.loaded.values_mut() {
            self.closing.append(&mut loaded.listeners);
        }
        self.closing.iter().for_each(|listener| listener.remove_path());
        if at_once {
            self.closing.clear();
        }
    }

    /// A socket that was handed over, or that another server has too, is closed with its last generation.
    fn leave_addresses(&mut self, generation: u64) {
        let mut older = self.loaded.split_off(&generation);
        std::mem::swap(&mut older, &mut self.loaded);
        let named: Vec<_> = self.loaded.values().flat_map(|loaded| &loaded.listeners).map(Rc::clone).collect();
        let is_kept = |listener: &Rc<Listener>| {
            named.iter().any(|one| Rc::ptr_eq(one, listener)) || !listener.refuse_connections()
        };
        older.values_mut().for_each(|loaded| loaded.listeners.retain(is_kept));
        self.loaded.append(&mut older);
    }

    fn refuse_connections(&mut self) {
        let mut left = 0_u32;
        for listener in self.closing.drain(..) {
            let waiting = listener.unaccepted();
            if listener.refuse_connections() {
                left = left.saturating_add(waiting);
            }
        }
        if left > 0 {
            log::warn!(
                "Connections that waited to be accepted are refused, since no worker is there to take them: {left}"
            );
        }
    }
}

fn attend(child: Child, channels: &mut Channels) -> Vec<Event> {
    channels.attend(child).unwrap_or_else(|error| {
        log::error!("A child's channel can't be polled: {error}");
        channels.discard(child);
        vec![Event::Closed { from: child }]
    })
}

fn tell(child: Child, order: &Order, channels: &Channels) -> Option<Event> {
    let error = channels.tell(child, order, &[]).err()?;
    // It is ending, or does not listen: then it is killed at its deadline.
    log::debug!("{child:?} can't be told {order:?}: {error}");
    // One that waits for this has no deadline, and would wait for ever. Without a channel it ends, with nothing to lose.
    (*order == Order::Serve).then_some(Event::Closed { from: child })
}

#[cfg(test)]
mod tests {
    use mio::Poll;

    use super::*;

    #[test]
    fn a_worker_that_can_not_be_told_to_serve_is_given_up_and_other_orders_may_go_astray() {
        let poll = Poll::new().unwrap();
        let channels = Channels::new(poll.registry().try_clone().unwrap());
        let worker = Child::Worker(3);
        let lost = tell(worker, &Order::Serve, &channels);
        assert!(matches!(lost, Some(Event::Closed { from }) if from == worker), "{lost:?}");
        for order in [Order::Quit, Order::Reopen, Order::LetGo] {
            assert!(tell(worker, &order, &channels).is_none(), "{order:?}");
        }
    }
}
