//! What all stages stand on and what is the point of none of them: given, to be used as it is.
//!
//! | for stages | what                                                                          |
//! |------------|-------------------------------------------------------------------------------|
//! | all        | [`Arena`]: the memory, by words; [`Address`]; [`NONE`], the end of a list      |
//! | 3 to 7     | [`SPAN`]; [`Runs`]: which are free; [`spans_of`] a layout; [`List`] of blocks  |
//! | 5 to 7     | [`Span`]: what is known of one                                                |
//! | 6 and 7    | [`Age`]: how long one has been free                                           |
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
mod spans;

pub use arena::{ALIGN_MAX, Address, Arena, GRANULE, NONE, SPAN, WORD};
pub use runs::Runs;
pub use spans::{Age, List, Span};

/// How many spans a large block has, and of how many its first is to be a multiple.
pub fn spans_of(layout: Layout) -> (usize, usize) {
    (layout.size().div_ceil(SPAN), layout.align().div_ceil(SPAN))
}

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
