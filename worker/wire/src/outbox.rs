//! Bytes that wait for the client's socket: replies are written at the end, the socket takes from the front.
//!
//! Kept from reply to reply for its memory, and given back when a large reply has left. Filled by the encoders, emptied by
//! the worker's connections.

/// A queue of bytes.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outbox {
    /// Memory beyond this, in bytes, is given back once it is empty.
    const KEPT: usize = 64 * 1024;

    /// What is still to be sent.
    #[inline]
    #[must_use]
    pub fn waiting(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Whether nothing is.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Where an encoder appends.
    #[inline]
    pub fn end(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The socket has taken the first `count` of what was waiting; more than there was counts as all of it.
    #[inline]
    pub fn took(&mut self, count: usize) {
        self.sent = self.bytes.len().min(self.sent + count);
        if self.is_empty() {
            self.clear();
        } else if self.sent > Self::KEPT && self.sent > self.bytes.len() / 2 {
            // Moves less than it has sent since the last move, so each byte is moved at most once on average.
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.sent = 0;
        self.bytes.clear();
        if self.bytes.capacity() > Self::KEPT {
            self.bytes.shrink_to(Self::KEPT);
        }
    }
}
