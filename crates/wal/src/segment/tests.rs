//! Which bytes of a file are written when.

use std::path::Path;
use std::sync::{Arc, Mutex};

use env::fs::Mapped;

use super::*;

const LEN: u32 = 2 * FILLED + 1_000;

/// A file that only notes which ranges are written.
#[derive(Clone, Debug, Default)]
struct Noted(Arc<Mutex<Vec<(u64, usize)>>>);

impl Noted {
    fn take(&self) -> Vec<(u64, usize)> {
        std::mem::take(&mut self.0.lock().expect("one thread"))
    }
}

impl File for Noted {
    fn path(&self) -> &Path {
        Path::new("/noted")
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> env::fs::Result<usize> {
        unreachable!("a segment is not read by who writes it")
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> env::fs::Result<usize> {
        self.0.lock().expect("one thread").push((offset, bytes.len()));
        Ok(bytes.len())
    }

    fn append(&self, _: &[u8]) -> env::fs::Result<()> {
        unreachable!("a segment has its length")
    }

    fn sync_data(&self) -> env::fs::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> env::fs::Result<()> {
        Ok(())
    }

    fn set_len(&self, _: u64) -> env::fs::Result<()> {
        Ok(())
    }

    fn size(&self) -> env::fs::Result<u64> {
        Ok(u64::from(LEN))
    }

    fn preallocate(&self, _: u64) -> env::fs::Result<()> {
        Ok(())
    }

    fn map(&self, _: usize) -> env::fs::Result<Box<dyn Mapped>> {
        unreachable!("it is written by calls")
    }
}

/// A segment whose bytes before `filled` were written, and what is written of it from now on.
fn opened(filled: u32) -> (Segment, Noted) {
    let noted = Noted::default();
    let segment = Segment::open(Box::new(noted.clone()), 1, filled, Backend::Written);
    (segment.expect("a length is all that it asks for"), noted)
}

fn write(segment: &Segment, at: u32, len: usize) {
    // SAFETY: there is one thread.
    unsafe { segment.write(at, &[1; 16], [&[1; 4], &vec![1; len - 20]]) }.expect("it cannot fail");
}

/// The first record in a piece fills it, and the others are written as they are.
#[test]
fn a_fresh_segment_is_filled_a_piece_ahead() {
    let (segment, noted) = opened(0);
    let piece = u64::from(FILLED);
    write(&segment, 32, 100);
    assert_eq!(noted.take(), [(32, FILLED as usize - 32)]);
    write(&segment, 132, 100);
    write(&segment, FILLED - 100, 100);
    assert_eq!(noted.take(), [(132, 100), (piece - 100, 100)], "up to its very end");
    write(&segment, FILLED, 100);
    assert_eq!(noted.take(), [(piece, FILLED as usize)]);
    write(&segment, 2 * FILLED - 50, 100);
    assert_eq!(noted.take(), [(2 * piece - 50, 1_050)], "the last one ends with the segment");
    write(&segment, LEN - 100, 100);
    assert_eq!(noted.take(), [(u64::from(LEN) - 100, 100)]);
}

#[test]
fn a_record_longer_than_a_piece_is_filled_up_to_the_end_of_its_last() {
    let (segment, noted) = opened(0);
    write(&segment, 32, FILLED as usize);
    assert_eq!(noted.take(), [(32, 2 * FILLED as usize - 32)]);
}

/// What was written once is overwritten without further ado.
#[test]
fn a_recycled_segment_is_filled_nowhere() {
    let (segment, noted) = opened(u32::MAX);
    write(&segment, 32, 100);
    write(&segment, LEN - 100, 100);
    assert_eq!(noted.take(), [(32, 100), (u64::from(LEN) - 100, 100)]);
}
