//! Whose answer a client gets: the application's, or the server's in its place.
//!
//! The thread that makes a reply and the reactor, which answers where that takes too long, swap one word here; whoever is first
//! may send. It sends nothing, and knows of no socket. Used by the worker's `line`.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// The word, for one request after the other of a connection.
#[derive(Debug, Default)]
pub struct Answer(AtomicU8);

/// Nothing has been sent. A connection begins so.
const OPEN: u8 = 0;
/// The application's reply has begun to leave.
const TAKEN: u8 = 1;
/// All of it is in the socket or in the backlog, and the application still at work.
const WHOLE: u8 = 2;
/// It is whole, and what has not been sent of it is about to come back with its connection.
const RETURNING: u8 = 3;
/// The server has answered, or cut the client off.
const CLOSED: u8 = 4;

/// How much of the application's reply its client has, or gets without the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Nothing at all.
    Nothing,
    /// Its beginning.
    Part,
    /// All of it.
    Whole,
}

impl Answer {
    /// Another request goes to the application.
    #[inline]
    pub fn begin(&self) {
        self.0.store(OPEN, Relaxed);
    }

    /// The application's reply is about to leave; tells whether it may, which it may not where the server has answered.
    #[inline]
    pub fn take(&self) -> bool {
        !matches!(self.0.compare_exchange(OPEN, TAKEN, Relaxed, Relaxed), Err(CLOSED))
    }

    /// What has left was an interim reply, and all of it has: a final one may still be anybody's (RFC 9110 section 15.2).
    #[inline]
    pub fn note_interim(&self) {
        // Where the server has cut the client off it stays so.
        let _ = self.0.compare_exchange(TAKEN, OPEN, Relaxed, Relaxed);
    }

    /// All of the application's reply has left, or is in the backlog.
    #[inline]
    pub fn note_whole(&self) {
        // Where the server has cut the client off it stays so.
        let _ = self.0.compare_exchange(TAKEN, WHOLE, Relaxed, Relaxed);
    }

    /// The application has done with its reply, which is whole. Tells whether that counts, which it does not where the server
    /// has answered, or cut the client off.
    #[inline]
    pub fn bring_back(&self) -> bool {
        let open = |reply| (reply != CLOSED).then_some(RETURNING);
        self.0.fetch_update(Relaxed, Relaxed, open).is_ok()
    }

    /// Ends the application's right to answer, unless its reply is whole; tells how much of that has left, since the server may
    /// answer if that is nothing.
    pub fn close(&self) -> Sent {
        let unfinished = |reply| matches!(reply, OPEN | TAKEN).then_some(CLOSED);
        match self.0.fetch_update(Relaxed, Relaxed, unfinished) {
            Ok(OPEN) => Sent::Nothing,
            Err(WHOLE | RETURNING) => Sent::Whole,
            Ok(_) | Err(_) => Sent::Part,
        }
    }

    /// Whether the reply is whole, and its thread not about to come back with it.
    pub fn is_whole(&self) -> bool {
        self.0.load(Relaxed) == WHOLE
    }

    /// Whether the reply is whole, and its thread about to come back with what is left of it.
    pub fn is_returning(&self) -> bool {
        self.0.load(Relaxed) == RETURNING
    }

    /// Whether the server has ended the application's right to answer.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.0.load(Relaxed) == CLOSED
    }
}

#[cfg(test)]
mod tests {
    use std::hint::spin_loop;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::thread;

    use super::Sent::{Nothing, Part, Whole};
    use super::*;

    /// An answer that stands at that word.
    fn at(word: u8) -> Answer {
        Answer(AtomicU8::new(word))
    }

    #[test]
    fn each_step_does_what_the_table_says() {
        #[rustfmt::skip]
        let table = [
            // from,   take,           interim,   whole,     bring back,         close
            (OPEN,      (true, TAKEN),     OPEN,      OPEN,      (true, RETURNING),  (Nothing, CLOSED)),
            (TAKEN,     (true, TAKEN),     OPEN,      WHOLE,     (true, RETURNING),  (Part, CLOSED)),
            (WHOLE,     (true, WHOLE),     WHOLE,     WHOLE,     (true, RETURNING),  (Whole, WHOLE)),
            (RETURNING, (true, RETURNING), RETURNING, RETURNING, (true, RETURNING),  (Whole, RETURNING)),
            (CLOSED,    (false, CLOSED),   CLOSED,    CLOSED,    (false, CLOSED),    (Part, CLOSED)),
        ];
        let word = |answer: &Answer| answer.0.load(Relaxed);
        for (from, take, interim, whole, bring_back, close) in table {
            let answer = at(from);
            answer.note_interim();
            assert_eq!(word(&answer), interim, "note_interim from {from}");
            let answer = at(from);
            let is = (answer.is_whole(), answer.is_returning(), answer.is_closed());
            assert_eq!(is, (from == WHOLE, from == RETURNING, from == CLOSED), "{from}");
            assert_eq!((answer.take(), word(&answer)), take, "take from {from}");
            let answer = at(from);
            answer.note_whole();
            assert_eq!(word(&answer), whole, "note_whole from {from}");
            let answer = at(from);
            assert_eq!((answer.bring_back(), word(&answer)), bring_back, "bring_back from {from}");
            let answer = at(from);
            assert_eq!((answer.close(), word(&answer)), close, "close from {from}");
            answer.begin();
            assert_eq!(word(&answer), OPEN, "begin from {from}");
        }
        assert_eq!(word(&Answer::default()), OPEN);
    }

    #[test]
    fn the_thread_and_the_server_agree_on_who_has_answered() {
        const REQUESTS: usize = 200_000;
        let answers: Vec<_> = (0..REQUESTS).map(|_| Answer::default()).collect();
        let arrived = AtomicUsize::new(0);
        // Both come to each request together, as nearly as threads can.
        let meet = |request: usize| {
            arrived.fetch_add(1, SeqCst);
            for spins in 0.. {
                if arrived.load(SeqCst) >= 2 * (request + 1) {
                    break;
                }
                // There may be one CPU only.
                if spins % 1_000 == 999 { thread::yield_now() } else { spin_loop() }
            }
        };
        let reply = |(request, answer): (usize, &Answer)| {
            meet(request);
            let taken = answer.take();
            if request % 2 == 0 {
                answer.note_whole();
            }
            (taken, answer.bring_back())
        };
        let close = |(request, answer): (usize, &Answer)| {
            meet(request);
            (0..request % 4).for_each(|_| spin_loop());
            answer.close()
        };
        let (replies, closes) = thread::scope(|scope| {
            let thread = scope.spawn(|| answers.iter().enumerate().map(reply).collect::<Vec<_>>());
            let closes: Vec<_> = answers.iter().enumerate().map(close).collect();
            (thread.join().unwrap(), closes)
        });
        for both in replies.into_iter().zip(closes) {
            let agreed = matches!(both, ((true, true), Whole) | ((true, false), Part) | ((false, false), Nothing));
            assert!(agreed, "one thinks otherwise: {both:?}");
        }
    }
}
