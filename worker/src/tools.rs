//! What all connections of a worker share while one of them is being moved on.
//!
//! A bench of values; what is done with them is the business of `connection`. Owned by the reactor.

use std::sync::Arc;

use tapster_config::Settings;
use tapster_wire::{Limits, Outbox};

use crate::buffer::Spares;
use crate::clock::{Clock, Times};
use crate::common::Common;
use crate::connection::Connection;
use crate::job::{Job, Sheet};
use crate::refusals::Refusals;
use crate::seat::Wanted;
use crate::turns::Turns;

/// The worker's one workbench.
pub(crate) struct Tools {
    pub(crate) common: Arc<Common>,
    /// For the request that is being looked at.
    pub(crate) sheet: Box<Sheet>,
    pub(crate) limits: Limits,
    pub(crate) times: Times,
    pub(crate) refusals: Refusals,
    pub(crate) spares: Spares,
    pub(crate) spare_out: Outbox,
    /// Sheets that have been used, for their memory.
    #[expect(clippy::vec_box, reason = "what goes from hand to hand is the box")]
    pub(crate) sheets: Vec<Box<Sheet>>,
    /// The same of these.
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) clock: Clock,
    pub(crate) turns: Turns,
    /// How many bytes are read at once beyond what a body still lacks, and so the most that a connection holds behind the
    /// request that is being served.
    pub(crate) most_pipelined: usize,
    /// How many requests a connection may bring.
    pub(crate) most_requests: u32,
    /// No connection is kept for another request: replies say so.
    pub(crate) lets_go: bool,
    /// Nor are those waited for whose replies have not said so.
    pub(crate) retiring: bool,
    pub(crate) habit: Habit,
}

impl Tools {
    /// As the settings have it.
    pub(crate) fn new(settings: &Settings, common: Arc<Common>) -> Self {
        Self {
            times: common.times,
            common,
            sheet: Box::default(),
            limits: limits(settings),
            refusals: Refusals::new(),
            spares: Spares::new(settings.threads as usize + 1),
            spare_out: Outbox::default(),
            sheets: Vec::new(),
            wanted: Vec::new(),
            clock: Clock::new(settings.server_header),
            turns: Turns::new(settings.threads as usize, settings.limit_queue as usize),
            most_pipelined: settings.limit_pipelined,
            most_requests: if settings.keep_alive_requests == 0 { u32::MAX } else { settings.keep_alive_requests },
            lets_go: false,
            retiring: false,
            habit: Habit::default(),
        }
    }

    /// What the request asks for whose head is here and in front of the connection's buffer.
    #[inline]
    pub(crate) fn wanted(&mut self, connection: &Connection) -> Wanted {
        let mut wanted = self.wanted.pop().unwrap_or_default();
        wanted.note(&self.sheet.head, connection.input.bytes());
        wanted
    }

    /// A request begins to wait for a free thread; or may not, where too many do.
    pub(crate) fn begin_waiting(&mut self) -> bool {
        let may_wait = self.turns.wait();
        self.common.board.set_waiting(self.turns.waiting());
        may_wait
    }

    /// A request that waited does not any more.
    pub(crate) fn stop_waiting(&mut self) {
        self.turns.stop_waiting();
        self.common.board.set_waiting(self.turns.waiting());
    }

    /// The same request, to go into the application with its connection.
    #[inline]
    pub(crate) fn job(&mut self, key: usize, ticket: u64, mut connection: Box<Connection>) -> Job {
        connection.take_request();
        self.sheet.server = self.clock.server;
        let sheet = std::mem::replace(&mut self.sheet, self.sheets.pop().unwrap_or_default());
        let is_last = connection.requests + 1 >= self.most_requests;
        let stays = self.times.keep_alive > 0 && !self.lets_go && !is_last;
        let measured = self.turns.enter();
        Job { key, ticket, connection, sheet, stays, measured }
    }
}

/// What a request may have, as the settings have it.
pub(crate) fn limits(settings: &Settings) -> Limits {
    Limits {
        request_line: settings.limit_request_line,
        fields: settings.limit_request_fields,
        field_size: settings.limit_request_field_size,
        head: settings.limit_request_head,
        body: settings.limit_request_body,
    }
}

/// Whether clients use their connections again: a count of those that did not, which those that did bring down.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Habit(u8);

impl Habit {
    const CERTAIN: u8 = 8;

    /// A connection has ended after so many requests.
    pub(crate) fn note_end(&mut self, requests: u32) {
        if requests <= 1 {
            self.0 = (self.0 + 1).min(2 * Self::CERTAIN);
        }
    }

    /// A connection has brought its second request.
    pub(crate) fn note_reuse(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }

    /// Whether connections that are accepted now may be expected to stay.
    pub(crate) fn is_to_stay(self) -> bool {
        self.0 < Self::CERTAIN
    }
}
