//! What a client has sent and nobody has used yet.
//!
//! An idle connection holds no memory here: while there is nothing to keep, connections read into spare memory of the
//! worker's.
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

/// The size of a spare piece, and the largest step by which a buffer grows, in bytes.
const STEP: usize = 64 * 1024;

/// Memory that buffers borrow while something is done with them, each piece with room for a usual request or many.
#[derive(Debug)]
pub struct Spares {
    memory: Vec<Vec<u8>>,
    most: usize,
}

impl Spares {
    /// Keeps so many pieces for later: one for each request that may be in the application, and one for the reactor.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { memory: Vec::with_capacity(most), most }
    }

    #[inline]
    fn take(&mut self) -> Vec<u8> {
        self.memory.pop().unwrap_or_else(|| vec![0; STEP])
    }

    #[inline]
    fn put(&mut self, mut piece: Vec<u8>) {
        if piece.len() >= STEP && self.memory.len() < self.most {
            // One large head is no reason to keep so much for ever.
            piece.truncate(STEP);
            piece.shrink_to(STEP);
            self.memory.push(piece);
        }
    }
}

impl Buffer {
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

    /// Takes memory of `spares` in place of its own, with what it holds, unless its own is as large.
    #[inline]
    pub fn borrow(&mut self, spares: &mut Spares) {
        if self.memory.len() >= STEP {
            return;
        }
        let mut memory = spares.take();
        let held = self.len();
        memory[..held].copy_from_slice(self.bytes());
        *self = Self { memory, start: 0, end: held };
    }

    /// Gives back what was borrowed, and keeps what is still needed in memory of about the right size.
    #[inline]
    pub fn give_back(&mut self, spares: &mut Spares) {
        if self.is_empty() {
            spares.put(std::mem::take(self).memory);
        } else if self.memory.len() == STEP {
            let (kept, held) = (self.bytes().to_vec(), self.len());
            let borrowed = std::mem::replace(self, Self { memory: kept, start: 0, end: held });
            spares.put(borrowed.memory);
        }
    }
}

#[cfg(test)]
mod tests;
