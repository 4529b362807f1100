//! What is done with the connections: each is moved on where an event, its place in a list or its deadline says so.

use std::os::fd::{AsFd, AsRawFd};

use mio::unix::SourceFd;

use super::{CHANNEL, Happening, LISTENERS, Listed, NOBODY, Reactor, SIGNALS, Stage, WAKER};
use crate::common::CONNECTIONS;
use crate::deadlines::NEVER;
use crate::seat::Seat;
use crate::state::Verdict;

impl Reactor {
    #[inline]
    pub(super) fn react(&mut self, event: Happening) {
        match event.token {
            CHANNEL => self.hear_arbiter(),
            SIGNALS => self.hear_signals(),
            // What it was woken for is looked at in each round.
            token if token == WAKER.0 => {}
            token if token >= CONNECTIONS => {
                let key = token - CONNECTIONS;
                let Some(seat) = self.seats.get_mut(key) else { return };
                if event.readable {
                    seat.note_readable(event.hung_up);
                }
                if event.gone {
                    seat.note_gone();
                }
                match seat {
                    // One that is listed has its turn when the list comes to it.
                    Seat::Here(connection) if connection.listed => {}
                    Seat::Here(_) => self.advance(key),
                    Seat::Away(away) => Self::see_to(away, key, &self.tools.common),
                }
            }
            token => self.accept_some(token - LISTENERS),
        }
    }

    /// Goes on with a connection that was listed, unless it is gone and its key another's.
    pub(super) fn take_up(&mut self, listed: Listed) {
        if let Some(Seat::Here(connection)) = self.seats.get_mut(listed.key)
            && connection.deadline.serial() == listed.serial
            && connection.listed
        {
            connection.listed = false;
            self.advance(listed.key);
        }
    }

    #[inline]
    pub(super) fn advance(&mut self, key: usize) {
        let Some(Seat::Here(connection)) = self.seats.get_mut(key) else { return };
        let was_spare = connection.spare_since().is_some();
        let verdict = connection.advance(&mut self.tools);
        self.follow(key, was_spare, verdict);
    }

    /// Does what a connection's step has come to, before which it was spare or not.
    #[inline]
    pub(super) fn follow(&mut self, key: usize, was_spare: bool, verdict: Verdict) {
        let Some(Seat::Here(connection)) = self.seats.get_mut(key) else { return };
        self.spare = self.spare + usize::from(connection.spare_since().is_some()) - usize::from(was_spare);
        match verdict {
            Verdict::Wait => self.await_events(key),
            Verdict::Again | Verdict::AwaitTurn => {
                self.deadlines.watch(key, &mut connection.deadline);
                if !connection.listed {
                    connection.listed = true;
                    let listed = Listed { key, serial: connection.deadline.serial() };
                    let list = if verdict == Verdict::Again { &mut self.ready } else { &mut self.queued };
                    list.push_back(listed);
                    self.thin_queue();
                }
            }
            Verdict::Run => self.send_away(key),
            Verdict::Close => self.drop_connection(key),
        }
    }

    /// Keeps entries that have been left behind from piling up while no thread is free.
    pub(super) fn thin_queue(&mut self) {
        if self.queued.len() > 2 * self.seats.len() + 64 {
            let seats = &self.seats;
            let is_current = |listed: &Listed| {
                let connection = seats.get(listed.key).and_then(Seat::here);
                connection.is_some_and(|one| one.listed && one.deadline.serial() == listed.serial)
            };
            self.queued.retain(is_current);
        }
    }

    pub(super) fn drop_connection(&mut self, key: usize) {
        if let Some(Seat::Here(mut connection)) = self.seats.try_remove(key) {
            self.spare -= usize::from(connection.spare_since().is_some());
            connection.drop_everything(&mut self.tools);
            connection.say_goodbye();
            self.forget_events(key);
            self.tools.common.board.set_connections(self.seats.len());
            self.tools.habit.note_end(connection.requests);
            // Closing the socket takes it out of the poll, unless the application has forked a process that holds it too: then
            // the poll would still tell of it, and that would be taken for news of the next connection of the key.
            if connection.polled && tapster_sys::fork::has_forked() {
                let socket = connection.line.socket.as_fd().as_raw_fd();
                // It fails where the poll has been told to forget it already.
                let _ = self.poll.registry().deregister(&mut SourceFd(&socket));
            }
        }
    }

    /// What the poll has told of a connection that has ended, and nobody has looked at yet, is no news of the next one of the key.
    fn forget_events(&mut self, key: usize) {
        let Stage::Events(place) = self.stage else { return };
        let to_come = self.happened.iter_mut().skip(place);
        to_come.filter(|event| event.token == key + CONNECTIONS).for_each(|event| event.token = NOBODY);
    }

    /// Looks at one deadline that may have passed; tells whether there was one.
    pub(super) fn mind_deadline(&mut self) -> bool {
        let now = self.tools.clock.now;
        let due = self.deadlines.due(now, |key| self.seats.get_mut(key).map(Seat::deadline_mut));
        let Some(key) = due else { return false };
        match self.seats.get_mut(key) {
            Some(Seat::Here(connection)) => {
                let (was_spare, mut verdict) = (connection.spare_since().is_some(), Verdict::Wait);
                if connection.deadline.at <= now {
                    // Whatever list it stands in, what comes of this decides where it belongs; an entry that is left behind is
                    // passed over.
                    connection.listed = false;
                    verdict = connection.late(&mut self.tools);
                }
                self.follow(key, was_spare, verdict);
            }
            Some(Seat::Away(away)) => {
                if away.deadline.at <= now {
                    away.deadline.at = NEVER;
                    self.mind_late_request(key);
                }
                if let Some(seat) = self.seats.get_mut(key) {
                    self.deadlines.watch(key, seat.deadline_mut());
                }
            }
            None => {}
        }
        true
    }
}
