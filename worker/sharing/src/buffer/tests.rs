//! Buffers that share spare memory, against plain vectors of bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What happens to one of three connections. Only one that has borrowed reads or gives back.
#[derive(Debug, Clone, Copy)]
enum Deed {
    /// So many bytes come, of which at most so many are read.
    Read(usize, usize),
    Use(usize),
    UseBehind(usize, usize),
    Borrow,
    GiveBack,
}

fn deed() -> impl Strategy<Value = Deed> {
    let size = || prop_oneof![4 => 1..300_usize, 1 => 1..2 * STEP];
    prop_oneof![
        6 => (size(), size()).prop_map(|(come, most)| Deed::Read(come, most)),
        3 => size().prop_map(Deed::Use),
        2 => (size(), size()).prop_map(|(kept, count)| Deed::UseBehind(kept, count)),
        4 => Just(Deed::Borrow),
        4 => Just(Deed::GiveBack),
    ]
}

/// Bytes that differ from place to place.
struct Source {
    next: u8,
    left: usize,
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.left.min(into.len());
        for byte in &mut into[..count] {
            *byte = self.next;
            self.next = self.next.wrapping_mul(5).wrapping_add(3);
        }
        self.left -= count;
        Ok(count)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_buffer_holds_what_came_and_was_not_used(deeds in vec((0..3_usize, deed()), 0..60)) {
        let mut spares = Spares::new(2);
        let mut buffers = [1, 2, 3].map(|next| (Buffer::default(), Vec::new(), Source { next, left: 0 }));
        let mut borrowed = [false; 3];
        for (which, deed) in deeds {
            let (buffer, model, source) = &mut buffers[which];
            let may = match deed {
                Deed::Read(..) | Deed::GiveBack => borrowed[which],
                Deed::Borrow | Deed::Use(_) | Deed::UseBehind(..) => true,
            };
            match deed {
                _ if !may => continue,
                Deed::Read(come, most) => {
                    source.left = come;
                    let mut copy = Source { ..*source };
                    let (count, is_all) = buffer.read_from(source, most).unwrap();
                    prop_assert!(count > 0 && count <= most.min(come));
                    // It may be told that more is waiting where none is, and never the other way round.
                    prop_assert!(!is_all || source.left == 0);
                    let mut bytes = vec![0; count];
                    prop_assert_eq!(copy.read(&mut bytes).unwrap(), count);
                    model.append(&mut bytes);
                }
                Deed::Use(count) => {
                    buffer.used(count);
                    model.drain(..count.min(model.len()));
                }
                Deed::UseBehind(kept, count) => {
                    let kept = kept.min(model.len());
                    buffer.used_behind(kept, count);
                    model.drain(kept..model.len().min(kept.saturating_add(count)));
                }
                Deed::Borrow => {
                    borrowed[which] = true;
                    buffer.borrow(&mut spares);
                    prop_assert!(buffer.memory.len() >= STEP);
                }
                Deed::GiveBack => {
                    borrowed[which] = false;
                    buffer.give_back(&mut spares);
                    prop_assert!(!buffer.is_empty() || buffer.memory.is_empty(), "an idle connection holds memory");
                }
            }
            prop_assert!(spares.memory.len() <= 2, "more is kept than was to be");
            prop_assert!(spares.memory.iter().all(|piece| piece.len() == STEP), "a spare piece has another size");
            for (buffer, model, _) in &buffers {
                prop_assert_eq!(buffer.bytes(), &**model);
                prop_assert_eq!((buffer.len(), buffer.is_empty()), (model.len(), model.is_empty()));
            }
        }
    }
}

#[test]
fn an_idle_connection_holds_no_memory_and_the_spare_goes_round() {
    let (mut spares, mut memory) = (Spares::new(1), Vec::new());
    let mut buffers = [Buffer::default(), Buffer::default()];
    for round in 0..4 {
        let buffer = &mut buffers[round % 2];
        buffer.borrow(&mut spares);
        memory.push(buffer.memory.as_ptr());
        assert_eq!(buffer.read_from(&mut &b"GET / HTTP/1.1"[..], 100).unwrap(), (14, true));
        buffer.used(14);
        buffer.give_back(&mut spares);
        assert_eq!(buffer.memory.capacity(), 0);
    }
    memory.dedup();
    assert_eq!((memory.len(), spares.memory.len()), (1, 1));
}

#[test]
fn what_is_still_needed_is_kept_in_memory_of_its_size() {
    let (mut spares, mut buffer) = (Spares::new(1), Buffer::default());
    buffer.borrow(&mut spares);
    buffer.read_from(&mut &[b'a'; 1_000][..], STEP).unwrap();
    buffer.used(100);
    buffer.give_back(&mut spares);
    assert_eq!((buffer.bytes(), buffer.memory.len()), (&[b'a'; 900][..], 900));
}

#[test]
fn what_has_grown_stays_where_it_is_until_all_is_used() {
    let (mut spares, mut buffer) = (Spares::new(1), Buffer::default());
    let bytes = vec![b'a'; 5 * STEP];
    let mut source = &*bytes;
    buffer.borrow(&mut spares);
    buffer.read_from(&mut source, usize::MAX).unwrap();
    buffer.read_from(&mut source, usize::MAX).unwrap();
    let memory = buffer.memory.as_ptr();
    for _ in 0..3 {
        buffer.give_back(&mut spares);
        buffer.borrow(&mut spares);
        assert_eq!((buffer.memory.as_ptr(), buffer.len()), (memory, 2 * STEP));
    }
}

#[test]
fn those_that_took_spares_into_the_application_leave_others_some_and_no_more_are_kept_than_were_to_be() {
    let mut spares = Spares::new(2);
    let mut buffers = [(); 3].map(|()| Buffer::default());
    for buffer in &mut buffers {
        buffer.borrow(&mut spares);
        assert_eq!(buffer.memory.len(), STEP);
    }
    for buffer in &mut buffers {
        buffer.give_back(&mut spares);
        assert_eq!(buffer.memory.capacity(), 0);
    }
    assert_eq!(spares.memory.len(), 2);
}

#[test]
fn one_large_head_does_not_make_a_spare_large_for_ever() {
    let (mut spares, mut buffer) = (Spares::new(1), Buffer::default());
    buffer.borrow(&mut spares);
    let bytes = vec![b'a'; 5 * STEP];
    let mut source = &*bytes;
    while !source.is_empty() {
        buffer.read_from(&mut source, usize::MAX).unwrap();
    }
    assert_eq!(buffer.bytes(), bytes);
    buffer.used(bytes.len());
    buffer.give_back(&mut spares);
    let piece = &spares.memory[0];
    assert_eq!((piece.len(), piece.capacity()), (STEP, STEP));
}

#[test]
fn a_read_that_fails_changes_nothing() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let mut buffer = Buffer::default();
    buffer.read_from(&mut &b"abc"[..], 10).unwrap();
    assert_eq!(buffer.read_from(&mut Broken, 10).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(buffer.bytes(), b"abc");
}
