//! Tests of shared logs on the simulated disk.

use std::thread;

use harness::rng::SplitMix64;
use harness::sim::{DiskFault, Dose, SimDisk, SimFs, crash_at_every_io};

use super::*;
use crate::{Backend, recovery};

const OPTIONS: Options = Options { segment_len: 256, backend: Backend::Mapped, spares_max: 1 };
const BACKENDS: [Backend; 2] = [Backend::Mapped, Backend::Written];
const STREAMS: usize = 3;

fn folder() -> &'static Path {
    Path::new("/log")
}

fn open(fs: &Arc<SimFs>) -> Result<Arc<SharedLog>> {
    open_with(fs, Backend::Mapped)
}

fn open_with(fs: &Arc<SimFs>, backend: Backend) -> Result<Arc<SharedLog>> {
    SharedLog::open(Arc::<SimFs>::clone(fs), folder(), Options { backend, ..OPTIONS })
}

fn id(stream: usize) -> StreamId {
    StreamId(u32::try_from(stream).expect("there are few") * 1_000)
}

fn streams(log: &Arc<SharedLog>) -> [Stream; STREAMS] {
    std::array::from_fn(|stream| log.stream(id(stream)))
}

/// What a stream writes as its record of this number.
fn record(stream: usize, number: usize) -> Vec<u8> {
    format!("{stream}: {number} {}", "x".repeat((stream + number) % 9)).into_bytes()
}

fn contents(stream: &Stream) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    stream.replay(|_, bytes| found.push(bytes.to_vec())).expect("an open log can be replayed");
    found
}

/// The numbers of the first record of a stream and of the first behind its last; they must be all
/// in between.
fn numbers(log: &Arc<SharedLog>, stream: usize) -> (usize, usize) {
    let found = contents(&log.stream(id(stream)));
    let first =
        (0..1_000).find(|it| found.first().is_none_or(|found| *found == record(stream, *it)));
    let first = first.expect("the first is one that was written");
    let expected: Vec<_> = (first..first + found.len()).map(|it| record(stream, it)).collect();
    assert_eq!(found, expected, "stream {stream}");
    (first, first + found.len())
}

fn segments(fs: &SimFs) -> Vec<u64> {
    recovery::segments(fs, folder()).expect("they are there")
}

#[test]
fn each_stream_has_its_own_records_in_their_order() {
    let fs = SimDisk::new(1).mount();
    let log = open(&fs).expect("the disk is well");
    let streams = streams(&log);
    let mut positions = Vec::new();
    for number in 0..30 {
        for (at, stream) in streams.iter().enumerate().filter(|it| number % (it.0 + 1) == 0) {
            let bytes = record(at, number / (at + 1));
            positions.push((at, stream.append(&bytes).expect("the disk is well"), bytes));
        }
    }
    assert!(positions.is_sorted_by_key(|it| it.1), "they are those of one log");
    let require = |log: &Arc<SharedLog>| {
        for (at, position, bytes) in &positions {
            assert_eq!(log.stream(id(*at)).read(*position).expect("it is there"), *bytes);
            let other = log.stream(id((at + 1) % STREAMS)).read(*position);
            assert!(
                matches!(other, Err(Error::NotFound(it)) if it == *position),
                "it is another's"
            );
        }
        assert_eq!([0, 1, 2].map(|it| numbers(log, it)), [(0, 30), (0, 15), (0, 10)]);
        assert_eq!(contents(&log.stream(StreamId(7))), Vec::<Vec<u8>>::new());
        log.verify().expect("nothing is damaged");
    };
    require(&log);
    drop((log, streams));
    require(&open(&fs).expect("nothing is damaged"));
}

/// Streams that are synced at different times, and one that never is.
#[test]
fn what_any_stream_synced_survives_a_crash_at_every_io_and_in_recovery() {
    for (seed, backend) in (0..12).zip(BACKENDS.into_iter().cycle()) {
        let work = |fs: &Arc<SimFs>| {
            let (mut written, mut synced) = ([0; STREAMS], [0; STREAMS]);
            let mut run = || -> Result<()> {
                let streams = streams(&open_with(fs, backend)?);
                for number in 0..24 {
                    let stream = [0, 1, 2, 0, 2, 1, 1][number % 7];
                    streams[stream].append(&record(stream, written[stream]))?;
                    written[stream] += 1;
                    if number % 9 == 8 {
                        streams[number % 2].sync()?;
                        synced = written;
                    }
                }
                Ok(())
            };
            run().ok();
            synced
        };
        crash_at_every_io(seed * 1_000, work, |io, synced, disk| {
            let require = |log: &Arc<SharedLog>| {
                for (stream, synced) in synced.iter().enumerate() {
                    let (first, end) = numbers(log, stream);
                    assert!(first == 0 && end >= *synced, "seed {seed}, I/O {io}");
                }
            };
            for again in 0..4 {
                disk.crash_after(again);
                if let Ok(log) = open_with(&disk.mount(), backend) {
                    require(&log);
                }
                disk.crash();
            }
            require(&open_with(&disk.mount(), backend).expect("a crash damages nothing"));
        });
    }
}

fn below(random: &mut SplitMix64, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).expect("it is below a usize")
}

/// Streams append, release, sync and begin anew in any order, and the power is cut now and then.
#[test]
fn streams_are_what_a_model_says() {
    for seed in 0..60 {
        let mut random = SplitMix64::new(seed);
        let disk = SimDisk::new(seed);
        let mut log = open(&disk.mount()).expect("the disk is well");
        // For each stream the places of its records, how many it released, how many are durable.
        let mut places: [Vec<Position>; STREAMS] = Default::default();
        let (mut released, mut synced) = ([0; STREAMS], [0; STREAMS]);
        for _ in 0..120 {
            let at = below(&mut random, STREAMS);
            let stream = log.stream(id(at));
            let there = places[at].len();
            match random.below(12) {
                0..7 => places[at].push(stream.append(&record(at, there)).expect("well")),
                7 => {
                    stream.sync().expect("the disk is well");
                    synced = places.each_ref().map(Vec::len);
                }
                8 if there > 0 => {
                    let to = released[at] + below(&mut random, there - released[at] + 1);
                    let end = places[at].get(to).copied().unwrap_or_else(|| stream.end());
                    stream.release(end).expect("the disk is well");
                    released[at] = to;
                }
                9 => log.prepare().expect("the disk is well"),
                10 => {
                    // A kill loses nothing, and what is found is durable.
                    drop((stream, log));
                    log = open(&disk.mount()).expect("nothing is damaged");
                    synced = places.each_ref().map(Vec::len);
                    require(&log, &places, &released, &synced, seed);
                }
                11 => {
                    disk.crash();
                    drop((stream, log));
                    log = open(&disk.mount()).expect("a crash damages nothing");
                    require(&log, &places, &released, &synced, seed);
                    for stream in 0..STREAMS {
                        let (first, end) = numbers(&log, stream);
                        // Of what was released any part may have gone, the last of it too.
                        let end = if first == end { released[stream] } else { end };
                        places[stream].truncate(end);
                        released[stream] = released[stream].min(end);
                        synced[stream] = end;
                    }
                }
                _ => {}
            }
        }
        require(&log, &places, &released, &synced, seed);
        log.verify().expect("nothing is damaged");
    }
}

fn require(
    log: &Arc<SharedLog>,
    places: &[Vec<Position>; STREAMS],
    released: &[usize; STREAMS],
    synced: &[usize; STREAMS],
    seed: u64,
) {
    for stream in 0..STREAMS {
        let (first, end) = numbers(log, stream);
        let (released, synced) = (released[stream], synced[stream]);
        if first == end {
            assert!(released >= synced, "seed {seed}, stream {stream}: all is gone");
        } else {
            assert!(first <= released && end >= synced, "seed {seed}, stream {stream}");
            assert!(end <= places[stream].len(), "seed {seed}, stream {stream}");
        }
    }
}

#[test]
fn a_segment_goes_when_the_last_stream_has_released_it() {
    let fs = SimDisk::new(1).mount();
    let log = open(&fs).expect("the disk is well");
    let [slow, quick, other] = streams(&log);
    let first = slow.append(&record(0, 0)).expect("the disk is well");
    for number in 0..40 {
        quick.append(&record(1, number)).expect("the disk is well");
        quick.release(quick.end()).expect("the disk is well");
    }
    assert!(segments(&fs).len() > 5, "the slow one needs all of them");
    assert_eq!(log.holder(), Some((id(0), first)));
    drop((log, slow, quick, other));
    // Found again, and nobody has asked for the slow one.
    let log = open(&fs).expect("nothing is damaged");
    let quick = log.stream(id(1));
    quick.append(&record(1, 40)).expect("the disk is well");
    quick.release(quick.end()).expect("the disk is well");
    assert_eq!(log.holder(), Some((id(0), first)));
    let slow = log.stream(id(0));
    assert_eq!(slow.read(first).expect("it is there"), record(0, 0));
    slow.release(slow.end()).expect("the disk is well");
    assert_eq!((log.holder(), segments(&fs).len()), (None, 1));
    let last = slow.append(&record(0, 1)).expect("the disk is well");
    assert_eq!(log.holder(), Some((id(0), last)), "it needs what is new");
    assert_eq!(contents(&slow), [record(0, 1)], "and nothing that it released");
}

/// One that has nothing is asked what it needs while its first record is on its way.
#[test]
fn a_release_takes_no_record_of_a_stream_that_begins_meanwhile() {
    // A segment for each record, so that one that is not needed goes at once.
    let options = Options { segment_len: 80, ..OPTIONS };
    let log = SharedLog::open(SimDisk::new(1).mount(), folder(), options);
    let log = log.expect("the disk is well");
    thread::scope(|scope| {
        for thread in 0..STREAMS {
            let stream = log.stream(id(thread));
            scope.spawn(move || {
                for number in 0..5_000 {
                    let at = stream.append(&record(thread, number)).expect("the disk is well");
                    let found = stream.read(at).expect("nobody else can release it");
                    assert_eq!(found, record(thread, number));
                    stream.release(stream.end()).expect("the disk is well");
                }
            });
        }
    });
    log.verify().expect("nothing is damaged");
}

#[test]
fn a_sync_is_for_all_streams() {
    let disk = SimDisk::new(1);
    let log = open(&disk.mount()).expect("the disk is well");
    let [one, two, three] = streams(&log);
    for stream in [&one, &two] {
        stream.append(b"durable").expect("the disk is well");
    }
    one.sync().expect("the disk is well");
    // One more would fail.
    disk.inject(&DiskFault::SyncError(Dose::Times(1)));
    two.sync().expect("it was done already");
    three.append(b"perhaps lost").expect("a store cannot fail");
    assert!(matches!(three.sync(), Err(Error::Fs(_))));
    disk.heal();
    assert!(log.has_failed());
    for stream in [&one, &two, &three] {
        assert!(matches!(stream.append(b"refused"), Err(Error::Failed)));
        assert!(matches!(stream.sync(), Err(Error::Failed)), "a second sync would lie");
    }
}

#[test]
fn threads_of_different_streams_find_their_records_durable() {
    let disk = SimDisk::new(1);
    let log = open(&disk.mount()).expect("the disk is well");
    thread::scope(|scope| {
        for thread in 0..STREAMS {
            let stream = log.stream(id(thread));
            scope.spawn(move || {
                for number in 0..50 {
                    stream.append(&record(thread, number)).expect("the disk is well");
                    stream.sync().expect("the disk is well");
                }
            });
        }
    });
    disk.crash();
    let log = open(&disk.mount()).expect("a crash damages nothing");
    assert_eq!([0, 1, 2].map(|it| numbers(&log, it)), [(0, 50); STREAMS]);
}

#[test]
fn too_large_a_record_is_refused_and_harms_nothing() {
    let log = open(&SimDisk::new(1).mount()).expect("the disk is well");
    let stream = log.stream(id(0));
    let limit = stream.record_len_max();
    match stream.append(&vec![0; limit + 1]) {
        Err(Error::TooLarge { len, limit: most }) => assert_eq!((len, most), (limit + 1, limit)),
        other => panic!("{other:?}"),
    }
    stream.append(&vec![0; limit]).expect("it fits");
    stream.append(b"").expect("nothing is a record too");
    assert_eq!(contents(&stream), [vec![0; limit], vec![]]);
}

#[test]
fn a_log_of_one_user_is_no_shared_one() {
    let fs = SimDisk::new(1).mount();
    let log = Log::open(Arc::<SimFs>::clone(&fs), folder(), OPTIONS).expect("the disk is well");
    let at = log.append(b"of no stream").expect("the disk is well");
    drop(log);
    let outcome = open(&fs);
    assert!(matches!(outcome, Err(Error::Corrupt { offset, .. }) if offset == at.offset));
}
