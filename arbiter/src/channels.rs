//! The arbiter's ends of its children's channels, and what comes out of them as events.
//!
//! Messages are typed by `ipc`; what they mean is `decide`'s. A child that talks without end is heard for a while at a time,
//! so that the others are heard too.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use tapster_ipc::{Channel, Order, ReceiveError};

use crate::event::Event;
use crate::fleet::Child;

/// The most messages of one child that are taken in at once.
const MOST_AT_ONCE: usize = 64;
/// The tokens below are the event loop's own.
pub(crate) const FIRST_TOKEN: usize = 16;

/// All channels that are open.
#[derive(Debug)]
pub(crate) struct Channels {
    registry: Registry,
    ends: BTreeMap<Child, End>,
    by_token: BTreeMap<Token, Child>,
    next_token: usize,
    /// Who has more to say than was taken in.
    unheard: Vec<Child>,
}

#[derive(Debug)]
struct End {
    channel: Channel,
    /// Where polling tells of it; `None` while nobody is to hear it.
    token: Option<Token>,
}

impl Channels {
    /// None yet; `registry` is the event loop's.
    #[must_use]
    pub(crate) fn new(registry: Registry) -> Self {
        let (ends, by_token) = (BTreeMap::new(), BTreeMap::new());
        Self { registry, ends, by_token, next_token: FIRST_TOKEN, unheard: Vec::new() }
    }

    /// Keeps a child's channel, without hearing it.
    pub(crate) fn keep(&mut self, child: Child, channel: Channel) {
        self.discard(child);
        self.ends.insert(child, End { channel, token: None });
    }

    /// Hears a child from now on, and what it has said already.
    ///
    /// # Errors
    /// Where it can't be polled.
    pub(crate) fn attend(&mut self, child: Child) -> io::Result<Vec<Event>> {
        let Some(end) = self.ends.get_mut(&child) else { return Ok(Vec::new()) };
        let token = Token(self.next_token);
        self.next_token += 1;
        self.registry.register(&mut SourceFd(&end.channel.as_raw_fd()), token, Interest::READABLE)?;
        end.token = Some(token);
        self.by_token.insert(token, child);
        Ok(self.hear(child))
    }

    /// Sends an order.
    ///
    /// # Errors
    /// As [`Channel::send`]; `EPIPE` where there is no channel any more.
    pub(crate) fn tell(&self, child: Child, order: &Order, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        match self.ends.get(&child) {
            Some(end) => end.channel.send(order, fds),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Closes a channel.
    pub(crate) fn discard(&mut self, child: Child) {
        let Some(end) = self.ends.remove(&child) else { return };
        if let Some(token) = end.token {
            self.by_token.remove(&token);
            // Closing the descriptor ends the registration too, for nobody else holds this end.
            let _ = self.registry.deregister(&mut SourceFd(&end.channel.as_raw_fd()));
        }
    }

    /// What the child whose token polling has brought has to say.
    pub(crate) fn hear_token(&mut self, token: Token) -> Vec<Event> {
        self.by_token.get(&token).copied().map_or_else(Vec::new, |child| self.hear(child))
    }

    /// What all children have to say, so that nothing they have said comes after their deaths.
    pub(crate) fn hear_all(&mut self) -> Vec<Event> {
        let children: Vec<_> = self.by_token.values().copied().collect();
        children.into_iter().flat_map(|child| self.hear(child)).collect()
    }

    /// What was left over.
    pub(crate) fn hear_rest(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.unheard).into_iter().flat_map(|child| self.hear(child)).collect()
    }

    /// Whether something was left over, so that polling must not wait.
    #[must_use]
    pub(crate) fn has_rest(&self) -> bool {
        !self.unheard.is_empty()
    }

    fn hear(&mut self, child: Child) -> Vec<Event> {
        let mut events = Vec::new();
        let Some(end) = self.ends.get(&child).filter(|end| end.token.is_some()) else { return events };
        while events.len() < MOST_AT_ONCE {
            match end.channel.receive() {
                Ok(report) => events.push(Event::Report { from: child, report }),
                Err(ReceiveError::Gossip(what)) => events.push(Event::Gossip { from: child, what }),
                Err(ReceiveError::Empty) => return events,
                Err(ReceiveError::Closed) => {
                    // Closed once, not at each look: nothing comes after the end.
                    self.discard(child);
                    events.push(Event::Closed { from: child });
                    return events;
                }
            }
        }
        self.unheard.push(child);
        events
    }
}

#[cfg(test)]
mod tests {
    use mio::{Events, Poll};
    use tapster_ipc::channel::{ChildChannel, pair};
    use tapster_ipc::{ExitCode, Report};

    use super::*;

    const WORKER: Child = Child::Worker(3);

    fn kept() -> (Poll, Channels, ChildChannel) {
        let poll = Poll::new().unwrap();
        let mut channels = Channels::new(poll.registry().try_clone().unwrap());
        let (ours, childs) = pair().unwrap();
        channels.keep(WORKER, ours);
        (poll, channels, childs)
    }

    #[test]
    fn what_was_said_before_anybody_listened_is_heard_and_the_end_comes_last_and_once() {
        let (_poll, mut channels, child) = kept();
        child.send(&Report::WorkerReady).unwrap();
        child.send(&Report::BootFailed { exit: ExitCode::Failed, report: "no".into() }).unwrap();
        drop(child);
        assert!(channels.hear_all().is_empty(), "nobody listens yet");
        let events = channels.attend(WORKER).unwrap();
        assert!(matches!(events[..], [Event::Report { .. }, Event::Report { .. }, Event::Closed { .. }]), "{events:?}");
        assert!(channels.hear_all().is_empty());
        assert!(channels.tell(WORKER, &Order::Quit, &[]).is_err());
    }

    #[test]
    fn a_child_that_talks_without_end_is_heard_for_a_while_at_a_time() {
        let (mut poll, mut channels, child) = kept();
        channels.attend(WORKER).unwrap();
        child.set_nonblocking().unwrap();
        let mut said = 0;
        while child.send(&Report::WorkerReady).is_ok() {
            said += 1;
        }
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, None).unwrap();
        let mut heard = channels.hear_token(events.iter().next().unwrap().token()).len();
        assert!(heard < said && channels.has_rest());
        while channels.has_rest() {
            heard += channels.hear_rest().len();
        }
        assert_eq!(heard, said);
    }
}
