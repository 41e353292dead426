//! Damage of every kind, then a repair: what was not named as lost is as it was.
//!
//! The oracle is the history of the batches. Where the report names keys, these may have any
//! value; where it names the log, the store is as it was after some batch; and where it names
//! nothing the store is what it was. Then it opens, `verify` finds nothing, and it goes on.

mod interrupted;

use std::path::PathBuf;

use env::fs::{Fs, FsErrorKind, FsExt, OpenMode};
use harness::sim::SimDisk;

use super::*;
use crate::Error;
use crate::repair::{Loss, Repaired, repair_on};

/// Puts and removals of single keys: what a lost manifest loses nothing of.
fn plain(seed: u64, count: usize) -> Vec<Changes> {
    let is_plain = |it: &Step| matches!(it, Step::Put(..) | Step::Remove(..));
    let mut all = batches(seed, count, 120);
    for changes in &mut all {
        changes.retain(is_plain);
    }
    all
}

fn fill(fs: &Arc<SimFs>, options: &Options, batches: &[Changes]) {
    let db = open(fs, options).expect("the disk is well");
    for changes in batches {
        write(&db, changes).expect("the disk is well");
    }
    db.sync().expect("the disk is well");
}

/// Writes until the power is cut; how many batches were acknowledged.
fn written(fs: &Arc<SimFs>, options: &Options, batches: &[Changes]) -> usize {
    let Ok(db) = open(fs, options) else { return 0 };
    batches.iter().take_while(|it| write(&db, it).is_ok()).count()
}

fn files(fs: &dyn Fs, folder: &Path) -> Vec<PathBuf> {
    let entries = fs.list(folder).expect("the folder is there");
    let paths = entries.iter().flat_map(|entry| {
        let path = folder.join(&entry.name);
        if entry.is_dir { files(fs, &path) } else { vec![path] }
    });
    paths.collect()
}

/// All files of the store with their bytes.
fn image(fs: &dyn Fs) -> Vec<(PathBuf, Vec<u8>)> {
    let read = |path: PathBuf| {
        let bytes = fs.read(&path).expect("it is there");
        (path, bytes)
    };
    files(fs, folder()).into_iter().map(read).collect()
}

/// A disk with these files and no others.
fn disk_with(image: &[(PathBuf, Vec<u8>)]) -> SimDisk {
    let disk = SimDisk::new(1);
    let fs = disk.mount();
    for (path, bytes) in image {
        let folder = path.parent().expect("files lie in folders");
        fs.create_dir_all(folder).expect("the disk is well");
        let file = fs.open(path, OpenMode::CREATE_NEW).expect("it is new");
        file.write_all_at(bytes, 0).expect("the disk is well");
        file.sync_data().expect("the disk is well");
        for folder in folder.ancestors() {
            fs.sync_dir(folder).expect("the disk is well");
        }
    }
    disk
}

fn repaired(fs: &Arc<SimFs>, options: &Options) -> Result<Repaired> {
    let fs: Arc<dyn Fs> = Arc::<SimFs>::clone(fs);
    repair_on(&fs, folder(), options)
}

/// Whether keys are right but for those that a loss of tables or values names.
fn is_right_but_for(found: &Model, expected: &Model, report: &Repaired) -> bool {
    let is_named = |key: &[u8]| {
        let mut lost = report.lost.iter().filter(|it| it.may_hold("default", key));
        lost.any(|it| matches!(it.what, Loss::Entries | Loss::Values(_)))
    };
    let keys = found.keys().chain(expected.keys());
    keys.into_iter().all(|key| found.get(key) == expected.get(key) || is_named(key))
}

/// Opens a repaired store and holds it against the oracle.
fn require(fs: &Arc<SimFs>, options: &Options, report: &Repaired, history: &[Model], place: &str) {
    let db = open(fs, options).unwrap_or_else(|it| panic!("{place}: {it}\n{report}"));
    db.verify().unwrap_or_else(|it| panic!("{place}: {it}\n{report}"));
    let found = contents(&db).unwrap_or_else(|it| panic!("{place}: {it}\n{report}"));
    let log_is_short = report.lost.iter().any(|it| matches!(it.what, Loss::Changes(_)));
    // The very end of a log cannot be told from one that was never written.
    let may_be_older = log_is_short || report.was_healthy;
    let mut moments = history.iter().rev().take(if may_be_older { usize::MAX } else { 1 });
    let is_right = moments.any(|it| is_right_but_for(&found, it, report));
    let last = history.last().expect("the last one");
    let differs: Vec<_> = last.iter().filter(|it| found.get(it.0) != Some(it.1)).collect();
    assert!(is_right, "{place}: {differs:?} are not what is found\n{report}");
    db.put(b"after", b"1").and_then(|()| db.compact()).expect("it goes on");
    assert_eq!(db.get(b"after").expect("it goes on").as_deref(), Some(&b"1"[..]));
}

/// Damages a store in one place, repairs it, holds it against the oracle.
fn survives(
    image: &[(PathBuf, Vec<u8>)],
    options: &Options,
    history: &[Model],
    place: &str,
) -> Option<Repaired> {
    let disk = disk_with(image);
    let fs = disk.mount();
    let report = match repaired(&fs, options) {
        // A flipped bit in the number of the version.
        Err(Error::Newer { .. }) => return None,
        outcome => outcome.unwrap_or_else(|it| panic!("{place}: {it}")),
    };
    let again = repaired(&fs, options).expect("the disk is well");
    assert!(again.was_healthy, "{place}: a repaired store is healthy\n{report}\n{again}");
    require(&fs, options, &report, history, place);
    Some(report)
}

fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|it| *it != 0).map_or(0, |at| at + 1)
}

fn kinds() -> [(&'static str, Options); 3] {
    let durable = with_durability(Durability::Sync);
    let compressed = Options { codec: crate::Codec::Lz4, ..durable.clone() };
    [("plain", durable), ("lz4", compressed), ("apart", values::apart())]
}

/// One bit after the other in every file, a few hundred of each.
#[test]
fn a_flipped_bit_costs_at_most_what_is_named() {
    for (kind, options) in kinds() {
        let batches = plain(3, 150);
        let history = history(&batches);
        let disk = SimDisk::new(1);
        fill(&disk.mount(), &options, &batches);
        let whole = image(&*disk.mount());
        let (mut damaged, mut lossless) = (0, 0);
        for (file, (path, bytes)) in whole.iter().enumerate() {
            let step = (used(bytes) / 150).max(1);
            for byte in (file % 7..used(bytes)).step_by(step) {
                let mut image = whole.clone();
                image[file].1[byte] ^= 1 << (byte % 8);
                let place = format!("{kind}, {}: byte {byte}", path.display());
                let report = survives(&image, &options, &history, &place).unwrap_or_default();
                damaged += usize::from(!report.was_healthy);
                lossless += usize::from(!report.was_healthy && report.lost.is_empty());
            }
        }
        assert!(damaged > 500, "{kind}: only {damaged} flips were seen");
        assert!(lossless > 10, "{kind}: filters and indexes can be made anew");
    }
}

/// Every file cut at several places, and every file gone.
#[test]
fn a_short_or_missing_file_costs_at_most_what_is_named() {
    for (kind, options) in kinds() {
        let batches = plain(4, 150);
        let history = history(&batches);
        let disk = SimDisk::new(1);
        fill(&disk.mount(), &options, &batches);
        let whole = image(&*disk.mount());
        let is_log = |path: &Path| path.starts_with(folder().join("log"));
        let last_log = whole.iter().rposition(|it| is_log(&it.0)).expect("there is a log");
        for (file, (path, bytes)) in whole.iter().enumerate() {
            for part in 0..9 {
                let mut image = whole.clone();
                let to = used(bytes) * part / 9;
                image[file].1.truncate(to);
                let place = format!("{kind}, {} cut to {to}", path.display());
                // Values that lay in the log alone went with it, unnamed: it seems never written.
                if !is_log(path) || file < last_log {
                    survives(&image, &options, &history, &place);
                }
            }
            let mut image = whole.clone();
            image.remove(file);
            if !is_log(path) {
                let place = format!("{kind}, {} gone", path.display());
                survives(&image, &options, &history, &place);
            }
        }
    }
}

/// Without a manifest the tables say themselves what they are.
#[test]
fn a_lost_manifest_costs_nothing_but_removed_ranges() {
    for (kind, options) in kinds() {
        for seed in 0..20 {
            let batches = plain(seed, 60 + 13 * usize::try_from(seed).expect("small"));
            let history = history(&batches);
            let disk = SimDisk::new(1);
            fill(&disk.mount(), &options, &batches);
            let mut image = image(&*disk.mount());
            image.retain(|it| !it.0.starts_with(folder().join("manifest")));
            let report = survives(&image, &options, &history, &format!("{kind}, seed {seed}"));
            let report = report.expect("no version is there to be damaged");
            assert!(report.lost.iter().all(|it| it.what == Loss::Removals), "{report}");
        }
    }
}

/// Loads between writes, in a store of several runs a level: what is newer stays newer, with the
/// manifest and without.
#[test]
fn loads_and_runs_keep_their_place_in_time() {
    let runs = NonZeroUsize::new(3).expect("not zero");
    let options = Options { shape: crate::Shape::LazyLeveled { runs }, ..tiny() };
    for seed in 0..20 {
        let disk = SimDisk::new(1);
        let mut model = Model::new();
        {
            let db = open(&disk.mount(), &options).expect("the disk is well");
            for (round, changes) in (0_u8..).zip(&plain(seed, 100)) {
                write(&db, changes).expect("the disk is well");
                apply(&mut model, changes);
                if round % 6 == 0 {
                    let from = u64::from(round) * 7 % 35;
                    let load: Model =
                        (from..from + 30).step_by(3).map(|it| (key(it), vec![round; 40])).collect();
                    let mut ingest = db.ingest();
                    for (key, value) in &load {
                        ingest.put(key, value).expect("it is in order");
                    }
                    ingest.finish().expect("the disk is well");
                    model.extend(load);
                }
            }
            db.sync().expect("the disk is well");
        }
        let whole = image(&*disk.mount());
        let history = [model];
        let mut lost = whole.clone();
        lost.retain(|it| !it.0.starts_with(folder().join("manifest")));
        let report = survives(&lost, &options, &history, &format!("no manifest, seed {seed}"));
        let report = report.expect("no version is there to be damaged");
        assert!(report.lost.iter().all(|it| it.what == Loss::Removals), "{report}");
        for (path, _) in whole.iter().filter(|it| it.0.starts_with(folder().join("tables"))) {
            let mut damaged = whole.clone();
            let bytes = &mut damaged.iter_mut().find(|it| it.0 == *path).expect("it is there").1;
            bytes[30] ^= 1;
            let place = format!("seed {seed}, {}", path.display());
            let report = survives(&damaged, &options, &history, &place);
            assert!(!report.expect("versions are whole").lost.is_empty(), "{place}");
        }
    }
}

/// Families, operands and removed ranges, with every table damaged in its first block.
#[test]
fn families_and_operands_are_kept_apart_and_in_order() {
    let options = tiny();
    let batches = batches(9, 160, 60);
    let disk = SimDisk::new(1);
    let fs = disk.mount();
    fill(&fs, &options, &batches);
    {
        let db = open(&fs, &options).expect("the disk is well");
        let other = db.family("other").expect("the disk is well");
        for number in 0..100 {
            other.put(&key(number), b"of the other").expect("the disk is well");
        }
        db.compact().expect("the disk is well");
        for number in 0..50 {
            db.merge(&key(number), b"+").expect("the disk is well");
            other.delete(&key(number)).expect("the disk is well");
        }
    }
    let expected = {
        let db = open(&fs, &options).expect("the disk is well");
        contents(&db).expect("the disk is well")
    };
    let whole = image(&*fs);
    for has_manifest in [true, false] {
        let mut image = whole.clone();
        image.retain(|it| has_manifest || !it.0.starts_with(folder().join("manifest")));
        for (_, bytes) in image.iter_mut().filter(|it| it.0.to_string_lossy().contains(".table")) {
            bytes[7] ^= 1;
        }
        let disk = disk_with(&image);
        let fs = disk.mount();
        let report = repaired(&fs, &options).expect("the disk is well");
        let db = open(&fs, &options).expect("it is repaired");
        assert_eq!(db.families(), ["default", "other"], "names are in the tables too");
        let found = contents(&db).expect("it is repaired");
        assert!(is_right_but_for(&found, &expected, &report), "{report}");
        let other = db.family("other").expect("it is there");
        let found = other.iter().collect::<Result<Model>>().expect("it is repaired");
        for number in 0..100 {
            let lost = report.lost.iter().filter(|it| it.what != Loss::Removals);
            if !lost.into_iter().any(|it| it.may_hold("other", &key(number))) {
                assert_eq!(found.contains_key(&key(number)), number >= 50, "{number}\n{report}");
            }
        }
        assert!(found.len() > 10, "most of it could be read");
    }
}

/// A healthy store stays as it is, byte for byte, also with what a kill left behind.
#[test]
fn a_healthy_store_is_left_alone() {
    let batches = batches(5, 120, 60);
    for (_, options) in kinds() {
        let disk = SimDisk::new(1);
        let fs = disk.mount();
        fill(&fs, &options, &batches);
        let before = image(&*fs);
        let report = repaired(&fs, &options).expect("the disk is well");
        assert!(report.was_healthy && report.lost.is_empty() && report.kept > 2, "{report}");
        assert_eq!(image(&*fs), before);
        let db = open(&fs, &options).expect("the disk is well");
        let refused = repaired(&fs, &options).expect_err("it is open");
        assert!(matches!(refused, Error::Fs(it) if it.kind == FsErrorKind::Locked));
        drop(db);
    }
    let nothing = SimDisk::new(1).mount();
    assert!(matches!(repaired(&nothing, &tiny()), Err(Error::Missing(_))));
}
