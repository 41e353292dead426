//! Files of each version of the format stay readable: `tests/golden/v<version>` is a store as that
//! version wrote it, with tables, a second family, and changes that are in the log alone.
//!
//! `UPDATE=1` writes the store of the present version anew. Where that changes what
//! `docs/lsm/format.md` says, the version must change too, and the old folder stays.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::env::fs::{Fs, FsExt, OpenMode, OsFs};
use lsm::{Background, Codec, Db, Options};

const VERSION: u32 = 2;

fn golden(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{version}"))
}

fn options() -> Options {
    Options {
        memtable_size: 4 << 10,
        block_size: 256,
        level1_size: 1 << 10,
        codec: Codec::Lz4,
        background: Background::Inline,
        ..Options::with_budget(1 << 20)
    }
}

fn key(number: u32) -> Vec<u8> {
    format!("key {number:04}").into_bytes()
}

fn write(folder: &Path) {
    let db = Db::open(folder, options()).expect("the folder is free");
    let other = db.family("other").expect("there is room on the disk");
    for number in 0..300_u32 {
        db.put(&key(number * 7 % 300), &number.to_le_bytes().repeat(10)).expect("there is room");
    }
    other.put(b"elsewhere", b"1").expect("there is room");
    db.compact().expect("there is room");
    (0..300).step_by(3).for_each(|it| db.delete(&key(it)).expect("there is room"));
    other.put(b"in the log", b"2").expect("there is room");
}

/// The store as `write` left it.
fn require(db: &Db) {
    for number in 0..300_u32 {
        let place = number * 7 % 300;
        let found = db.get(&key(place)).expect("it can be read");
        let expected = (place % 3 != 0).then(|| number.to_le_bytes().repeat(10));
        assert_eq!(found, expected, "key {place}");
    }
    assert_eq!(db.iter().count(), 200);
    let other = db.family("other").expect("it is there");
    let entries = other.iter().collect::<lsm::Result<Vec<_>>>().expect("it can be read");
    let expected = [(&b"elsewhere"[..], &b"1"[..]), (b"in the log", b"2")];
    assert_eq!(entries, expected.map(|(key, value)| (key.to_vec(), value.to_vec())));
    db.verify().expect("no byte is damaged");
}

fn copy(from: &Path, to: &Path) {
    OsFs.create_dir_all(to).expect("the temporary directory is writable");
    for entry in OsFs.list(from).expect("golden files are in the repository") {
        let (source, target) = (from.join(&entry.name), to.join(&entry.name));
        if entry.is_dir {
            copy(&source, &target);
        } else {
            let bytes = OsFs.read(&source).expect("golden files are in the repository");
            let file = OsFs.open(&target, OpenMode::CREATE_NEW).expect("it is new");
            file.write_all_at(&bytes, 0).expect("there is room on the disk");
        }
    }
}

#[test]
fn stores_of_every_version_are_read() {
    if env::var_os("UPDATE").is_some() {
        OsFs.remove_dir_all(&golden(VERSION)).ok();
        write(&golden(VERSION));
    }
    for version in 1..=VERSION {
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        let folder = folder.path().join("store");
        copy(&golden(version), &folder);
        let db = Db::open_on(Arc::new(OsFs), &folder, options()).expect("it can be opened");
        require(&db);
    }
}

/// What is written today is, byte for byte, what the files of this version are.
#[test]
fn the_present_version_writes_the_same_bytes() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let folder = folder.path().join("store");
    write(&folder);
    let mut files = 0;
    for part in ["manifest", "log", "tables"] {
        let names = OsFs.list(&folder.join(part)).expect("it was just written");
        assert_eq!(names, OsFs.list(&golden(VERSION).join(part)).expect("it is there"), "{part}");
        for entry in names {
            let read = |folder: &Path| OsFs.read(&folder.join(part).join(&entry.name));
            let same = read(&folder).expect("it is there") == read(&golden(VERSION)).expect("so");
            assert!(same, "{part}/{} differs; is it a new version?", entry.name.display());
            files += 1;
        }
    }
    assert!(files >= 4, "{files} files were compared");
}
