//! A general-purpose memory allocator: small, fast, and honest about the memory it keeps.
//!
//! ```text
//!             thread A                                   thread B
//!   alloc -> heap: class -> slab -> block       free -> is its slab mine?
//!              |     ^                             yes: onto the slab's list
//!              |     '---- parcels of blocks <---- no:  into a parcel for A
//!              v
//!            pool: segments of 64 MiB in slices of 64 KiB, one lock
//!              |     ^
//!              v     '---- purged after a while without use
//!            system
//! ```
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: allocator::Strata = allocator::Strata::new();
//!
//! let text = String::from("on the heap of this thread");
//! assert!(ALLOCATOR.stats().live >= text.len());
//! ```
//!
//! # The path of a block
//!
//! An allocation finds the heap of its thread in one word of thread-local memory (`local`), in it
//! the current slab of its size class (`size_class`, `heap`), and takes the first block of the
//! slab's list. A free finds the slab by the block's address (`segment`), compares its owner with
//! the heap of the thread, and puts the block onto the list. All else is a slow path.
//!
//! A block of another thread goes into a parcel, and parcels are posted to the heap that owns the
//! slab, but for those that the thread needs itself. The protocol for that, and for heaps whose
//! thread ends, is one word, and explored under loom and shuttle (`handover`).
//!
//! Slabs and large blocks are made of slices from a pool (`pool`), which gives back to the system
//! what has been free for a while, and asks for huge pages once much is in use.
//!
//! # Heap profile
//!
//! `STRATA_ALLOC_PROFILE=heap.pb` samples one in 512 KiB and writes at exit what each call stack
//! allocated and holds, for `pprof`; [`Strata::profile`] does so at any time (`profile`).
//!
//! # Secure mode
//!
//! Built with the feature `secure`, the allocator keeps what it knows of blocks out of their reach,
//! wipes and quarantines what is freed, puts guards between slabs, and ends a process that misuses
//! a block with a message that names it (`secure`). `STRATA_ALLOC_SECURE=0` turns that off again.
//!
//! # Under valgrind
//!
//! Built with the feature `valgrind`, the allocator tells memcheck of its blocks (`valgrind`),
//! which then finds what it finds under any `malloc`. Without valgrind such a program runs as ever,
//! a little slower.
//!
//! # Limits
//!
//! - Alignments above 32 MiB are refused: null.
//! - Sizes above 64 bytes are rounded up by less than an eighth of the block.
//! - Blocks of at most 128 slabs that a thread freed for others wait in its parcels until it runs
//!   out of blocks of some class, frees enough, calls [`Strata::collect`], or ends; parcels for a
//!   thread that makes no allocation wait until it does. One parcel a class up to 1 KiB, of at most
//!   16 KiB, stays with a thread that makes such blocks itself, until it uses these, collects or
//!   ends.
//! - A heap keeps up to 512 KiB of empty slabs and 4 MiB of large blocks for reuse.
//! - In the child of a `fork`, the blocks of the parent's other threads can be used and freed, but
//!   their memory is not used again.
//! - An idle process gives back what is free within one and a half decay times (three seconds at
//!   the default), but for what heaps
//!   keep; a thread does that, which runs only while more than 1 MiB was free and dirty.

#![cfg_attr(
    any(loom, shuttle),
    expect(dead_code, reason = "not all of it is explored: see `sync`")
)]

mod abort;
mod bitmap;
mod block;
#[cfg(not(any(loom, shuttle)))]
mod environment;
#[cfg(not(any(loom, shuttle)))]
mod fork;
#[cfg(not(any(loom, shuttle)))]
mod global;
mod handover;
mod heap;
#[cfg(not(any(loom, shuttle)))]
mod local;
#[cfg(any(loom, shuttle))]
#[path = "local_explored.rs"]
mod local;
mod lock;
#[cfg(not(any(loom, shuttle)))]
mod object;
mod options;
mod os;
mod planted;
mod pool;
mod profile;
mod purger;
#[cfg(all(feature = "secure", not(any(loom, shuttle))))]
mod secure;
#[cfg(all(not(feature = "secure"), not(any(loom, shuttle))))]
mod secure_absent;
mod segment;
mod size_class;
mod slab;
#[cfg(not(any(loom, shuttle)))]
mod stats;
mod sync;
mod valgrind;
mod world;

#[cfg(not(any(loom, shuttle)))]
pub use global::Strata;
#[cfg(not(any(loom, shuttle)))]
pub use object::Heap;
pub use options::Options;
pub use profile::Profile;
#[cfg(all(not(feature = "secure"), not(any(loom, shuttle))))]
use secure_absent as secure;
#[cfg(not(any(loom, shuttle)))]
pub use stats::Stats;

#[cfg(test)]
mod schedules;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
