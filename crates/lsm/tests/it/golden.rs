//! Files of each version of the format stay readable: `tests/golden/v<version>` is a store as that
//! version wrote it, with tables, a second family, and changes that are in the log alone. In
//! `v<version>-all` is what came later and is of that version still: operands, dates, removed
//! ranges, values apart and copied by merges, loads, filters for prefixes, a family that is gone.
//!
//! `UPDATE=1` writes the stores of the present version anew. Where that changes what
//! `docs/lsm/format.md` says, the version must change too, and the old folder stays.

use std::env;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::env::fs::{Fs, FsExt, OpenMode, OsFs};
use lsm::{Background, Batch, Codec, Db, MergeOperator, Options};

/// A store in `tests/golden`.
struct Golden {
    name: &'static str,
    /// Whether the present version writes such a one.
    is_present: bool,
    options: fn() -> Options,
    write: fn(&Db) -> lsm::Result<()>,
    require: fn(&Db),
}

const ALL: [Golden; 3] = [
    Golden { name: "v1", is_present: false, options, write, require },
    Golden { name: "v2", is_present: true, options, write, require },
    Golden {
        name: "v2-all",
        is_present: true,
        options: options_of_all,
        write: write_all,
        require: require_all,
    },
];

impl Golden {
    fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(self.name)
    }

    fn write_to(&self, folder: &Path) {
        let db = Db::open(folder, (self.options)()).expect("the folder is free");
        (self.write)(&db).expect("there is room on the disk");
    }
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

fn write(db: &Db) -> lsm::Result<()> {
    let other = db.family("other")?;
    for number in 0..300_u32 {
        db.put(&key(number * 7 % 300), &number.to_le_bytes().repeat(10))?;
    }
    other.put(b"elsewhere", b"1")?;
    db.compact()?;
    (0..300).step_by(3).try_for_each(|it| db.delete(&key(it)))?;
    other.put(b"in the log", b"2")
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

/// Bytes go behind bytes.
#[derive(Debug)]
struct Concat;

impl MergeOperator for Concat {
    fn merge(&self, _key: &[u8], value: Option<&[u8]>, operands: &[&[u8]]) -> Vec<u8> {
        [value.unwrap_or_default(), &operands.concat()].concat()
    }
}

/// The year 2100, until which dated values count.
const FAR: Duration = Duration::from_hours(1_139_568);

fn options_of_all() -> Options {
    Options {
        value_threshold: Some(100),
        prefix_len: NonZeroU16::new(5),
        merge_operator: Some(Arc::new(Concat)),
        ..options()
    }
}

fn large(number: u32, mark: u8) -> Vec<u8> {
    [&number.to_le_bytes()[..], &[mark; 200]].concat()
}

/// Changes of every kind, on keys from `at` on.
fn change_all(db: &Db, at: u32) -> lsm::Result<()> {
    let mut batch = Batch::new();
    batch.put(&key(at), b"value")?;
    batch.merge(&key(at), b", operand")?;
    batch.delete(&key(at + 1))?;
    batch.put_until(&key(at + 2), b"until 2100", FAR)?;
    batch.put_until(&key(at + 3), b"until 1970", Duration::from_secs(1))?;
    batch.merge(&key(at + 4), b"operand")?;
    batch.put(&key(at + 5), &large(at, b'c'))?;
    batch.delete_range(&key(at + 6), &key(at + 9))?;
    db.write(&mut batch)
}

fn write_all(db: &Db) -> lsm::Result<()> {
    let gone = db.family("gone")?;
    gone.put(b"key", b"value")?;
    db.drop_family(&gone)?;
    (0..200).try_for_each(|it| db.put(&key(it), &large(it, b'a')))?;
    db.compact()?;
    // Most of the values become garbage, so that merges copy the others.
    let overwritten = |it: &u32| !it.is_multiple_of(4);
    (0..200).filter(overwritten).try_for_each(|it| db.put(&key(it), &large(it, b'b')))?;
    db.compact()?;
    db.settle()?;
    let mut load = db.ingest();
    for number in 300..340 {
        load.put(&key(number), b"loaded")?;
    }
    load.finish()?;
    let held = db.snapshot();
    change_all(db, 10)?;
    // More than a memtable, so that the changes go into a table as they are.
    (400..500).try_for_each(|it| db.put(&key(it), &[b'd'; 50]))?;
    change_all(db, 30)?;
    drop(held);
    Ok(())
}

/// The store as `write_all` left it.
fn require_all(db: &Db) {
    let get = |number: u32| db.get(&key(number)).expect("it can be read");
    for at in [10, 30] {
        assert_eq!(get(at).as_deref(), Some(&b"value, operand"[..]));
        assert_eq!(get(at + 1), None);
        assert_eq!(get(at + 2).as_deref(), Some(&b"until 2100"[..]));
        assert_eq!(get(at + 3), None);
        assert_eq!(get(at + 4), Some([large(at + 4, b'b'), b"operand".to_vec()].concat()));
        assert_eq!(get(at + 5), Some(large(at, b'c')));
        assert_eq!([6, 7, 8].map(|it| get(at + it)), [None, None, None]);
    }
    for number in (0_u32..10).chain(19..30).chain(39..200) {
        let mark = if number.is_multiple_of(4) { b'a' } else { b'b' };
        assert_eq!(get(number), Some(large(number, mark)), "key {number}");
    }
    (300..340).for_each(|it| assert_eq!(get(it).as_deref(), Some(&b"loaded"[..])));
    assert_eq!(db.iter().count(), 340 - 2 * 5);
    assert_eq!(db.prefix(b"key 03").count(), 40);
    assert_eq!(db.families(), ["default"]);
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
    for golden in &ALL {
        if golden.is_present && env::var_os("UPDATE").is_some() {
            OsFs.remove_dir_all(&golden.folder()).ok();
            golden.write_to(&golden.folder());
        }
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        let folder = folder.path().join("store");
        copy(&golden.folder(), &folder);
        let fs = Arc::new(OsFs);
        let db = Db::open_on(fs, &folder, (golden.options)()).expect("it can be opened");
        (golden.require)(&db);
    }
}

/// The files of a store, by their folders.
fn files(store: &Path) -> Vec<PathBuf> {
    let parts = ["manifest", "log", "tables", "values"].into_iter().map(Path::new);
    let names = parts.flat_map(|part| {
        let entries = OsFs.list(&store.join(part)).unwrap_or_default();
        entries.into_iter().map(move |it| part.join(it.name))
    });
    names.collect()
}

/// What is written today is, byte for byte, what the files of this version are.
#[test]
fn the_present_version_writes_the_same_bytes() {
    for golden in ALL.iter().filter(|it| it.is_present) {
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        let folder = folder.path().join("store");
        golden.write_to(&folder);
        let names = files(&folder);
        assert_eq!(names, files(&golden.folder()), "{}", golden.name);
        assert!(names.len() >= 4, "{}: {names:?}", golden.name);
        for name in names {
            let read = |folder: &Path| OsFs.read(&folder.join(&name)).expect("it is there");
            let same = read(&folder) == read(&golden.folder());
            assert!(same, "{}/{} differs; is it a new version?", golden.name, name.display());
        }
    }
}

/// What the second store is for: each kind of change, edit and file is in it.
#[test]
fn the_whole_store_has_what_there_is() {
    let folder = ALL[2].folder();
    let mut lines = String::new();
    for name in files(&folder).iter().filter(|it| it.extension().is_none_or(|it| it != "spare")) {
        lsm::dump(&OsFs, &folder.join(name), |line| lines.extend([&line, "\n"])).expect("whole");
    }
    for kind in ["Value", "Tombstone", "Removal", "Operand", "Dated", "Pointer"] {
        assert!(lines.contains(&format!(" {kind}@")), "no {kind}: {lines}");
    }
    for said in ["values that a merge wrote", " is gone", " lost ", " in tables up to ", " run "] {
        assert!(lines.contains(said), "no `{said}`: {lines}");
    }
}
