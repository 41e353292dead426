//! What all stages stand on and what is the point of none of them: given, to be used as it is.
//!
//! | for stages | what                                                                          |
//! |------------|-------------------------------------------------------------------------------|
//! | all        | [`Arena`]: the memory, by words; [`Address`]; [`NONE`], the end of a list      |
//! | 3 to 7     | [`SPAN`]; [`Runs`]: which spans of the arena are free                          |
//! | 7          | [`moved`]: a resize that copies                                                |

use std::alloc::Layout;

use crate::Heap;

mod arena;
#[cfg(shuttle)]
#[path = "scaffold/explored.rs"]
mod memory;
#[cfg(not(shuttle))]
#[path = "scaffold/mapped.rs"]
mod memory;
mod runs;

pub use arena::{ALIGN_MAX, Address, Arena, NONE, SPAN, WORD};
pub use runs::Runs;

/// Resizes a block by way of another one.
pub fn moved<H: Heap>(
    heap: &H,
    cache: &mut H::Cache,
    block: Address,
    layout: Layout,
    size: usize,
) -> Option<Address> {
    let target = Layout::from_size_align(size, layout.align()).ok()?;
    let place = heap.allocate(cache, target)?;
    heap.arena().copy(block, place, size.min(layout.size()));
    heap.free(cache, block, layout);
    Some(place)
}
