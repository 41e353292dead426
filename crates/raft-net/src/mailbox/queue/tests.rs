use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use raft::{GroupId, Index};
use tokio::sync::oneshot;

use super::{Event, KEPT_MAX, Queue, Refused};

/// An event that tells its number.
fn numbered(number: u64) -> Event {
    Event::Compacted(GroupId(0), Index(number))
}

fn number(event: &Event) -> u64 {
    match event {
        Event::Compacted(_, Index(number)) => *number,
        _ => panic!("only numbered events are put in"),
    }
}

/// What waits weighs until it is dealt with; what weighs nothing is never refused.
#[test]
fn what_weighs_too_much_is_refused_until_it_is_dealt_with() {
    let (queue, mut taken) = (Queue::default(), VecDeque::new());
    assert_eq!(queue.put(numbered(1), 60, 100), Ok(1));
    assert_eq!(queue.put(numbered(2), 60, 100), Ok(2), "less than the limit waited");
    assert_eq!(queue.put(numbered(3), 1, 100), Err(Refused::Full));
    assert_eq!(queue.put(numbered(4), 0, 100), Ok(3), "the node's own events matter all");
    let weight = queue.take_into(&mut taken);
    assert_eq!(taken.iter().map(number).collect::<Vec<_>>(), [1, 2, 4], "in their order");
    assert_eq!(queue.put(numbered(5), 1, 100), Err(Refused::Full), "all of it is still held");
    queue.note_done(weight);
    assert_eq!(queue.put(numbered(6), 60, 100), Ok(4), "nothing is held any more");
    taken.clear();
    let later = queue.take_into(&mut taken);
    assert_eq!(queue.put(numbered(7), 60, 100), Ok(5));
    assert_eq!(queue.put(numbered(8), 1, 100), Err(Refused::Full), "taken and waiting together");
    queue.note_done(later);
    assert_eq!(queue.put(numbered(9), 1, 100), Ok(6), "what waits weighs 60");
    assert_eq!(queue.put_in(), 6);
}

/// Whoever waits for an answer to what was put in hears that there will be none.
#[test]
fn a_closed_queue_drops_what_waits_and_takes_no_more() {
    let queue = Queue::default();
    let (reply, mut answer) = oneshot::channel();
    assert_eq!(queue.put(Event::Groups(reply), 0, 100), Ok(1));
    queue.close();
    assert_eq!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    assert_eq!(queue.put(numbered(2), 0, 100), Err(Refused::Closed));
}

/// A queue that was once long does not keep its room.
#[test]
fn room_is_given_back_after_a_crowd() {
    let (queue, mut taken) = (Queue::default(), VecDeque::new());
    for number in 0..=KEPT_MAX as u64 {
        assert!(queue.put(numbered(number), 0, 1).is_ok());
    }
    queue.take_into(&mut taken);
    assert!(taken.capacity() > KEPT_MAX);
    taken.clear();
    queue.take_into(&mut taken);
    queue.take_into(&mut taken);
    assert!(taken.capacity() <= KEPT_MAX, "room for {} events is kept", taken.capacity());
}

/// Of events of several threads each comes once, and those of one thread in its order.
#[test]
fn nothing_is_lost_between_threads() {
    const EACH: u64 = 10_000;
    let (queue, done) = (Queue::default(), AtomicBool::new(false));
    let mut next = [0; 2];
    thread::scope(|scope| {
        let putters = [0, 1].map(|thread| {
            let queue = &queue;
            scope.spawn(move || {
                for at in 0..EACH {
                    assert!(queue.put(numbered(2 * at + thread), 0, 1).is_ok());
                }
            })
        });
        let taker = scope.spawn(|| {
            let mut taken = VecDeque::new();
            loop {
                // Acquire: what was put in before the end is seen.
                let is_over = done.load(Ordering::Acquire);
                queue.take_into(&mut taken);
                if taken.is_empty() && is_over {
                    return;
                }
                for event in taken.drain(..) {
                    let (at, thread) = (number(&event) / 2, number(&event) % 2);
                    let next = &mut next[usize::from(thread == 1)];
                    assert_eq!(at, *next, "of thread {thread}");
                    *next += 1;
                }
            }
        });
        for putter in putters {
            putter.join().expect("putting does not panic");
        }
        done.store(true, Ordering::Release);
        taker.join().expect("everything came in order");
    });
    assert_eq!((next, queue.put_in()), ([EACH; 2], 2 * EACH));
}
