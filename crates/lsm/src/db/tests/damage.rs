//! Flipped bits: an answer is right or an error, and `verify` finds what reads would find.

use std::path::PathBuf;

use env::fs::{Fs, FsExt, OpenMode};
use harness::sim::SimDisk;

use super::*;
use crate::{Error, Reader};

fn filled(fs: &Arc<SimFs>) -> Model {
    let batches = batches(3, 120, 60);
    let db = open(fs, &tiny()).expect("the disk is well");
    for changes in &batches {
        write(&db, changes).expect("the disk is well");
    }
    db.sync().expect("the disk is well");
    history(&batches).pop().expect("the last one")
}

fn files(fs: &dyn Fs, folder: &Path) -> Vec<PathBuf> {
    let entries = fs.list(folder).expect("the folder is there");
    let paths = entries.iter().flat_map(|entry| {
        let path = folder.join(&entry.name);
        if entry.is_dir { files(fs, &path) } else { vec![path] }
    });
    paths.collect()
}

/// A bit of every byte of every table, and of manifest and log of every byte that is not free room.
#[test]
fn a_flipped_bit_is_an_error_or_nothing() {
    let fs = SimDisk::new(1).mount();
    let expected = filled(&fs);
    let (mut errors, mut harmless) = (0, 0);
    for path in files(&*fs, folder()) {
        let whole = fs.read(&path).expect("it is there");
        let used = whole.iter().rposition(|it| *it != 0).map_or(0, |at| at + 1);
        let is_table = path.to_string_lossy().ends_with(".table");
        for byte in 0..used {
            let mut bytes = whole.clone();
            bytes[byte] ^= 1 << (byte % 8);
            fs.write_atomic(&path, &bytes).expect("the disk is well");
            let outcome = open(&fs, &tiny()).and_then(|db| {
                let found = contents(&db)?;
                Ok((found, db.verify()))
            });
            match outcome {
                Ok((found, verified)) => {
                    assert!(!is_table || verified.is_err(), "{}: byte {byte}", path.display());
                    let place = format!("{}: byte {byte} of {used}", path.display());
                    // The very end of a log cannot be told from one that was never written.
                    let log_end = path.to_string_lossy().contains("/log/");
                    assert!(found == expected || log_end, "{place}");
                    harmless += 1;
                }
                Err(Error::Corrupt { .. } | Error::Newer { .. }) => errors += 1,
                Err(other) => panic!("{}: byte {byte}: {other}", path.display()),
            }
        }
        fs.write_atomic(&path, &whole).expect("the disk is well");
    }
    assert!(errors > 1_000, "{errors} flips were found, {harmless} were not");
}

/// Manifest and log of a store that is open: to the store each flip shows. Who only looks takes the
/// last record for one that is being written.
#[test]
fn a_flipped_bit_under_an_open_store_is_found() {
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &tiny()).expect("the disk is well");
    for changes in &batches(3, 60, 60) {
        write(&db, changes).expect("the disk is well");
    }
    let any: Arc<dyn Fs> = Arc::<SimFs>::clone(&fs);
    let look = || Reader::open_on(&any, folder(), &tiny()).and_then(|it| it.verify());
    let require_sound = || {
        db.verify().expect("nothing is damaged");
        look().expect("nothing is damaged");
    };
    require_sound();
    let mut flips = 0;
    for part in ["manifest", "log"] {
        let part = folder().join(part);
        let mut records = Vec::new();
        wal::salvage(&*fs, &part, |at, record| records.push((at, record.len()))).expect("well");
        let last = records.last().expect("there are some").0;
        for (at, len) in records {
            let end = at.bytes_at() + u32::try_from(len).expect("it is short");
            let path = wal::segment_path(&part, at.segment);
            let file = fs.open(&path, OpenMode::WRITE).expect("it is there");
            for offset in [at.offset, at.offset + 9, at.bytes_at(), end - 1] {
                let mut byte = [0];
                file.read_exact_at(&mut byte, offset.into()).expect("it is there");
                file.write_all_at(&[byte[0] ^ 4], offset.into()).expect("the disk is well");
                let place = format!("{}: byte {offset}", path.display());
                assert!(matches!(db.verify(), Err(Error::Corrupt { .. })), "{place}");
                let found = matches!(look(), Err(Error::Corrupt { .. }));
                assert!(found || at == last, "{place}");
                file.write_all_at(&byte, offset.into()).expect("the disk is well");
                flips += 1;
            }
        }
        require_sound();
    }
    assert!(flips > 100, "{flips} flips");
}
