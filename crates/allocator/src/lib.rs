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

#[cfg(not(any(loom, shuttle)))]
mod abort;
#[cfg(not(any(loom, shuttle)))]
mod bitmap;
#[cfg(not(any(loom, shuttle)))]
mod block;
#[cfg(not(any(loom, shuttle)))]
mod fork;
#[cfg(not(any(loom, shuttle)))]
mod global;
mod handover;
#[cfg(not(any(loom, shuttle)))]
mod heap;
#[cfg(not(any(loom, shuttle)))]
mod local;
#[cfg(not(any(loom, shuttle)))]
mod lock;
#[cfg(not(any(loom, shuttle)))]
mod options;
#[cfg(not(any(loom, shuttle)))]
mod os;
#[cfg(not(any(loom, shuttle)))]
mod pool;
#[cfg(not(any(loom, shuttle)))]
mod realloc;
#[cfg(not(any(loom, shuttle)))]
mod segment;
#[cfg(not(any(loom, shuttle)))]
mod size_class;
#[cfg(not(any(loom, shuttle)))]
mod slab;
mod sync;
#[cfg(not(any(loom, shuttle)))]
mod world;

#[cfg(not(any(loom, shuttle)))]
pub use global::Strata;
#[cfg(not(any(loom, shuttle)))]
pub use options::Options;

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
