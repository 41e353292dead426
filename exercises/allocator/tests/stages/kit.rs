//! What the stages' tests share: a witness of what a heap hands out.

use std::alloc::Layout;
use std::collections::BTreeMap;

use exercise_allocator::Heap;
use exercise_allocator::scaffold::{Address, Arena, WORD};
use harness::model::ShadowHeap;

pub(crate) fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("sizes are small and alignments powers of two")
}

/// One thread of a heap. Blocks are looked at before anything is written to them, signed at both
/// ends, and when they are freed the signatures must be there.
pub(crate) struct Witness<'h, H: Heap> {
    pub(crate) heap: &'h H,
    cache: Option<H::Cache>,
    shadow: ShadowHeap,
    live: BTreeMap<Address, (Layout, usize)>,
    signature: usize,
}

impl<'h, H: Heap> Witness<'h, H> {
    pub(crate) fn new(heap: &'h H, signature: usize) -> Self {
        let (shadow, live) = (ShadowHeap::new(), BTreeMap::new());
        Self { heap, cache: Some(H::Cache::default()), shadow, live, signature: signature << 32 }
    }

    pub(crate) fn cache(&mut self) -> &mut H::Cache {
        self.cache.as_mut().expect("it has not left")
    }

    /// A block, if the heap has room. The size is one of words.
    pub(crate) fn allocate(&mut self, layout: Layout) -> Option<Address> {
        let cache = self.cache.as_mut().expect("it has not left");
        let block = self.heap.allocate(cache, layout)?;
        self.note(block, layout);
        Some(block)
    }

    /// A block, for which there is room.
    pub(crate) fn demand(&mut self, layout: Layout) -> Address {
        let spans = self.heap.arena().spans();
        self.allocate(layout).unwrap_or_else(|| {
            let live = self.live.len();
            panic!("no room for {layout:?} in {spans} spans, where this thread has {live} blocks")
        })
    }

    /// So many blocks, or as many as there is room for.
    pub(crate) fn fill(&mut self, layout: Layout, most: usize) -> Vec<Address> {
        (0..most).map_while(|_| self.allocate(layout)).collect()
    }

    fn note(&mut self, block: Address, layout: Layout) {
        self.heap.arena().assert_bytes(block, layout.size());
        let is_aligned = block.is_multiple_of(layout.align());
        assert!(is_aligned, "a block at {block:#x} does not fit {layout:?}");
        if let Err(error) = self.shadow.claim(block, layout.size()) {
            panic!("a block of {layout:?}: {error}");
        }
        self.signature += 1;
        ends(block, layout).for_each(|at| self.heap.arena().set_word(at, self.signature));
        self.live.insert(block, (layout, self.signature));
    }

    /// Looks whether a block is as it was left.
    pub(crate) fn look(&self, block: Address) {
        let (layout, signature) = self.live[&block];
        for at in ends(block, layout) {
            let found = self.heap.arena().word(at);
            assert_eq!(
                found, signature,
                "somebody wrote to {at:#x} in the block {block:#x} of {layout:?}, which is in use"
            );
        }
    }

    /// Forgets a block, which is somebody else's from now on.
    pub(crate) fn hand_over(&mut self, block: Address) -> Layout {
        self.look(block);
        self.shadow.release(block).expect("it is live");
        self.live.remove(&block).expect("it is live").0
    }

    pub(crate) fn free(&mut self, block: Address) {
        let layout = self.hand_over(block);
        self.free_of_another(block, layout);
    }

    #[cfg(not(shuttle))]
    pub(crate) fn look_at(&self, blocks: &[Address]) {
        for block in blocks {
            self.look(*block);
        }
    }

    pub(crate) fn free_each(&mut self, blocks: impl IntoIterator<Item = Address>) {
        for block in blocks {
            self.free(block);
        }
    }

    /// Frees a block that another thread allocated.
    pub(crate) fn free_of_another(&mut self, block: Address, layout: Layout) {
        self.heap.free(self.cache.as_mut().expect("it has not left"), block, layout);
    }

    pub(crate) fn free_all(&mut self) {
        let live: Vec<_> = self.live.keys().copied().collect();
        self.free_each(live);
    }

    /// Resizes a block; where it is then.
    #[cfg(not(shuttle))]
    pub(crate) fn resize(&mut self, block: Address, size: usize) -> Address {
        self.look(block);
        let (layout, signature) = self.live.remove(&block).expect("it is live");
        self.shadow.release(block).expect("it is live");
        let cache = self.cache.as_mut().expect("it has not left");
        let place = self.heap.resize(cache, block, layout, size);
        let place = place.unwrap_or_else(|| panic!("no room for {size} bytes"));
        let kept = self.heap.arena().word(place);
        assert_eq!(kept, signature, "the first word of {layout:?} is lost in {size} bytes");
        self.note(place, self::layout(size, layout.align()));
        place
    }

    /// Ends as a thread does.
    pub(crate) fn leave(mut self) {
        self.free_all();
    }
}

impl<H: Heap> Drop for Witness<'_, H> {
    fn drop(&mut self) {
        if let Some(cache) = self.cache.take()
            && !std::thread::panicking()
        {
            self.heap.leave(cache);
        }
    }
}

/// The first word of a block, and the last.
fn ends(block: Address, layout: Layout) -> impl Iterator<Item = Address> {
    let whole = layout.size() / WORD;
    let words = [0, whole.saturating_sub(1)];
    words.into_iter().take(whole.min(2)).map(move |word| block + word * WORD)
}

/// A heap in an arena of so many spans.
pub(crate) fn heap<H: Heap>(spans: usize) -> H {
    H::new(Arena::new(spans))
}
