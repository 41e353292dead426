//! Power cuts before a repair, in the midst of one, and while it is finished.

use harness::sim::crash_at_every_io;

use super::*;
use crate::Reader;

/// Power cuts in a store's life leave nothing that a repair would make worse.
#[test]
fn what_a_power_cut_leaves_is_repaired_to_what_opening_gives() {
    let options = with_durability(Durability::Sync);
    let batches = plain(6, 90);
    let history = history(&batches);
    let work = |fs: &Arc<SimFs>| written(fs, &options, &batches);
    crash_at_every_io(70, work, |io, done, disk| {
        let fs = disk.mount();
        match repaired(&fs, &options) {
            Ok(report) => {
                let lost = report.lost.iter().any(|it| it.what != Loss::Removals);
                assert!(!lost, "I/O {io}: {report}");
            }
            Err(Error::Missing(_)) => {}
            Err(cause) => panic!("I/O {io}: {cause}"),
        }
        let db = open(&fs, &options).expect("a crash damages nothing");
        let found = contents(&db).expect("a crash damages nothing");
        let is_known = history[done..].iter().take(2).any(|it| *it == found);
        assert!(is_known, "I/O {io}: {done} batches were acknowledged");
    });
}

/// A power cut in the midst of a flush or merge, and then the manifest is gone too: tables of both
/// sides of the merge are there, and must not bring back what was deleted.
#[test]
fn a_power_cut_and_a_lost_manifest_cost_nothing() {
    let options = with_durability(Durability::Sync);
    for seed in 0..3 {
        let batches = plain(20 + seed, 110);
        let history = history(&batches);
        let work = |fs: &Arc<SimFs>| written(fs, &options, &batches);
        crash_at_every_io(seed * 1_000, work, |io, done, disk| {
            let fs = disk.mount();
            let manifest = folder().join("manifest");
            if fs.exists(&manifest).expect("the disk is well") {
                fs.remove_dir_all(&manifest).expect("the disk is well");
            }
            match repaired(&fs, &options) {
                Ok(_) => {}
                Err(Error::Missing(_)) => return,
                Err(cause) => panic!("seed {seed}, I/O {io}: {cause}"),
            }
            let db = open(&fs, &options).expect("it is repaired");
            let found = contents(&db).expect("it is repaired");
            let is_known = history[done..].iter().take(2).any(|it| *it == found);
            assert!(is_known, "seed {seed}, I/O {io}: {done} batches were acknowledged");
        });
    }
}

/// A repair is cut off at every I/O, and again while it is finished: nothing more is lost.
#[test]
fn an_interrupted_repair_can_be_run_again() {
    for (kind, options) in kinds() {
        let batches = plain(8, 110);
        let history = history(&batches);
        let disk = SimDisk::new(1);
        fill(&disk.mount(), &options, &batches);
        let whole = image(&*disk.mount());
        for damage in ["tables", "manifest", "log"] {
            let mut image = whole.clone();
            for (path, bytes) in &mut image {
                if path.starts_with(folder().join(damage)) {
                    let at = used(bytes) / 3;
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1;
                    }
                }
            }
            let disk = disk_with(&image);
            let expected = repaired(&disk.mount(), &options).expect("the disk is well");
            for io in 0.. {
                let disk = disk_with(&image);
                disk.crash_after(io);
                let fs = disk.mount();
                let is_done = repaired(&fs, &options).is_ok();
                if !disk.is_down() {
                    assert!(is_done && io > 20, "{kind}, {damage}: {io} I/Os");
                    break;
                }
                disk.crash_after(io % 11);
                repaired(&disk.mount(), &options).ok();
                if !disk.is_down() {
                    disk.crash();
                }
                let fs = disk.mount();
                let report = repaired(&fs, &options).expect("the disk is well");
                let place = format!("{kind}, {damage}, I/O {io}");
                assert!(report.was_healthy || report.lost == expected.lost, "{place}\n{report}");
                require(&fs, &options, &expected, &history, &place);
            }
        }
    }
}

/// Whoever opens a store instead of finishing its repair is refused or finds it as it will be.
#[test]
fn a_half_repaired_store_is_refused_or_right() {
    let options = with_durability(Durability::Sync);
    let batches = plain(8, 110);
    let history = history(&batches);
    let disk = SimDisk::new(1);
    fill(&disk.mount(), &options, &batches);
    let mut image = image(&*disk.mount());
    for (path, bytes) in &mut image {
        if path.to_string_lossy().ends_with(".table") {
            bytes[3] ^= 1;
        }
    }
    let disk = disk_with(&image);
    let expected = repaired(&disk.mount(), &options).expect("the disk is well");
    for io in 0.. {
        let disk = disk_with(&image);
        disk.crash_after(io);
        repaired(&disk.mount(), &options).ok();
        if !disk.is_down() {
            break;
        }
        let fs: Arc<dyn Fs> = disk.mount();
        let reader = Reader::open_on(&fs, folder(), &options);
        if let Ok(reader) = reader.and_then(|it| it.verify().map(|()| it)) {
            let found = reader.range(..).collect::<Result<Model>>().expect("it was verified");
            let last = history.last().expect("the last one");
            assert!(is_right_but_for(&found, last, &expected), "I/O {io}");
        }
    }
}
