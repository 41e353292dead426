//! Damage: flipped bits, missing files, records that cannot be.

use std::io::Read;

use env::fs::{Fs, FsExt, OpenMode};
use proptest::prelude::*;

use super::record::{Record, State};
use super::snapshots::Snapshots;
use super::*;
use crate::SnapshotFile;

/// A log that was synced after each write, so that all but its last record is vouched for.
fn filled(fs: &Arc<SimFs>) -> Result<View> {
    let log = open(fs)?;
    let mut group = log.create(GroupId(1), Incarnation(0), founders())?;
    for index in 1..=9 {
        let entries: Entries = vec![command(Index(index), Term(1), b"entry")].into();
        group.write(&write(HardState::default(), None, entries))?;
        log.sync()?;
        if index == 5 {
            let last = Position { index: Index(4), term: Term(1) };
            group.compact(&snapshot(last, &[5; 40]), Index(2))?;
        }
    }
    Ok(view(&group))
}

/// A flipped bit is an error, or it is in bytes that nobody needs, or it costs the last record:
/// that one cannot be told from a torn end.
#[test]
fn every_flipped_bit_is_an_error_or_costs_the_last_entry_at_most() -> Result<()> {
    let fs = SimDisk::new(1).mount();
    let known = filled(&fs)?;
    let mut refused = 0;
    for folder in ["/raft/log", "/raft/snapshots"] {
        for entry in fs.list(Path::new(folder))? {
            let path = Path::new(folder).join(&entry.name);
            let whole = fs.read(&path)?;
            for (at, byte) in whole.iter().enumerate() {
                let other = SimDisk::new(1).mount();
                copy(&fs, &other)?;
                let file = other.open(&path, OpenMode::WRITE)?;
                file.write_all_at(&[byte ^ (1 << (at % 8))], at as u64)?;
                match open(&other).and_then(|log| log.group(GroupId(1))) {
                    Err(_) => refused += 1,
                    Ok(group) => {
                        let found = view(&group);
                        let mut shorter = known.clone();
                        shorter.entries = known.entries.first_part(known.entries.len() - 1);
                        assert!(found == known || found == shorter, "{path:?}, byte {at}");
                    }
                }
            }
        }
    }
    assert!(refused > 300, "{refused} flips were refused");
    Ok(())
}

fn copy(from: &Arc<SimFs>, to: &Arc<SimFs>) -> Result<()> {
    for folder in ["/raft", "/raft/log", "/raft/snapshots"] {
        to.create_dir_all(Path::new(folder))?;
        for entry in from.list(Path::new(folder))?.iter().filter(|entry| !entry.is_dir) {
            let path = Path::new(folder).join(&entry.name);
            to.write_atomic(&path, &from.read(&path)?)?;
        }
    }
    Ok(())
}

#[test]
fn a_missing_snapshot_is_an_error() -> Result<()> {
    let fs = SimDisk::new(1).mount();
    filled(&fs)?;
    let folder = Path::new("/raft/snapshots");
    for entry in fs.list(folder)? {
        fs.remove_file(&folder.join(entry.name))?;
    }
    assert!(matches!(open(&fs), Err(DiskError::Snapshot { .. })));
    Ok(())
}

#[test]
fn writes_to_nothing_are_an_error() -> Result<()> {
    let fs = SimDisk::new(1).mount();
    fs.create_dir_all(Path::new("/raft"))?;
    let log = wal::Log::open(Arc::<SimFs>::clone(&fs), Path::new("/raft/log"), OPTIONS)?;
    log.append(&Record::Copy { entries: Entries::default() }.encode(GroupId(3)))?;
    drop(log);
    assert!(matches!(open(&fs), Err(DiskError::Stateless { group: GroupId(3) })));
    Ok(())
}

/// Records whose checksums are right and that contradict each other.
#[test]
fn records_that_do_not_follow_are_an_error() -> Result<()> {
    let state = State {
        incarnation: Incarnation(1),
        hard_state: HardState::default(),
        meta: snapshot(Position { index: Index(4), term: Term(2) }, b"").meta,
        file: 0,
        base: Position { index: Index(4), term: Term(2) },
    };
    let write = |index, term| Record::Write {
        hard_state: HardState::default(),
        snapshot: None,
        entries: vec![command(Index(index), Term(term), b"")].into(),
    };
    let copy =
        |index, term| Record::Copy { entries: vec![command(Index(index), Term(term), b"")].into() };
    let older = State { base: Position { index: Index(3), term: Term(2) }, ..state.clone() };
    let other = State { base: Position { index: Index(4), term: Term(1) }, ..state.clone() };
    let ahead = State {
        meta: snapshot(Position { index: Index(9), term: Term(2) }, b"").meta,
        ..state.clone()
    };
    let wrong = [
        vec![write(6, 2)],
        vec![write(4, 2)],
        vec![copy(6, 2)],
        vec![write(5, 2), copy(5, 3)],
        vec![Record::State(older)],
        vec![Record::State(other)],
        vec![Record::State(ahead)],
    ];
    for records in wrong {
        let fs = SimDisk::new(1).mount();
        fs.create_dir_all(Path::new("/raft"))?;
        let log = wal::Log::open(Arc::<SimFs>::clone(&fs), Path::new("/raft/log"), OPTIONS)?;
        log.append(&Record::State(state.clone()).encode(GroupId(3)))?;
        for record in &records {
            log.append(&record.encode(GroupId(3)))?;
        }
        drop(log);
        let found = open(&fs);
        assert!(matches!(found, Err(DiskError::Corrupt { .. })), "{records:?}: {found:?}");
    }
    Ok(())
}

/// The bytes of version 1, which every later program must read: a state, a write, a copy, as
/// `docs/raft/format.md` draws them.
#[test]
fn records_of_the_first_version_are_read() {
    let hard_state = HardState { term: Term(300), vote: Some(NodeId(2)), commit: Index(9) };
    let meta = snapshot(Position { index: Index(8), term: Term(5) }, b"12345").meta;
    let (base, file) = (Position { index: Index(7), term: Term(5) }, 6);
    let incarnation = Incarnation(200);
    let entries: Entries = vec![
        command(Index(9), Term(299), b"put"),
        Entry { index: Index(10), term: Term(300), payload: Payload::Noop },
        Entry {
            index: Index(11),
            term: Term(300),
            payload: Payload::Configuration(Box::new(Configuration::founding([NodeId(4)]))),
        },
    ]
    .into();
    let golden = [
        (
            "01 07 c801 ac02 01 02 09 08 05 05 03 01 02 03 00 00 03 01 00 02 00 03 00 00 06 07 05",
            Record::State(State { incarnation, hard_state, meta: meta.clone(), file, base }),
        ),
        (
            "02 07 ac02 01 02 09 01 08 05 05 03 01 02 03 00 00 03 01 00 02 00 03 00 00 06 \
             09 03 ab02 01 03 707574 ac02 00 ac02 02 01 04 00 00 01 04 00 00",
            Record::Write { hard_state, snapshot: Some((meta, file)), entries: entries.clone() },
        ),
        (
            "03 07 09 03 ab02 01 03 707574 ac02 00 ac02 02 01 04 00 00 01 04 00 00",
            Record::Copy { entries },
        ),
    ];
    for (text, record) in golden {
        let digits: String = text.split_whitespace().collect();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("it is hexadecimal");
        let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
        assert_eq!(record.encode(GroupId(7)), bytes);
        assert_eq!(Record::decode(bytes.into()), Ok((GroupId(7), record)));
    }
}

/// So are files of snapshots.
#[test]
fn a_snapshot_of_the_first_version_is_read() -> Result<()> {
    let fs = SimDisk::new(1).mount();
    let file = [&b"STRATASN\x01\0\0\0\0\0\0\0"[..], &[0x4c, 0xf8, 0xed, 0xfa], b"state"].concat();
    let folder = Path::new("/raft/snapshots");
    fs.create_dir_all(folder)?;
    fs.write_atomic(&folder.join("0000000000000003.snapshot"), &file)?;
    let (snapshots, files) = Snapshots::open(fs, Path::new("/raft"))?;
    assert_eq!(files, [3]);
    snapshots.verify(3, 5)?;
    assert_eq!(snapshots.read(3, 1..5)?, "tate");
    Ok(())
}

/// Written in pieces and read in pieces, whatever their lengths; a block that is damaged is refused
/// where it begins.
#[test]
fn snapshots_are_streamed_and_a_damaged_block_is_refused() -> Result<()> {
    let fs = SimDisk::new(1).mount();
    let log = open(&fs)?;
    let whole: Vec<u8> = (0..2_000_000_u32).map(|at| (at / 7).to_le_bytes()[0]).collect();
    for piece in [1_000, 32 << 10, 1_999_999, 2_000_000] {
        let file = log.write_snapshot::<DiskError>(|to| {
            whole.chunks(piece).try_for_each(|piece| to.append(piece))
        })?;
        let mut read = Vec::new();
        file.reader().read_to_end(&mut read).expect("it is whole");
        assert!(read == whole && file.read()? == whole, "in pieces of {piece}");
    }
    let folder = Path::new("/raft/snapshots");
    let files = fs.list(folder)?;
    let damaged = fs.open(&folder.join(&files[0].name), OpenMode::WRITE)?;
    damaged
        .write_all_at(&[whole[1_500_000] ^ 1], 16 + 1_500_000 + 4 * (1_500_000 / (32 << 10) + 1))?;
    let file = SnapshotFile { shared: Arc::clone(&log.shared), number: 1, len: 2_000_000 };
    let mut read = Vec::new();
    let refused = file.reader().read_to_end(&mut read).expect_err("a bit is flipped");
    assert!(refused.to_string().contains("does not have its checksum"), "{refused}");
    assert!(read.len() < 1_500_000 && whole.starts_with(&read), "{} bytes are right", read.len());

    // What is not finished has no file, and what is nothing needs none.
    let failed = log.write_snapshot(|to| to.append(b"half of it").and(Err(DiskError::Failed)));
    assert!(matches!(failed, Err(DiskError::Failed)));
    assert_eq!(log.write_snapshot::<DiskError>(|_| Ok(()))?.read()?, Bytes::new());
    assert_eq!(fs.list(folder)?, files);
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok((group, record)) = Record::decode(Bytes::from(bytes)) {
            let again = Record::decode(Bytes::from(record.encode(group)));
            prop_assert_eq!(again, Ok((group, record)));
        }
    }

    #[test]
    fn a_record_that_is_cut_is_an_error(cut in 0usize..40) {
        let entries: Entries = vec![command(Index(8), Term(2), b"a command")].into();
        let hard_state = HardState { term: Term(2), vote: Some(NodeId(3)), commit: Index(7) };
        let bytes = Record::Write { hard_state, snapshot: None, entries }.encode(GroupId(9));
        let short = bytes.len().saturating_sub(cut + 1);
        let found = Record::decode(Bytes::from(bytes).slice(..short));
        prop_assert_eq!(found, Err(DecodeError::Short));
    }
}
