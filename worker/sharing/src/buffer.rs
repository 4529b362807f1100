//! What a client has sent and nobody has used yet.
//!
//! An idle connection holds no memory here: while there is nothing to keep, all connections read into one spare buffer of
//! the worker's.
//!
//! It never looks at the bytes. Used by the worker's `connection`.

use std::io::{self, Read};

/// Bytes between `start` and `end` of memory that is initialised once and used again.
#[derive(Debug, Default)]
pub struct Buffer {
    memory: Vec<u8>,
    start: usize,
    end: usize,
}

/// The size of the spare buffer, and the largest step by which a buffer grows, in bytes.
const STEP: usize = 64 * 1024;

impl Buffer {
    /// A buffer with room for a usual request or many.
    pub fn spare() -> Self {
        Self { memory: vec![0; STEP], start: 0, end: 0 }
    }

    /// What is there, in the order in which it came.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    /// How many bytes are there.
    #[inline]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether none is.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Forgets the first `count` bytes.
    #[inline]
    pub fn used(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Forgets `count` bytes behind the first `kept`, which stay.
    pub fn used_behind(&mut self, kept: usize, count: usize) {
        let from = self.start + kept;
        let until = self.end.min(from + count);
        self.memory.copy_within(until..self.end, from);
        self.end -= until - from;
    }

    /// Reads once from `source` behind what is there, at most `most` bytes, which is not 0. Answers how many came, and
    /// whether that was less than there was room for, so that no more is waiting.
    ///
    /// # Errors
    /// What `source` fails with; nothing has changed then.
    pub fn read_from(&mut self, source: &mut impl Read, most: usize) -> io::Result<(usize, bool)> {
        if self.start > 0 && self.end == self.memory.len() {
            self.memory.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.memory.len() {
            self.memory.resize(self.end + STEP.min(self.end.max(4096)), 0);
        }
        let room = most.min(self.memory.len() - self.end);
        let count = source.read(&mut self.memory[self.end..self.end + room])?;
        self.end += count;
        Ok((count, count < room))
    }

    /// Takes the memory of `spare` in place of its own, with what it holds, unless its own is as large.
    #[inline]
    pub fn borrow(&mut self, spare: &mut Self) {
        if self.memory.len() >= STEP {
            return;
        }
        if spare.memory.is_empty() {
            // Who borrowed it is in the application.
            *spare = Self::spare();
        }
        if self.memory.len() < spare.memory.len() {
            spare.memory[..self.len()].copy_from_slice(self.bytes());
            (spare.start, spare.end) = (0, self.len());
            std::mem::swap(self, spare);
            spare.memory = Vec::new();
        }
    }

    /// Gives back the memory that came from `spare`, and keeps what is still needed in memory of the right size.
    #[inline]
    pub fn give_back(&mut self, spare: &mut Self) {
        if spare.memory.is_empty() {
            std::mem::swap(self, spare);
            self.memory.extend_from_slice(spare.bytes());
            (self.start, self.end) = (0, self.memory.len());
            (spare.start, spare.end) = (0, 0);
            // One large head is no reason to keep so much for ever.
            spare.memory.truncate(STEP);
            spare.memory.shrink_to(STEP);
        } else if self.is_empty() {
            *self = Self::default();
        }
    }
}
