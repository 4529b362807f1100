//! How connections come in, and which go where there are too many.
//!
//! When the gate is open is `listeners`' matter, with the reactor's `wait`.

use std::sync::Arc;

use tapster_ipc::{Scoreboard, Slot};
use tapster_python::Peer;

use super::{Life, Listed, Reactor};
use crate::connection::Connection;
use crate::line::Line;
use crate::listeners::Address;
use crate::lost;
use crate::seat::Seat;
use crate::socket::Socket;

/// What a new connection is likely to come with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// Nothing yet, or it may be left for later: the poll tells.
    Events,
    /// Its only request, so that the poll need not know of it at all.
    Request,
}

impl Reactor {
    /// Takes what is waiting at that listener, so far as nobody else would serve it sooner.
    pub(super) fn accept_some(&mut self, listener: usize) {
        // One that brings its request is served before the next is taken, while all that it needs is still in the CPU's caches.
        if !self.tools.habit.is_to_stay() {
            self.accept(listener, Expect::Request);
            return;
        }
        // What waits in the kernel's queue can go to a worker that is being started; what is here can't.
        let most = if self.spreads { 1 } else { self.listeners.accepts_at_once() };
        for _ in 0..most {
            if !self.accept(listener, Expect::Events) {
                return;
            }
        }
    }

    /// Takes a connection of that listener; tells whether there was one.
    pub(super) fn accept(&mut self, listener: usize, expect: Expect) -> bool {
        let now = self.tools.clock.now;
        let is_serving = self.life == Life::Serving;
        // A worker that retires takes what nobody else would, however many that are.
        if is_serving && !self.has_room() {
            return false;
        }
        let mut accepted = self.listeners.accept(listener, now);
        while accepted.is_none() && self.listeners.is_starved(now) && self.make_room() {
            self.listeners.try_again();
            accepted = self.listeners.accept(listener, now);
        }
        let Some((socket, address)) = accepted else { return false };
        if is_serving && self.seats.len() >= self.most_connections {
            self.make_room();
        }
        let is_old = self.listeners.is_old(listener, &socket, self.tools.times.queue, now);
        let key = self.add_connection(socket, listener, address);
        if is_old && let Some(Seat::Here(connection)) = self.seats.get_mut(key) {
            connection.is_old = true;
        }
        let count = self.seats.len();
        self.tools.common.board.set_connections(count);
        // Where connections come and go with each request, their numbers say nothing.
        let share = if expect == Expect::Events { count } else { 0 };
        if let Err(error) = self.listeners.yield_to_siblings(&self.poll, share, now) {
            log::error!("can't stop listening for a moment: {error}");
        }
        match expect {
            Expect::Events => self.await_events(key),
            Expect::Request => self.look_at(key),
        }
        true
    }

    /// Whether one connection more can be held, be it in the place of one that is spare.
    pub(super) fn has_room(&self) -> bool {
        self.seats.len() < self.most_connections || self.spare > 0
    }

    /// Closes the connection that has been spare for longest, and tells whether there was one. One whose next request is in
    /// its socket already is not, and is taken up instead.
    #[cold]
    fn make_room(&mut self) -> bool {
        loop {
            let here = self.seats.iter().filter_map(|(key, seat)| Some((key, seat.here()?)));
            let spare = here.filter(|(_, connection)| !connection.listed);
            let spare = spare.filter_map(|(key, connection)| Some((connection.spare_since()?, key)));
            let Some((_, key)) = spare.min() else { return false };
            let Some(connection) = self.seats.get_mut(key).and_then(Seat::here_mut) else { return false };
            if !connection.has_news() {
                self.drop_connection(key);
                return true;
            }
            connection.listed = true;
            self.ready.push_back(Listed { key, serial: connection.deadline.serial() });
        }
    }

    fn add_connection(&mut self, socket: Socket, listener: usize, address: Address) -> usize {
        let standing = self.tools.common.proxies.standing(address.map(|(ip, _)| ip));
        let (line, deadline) = (Arc::new(Line::new(socket)), self.deadlines.issue());
        let connection = Connection::new(line, listener, Peer::new(address), standing, deadline, &self.tools);
        self.seats.insert(Seat::Here(Box::new(connection)))
    }

    /// Goes on with a connection as if something had come.
    fn look_at(&mut self, key: usize) {
        if let Some(Seat::Here(connection)) = self.seats.get_mut(key) {
            connection.note_readable(false);
            self.advance(key);
        }
    }

    /// The connection waits: for its socket, of which the poll tells from now on, or for its deadline.
    #[inline]
    pub(super) fn await_events(&mut self, key: usize) {
        let Some(Seat::Here(connection)) = self.seats.get_mut(key) else { return };
        self.deadlines.watch(key, &mut connection.deadline);
        if !connection.polled {
            connection.polled = true;
            if let Err(error) = self.tools.common.poll_of(&connection.line.socket, key) {
                // A socket that is one still can only fail because the poll is none any more.
                if lost::is_lost(&error) && connection.line.socket.is_one() {
                    self.listeners.lose(lost::explained(lost::EPOLL, self.tools.common.poll_fd(), error));
                } else {
                    log::error!("can't poll a connection: {error}");
                }
                self.drop_connection(key);
            }
        }
    }
}

/// Where the workers of this generation, and of the one before while it retires, may sit.
pub(crate) fn siblings(scoreboard: &Scoreboard, own: u32, workers: u32) -> Vec<Slot> {
    let seats = workers.saturating_mul(2).saturating_add(8);
    (0..seats).filter(|&seat| seat != own).map_while(|seat| scoreboard.slot(seat)).collect()
}
