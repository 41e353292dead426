//! The mode as a whole: a model of what is out, driven by random requests from several threads'
//! worth of owners. What it must end the process for is in `tests/misuse.rs`, in child processes.

#![expect(unsafe_code, reason = "blocks are used by address")]

use std::alloc::Layout;
use std::ptr::NonNull;

use harness::model::ShadowHeap;
use proptest::prelude::*;

use super::{Owner, allocate, destroy, free, reallocate, usable_size};

#[derive(Clone, Debug)]
enum Request {
    Allocate { size: usize, align: usize, own: bool },
    Free { block: usize },
    Resize { block: usize, size: usize },
}

#[derive(Clone, Copy, Debug)]
struct Live {
    start: NonNull<u8>,
    layout: Layout,
    own: bool,
    tag: u8,
}

impl Live {
    fn bytes(&mut self, size: usize) -> &mut [u8] {
        // SAFETY: the block is out, at least that long, and ours.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), size) }
    }
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0_usize..600, 2 => 600_usize..65_600, 1 => 65_600_usize..400_000]
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let align = prop_oneof![6 => Just(0_u32), 2 => 0_u32..13, 1 => 13_u32..17];
    let request = prop_oneof![
        5 => (size(), align, any::<bool>())
            .prop_map(|(size, align, own)| Request::Allocate { size, align: 1 << align, own }),
        4 => any::<usize>().prop_map(|block| Request::Free { block }),
        1 => (any::<usize>(), size()).prop_map(|(block, size)| Request::Resize { block, size }),
    ];
    prop::collection::vec(request, 1..400)
}

/// A heap of its own, and all blocks that are out.
struct Run {
    owner: Owner,
    live: Vec<Live>,
    shadow: ShadowHeap,
    tag: u8,
}

impl Run {
    fn follow(&mut self, request: &Request) -> Result<(), TestCaseError> {
        match *request {
            Request::Allocate { size, align, own } => {
                let owner = if own { self.owner } else { Owner::COMMON };
                let start = NonNull::new(allocate(size, align, owner)).expect("there is memory");
                self.tag = self.tag % 250 + 1;
                let layout = Layout::from_size_align(size, align).expect("a small block");
                let mut live = Live { start, layout, own, tag: self.tag };
                self.claim(live)?;
                prop_assert!(
                    live.bytes(size).iter().all(|byte| *byte == 0),
                    "{live:?} is not zero"
                );
                live.bytes(size).fill(self.tag);
                self.live.push(live);
            }
            Request::Free { block } => {
                if let Some(live) = self.take(block) {
                    free(live.start, Some(live.layout));
                }
            }
            Request::Resize { block, size } => self.resize(block, size)?,
        }
        Ok(())
    }

    fn claim(&mut self, live: Live) -> Result<(), TestCaseError> {
        let (address, size) = (live.start.addr().get(), live.layout.size());
        prop_assert!(address.is_multiple_of(live.layout.align()), "{live:?} is not aligned");
        prop_assert_eq!(usable_size(live.start), size);
        let claimed = self.shadow.claim(address, size.max(1));
        prop_assert!(claimed.is_ok(), "{live:?}: {claimed:?}");
        Ok(())
    }

    fn take(&mut self, block: usize) -> Option<Live> {
        let count = self.live.len();
        let mut live = (count > 0).then(|| self.live.swap_remove(block % count))?;
        self.shadow.release(live.start.addr().get()).expect("it is out");
        let tag = live.tag;
        assert!(live.bytes(live.layout.size()).iter().all(|it| *it == tag), "{live:?} is lost");
        Some(live)
    }

    fn resize(&mut self, block: usize, size: usize) -> Result<(), TestCaseError> {
        let Some(old) = self.take(block) else { return Ok(()) };
        let start = reallocate(old.start, Some(old.layout), size);
        let start = NonNull::new(start).expect("there is memory");
        let layout = Layout::from_size_align(size, old.layout.align()).expect("a small block");
        let mut live = Live { start, layout, ..old };
        self.claim(live)?;
        let (kept, tag) = (size.min(old.layout.size()), live.tag);
        prop_assert!(live.bytes(kept).iter().all(|byte| *byte == tag), "{old:?} to {live:?}");
        prop_assert!(live.bytes(size)[kept..].iter().all(|byte| *byte == 0), "{live:?} grew");
        live.bytes(size).fill(tag);
        self.live.push(live);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn blocks_match_the_model(requests in requests()) {
        crate::local::set_up(&crate::Options::new());
        let live = Vec::new();
        let mut run = Run { owner: Owner::fresh(), live, shadow: ShadowHeap::default(), tag: 0 };
        requests.iter().try_for_each(|request| run.follow(request))?;
        super::collect();
        run.live.retain(|live| !live.own);
        destroy(run.owner);
        run.live.iter().for_each(|live| free(live.start, Some(live.layout)));
    }
}

#[test]
fn threads_share_the_classes() {
    crate::local::set_up(&crate::Options::new());
    std::thread::scope(|scope| {
        for thread in 0..3_usize {
            scope.spawn(move || {
                let layout = |turn: usize| {
                    Layout::from_size_align(turn * 37 % 3_000 + thread, 8).expect("small")
                };
                let make = |turn| {
                    let layout = layout(turn);
                    let start = allocate(layout.size(), layout.align(), Owner::COMMON);
                    (NonNull::new(start).expect("there is memory"), layout)
                };
                for round in 0..20 {
                    let blocks: Vec<_> = (round..round + 200).map(make).collect();
                    for (start, layout) in blocks {
                        free(start, Some(layout));
                    }
                }
            });
        }
    });
}
