//! Tests of the pool. A thread of its own for each, since a thread's shelves outlive a test.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::thread;

use super::*;

fn in_thread(test: impl FnOnce() + Send + 'static) {
    thread::spawn(test).join().expect("the test passes");
}

#[test]
fn last_freed_is_first_handed_out() {
    in_thread(|| {
        let layout = Layout::new::<[u64; 3]>();
        let pieces = [allocate(layout), allocate(layout)];
        for piece in pieces {
            // SAFETY: just allocated with this layout.
            unsafe { free(piece, layout) };
        }
        assert_eq!([allocate(layout), allocate(layout)], [pieces[1], pieces[0]]);
        for piece in pieces {
            // SAFETY: as above.
            unsafe { free(piece, layout) };
        }
    });
}

/// Pieces are apart and keep what is written, over several slabs and every size.
#[test]
fn pieces_do_not_overlap() {
    in_thread(|| {
        for words in 1..=WORDS_MAX + 2 {
            let layout = Layout::array::<u64>(words).unwrap();
            let pieces: Vec<_> = (0..10_000_u64)
                .map(|number| {
                    let piece = allocate(layout).cast::<u64>();
                    for word in 0..words {
                        // SAFETY: within the piece.
                        let place = unsafe { piece.add(word) };
                        // SAFETY: ours.
                        unsafe { place.write(number) };
                    }
                    piece
                })
                .collect();
            assert_eq!(pieces.iter().collect::<HashSet<_>>().len(), pieces.len());
            for (piece, number) in pieces.into_iter().zip(0..) {
                for word in 0..words {
                    // SAFETY: within the piece.
                    let place = unsafe { piece.add(word) };
                    // SAFETY: written above.
                    assert_eq!(unsafe { place.read() }, number);
                }
                // SAFETY: allocated above with this layout.
                unsafe { free(piece.cast(), layout) };
            }
        }
    });
}

/// What is given up at once is counted back to the slab that it is from.
#[test]
fn returned_pieces_are_counted_by_slab() {
    in_thread(|| {
        let layout = Layout::new::<[u64; 6]>();
        let slab_of = |piece: &NonNull<u8>| piece.addr().get() / SLAB_BYTES;
        let in_slab = (SLAB_BYTES - SLAB_HEAD) / layout.size();
        let mut pieces: Vec<_> = (0..4 * in_slab).map(|_| allocate(layout)).collect();
        // As the entries of a map: not slab by slab.
        let middle = pieces.len() / 2;
        let (first, second) = pieces.split_at_mut(middle);
        first.iter_mut().zip(second).step_by(2).for_each(|(one, other)| mem::swap(one, other));
        let mut kept = HashMap::new();
        let mut returns = Returns::new(layout);
        for piece in pieces {
            match kept.entry(slab_of(&piece)) {
                Entry::Vacant(entry) => drop(entry.insert(piece)),
                // SAFETY: allocated above with this layout.
                Entry::Occupied(_) => unsafe { returns.add(piece) },
            }
        }
        drop(returns);
        let live = |piece: &NonNull<u8>| {
            let slab = piece.as_ptr().map_addr(|address| address & !(SLAB_BYTES - 1));
            #[expect(clippy::cast_ptr_alignment, reason = "a slab is aligned to its size")]
            // SAFETY: the head of a slab, of which a piece is not given back.
            let live = unsafe { &*slab.cast::<AtomicUsize>() };
            // Relaxed: nobody else has pieces of this slab.
            live.load(Ordering::Relaxed)
        };
        assert!(kept.len() >= 4);
        let full = kept.values().filter(|piece| live(piece) == 1).count();
        assert!(full >= 3, "of all slabs but the first and the last, one piece is left: {full}");
        for piece in kept.into_values() {
            // SAFETY: allocated above with this layout.
            unsafe { free(piece, layout) };
        }
    });
}

/// One thread allocates, another frees, for ever: what the second keeps comes back to the first.
#[test]
fn magazines_travel_between_threads() {
    let layout = Layout::new::<[u64; 5]>();
    let mut addresses = HashSet::new();
    for _ in 0..50 {
        let pieces: Vec<usize> = thread::spawn(move || {
            (0..5_000).map(|_| allocate(layout).as_ptr().expose_provenance()).collect()
        })
        .join()
        .unwrap();
        addresses.extend(pieces.iter().copied());
        in_thread(move || {
            for address in pieces {
                let piece = NonNull::new(ptr::with_exposed_provenance_mut(address)).unwrap();
                // SAFETY: allocated above with this layout, and given to this thread.
                unsafe { free(piece, layout) };
            }
        });
    }
    assert!(addresses.len() < 50 * 5_000 / 4, "{} different pieces", addresses.len());
}
