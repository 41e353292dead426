//! The protocol under every schedule that an explorer can think of, and six protocols that are
//! nearly it: each breaks one promise, and must be found.
//!
//! What is under test is the very code that heaps run; only the parcels are made up.

use harness::check::schedule::explore;
#[cfg(any(loom, shuttle))]
use harness::check::schedule::find_failure;
use harness::sync::atomic::AtomicUsize;
use harness::sync::cell::UnsafeCell;
use harness::sync::{Arc, thread};

use super::*;

/// Schedules in which a planted bug must be found.
#[cfg(any(loom, shuttle))]
const TRIES: u64 = 2_000;

/// A parcel that lives for ever.
#[derive(Clone, Copy, Debug)]
struct Letter(&'static Node);

#[derive(Debug)]
struct Node {
    below: UnsafeCell<usize>,
    contents: UnsafeCell<u32>,
}

#[expect(unsafe_code, reason = "the model shares memory as heaps do")]
mod raw {
    use super::{Letter, Node, Parcel, UnsafeCell};

    // SAFETY: that nobody reads what another writes is what the explorers look for.
    unsafe impl Sync for Node {}

    impl Letter {
        pub(super) fn new(contents: u32) -> Self {
            let node = Node { below: UnsafeCell::new(0), contents: UnsafeCell::new(contents) };
            Self(Box::leak(Box::new(node)))
        }

        /// Writes as the one who frees a block does.
        pub(super) fn write(self, contents: u32) {
            // SAFETY: the sender alone has the letter.
            self.0.contents.with_mut(|place| unsafe { *place = contents });
        }

        pub(super) fn read(self) -> u32 {
            // SAFETY: the taker alone has the letter.
            self.0.contents.with(|place| unsafe { *place })
        }

        pub(super) fn below(self) -> Option<Self> {
            // SAFETY: as above.
            let address = self.0.below.with(|place| unsafe { *place });
            Self::at(std::ptr::with_exposed_provenance_mut(address))
        }
    }

    impl Parcel for Letter {
        fn address(self) -> *mut u8 {
            let exposed = std::ptr::from_ref(self.0).expose_provenance();
            std::ptr::with_exposed_provenance_mut(exposed)
        }

        fn at(address: *mut u8) -> Option<Self> {
            let node = std::ptr::with_exposed_provenance::<Node>(address.expose_provenance());
            // SAFETY: null, or the address of a letter.
            unsafe { node.as_ref() }.map(Self)
        }

        fn set_below(self, below: Option<Self>) {
            let below = below.map_or(0, |it| it.address().expose_provenance());
            // SAFETY: the sender alone has the letter.
            self.0.below.with_mut(|place| unsafe { *place = below });
        }
    }
}

/// What a protocol must offer; the real one and the broken ones do.
trait Protocol: Send + Sync + 'static {
    fn new() -> Self;
    fn post(&self, letter: Letter) -> Posted;
    fn take(&self) -> Option<Letter>;
    fn leave(&self) -> bool;
    fn claim(&self) -> bool;
}

/// Passes on what a broken protocol does not break.
macro_rules! sound {
    ($($method:ident)*) => {$( sound!(@ $method); )*};
    (@ post) => { fn post(&self, letter: Letter) -> Posted { self.0.post(letter) } };
    (@ take) => { fn take(&self) -> Option<Letter> { self.0.take() } };
    (@ leave) => { fn leave(&self) -> bool { self.0.leave() } };
    (@ claim) => { fn claim(&self) -> bool { self.0.claim() } };
}

struct Sound(Handover<Letter>);

impl Protocol for Sound {
    fn new() -> Self {
        Self(Handover::owned())
    }
    sound!(post take leave claim);
}

/// A heap with its protocol, and what its owner alone may touch.
struct World<P> {
    protocol: P,
    owners: AtomicUsize,
    /// The sum of the contents that owners took.
    taken: UnsafeCell<u32>,
}

#[expect(unsafe_code, reason = "the model shares memory as heaps do")]
mod owned {
    use super::{Ordering, Protocol, World};

    // SAFETY: that only the owner touches the cell is what the explorers look for.
    unsafe impl<P: Protocol> Sync for World<P> {}

    impl<P: Protocol> World<P> {
        /// What the owner does: takes all letters in.
        pub(super) fn settle(&self) {
            let mut next = self.protocol.take();
            while let Some(letter) = next {
                next = letter.below();
                let contents = letter.read();
                // SAFETY: only the owner is here.
                self.taken.with_mut(|sum| unsafe { *sum += contents });
            }
        }

        pub(super) fn taken(&self) -> u32 {
            // SAFETY: only the owner is here.
            self.taken.with(|sum| unsafe { *sum })
        }

        pub(super) fn enter(&self) {
            // Relaxed: it counts, and must not order what the protocol fails to order.
            assert_eq!(self.owners.fetch_add(1, Ordering::Relaxed), 0, "two owners at once");
        }

        pub(super) fn exit(&self) {
            self.owners.fetch_sub(1, Ordering::Relaxed); // Relaxed: as above.
        }
    }
}

impl<P: Protocol> World<P> {
    fn new() -> Self {
        let world =
            Self { protocol: P::new(), owners: AtomicUsize::new(0), taken: UnsafeCell::new(0) };
        world.enter();
        world
    }

    /// Gives the heap up, as a thread does that ends.
    fn abandon(&self) {
        loop {
            self.settle();
            self.exit();
            if self.protocol.leave() {
                return;
            }
            self.enter();
        }
    }

    /// Frees a block of the heap on another thread.
    fn send(&self, contents: u32) {
        let letter = Letter::new(0);
        letter.write(contents);
        if self.protocol.post(letter) == Posted::ToOrphan && self.protocol.claim() {
            self.enter();
            self.abandon();
        }
    }

    /// Takes an orphan over, as a new thread does.
    fn adopt(&self) {
        if self.protocol.claim() {
            self.enter();
            self.abandon();
        }
    }
}

/// The owner leaves while another thread frees blocks and a third looks for an orphan. Afterwards
/// the heap is an orphan, and everything that was sent was taken in.
fn nothing_is_lost<P: Protocol>() {
    let world = Arc::new(World::<P>::new());
    let (sending, adopting) = (Arc::clone(&world), Arc::clone(&world));
    let sender = thread::spawn(move || {
        sending.send(1);
        sending.send(2);
    });
    let adopter = thread::spawn(move || adopting.adopt());
    world.settle();
    world.abandon();
    sender.join().expect("nobody panics");
    adopter.join().expect("nobody panics");
    assert!(world.protocol.claim(), "nobody left the heap");
    world.enter();
    assert_eq!(world.taken(), 3, "sent 3 in two parcels, taken {}", world.taken());
}

/// Two threads free blocks of a heap whose owner takes them in now and then.
fn senders_do_not_lose_each_other<P: Protocol>() {
    let world = Arc::new(World::<P>::new());
    let (first, second) = (Arc::clone(&world), Arc::clone(&world));
    let first = thread::spawn(move || first.send(1));
    let second = thread::spawn(move || second.send(2));
    world.settle();
    first.join().expect("nobody panics");
    second.join().expect("nobody panics");
    world.settle();
    assert_eq!(world.taken(), 3, "sent 3 in two parcels, taken {}", world.taken());
}

#[test]
fn schedules_lose_nothing() {
    explore("handover::tests::schedules_lose_nothing", nothing_is_lost::<Sound>);
}

#[test]
fn schedules_of_two_senders() {
    explore("handover::tests::schedules_of_two_senders", senders_do_not_lose_each_other::<Sound>);
}

/// Real threads need luck, so that the planted bugs are for the explorers.
#[cfg(any(loom, shuttle))]
mod planted {
    use super::*;

    /// The owner goes without looking whether something came meanwhile.
    struct LeavesParcels(Handover<Letter>);

    impl Protocol for LeavesParcels {
        fn new() -> Self {
            Self(Handover::owned())
        }
        sound!(post take claim);
        fn leave(&self) -> bool {
            self.0.word.store(ptr::without_provenance_mut(ORPHAN), Ordering::Release);
            true
        }
    }

    /// Whether there is an owner stands in a word of its own, written after the last look.
    struct TwoWords(Handover<Letter>, AtomicUsize);

    impl Protocol for TwoWords {
        fn new() -> Self {
            Self(Handover::owned(), AtomicUsize::new(0))
        }
        sound!(take);
        fn post(&self, letter: Letter) -> Posted {
            let orphan = self.1.load(Ordering::Acquire) == ORPHAN;
            self.0.post(letter);
            if orphan { Posted::ToOrphan } else { Posted::ToOwner }
        }
        fn leave(&self) -> bool {
            if self.0.has_parcels() {
                return false;
            }
            self.1.store(ORPHAN, Ordering::Release);
            true
        }
        fn claim(&self) -> bool {
            let (good, bad) = (Ordering::Acquire, Ordering::Relaxed);
            self.1.compare_exchange(ORPHAN, 0, good, bad).is_ok()
        }
    }

    /// A claim looks and then writes, as if nobody could come between.
    struct ClaimsTwice(Handover<Letter>);

    impl Protocol for ClaimsTwice {
        fn new() -> Self {
            Self(Handover::owned())
        }
        sound!(post take leave);
        fn claim(&self) -> bool {
            let seen = self.0.word.load(Ordering::Acquire);
            if is_orphan(seen) {
                self.0.word.store(without_mark(seen), Ordering::Release);
            }
            is_orphan(seen)
        }
    }

    /// A push that writes over what another pushed since it looked.
    struct PushesBlindly(Handover<Letter>);

    impl Protocol for PushesBlindly {
        fn new() -> Self {
            Self(Handover::owned())
        }
        sound!(take leave claim);
        fn post(&self, letter: Letter) -> Posted {
            let seen = self.0.word.load(Ordering::Relaxed);
            letter.set_below(Letter::at(without_mark(seen)));
            self.0.word.store(letter.address(), Ordering::Release);
            if is_orphan(seen) { Posted::ToOrphan } else { Posted::ToOwner }
        }
    }

    /// A push that publishes the parcel but not what was written to it.
    #[cfg(loom)]
    struct PostsRelaxed(Handover<Letter>);

    #[cfg(loom)]
    impl Protocol for PostsRelaxed {
        fn new() -> Self {
            Self(Handover::owned())
        }
        sound!(take leave claim);
        fn post(&self, letter: Letter) -> Posted {
            let mut seen = self.0.word.load(Ordering::Relaxed);
            loop {
                letter.set_below(Letter::at(without_mark(seen)));
                let new = letter.address().map_addr(|it| it | usize::from(is_orphan(seen)));
                let relaxed = Ordering::Relaxed;
                match self.0.word.compare_exchange(seen, new, relaxed, relaxed) {
                    Ok(_) if is_orphan(seen) => return Posted::ToOrphan,
                    Ok(_) => return Posted::ToOwner,
                    Err(found) => seen = found,
                }
            }
        }
    }

    /// An owner that does not see to it that the next one knows what it did.
    #[cfg(loom)]
    struct LeavesRelaxed(Handover<Letter>);

    #[cfg(loom)]
    impl Protocol for LeavesRelaxed {
        fn new() -> Self {
            Self(Handover::owned())
        }
        sound!(post take claim);
        fn leave(&self) -> bool {
            let (relaxed, orphan) = (Ordering::Relaxed, ptr::without_provenance_mut(ORPHAN));
            self.0.word.compare_exchange(ptr::null_mut(), orphan, relaxed, relaxed).is_ok()
        }
    }

    fn found<P: Protocol>() -> bool {
        find_failure(TRIES, nothing_is_lost::<P>).is_some()
            || find_failure(TRIES, senders_do_not_lose_each_other::<P>).is_some()
    }

    #[test]
    fn schedules_find_an_owner_that_leaves_parcels() {
        assert!(found::<LeavesParcels>());
    }

    #[test]
    fn schedules_find_the_gap_between_two_words() {
        assert!(found::<TwoWords>());
    }

    #[test]
    fn schedules_find_two_owners() {
        assert!(found::<ClaimsTwice>());
    }

    #[test]
    fn schedules_find_a_blind_push() {
        assert!(found::<PushesBlindly>());
    }

    #[cfg(loom)]
    #[test]
    fn schedules_find_a_relaxed_leave() {
        assert!(found::<LeavesRelaxed>());
    }

    #[cfg(loom)]
    #[test]
    fn schedules_find_a_relaxed_post() {
        assert!(found::<PostsRelaxed>());
    }
}
