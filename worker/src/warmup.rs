//! Requests that the application answers before there is traffic: nobody's, over no connection, and counted nowhere.
//!
//! They are bytes of HTTP like any others, so `environ` is made as for a client's; only their replies go nowhere. It starts no
//! thread and keeps nothing, so it may run where a fork follows. Called by `template` and `worker`, once the application is
//! loaded.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tapster_config::Warmup;
use tapster_ipc::scoreboard::Slot;
use tapster_ipc::{ExitCode, logging};
use tapster_python::{
    Application, Caller, Ending, ErrorStream, LoadError, Peer, Python, Request, RequestBody, Server, Sink, Wire,
};
use tapster_wire::forwarded::Scheme;
use tapster_wire::http1::parse_head;
use tapster_wire::{Head, Origin, Outbox, Progress};

use crate::clock::{Clock, millis};
use crate::common::multi;
use crate::crew::hop_by_hop;
use crate::life::{Context, failed};
use crate::listeners::address_of;
use crate::proxies::Proxies;
use crate::tools::limits;

/// Runs all requests that `warmup` names. The one that is running is told in the scoreboard, where the process has a `slot`.
///
/// # Errors
/// The first that the application answers with a 5xx, or does not answer as PEP 3333 has it: it is not fit to serve.
pub(crate) fn run(
    py: Python<'_>,
    context: &Context,
    application: &Application,
    slot: Option<u32>,
) -> Result<(), LoadError> {
    let settings = &context.settings;
    // A developer wants to see what goes wrong, not to wait for it.
    if settings.warmup.is_empty() || settings.reload {
        return Ok(());
    }
    let python = |error| failed("can't set up the interpreter for warmup", &error);
    let address = context.listeners.first().and_then(|listener| address_of(listener.as_fd()));
    let proxies = Proxies::new(settings, &context.mount_point);
    let errors = ErrorStream::new(py, logging::descriptor()).map_err(python)?;
    let server = Server::new(py, address, multi(settings), settings.early_hints, &errors, &proxies.mount_point)
        .and_then(|server| server.for_warmup(py))
        .map_err(python)?;
    let mut caller = Caller::new(py, Arc::new(application.share(py)), hop_by_hop(settings)).map_err(python)?;
    // As a proxy on this machine would come.
    let peer = Peer::new(address.map(|_| (IpAddr::V4(Ipv4Addr::LOCALHOST), 0)));
    let mut clock = Clock::new(settings.server_header);
    let board = slot.and_then(|slot| context.scoreboard.slot(slot));
    for warmup in &settings.warmup {
        clock.look();
        let (bytes, begun) = (bytes_of(warmup), tapster_sys::stamp::monotonic());
        let mut head = Head::default();
        let standing = proxies.standing(address.map(|_| IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let parsed = parse_head(&bytes, &limits(settings), proxies.names(standing), &mut head).and_then(|progress| {
            proxies.mount(&mut head, &bytes)?;
            Ok(progress)
        });
        match parsed {
            Ok(Progress::Ready(())) => {}
            Ok(Progress::NeedMore) => return Err(unfit(warmup, "is no whole request")),
            Err(reject) => {
                return Err(unfit(warmup, &format!("is refused by the server: {}", reject.reason.explain())));
            }
        }
        let scheme = if warmup.https { Some(Scheme::Https) } else { None };
        let request = Request {
            head: &head,
            buffer: &bytes,
            server: &server,
            peer: &peer,
            origin: Origin { scheme, ..Origin::default() },
            body: RequestBody::Empty,
        };
        let (mut out, mut nobody) = (Outbox::default(), Nobody::default());
        note(board, warmup, begun);
        let ending = caller.call(py, request, true, &clock.server, &mut Wire { out: &mut out, sink: &mut nobody });
        board.inspect(|board| board.end_request(0));
        nobody.take(out.waiting());
        let took = tapster_sys::stamp::monotonic().saturating_sub(begun);
        nobody.judge(warmup, ending, took)?;
    }
    Ok(())
}

/// Tells in the scoreboard that this request runs, for the case that it does not come back.
fn note(board: Option<Slot>, warmup: &Warmup, begun: Duration) {
    if let Some(board) = board {
        board.use_records(1);
        board.begin_request(0, millis(begun), format!("GET {warmup}").as_bytes());
    }
}

/// The request as a client would send it.
fn bytes_of(warmup: &Warmup) -> Vec<u8> {
    let Warmup { host, target, .. } = warmup;
    let host = host.as_deref().unwrap_or("localhost");
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: tapster-warmup\r\nAccept: */*\r\n\r\n").into_bytes()
}

fn unfit(warmup: &Warmup, what: &str) -> LoadError {
    LoadError { status: ExitCode::AppImport.status(), report: format!("warmup failed: GET {warmup} {what}") }
}

/// The client that is none: it takes everything, and remembers how the reply began.
#[derive(Default)]
struct Nobody {
    beginning: Vec<u8>,
    complaints: Vec<String>,
}

/// More bytes than a status line's beginning has that is worth telling.
const BEGINNING: usize = 128;

impl Nobody {
    fn take(&mut self, bytes: &[u8]) {
        let room = BEGINNING.saturating_sub(self.beginning.len());
        self.beginning.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Status code and reason, as they were sent; empty where there was no reply.
    fn status(&self) -> String {
        let line = self.beginning.split(|&byte| byte == b'\r').next().unwrap_or_default();
        line.strip_prefix(b"HTTP/1.1 ").unwrap_or_default().escape_ascii().to_string()
    }

    /// Says what came of the request.
    fn judge(&self, warmup: &Warmup, ending: Ending, took: Duration) -> Result<(), LoadError> {
        let status = self.status();
        if !self.complaints.is_empty() {
            return Err(LoadError {
                status: ExitCode::AppImport.status(),
                report: format!("warmup failed: {}", self.complaints.join("\n")),
            });
        }
        let told = format!("Warmed up by GET {warmup} in {} ms: {status}", took.as_millis());
        match status.bytes().next() {
            _ if !ending.is_whole() => return Err(unfit(warmup, "was not answered as a whole")),
            Some(b'1' | b'2') => log::debug!("{told}"),
            Some(b'3') => log::info!("{told}"),
            Some(b'4') => log::warn!("{told}"),
            _ => return Err(unfit(warmup, &format!("was answered with {status}"))),
        }
        Ok(())
    }
}

impl Sink for Nobody {
    fn send(&mut self, out: &mut Outbox, more: &[u8]) -> io::Result<()> {
        self.take(out.waiting());
        self.take(more);
        out.clear();
        Ok(())
    }

    fn note_interim(&mut self) {
        self.beginning.clear();
    }

    fn send_file(&mut self, file: OwnedFd, _: u64, _: u64) {
        drop(file);
    }

    fn until_close(&mut self) {}

    fn make_room(&mut self, out: &mut Outbox) -> io::Result<()> {
        self.send(out, &[])
    }

    fn progress(&mut self) {}

    fn whole(&mut self) {}

    fn is_disconnected(&self) -> bool {
        false
    }

    fn complain(&mut self, text: &str) {
        self.complaints.push(text.to_owned());
    }
}
