//! The whole contract between the arbiter and its children: every message there is, and its bytes.
//!
//! A message is one datagram: a kind byte, then its fields in order; numbers little-endian, texts with a 32-bit length.
//! Bytes that don't parse are answered with `None`, never with a panic: they are gossip, to be counted and passed over.
//!
//! The two sides are compiled from the same source, but the files may be replaced while a server runs. So the first order begins
//! with the version, in a form that stays, and the answer to it, [`Report::BootFailed`], keeps its form too.
//!
//! It moves no bytes: `channel` does.

use std::io;
use std::time::Duration;

use crate::exit::ExitCode;

/// The most bytes of a message. Longer reports (tracebacks) are cut; a longer order is an error.
pub const MOST_BYTES: usize = 128 * 1024;

/// The version of the program that this side is compiled into.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The longest version that is taken for one, in bytes.
const LONGEST_VERSION: usize = 64;

/// How long the requests that are running may take in a quick stop.
pub const QUICK: Duration = Duration::from_secs(2);
/// How much longer than its requests a worker may take: for the functions that the application wants run at its end, and for
/// Python's own end. Then the arbiter kills it and says why.
pub const FINALISATION: Duration = Duration::from_secs(2);

/// What the arbiter tells a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// To a template, first of all. Brings the descriptors of the scoreboard and then of each listener.
    Boot(Boot),
    /// What [`Order::Boot`] of an arbiter of another version is read as: its other fields may mean anything.
    Foreign {
        /// The arbiter's version, which is not [`VERSION`].
        version: String,
    },
    /// To a template: fork the worker that is to sit in `slot`. Brings the worker's end of its own channel.
    Fork {
        /// Its place on the scoreboard.
        slot: u32,
    },
    /// To a worker that has said [`Report::WorkerReady`]: serve from now on. Until then it has no request that could be lost with
    /// it, and is killed without further ado if nobody wants it any more.
    Serve,
    /// To a worker: finish what is running, then exit; give up what is not finished within `within_ms`. The worker must be gone
    /// [`FINALISATION`] later.
    Retire {
        /// Milliseconds that the requests have.
        within_ms: u32,
        /// Whether nobody else will accept what waits in the listeners' queues, so that this worker must first.
        drain: bool,
    },
    /// To a worker: as [`Order::Retire`] within [`QUICK`], and wait for nothing but the requests that are there. To a template:
    /// exit.
    Quit,
    /// To a template or a worker: open the log's file anew, which has been moved away.
    Reopen,
    /// To a worker: go on as before, but keep no connection for another request, since a balancer is to send them elsewhere.
    LetGo,
}

/// What a template needs to know to become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// Which generation it starts.
    pub generation: u64,
    /// The arbiter's pid, for adoption.
    pub arbiter: i32,
    /// The settings, as TOML.
    pub settings: String,
    /// The name of each listener in the order of their descriptors, as a `bind` setting writes it.
    pub listeners: Vec<String>,
    /// Import the application in the template and report, but serve nothing (`--check-config`).
    pub check: bool,
}

/// What a child tells the arbiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// From a template: it can fork workers now.
    TemplateReady {
        /// The interpreter's version, as in `3.12.1`.
        python: String,
    },
    /// From a template: the worker for `slot` exists.
    Forked {
        /// Its place on the scoreboard.
        slot: u32,
        /// Its pid.
        pid: i32,
    },
    /// From a template: the worker for `slot` could not be forked.
    ForkFailed {
        /// Its place on the scoreboard.
        slot: u32,
        /// Why.
        reason: String,
    },
    /// From a worker: it could serve, and waits for [`Order::Serve`].
    WorkerReady,
    /// From a worker that was told to retire and drain: nothing waits in the listeners' queues any more.
    Drained,
    /// From a worker: a request has been in the application for longer than `timeout` and `timeout_grace` together, and its
    /// thread has not come back.
    Stuck {
        /// How long it has been there so far, in milliseconds.
        spent_ms: u64,
        /// How many other requests are in the application, in other threads.
        running: u32,
        /// Its request line, as the worker's own log lines show it.
        request: String,
    },
    /// From a worker: its loop is over, and nothing is left but the application's exit functions and Python's own end.
    Ending {
        /// Milliseconds until it must be gone.
        within_ms: u32,
        /// How many requests it has given up that are still in the application.
        left: u32,
    },
    /// From a worker: it has served as many requests as it is to, and goes on until another one can take its place.
    WornOut {
        /// How many.
        requests: u64,
    },
    /// From a worker: a file of the application has changed (auto-reload).
    Changed {
        /// Its path.
        path: String,
        /// When that was, in milliseconds on the clock of `tapster_sys::stamp::monotonic`: several workers tell of one change.
        at_ms: u64,
    },
    /// From either: it can't start, and exits with `exit`.
    BootFailed {
        /// The status that it exits with, and the server too if it has never been up.
        exit: ExitCode,
        /// One line that says what is wrong, and below it the Python traceback where there is one.
        report: String,
    },
}

impl Order {
    /// Its bytes.
    ///
    /// # Errors
    /// `InvalidInput` for an order longer than [`MOST_BYTES`]: unlike a report, it means something else when it is cut.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let bytes = match self {
            Self::Boot(boot) => {
                let mut message = Writer::new(BOOT).whole_text(VERSION);
                message = message.u64(boot.generation).i32(boot.arbiter).whole_text(&boot.settings);
                message = message.u32(u32::from(boot.check));
                boot.listeners.iter().fold(message, |message, name| message.whole_text(name)).0
            }
            Self::Foreign { version } => Writer::new(BOOT).whole_text(version).0,
            Self::Fork { slot } => Writer::new(2).u32(*slot).0,
            Self::Retire { within_ms, drain } => Writer::new(3).u32(*within_ms).u32(u32::from(*drain)).0,
            Self::Quit => Writer::new(4).0,
            Self::Reopen => Writer::new(5).0,
            Self::LetGo => Writer::new(6).0,
            Self::Serve => Writer::new(7).0,
        };
        if bytes.len() > MOST_BYTES {
            // Its size alone: settings may hold secrets.
            let text = format!("the settings take {} bytes, more than the {MOST_BYTES} that there may be", bytes.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(bytes)
    }

    /// The order that `bytes` stand for, if any.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, mut fields) = Reader::new(bytes)?;
        if kind == BOOT {
            let version = fields.text().filter(|version| is_version(version))?;
            if version != VERSION {
                return Some(Self::Foreign { version });
            }
        }
        let order = match kind {
            BOOT => Self::Boot(Boot {
                generation: fields.u64()?,
                arbiter: fields.i32()?,
                settings: fields.text()?,
                check: fields.u32()? != 0,
                listeners: std::iter::from_fn(|| fields.text()).collect(),
            }),
            2 => Self::Fork { slot: fields.u32()? },
            3 => Self::Retire { within_ms: fields.u32()?, drain: fields.u32()? != 0 },
            4 => Self::Quit,
            5 => Self::Reopen,
            6 => Self::LetGo,
            7 => Self::Serve,
            _ => return None,
        };
        fields.is_at_end().then_some(order)
    }
}

impl Report {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::TemplateReady { python } => Writer::new(1).text(python).0,
            Self::Forked { slot, pid } => Writer::new(2).u32(*slot).i32(*pid).0,
            Self::ForkFailed { slot, reason } => Writer::new(3).u32(*slot).text(reason).0,
            Self::WorkerReady => Writer::new(4).0,
            Self::Drained => Writer::new(6).0,
            Self::Stuck { spent_ms, running, request } => Writer::new(7).u64(*spent_ms).u32(*running).text(request).0,
            Self::Ending { within_ms, left } => Writer::new(8).u32(*within_ms).u32(*left).0,
            Self::WornOut { requests } => Writer::new(9).u64(*requests).0,
            Self::Changed { path, at_ms } => Writer::new(10).u64(*at_ms).text(path).0,
            Self::BootFailed { exit, report } => Writer::new(5).u32(u32::from(exit.status())).text(report).0,
        }
    }

    /// The report that `bytes` stand for, if any.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, mut fields) = Reader::new(bytes)?;
        let report = match kind {
            1 => Self::TemplateReady { python: fields.text()? },
            2 => Self::Forked { slot: fields.u32()?, pid: fields.i32()? },
            3 => Self::ForkFailed { slot: fields.u32()?, reason: fields.text()? },
            4 => Self::WorkerReady,
            5 => Self::BootFailed {
                exit: ExitCode::of_status(u8::try_from(fields.u32()?).ok()?),
                report: fields.text()?,
            },
            6 => Self::Drained,
            7 => Self::Stuck { spent_ms: fields.u64()?, running: fields.u32()?, request: fields.text()? },
            8 => Self::Ending { within_ms: fields.u32()?, left: fields.u32()? },
            9 => Self::WornOut { requests: fields.u64()? },
            10 => Self::Changed { at_ms: fields.u64()?, path: fields.text()? },
            _ => return None,
        };
        fields.is_at_end().then_some(report)
    }
}

/// The kind of the first order. It, and the version's text after it, are read by other versions.
const BOOT: u8 = 1;

fn is_version(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
    !text.is_empty() && text.len() <= LONGEST_VERSION && text.bytes().all(is_part)
}

/// A message in the making; also `succession`'s.
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn new(kind: u8) -> Self {
        Self(vec![kind])
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn i32(self, value: i32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    /// A text whose length and bytes still fit, cut at a character where they don't.
    fn text(self, text: &str) -> Self {
        let room = MOST_BYTES.saturating_sub(self.0.len() + 64);
        self.whole_text(&text[..text.floor_char_boundary(room)])
    }

    pub(crate) fn whole_text(self, text: &str) -> Self {
        self.u32(u32::try_from(text.len()).unwrap_or(0)).bytes(text.as_bytes())
    }
}

/// What is left of a message; also `succession`'s.
pub(crate) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Option<(u8, Self)> {
        bytes.split_first().map(|(kind, fields)| (*kind, Self(fields)))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(field.to_vec()).ok()
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders() -> Vec<Order> {
        let boot = Boot {
            generation: 7,
            arbiter: 4711,
            settings: "workers = 2\n".into(),
            listeners: vec!["127.0.0.1:8000".into(), "unix:/run/ü".into()],
            check: false,
        };
        let retire = Order::Retire { within_ms: 30_000, drain: true };
        let foreign = Order::Foreign { version: "9.9.0-rc.1+build".into() };
        let fork = Order::Fork { slot: 3 };
        vec![Order::Boot(boot), foreign, fork, Order::Serve, retire, Order::Quit, Order::Reopen, Order::LetGo]
    }

    fn reports() -> Vec<Report> {
        vec![
            Report::TemplateReady { python: "3.12.1".into() },
            Report::Forked { slot: 1, pid: 12 },
            Report::ForkFailed { slot: 1, reason: "Resource temporarily unavailable".into() },
            Report::WorkerReady,
            Report::Drained,
            Report::Stuck { spent_ms: u64::MAX, running: 3, request: "GET /slow HTTP/1.1".into() },
            Report::Ending { within_ms: 2000, left: 1 },
            Report::WornOut { requests: 50 },
            Report::Changed { path: "/srv/app/views.py".into(), at_ms: 1 << 40 },
            Report::BootFailed { exit: ExitCode::AppImport, report: "Traceback …".into() },
        ]
    }

    #[test]
    fn every_message_survives_the_way() {
        for order in orders() {
            assert_eq!(Order::decode(&order.encode().unwrap()), Some(order));
        }
        for report in reports() {
            assert_eq!(Report::decode(&report.encode()), Some(report));
        }
    }

    #[test]
    fn bytes_cut_short_or_too_long_or_of_no_kind_are_no_message() {
        for bytes in reports().iter().map(Report::encode).chain([vec![], vec![0], vec![99, 1, 2]]) {
            for cut in 0..bytes.len() {
                assert_eq!(Report::decode(&bytes[..cut]), None, "{bytes:?} cut at {cut}");
            }
        }
        let mut longer = Order::Quit.encode().unwrap();
        longer.push(0);
        assert_eq!(Order::decode(&longer), None);
    }

    #[test]
    fn an_arbiter_of_another_version_is_known_whatever_its_order_has_besides() {
        // The bytes that other versions send and look for: none of these may change.
        let head = |version: &str| {
            let length = u32::try_from(version.len()).unwrap().to_le_bytes();
            [&[1], length.as_slice(), version.as_bytes()].concat()
        };
        let Some(own @ Order::Boot(_)) = orders().into_iter().next() else { panic!("the first is a boot") };
        assert!(own.encode().unwrap().starts_with(&head(VERSION)));
        for rest in [&b""[..], b"\0", &[0xff; 300]] {
            let bytes = [&head("9.9.0"), rest].concat();
            assert_eq!(Order::decode(&bytes), Some(Order::Foreign { version: "9.9.0".into() }));
        }
        let failed = Report::BootFailed { exit: ExitCode::Failed, report: "why".into() };
        assert_eq!(failed.encode(), b"\x05\x01\0\0\0\x03\0\0\0why");
        // An order without a version, of generation 2, and what else is none.
        let none: [&[u8]; 4] = [&[1, 2, 0, 0, 0, 0, 0, 0, 0, 9, 9], &head(""), &head("1.0\n"), &head(&"9".repeat(65))];
        for bytes in none {
            assert_eq!(Order::decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn settings_that_are_too_long_are_an_error_and_never_cut_or_shown() {
        let settings = "secret".repeat(MOST_BYTES / 6);
        let boot = Boot { generation: 1, arbiter: 1, settings, listeners: Vec::new(), check: false };
        let error = Order::Boot(boot).encode().unwrap_err().to_string();
        assert!(error.contains("131072") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_report_that_is_too_long_is_cut_and_still_a_report() {
        let report = Report::BootFailed { exit: ExitCode::AppImport, report: "ä".repeat(MOST_BYTES) };
        let bytes = report.encode();
        assert!(bytes.len() <= MOST_BYTES);
        assert!(
            matches!(Report::decode(&bytes), Some(Report::BootFailed { report, .. }) if report.len() > MOST_BYTES / 2)
        );
        let bytes = Report::Stuck { spent_ms: 35_000, running: 1, request: "ä".repeat(MOST_BYTES) }.encode();
        assert!(bytes.len() <= MOST_BYTES);
        assert!(matches!(Report::decode(&bytes), Some(Report::Stuck { spent_ms: 35_000, running: 1, .. })));
    }
}
