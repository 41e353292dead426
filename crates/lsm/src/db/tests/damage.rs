//! Flipped bits: an answer is right or an error, and `verify` finds what reads would find.

use std::path::PathBuf;

use env::fs::{Fs, FsExt};
use harness::sim::SimDisk;

use super::*;
use crate::Error;

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

/// Every bit of every table, and of manifest and log every bit that is not free room.
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
