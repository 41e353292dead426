use std::sync::{Arc, Barrier};
use std::thread;

use super::{History, Operation, Recorder};

type Log = super::Log<u64, u64>;

/// Records on `threads` threads at once; each operation answers its own number plus one.
fn record(threads: usize, operations: u64) -> History<u64, u64> {
    let recorder = Recorder::new();
    let start = Arc::new(Barrier::new(threads));
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (mut log, start): (Log, _) = (recorder.log(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                for op in 0..operations {
                    assert_eq!(*log.record(op, |op| op + 1), op + 1);
                }
                log
            })
        })
        .collect();
    History::from_logs(workers.into_iter().map(|worker| worker.join().unwrap()))
}

#[test]
fn every_operation_is_kept_with_stamps_of_its_own() {
    let history = record(4, 1_000);
    assert_eq!(history.count(), 4_000);
    let mut stamps: Vec<u64> =
        history.operations().iter().flat_map(|it| [it.invoked, it.returned()]).collect();
    stamps.sort_unstable();
    assert_eq!(stamps, (0..8_000).collect::<Vec<_>>(), "each stamp is drawn once");
}

#[test]
fn each_thread_is_sequential_and_in_its_own_order() {
    let history = record(4, 1_000);
    for thread in 0..4 {
        let mine: Vec<_> = history.operations().iter().filter(|it| it.thread == thread).collect();
        assert_eq!(mine.len(), 1_000);
        for pair in mine.windows(2) {
            assert!(pair[0].precedes(pair[1]), "{pair:?} overlap in one thread");
            assert_eq!(pair[0].op + 1, pair[1].op, "the order of thread {thread} is lost");
        }
    }
}

#[test]
fn order_that_a_thread_knows_of_is_in_the_stamps() {
    // One operation ends before the other thread is even told to begin its own.
    let recorder = Recorder::new();
    let (mut first, mut second): (Log, Log) = (recorder.log(), recorder.log());
    let first = thread::spawn(move || {
        first.record(1, |_| 0);
        first
    });
    let first = first.join().unwrap();
    second.record(2, |_| 0);
    let history = History::from_logs([second, first]);
    let [one, two] = history.operations() else { panic!("{history}") };
    assert_eq!((one.op, two.op), (1, 2));
    assert!(one.precedes(two) && !two.precedes(one));
}

#[test]
fn call_without_return_stays_pending() {
    let recorder = Recorder::new();
    let mut log: Log = recorder.log();
    let lost = log.invoke(1);
    let late = log.invoke(2);
    log.record(3, |_| 30);
    log.respond(late, 20);
    drop(lost);
    let history = History::from_logs([log]);
    let answers: Vec<_> =
        history.operations().iter().map(|it| it.response.as_ref().map(|it| it.ret)).collect();
    assert_eq!(answers, [None, Some(20), Some(30)]);
    assert!(history.operations()[0].returned() == u64::MAX, "it may take effect at any time");
}

#[test]
fn operation_that_panics_stays_pending() {
    let recorder = Recorder::new();
    let mut log: Log = recorder.log();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        log.record(1, |_| panic!("the operation fails"));
    }));
    assert!(outcome.is_err());
    let history = History::from_logs([log]);
    assert_eq!(history.count(), 1);
    assert!(history.operations()[0].response.is_none());
}

#[test]
#[should_panic(expected = "a call returns to the log that made it")]
fn return_to_another_log_is_refused() {
    let recorder = Recorder::new();
    let (mut mine, mut other): (Log, Log) = (recorder.log(), recorder.log());
    let call = mine.invoke(1);
    drop(other.invoke(1));
    other.respond(call, 2);
}

#[test]
#[should_panic(expected = "called at 5, but returned at 5")]
fn operation_that_takes_no_time_is_refused() {
    drop(History::from_operations([Operation::done(0, 5..5, 1, 1)]));
}

#[test]
fn parts_by_key_keep_order_and_stamps() {
    let history = History::from_operations([
        Operation::done(0, 4..5, 21, 0),
        Operation::done(0, 0..1, 11, 0),
        Operation::done(1, 2..3, 12, 0),
    ]);
    let parts = history.split_by_key(|op| op / 10);
    let ops = |key: &u64| parts[key].iter().map(|it| (it.op, it.invoked)).collect::<Vec<_>>();
    assert_eq!(ops(&1), [(11, 0), (12, 2)]);
    assert_eq!(ops(&2), [(21, 4)]);
}

#[test]
fn history_is_drawn_like_this() {
    let history = History::from_operations([
        Operation::done(0, 10..40, "write 1", "done"),
        Operation::done(1, 20..30, "read", "1"),
        Operation::pending(12, 1_000, "write 2"),
    ]);
    let expected = concat!(
        "  thread 0  \"write 1\" -> \"done\"   10..40  |-----|\n",
        "  thread 1  \"read\" -> \"1\"         20..30    |-|\n",
        "  thread 12 \"write 2\" ...         1000..          |-?\n",
    );
    assert_eq!(history.to_string(), expected, "\n{history}");
}

#[test]
fn drawing_stays_narrow_however_long_the_history() {
    let line = |index: u64| {
        let op = "a call with a name that goes on and on, and with arguments beyond counting";
        Operation::done(0, 10 * index..10 * index + 5, op, index)
    };
    let history = History::from_operations((0..500).map(line));
    for line in history.to_string().lines() {
        assert!(line.chars().count() <= 150, "{line}");
    }
}
