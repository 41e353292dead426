//! Memory allocators.

use std::alloc::GlobalAlloc;

/// A general-purpose allocator, exercised through the methods of [`GlobalAlloc`].
///
/// The instance lives for the whole process: `get` hands out the same one every time.
pub trait Allocator: GlobalAlloc + Sync + 'static {
    /// Stable name: the package name, with a suffix for a variant.
    const NAME: &'static str;

    /// The allocator of this process.
    fn get() -> &'static Self;

    /// Gives back to the operating system what can be given back now. Does nothing where the
    /// allocator offers no such call.
    fn collect(&self) {}
}
