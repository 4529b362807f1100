//! The control socket with real clients, and a fleet that is made by hand.

use std::io::{Read, Write};

use mio::{Events, Poll};
use tapster_config::Settings;

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

#[test]
fn each_command_is_the_signal_that_means_the_same() {
    let table: [(&str, Signal, usize); 7] = [
        ("reload\n", Signal::SIGHUP, 1),
        ("stop\n", Signal::SIGTERM, 1),
        ("stop quick\n", Signal::SIGINT, 1),
        ("workers +1\n", Signal::SIGTTIN, 1),
        ("workers -3\n", Signal::SIGTTOU, 3),
        ("reopen\n", Signal::SIGUSR1, 1),
        ("upgrade\n", Signal::SIGUSR2, 1),
    ];
    let mut desk = Desk::new("signals");
    for (request, expected, times) in table {
        let _client = desk.connect(request);
        let heard = desk.turn(&[]);
        assert_eq!(heard.len(), times, "{request}");
        for event in heard {
            let Event::Signal { signal, sender: Some(sender) } = event else { panic!("{event:?}") };
            assert_eq!((signal, sender.pid), (expected, std::process::id().cast_signed()), "{request}");
        }
    }
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
