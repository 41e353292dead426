//! Empty slabs that keep their pages for a while.
//!
//! ```text
//!   loses its last block --> | queue | --pushed out, and still empty--> gives its pages back
//! ```
//!
//! Without the queue, a program with a single block that it frees and allocates again and again
//! would ask the system twice each time: the slots that wait in quarantine spread that one block
//! over several slabs, each of which is empty most of the time. So the queue is as long as all that
//! waits has slabs, and a little longer. That bounds the memory as well: six slabs a class.

use super::plan::{slab_size, slot_size};
use super::quarantine::Quarantine;

/// The most slabs of a queue.
const MOST: usize = 6;

/// The queue of a class. Slabs are known by number; a place holds the number and one.
#[derive(Debug)]
pub(super) struct Idle {
    queue: [u32; MOST],
    oldest: usize,
    length: usize,
}

impl Idle {
    pub(super) const fn new(class: usize) -> Self {
        let waiting = Quarantine::most(slot_size(class)) * slot_size(class);
        let length = waiting.div_ceil(slab_size(class)) + 2;
        assert!(length <= MOST, "what waits fills few slabs");
        Self { queue: [0; MOST], oldest: 0, length }
    }

    /// Takes a slab in that is not in the queue; returns the one that it pushes out.
    pub(super) fn push(&mut self, slab: u32) -> Option<u32> {
        let out = std::mem::replace(&mut self.queue[self.oldest], slab + 1);
        self.oldest = (self.oldest + 1) % self.length;
        out.checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::{Idle, MOST};
    use crate::secure::plan::ALL;

    #[test]
    fn slabs_leave_in_the_order_they_came() {
        for class in 0..ALL {
            let mut idle = Idle::new(class);
            let out: Vec<u32> = (0..100).filter_map(|slab| idle.push(slab)).collect();
            assert!(out.iter().copied().eq(0..100 - u32::try_from(idle.length).expect("small")));
            assert!(idle.length <= MOST);
        }
    }
}
