//! What all connections of a worker share while one of them is being served.
//!
//! A bench of values; what is done with them is the business of `connection` and `dispatch`. Owned by the reactor.

use tapster_config::Settings;
use tapster_ipc::Slot;
use tapster_python::{Application, Caller, ErrorStream, HopByHop, LoadError, Python, Server};
use tapster_wire::{Head, Limits, Outbox};

use crate::buffer::Buffer;
use crate::clock::{Clock, Times};
use crate::life::{failed, log_file};
use crate::listeners::Address;
use crate::proxies::Proxies;
use crate::refusals::Refusals;
use crate::temporary::Storage;

/// The worker's one workbench.
pub(crate) struct Tools {
    pub(crate) caller: Caller,
    /// By the listener's number.
    pub(crate) servers: Vec<Server>,
    /// The head of the request that is being looked at.
    pub(crate) head: Head,
    pub(crate) limits: Limits,
    pub(crate) times: Times,
    pub(crate) proxies: Proxies,
    pub(crate) refusals: Refusals,
    pub(crate) spare: Buffer,
    pub(crate) spare_out: Outbox,
    pub(crate) clock: Clock,
    pub(crate) turn: TurnToRun,
    pub(crate) board: Slot,
    pub(crate) storage: Storage,
    /// How many bytes are read at once beyond what a body still lacks, and so the most that a connection holds behind the
    /// request that is being served.
    pub(crate) most_pipelined: usize,
    /// How many requests a connection may bring.
    pub(crate) most_requests: u32,
    /// No connection is kept for another request.
    pub(crate) retiring: bool,
    pub(crate) habit: Habit,
}

impl Tools {
    /// For a worker with these settings and this place on the scoreboard, whose listeners have these addresses. `mount_point`
    /// is the environment's `SCRIPT_NAME`.
    pub(crate) fn new(
        py: Python<'_>,
        settings: &Settings,
        board: Slot,
        addresses: Vec<Address>,
        mount_point: &str,
        app: Application,
    ) -> Result<Self, LoadError> {
        let python = |error| failed("can't set up the interpreter for requests", &error);
        let multiprocess = settings.workers > 1;
        let errors = ErrorStream::new(py, log_file(settings)).map_err(python)?;
        let proxies = Proxies::new(settings, mount_point);
        let server = |address| Server::new(py, address, multiprocess, &errors, &proxies.mount_point);
        let servers = addresses.into_iter().map(server).collect::<Result<_, _>>().map_err(python)?;
        let hop_by_hop = match settings.hop_by_hop_headers {
            tapster_config::HopByHop::Refuse => HopByHop::Refuse,
            tapster_config::HopByHop::Drop => HopByHop::Drop,
        };
        Ok(Self {
            caller: Caller::new(py, app, hop_by_hop).map_err(python)?,
            servers,
            head: Head::default(),
            limits: limits(settings),
            times: Times::new(settings),
            proxies,
            refusals: Refusals::new(),
            spare: Buffer::spare(),
            spare_out: Outbox::default(),
            clock: Clock::new(settings.server_header),
            turn: TurnToRun::Free,
            board,
            storage: Storage::new(settings.tmp_upload_dir.clone(), settings.tmp_upload_limit),
            most_pipelined: settings.limit_pipelined,
            most_requests: if settings.keep_alive_requests == 0 { u32::MAX } else { settings.keep_alive_requests },
            retiring: false,
            habit: Habit::default(),
        })
    }
}

fn limits(settings: &Settings) -> Limits {
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

/// Whose application code may run. Frameworks keep state by thread, so nothing else may enter the application while one
/// reply's body is still being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnToRun {
    Free,
    /// The connection of that key is in the midst of a reply.
    Of(usize),
}

impl TurnToRun {
    pub(crate) fn is_open_to(self, key: usize) -> bool {
        self == Self::Free || self == Self::Of(key)
    }
}
