//! The control socket with real clients, and a fleet that is made by hand.

use std::io::{Read, Write};

use mio::{Events, Poll};
use tapster_config::Settings;
use tapster_ipc::succession::Staff;

use super::*;
use crate::load;

/// A control socket as the event loop has it.
struct Desk {
    poll: Poll,
    control: Control,
    fleet: Fleet,
    scoreboard: Scoreboard,
    path: PathBuf,
}

impl Desk {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tapster-control-{name}-{}.sock", std::process::id()));
        let poll = Poll::new().unwrap();
        let control = Control::open(&path, false, poll.registry().try_clone().unwrap()).unwrap();
        let mut fleet = Fleet::new(load::limits(&Settings::default()));
        fleet.phase = Phase::Up { proven: 1 };
        Self { poll, control, fleet, scoreboard: Scoreboard::create().unwrap(), path }
    }

    fn connect(&self, request: &str) -> UnixStream {
        let mut stream = UnixStream::connect(&self.path).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// One turn of the event loop, in which `actions` are decided on.
    fn turn(&mut self, actions: &[Action]) -> Vec<Event> {
        let mut heard = Vec::new();
        let mut events = Events::with_capacity(64);
        // Twice: who has been accepted says something in the next.
        for _ in 0..2 {
            self.poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
            events.iter().for_each(|event| heard.extend(self.control.hear(event)));
        }
        heard.iter().for_each(|event| self.control.hand_over(event));
        self.control.follow(actions, stamp::monotonic());
        self.answer();
        heard
    }

    fn answer(&mut self) {
        self.control.answer(&self.fleet, &self.scoreboard, stamp::monotonic());
    }
}

/// What a client has been told, if it has been answered.
fn told(client: &mut UnixStream) -> Option<String> {
    client.set_nonblocking(true).unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).ok().map(|_| text)
}

fn begins(reload: u64) -> Action {
    Action::LoadSettings { reload }
}

fn succeeds(reload: u64, generation: u64) -> Action {
    Action::Conclude { reload: Some(reload), outcome: Ok(generation) }
}

fn fails(reload: Option<u64>, reason: &str) -> Action {
    Action::Conclude { reload, outcome: Err(reason.into()) }
}

/// This process, as the control socket names it.
fn own() -> Option<Sender> {
    Some(named(std::process::id().cast_signed()))
}

#[test]
fn each_command_is_the_event_that_means_the_same() {
    let signal = |signal| Event::Signal { signal, sender: own() };
    let table = [
        ("reload\n", signal(Signal::SIGHUP)),
        ("stop\n", signal(Signal::SIGTERM)),
        ("stop quick\n", signal(Signal::SIGINT)),
        ("workers +1\n", Event::Resize { by: 1, sender: own() }),
        ("workers -3\n", Event::Resize { by: -3, sender: own() }),
        ("reopen\n", signal(Signal::SIGUSR1)),
        ("upgrade\n", signal(Signal::SIGUSR2)),
    ];
    let mut desk = Desk::new("signals");
    for (request, expected) in table {
        let _client = desk.connect(request);
        assert_eq!(desk.turn(&[]), [expected], "{request}");
    }
}

#[test]
fn what_is_refused_is_told_to_the_one_who_asked_for_it() {
    for request in ["workers +1\n", "reload\n", "reload no-wait\n", "upgrade\n"] {
        let mut desk = Desk::new("refused");
        let mut other = desk.connect("reopen\n");
        let mut asks = desk.connect(request);
        desk.turn(&[Action::Refuse("why not".into())]);
        assert_eq!(told(&mut asks).as_deref(), Some("! why not\nexit 1\n"), "{request}");
        assert!(told(&mut other).is_some_and(|text| text.ends_with("exit 0\n")), "{request}");
    }
    // Also where it turns out only then: a new server can't be started.
    let mut desk = Desk::new("launch");
    let mut asks = desk.connect("upgrade\n");
    let mut events = Events::with_capacity(8);
    let mut heard = Vec::new();
    while heard.is_empty() {
        desk.poll.poll(&mut events, None).unwrap();
        events.iter().for_each(|event| heard.extend(desk.control.hear(event)));
    }
    desk.control.hand_over(&heard[0]);
    desk.control.follow(&[Action::Upgrade { staff: Staff { workers: 1, shift: 0, wanted: 1 } }], stamp::monotonic());
    desk.control.hand_over(&Event::LaunchFailed { reason: "no memory".into() });
    desk.control.follow(&[Action::Refuse("no memory".into())], stamp::monotonic());
    desk.answer();
    assert_eq!(told(&mut asks).as_deref(), Some("! no memory\nexit 1\n"));
    // And what a signal was refused is no client's, nor what a file's change was.
    let mut asks = desk.connect("stop\n");
    desk.turn(&[]);
    desk.control.hand_over(&Event::PredecessorGone);
    desk.control.follow(&[Action::Refuse("no".into())], stamp::monotonic());
    desk.answer();
    assert_eq!(told(&mut asks), None);
    let mut asks = desk.connect("reload\n");
    desk.turn(&[]);
    desk.control.hand_over(&Event::Signal { signal: Signal::SIGUSR2, sender: None });
    desk.control.follow(&[Action::Refuse("no".into())], stamp::monotonic());
    desk.answer();
    assert_eq!(told(&mut asks), None);
}

#[test]
fn the_status_names_the_phase_that_the_server_is_in() {
    let mut desk = Desk::new("phases");
    let mut phase = |change: fn(&mut Fleet)| {
        change(&mut desk.fleet);
        let mut asks = desk.connect("status\n");
        desk.turn(&[]);
        let text = told(&mut asks).unwrap();
        text.lines().next().unwrap().split(": ").nth(1).unwrap().split(',').next().unwrap().to_owned()
    };
    assert_eq!(phase(|_| ()), "up");
    assert_eq!(phase(|fleet| fleet.reloads.under_way.push_back(1)), "reloading");
    assert_eq!(phase(|fleet| fleet.is_paused = true), "paused");
    assert_eq!(phase(|fleet| fleet.stops_at = Some(Duration::MAX)), "stopping");
}

#[test]
fn a_reload_is_answered_by_the_end_of_the_one_that_began_after_it_was_asked_for() {
    let mut desk = Desk::new("reloads");
    let mut first = desk.connect("reload\n");
    assert_eq!(desk.turn(&[begins(1)]).len(), 1);
    let mut second = desk.connect("reload\n");
    desk.turn(&[]);
    assert_eq!((told(&mut first), told(&mut second)), (None, None));
    desk.turn(&[succeeds(1, 2), begins(2)]);
    assert_eq!((told(&mut first).as_deref(), told(&mut second)), (Some("> generation 2 serves\nexit 0\n"), None));
    let mut third = desk.connect("reload\n");
    desk.turn(&[fails(Some(2), "no\nTraceback")]);
    assert_eq!(told(&mut second).as_deref(), Some("! no\n! Traceback\nexit 1\n"));
    assert_eq!(told(&mut third), None);
    desk.turn(&[fails(None, "none begins any more")]);
    assert_eq!(told(&mut third).as_deref(), Some("! none begins any more\nexit 1\n"));
}

#[test]
fn reloads_may_end_in_another_order_than_they_began() {
    let mut desk = Desk::new("order");
    let mut first = desk.connect("reload\n");
    desk.turn(&[begins(1)]);
    let mut second = desk.connect("reload\n");
    desk.turn(&[begins(2), fails(Some(2), "tapster.toml:1:1")]);
    assert_eq!((told(&mut first), told(&mut second).as_deref()), (None, Some("! tapster.toml:1:1\nexit 1\n")));
    let mut third = desk.connect("reload\n");
    desk.turn(&[]);
    desk.turn(&[fails(None, "the server stops")]);
    assert_eq!((told(&mut first), told(&mut third).as_deref()), (None, Some("! the server stops\nexit 1\n")));
    desk.turn(&[succeeds(1, 2)]);
    assert_eq!(told(&mut first).as_deref(), Some("> generation 2 serves\nexit 0\n"));
}

#[test]
fn a_reload_that_begins_in_between_is_not_taken_for_ones_own() {
    let mut desk = Desk::new("between");
    let mut asks = desk.connect("reload\n");
    let mut events = Events::with_capacity(8);
    let mut heard = Vec::new();
    while heard.is_empty() {
        desk.poll.poll(&mut events, None).unwrap();
        events.iter().for_each(|event| heard.extend(desk.control.hear(event)));
    }
    // Somebody else's signal came before, and is decided on first.
    desk.control.hand_over(&Event::Signal { signal: Signal::SIGHUP, sender: None });
    desk.control.follow(&[begins(1)], stamp::monotonic());
    heard.iter().for_each(|event| desk.control.hand_over(event));
    desk.turn(&[begins(2), fails(Some(1), "gave way")]);
    assert_eq!(told(&mut asks), None);
    desk.turn(&[succeeds(2, 3)]);
    assert_eq!(told(&mut asks).as_deref(), Some("> generation 3 serves\nexit 0\n"));
}

#[test]
fn several_who_ask_at_once_are_answered_together() {
    let mut desk = Desk::new("together");
    let mut clients = [(); 3].map(|()| desk.connect("reload\n"));
    assert_eq!(desk.turn(&[begins(1), succeeds(1, 2)]).len(), 3);
    assert!(clients.iter_mut().all(|client| told(client).is_some_and(|text| text.contains("generation 2"))));
}

#[test]
fn no_more_than_so_many_are_served_at_once_and_the_next_when_one_has_gone() {
    let mut desk = Desk::new("most");
    let mut silent: Vec<_> = (0..MOST_CLIENTS).map(|_| desk.connect("")).collect();
    desk.turn(&[]);
    let mut waits = desk.connect("status\n");
    desk.turn(&[]);
    assert_eq!((desk.control.clients.len(), told(&mut waits)), (MOST_CLIENTS, None));
    silent.pop();
    for _ in 0..3 {
        desk.turn(&[]);
    }
    assert!(told(&mut waits).is_some_and(|text| text.contains("workers: 0 ready, 1 wanted")));
    let late = stamp::monotonic() + Duration::from_secs(6);
    assert!(desk.control.next_deadline().is_some_and(|due| due < late));
    desk.control.answer(&desk.fleet, &desk.scoreboard, late);
    assert!(desk.control.clients.is_empty(), "the silent ones are late");
    assert_eq!(desk.control.next_deadline(), None);
}

#[test]
fn a_stop_is_answered_at_the_end_and_so_is_everybody_else() {
    let mut desk = Desk::new("stop");
    let mut stops = desk.connect("stop\n");
    desk.turn(&[]);
    assert_eq!(told(&mut stops), None);
    let mut reloads = desk.connect("reload\n");
    desk.turn(&[begins(1)]);
    desk.control.say_farewell();
    desk.answer();
    assert_eq!(told(&mut stops).as_deref(), Some("> Tapster has stopped\nexit 0\n"));
    assert_eq!(told(&mut reloads).as_deref(), Some("! the server has stopped\nexit 1\n"));
    drop(desk.control);
    assert!(!desk.path.exists());
}

#[test]
fn a_second_server_has_its_socket_beside_the_first_ones_until_that_has_gone() {
    let first = Desk::new("first");
    let poll = Poll::new().unwrap();
    let mut second = Control::open(&first.path, true, poll.registry().try_clone().unwrap()).unwrap();
    let (path, beside) = (first.path.clone(), beside(&first.path));
    assert!(UnixStream::connect(&path).is_ok() && UnixStream::connect(&beside).is_ok());
    let inode = |path: &Path| nix::sys::stat::lstat(path).unwrap().st_ino;
    let own = inode(&beside);
    let now = stamp::monotonic();
    second.follow(&[Action::TakeOver { predecessor: 7 }], now);
    second.take_over(now);
    assert!(beside.exists() && second.next_deadline() == Some(now + PAUSE), "the first one listens yet");
    drop(first);
    second.take_over(now + PAUSE);
    assert!(!beside.exists() && inode(&path) == own);
    assert_eq!(second.next_deadline(), None);
    drop(second);
    assert!(!path.exists());
}

#[test]
fn a_second_server_that_goes_back_leaves_the_first_ones_socket() {
    let first = Desk::new("back");
    let poll = Poll::new().unwrap();
    let second = Control::open(&first.path, true, poll.registry().try_clone().unwrap()).unwrap();
    drop(second);
    assert!(!beside(&first.path).exists() && UnixStream::connect(&first.path).is_ok());
}
