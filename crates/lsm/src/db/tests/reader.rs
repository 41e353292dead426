//! Reading a store that others have open, left behind, or damaged.

use env::fs::Fs;
use harness::sim::SimDisk;

use super::*;
use crate::{Error, Reader};

fn look(fs: &SimFs) -> Result<Reader> {
    let fs: Arc<dyn Fs> = Arc::new(fs.clone());
    Reader::open_on(&fs, folder(), &tiny())
}

fn entries(reader: &Reader) -> Model {
    reader.range(..).collect::<Result<Model>>().expect("it can be read")
}

#[test]
fn a_reader_sees_what_was_written_and_writes_nothing() {
    for seed in 0..10 {
        let disk = SimDisk::new(seed);
        let fs = disk.mount();
        assert!(matches!(look(&fs), Err(Error::Missing(_))));
        let db = open(&fs, &tiny()).expect("the disk is well");
        let batches = batches(seed, 160, 150);
        let history = history(&batches);
        for (number, changes) in (1..).zip(&batches) {
            write(&db, changes).expect("the disk is well");
            if number % 40 == 7 {
                let before = disk.ios();
                let reader = look(&fs).expect("it can be read beside");
                assert_eq!(entries(&reader), history[number], "seed {seed}, batch {number}");
                for it in (0..40).map(key) {
                    assert_eq!(reader.get(&it).expect("well").as_ref(), history[number].get(&it));
                }
                reader.verify().expect("nothing is damaged");
                assert_eq!(disk.ios(), before, "nothing was written");
            }
        }
        disk.kill();
        let left = look(&disk.mount()).expect("what a kill leaves can be read");
        assert_eq!(entries(&left), history[160]);
    }
}

#[test]
fn a_reader_knows_families_and_memtables_that_are_overfull() {
    let fs = SimDisk::new(1).mount();
    let db = open(&fs, &tiny()).expect("the disk is well");
    let other = db.family("other").expect("the disk is well");
    other.put(b"a", &[3; 3_000]).expect("the disk is well");
    db.put(b"b", &[4; 3_000]).expect("the disk is well");
    let small = Options { memtable_size: 4 << 10, ..tiny() };
    (0..8).for_each(|it| other.put(&[it], &[it; 400]).expect("the disk is well"));
    let fs: Arc<dyn Fs> = Arc::<SimFs>::clone(&fs);
    let reader = Reader::open_on(&fs, folder(), &small).expect("it can be read");
    assert_eq!(reader.families().collect::<Vec<_>>(), ["default", "other"]);
    assert_eq!(reader.get_in("other", b"a").expect("well").unwrap(), [3; 3_000]);
    assert_eq!(reader.range_in("other", ..).count(), 9);
    assert_eq!(reader.range(..).count(), 1);
    assert_eq!(reader.get_in("nowhere", b"a").expect("well"), None);
    assert_eq!(reader.range_in("nowhere", ..).count(), 0);
}
