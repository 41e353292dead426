//! The memory of a tree's nodes: they are made one after the other and never move.
//!
//! ```text
//!   index 5,000  -->  chunk 1, node 904      chunks: | 0: pages | 1: pages | 2: not yet | ...
//! ```
//!
//! A chunk is a stretch of pages of the system, which come when a node in them is first written, so
//! that nobody waits for a whole chunk; and all of them go back with the tree. An allocator would
//! keep them for what comes next, beside a cache that has taken their room by then.
#![expect(unsafe_code, reason = "pages of the system are looked at as nodes")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use env::pages::Pages;

use super::arena::pages;
use super::tree::Node;

/// Nodes of a chunk: a megabyte, for about twenty thousand keys.
const CHUNK: usize = 1 << 12;

/// Nodes by index.
#[derive(Debug)]
pub(super) struct Nodes {
    /// Invariant: the pages of a chunk have room for [`CHUNK`] nodes, and nothing else is in them.
    chunks: Box<[OnceLock<Pages>]>,
    made: AtomicUsize,
}

impl Nodes {
    /// Room for so many nodes at most.
    pub(super) fn new(most: usize) -> Self {
        let chunks = (0..most.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect();
        Self { chunks, made: AtomicUsize::new(0) }
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        // Relaxed: a size, nothing is reached through it.
        self.made.load(Ordering::Relaxed) * size_of::<Node>()
    }

    /// Makes the next node, which is empty, and tells its index. One thread at a time.
    ///
    /// # Panics
    ///
    /// Where there are as many as there may be.
    pub(super) fn make(&self) -> usize {
        // Relaxed: there is one who makes them; whoever tells readers of a node releases it.
        let index = self.made.fetch_add(1, Ordering::Relaxed);
        self.chunks[index / CHUNK].get_or_init(|| pages(CHUNK * size_of::<Node>()));
        index
    }

    /// The node of an index that [`Nodes::make`] gave.
    #[inline]
    pub(super) fn get(&self, index: usize) -> &Node {
        let chunk = self.chunks[index / CHUNK].get().expect("an index is that of a node");
        // SAFETY: a chunk has room for `CHUNK` nodes.
        let node = unsafe { chunk.base().cast::<Node>().add(index % CHUNK) };
        // SAFETY: within the chunk, and aligned since pages are. A node is made of atomics, for
        // which all zeros, as pages of the system begin, are a value, and which may be shared
        // while they are written. They are unmapped with `self`, which outlives the reference.
        unsafe { node.as_ref() }
    }
}
