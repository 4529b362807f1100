//! How connections come in, and which go where there are too many.
//!
//! When the gate is open is `listeners`' matter, with the reactor's `wait`.

use std::sync::Arc;

use mio::{Interest, Token};
use tapster_ipc::{Scoreboard, Slot};
use tapster_python::Peer;

use super::{CONNECTIONS, Life, Listed, Reactor};
use crate::connection::Connection;
use crate::line::Line;
use crate::listeners::Address;
use crate::seat::Seat;
use crate::socket::Socket;

impl Reactor {
    pub(super) fn accept(&mut self, listener: usize, most: usize) {
        let now = self.tools.clock.now;
        for _ in 0..most {
            // A worker that retires takes what nobody else would, however many that are.
            if self.life == Life::Serving && !self.has_room() {
                return;
            }
            let Some((socket, address)) = self.listeners.accept(listener, now) else {
                if self.listeners.is_starved(now) && self.make_room() {
                    self.listeners.try_again();
                    continue;
                }
                return;
            };
            if self.life == Life::Serving && self.seats.len() >= self.most_connections {
                self.make_room();
            }
            self.add_connection(socket, listener, address);
            let count = self.seats.len();
            self.tools.common.board.set_connections(count);
            // Where connections come and go with each request, their numbers say nothing.
            let share = if self.tools.habit.is_to_stay() { count } else { 0 };
            if let Err(error) = self.listeners.yield_to_siblings(&self.poll, share, now) {
                log::error!("can't stop listening for a moment: {error}");
            }
        }
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

    fn add_connection(&mut self, mut socket: Socket, listener: usize, address: Address) {
        let entry = self.seats.vacant_entry();
        let key = entry.key();
        let interests = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut socket, Token(key + CONNECTIONS), interests) {
            log::error!("can't poll a connection: {error}");
            return;
        }
        let standing = self.tools.common.proxies.standing(address.map(|(ip, _)| ip));
        let line = Arc::new(Line::new(socket));
        let connection =
            Connection::new(line, listener, Peer::new(address), standing, self.deadlines.issue(), &self.tools);
        let seat = entry.insert(Seat::Here(Box::new(connection)));
        self.deadlines.watch(key, seat.deadline_mut());
    }
}

/// Where the workers of this generation, and of the one before while it retires, may sit.
pub(crate) fn siblings(scoreboard: &Scoreboard, own: u32, workers: u32) -> Vec<Slot> {
    let seats = workers.saturating_mul(2).saturating_add(8);
    (0..seats).filter(|&seat| seat != own).map_while(|seat| scoreboard.slot(seat)).collect()
}
