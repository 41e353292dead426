mod interrupted;
mod locks;

use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{Fs, FsErrorKind, FsExt, OpenMode, OsFs};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

#[test]
fn positioned_writes_leave_zeros_between_them() {
    let folder = folder();
    let file = OsFs.open(&folder.path().join("f"), OpenMode::CREATE_NEW).unwrap();
    file.write_all_at(b"tail", 8).unwrap();
    file.write_all_at(b"head", 0).unwrap();
    let mut bytes = [1; 12];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"head\0\0\0\0tail");
    assert_eq!(file.size().unwrap(), 12);
}

#[test]
fn reads_are_short_at_the_end_and_empty_behind_it() {
    let folder = folder();
    let path = folder.path().join("f");
    OsFs.write_atomic(&path, b"12345").unwrap();
    let file = OsFs.open(&path, OpenMode::READ).unwrap();
    let mut buffer = [0; 4];
    assert_eq!(file.read_at(&mut buffer, 3).unwrap(), 2);
    assert_eq!(file.read_at(&mut buffer, 5).unwrap(), 0);
    assert_eq!(file.read_at(&mut buffer, 500).unwrap(), 0);
    let error = file.read_exact_at(&mut buffer, 3).unwrap_err();
    assert_eq!((error.kind, error.code), (FsErrorKind::UnexpectedEnd, None));
}

#[test]
fn intents_differ_in_what_they_want_and_keep() {
    let folder = folder();
    let path = folder.path().join("f");
    let kind = |mode| OsFs.open(&path, mode).map(|_| ()).map_err(|error| error.kind);
    assert_eq!(kind(OpenMode::READ), Err(FsErrorKind::NotFound));
    assert_eq!(kind(OpenMode::WRITE), Err(FsErrorKind::NotFound));
    assert_eq!(kind(OpenMode::CREATE_NEW), Ok(()));
    assert_eq!(kind(OpenMode::CREATE_NEW), Err(FsErrorKind::AlreadyExists));
    OsFs.open(&path, OpenMode::WRITE).unwrap().write_all_at(b"abc", 0).unwrap();
    assert_eq!(kind(OpenMode::OPEN_OR_CREATE), Ok(()));
    assert_eq!(OsFs.size(&path).unwrap(), 3);
    assert_eq!(kind(OpenMode::TRUNCATE), Ok(()));
    assert_eq!(OsFs.size(&path).unwrap(), 0);
}

#[test]
fn drafts_take_a_name_once_they_are_published() {
    let folder = folder();
    let path = folder.path().join("f");
    OsFs.write_atomic(&path, b"old").unwrap();
    let mut draft = OsFs.draft(&path).unwrap();
    draft.append(b"half of").unwrap();
    drop(draft);
    assert_eq!(OsFs.read_to_string(&path).unwrap(), "old");
    assert_eq!(OsFs.list(folder.path()).unwrap().len(), 1, "nothing is left of it");
    let mut draft = OsFs.draft(&path).unwrap();
    draft.append(b"ne").unwrap();
    draft.append(b"w").unwrap();
    assert_eq!(OsFs.read_to_string(&path).unwrap(), "old");
    draft.publish().unwrap();
    assert_eq!(OsFs.read_to_string(&path).unwrap(), "new");
    assert_eq!(OsFs.list(folder.path()).unwrap().len(), 1);
}

#[test]
fn reader_cannot_write() {
    let folder = folder();
    let path = folder.path().join("f");
    OsFs.write_atomic(&path, b"x").unwrap();
    let file = OsFs.open(&path, OpenMode::READ).unwrap();
    assert_eq!(file.write_at(b"y", 0).unwrap_err().kind, FsErrorKind::Denied);
}

#[test]
fn appends_go_to_the_end_whoever_wrote_last() {
    let folder = folder();
    let path = folder.path().join("f");
    let one = OsFs.open(&path, OpenMode::APPEND).unwrap();
    let other = OsFs.open(&path, OpenMode::APPEND).unwrap();
    one.append(b"1").unwrap();
    other.append(b"22").unwrap();
    one.append(b"333").unwrap();
    assert_eq!(OsFs.read_to_string(&path).unwrap(), "122333");
}

#[test]
#[should_panic(expected = "was opened for appending only")]
fn offset_is_refused_where_it_has_no_meaning() {
    let folder = folder();
    let file = OsFs.open(&folder.path().join("f"), OpenMode::APPEND).unwrap();
    let _unreached = file.write_at(b"x", 0);
}

#[test]
fn lengths_are_set_and_reserved() {
    let folder = folder();
    let file = OsFs.open(&folder.path().join("f"), OpenMode::CREATE_NEW).unwrap();
    file.write_all_at(b"abcdef", 0).unwrap();
    file.set_len(3).unwrap();
    file.preallocate(0).unwrap();
    file.preallocate(2).unwrap();
    assert_eq!(file.size().unwrap(), 3, "a longer file stays as it is");
    file.preallocate(5).unwrap();
    let mut bytes = [1; 5];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"abc\0\0");
    file.sync_all().unwrap();
}

#[test]
fn what_is_written_out_is_still_there() {
    let folder = folder();
    let file = OsFs.open(&folder.path().join("f"), OpenMode::CREATE_NEW).unwrap();
    let whole: Vec<u8> = (0..=250).cycle().take(20_000).collect();
    for (at, part) in whole.chunks(1_000).enumerate() {
        let start = at as u64 * 1_000;
        file.write_all_at(part, start).unwrap();
        file.write_out(start..start + 1_000);
        file.write_out(start..start);
    }
    file.write_out(0..20_000);
    file.sync_data().unwrap();
    file.write_out(0..u64::MAX);
    let mut found = vec![0; whole.len()];
    file.read_exact_at(&mut found, 0).unwrap();
    assert_eq!(found, whole);
}

#[test]
fn directory_lists_what_it_holds_in_order() {
    let folder = folder();
    let root = folder.path();
    OsFs.create_dir_all(&root.join("b/c")).unwrap();
    OsFs.create_dir_all(&root.join("b/c")).unwrap();
    OsFs.write_atomic(&root.join("a"), b"").unwrap();
    OsFs.sync_dir(root).unwrap();
    let entries = OsFs.list(root).unwrap();
    let names: Vec<_> = entries.iter().map(|entry| (entry.name.to_str(), entry.is_dir)).collect();
    assert_eq!(names, [(Some("a"), false), (Some("b"), true)]);
    assert_eq!(OsFs.remove_dir(&root.join("b")).unwrap_err().kind, FsErrorKind::NotEmpty);
    OsFs.remove_dir_all(&root.join("b")).unwrap();
    assert!(!OsFs.exists(&root.join("b")).unwrap());
}

#[test]
fn kinds_tell_what_is_wrong_and_the_text_what_to_do() {
    let folder = folder();
    let (file, missing) = (folder.path().join("f"), folder.path().join("none"));
    OsFs.write_atomic(&file, b"x").unwrap();
    let kind = |result: super::Result<()>| result.unwrap_err().kind;
    assert_eq!(kind(OsFs.remove_file(&missing)), FsErrorKind::NotFound);
    assert_eq!(kind(OsFs.rename(&missing, &file)), FsErrorKind::NotFound);
    assert_eq!(kind(OsFs.sync_dir(&file)), FsErrorKind::WrongType);
    assert_eq!(kind(OsFs.list(&file).map(|_| ())), FsErrorKind::WrongType);
    assert_eq!(kind(OsFs.create_dir_all(&file)), FsErrorKind::AlreadyExists);
    assert_eq!(kind(OsFs.create_dir_all(&file.join("x"))), FsErrorKind::WrongType);
    let error = OsFs.size(&missing).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot measure {}: it does not exist; ", missing.display()))
    );
    assert_eq!(error.code, Some(2));
}

#[test]
fn codes_of_full_and_broken_disks_have_their_kinds() {
    let kind = |code| super::FsError::from_code("write", Path::new("f"), code).kind;
    assert_eq!(kind(28), FsErrorKind::NoSpace, "ENOSPC");
    assert_eq!(kind(122), FsErrorKind::NoSpace, "EDQUOT");
    assert_eq!(kind(5), FsErrorKind::Io, "EIO");
    assert_eq!(kind(24), FsErrorKind::TooManyOpenFiles, "EMFILE");
    assert_eq!(kind(9_999), FsErrorKind::Other);
}

#[test]
fn full_device_is_told_apart() {
    let full = Path::new("/dev/full");
    if !OsFs.exists(full).unwrap() {
        return;
    }
    let file = OsFs.open(full, OpenMode::WRITE).unwrap();
    assert_eq!(file.write_all_at(b"x", 0).unwrap_err().kind, FsErrorKind::NoSpace);
}

#[test]
fn a_link_is_the_same_file_under_another_name() {
    let folder = folder();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    OsFs.write_atomic(&one, b"bytes").expect("the folder is writable");
    OsFs.link(&one, &other).expect("the folder is writable");
    let error = OsFs.link(&one, &other).expect_err("the name is taken");
    assert_eq!(error.kind, FsErrorKind::AlreadyExists);
    OsFs.remove_file(&one).expect("it is there");
    assert_eq!(OsFs.read(&other).expect("it is there"), b"bytes");
    assert_eq!(*OsFs.read_apart(&other).expect("it is there"), *b"bytes");
}

#[test]
fn removed_file_lives_while_it_is_open() {
    let folder = folder();
    let path = folder.path().join("f");
    let file = OsFs.open(&path, OpenMode::CREATE_NEW).unwrap();
    file.write_all_at(b"still here", 0).unwrap();
    OsFs.remove_file(&path).unwrap();
    let mut bytes = [0; 10];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"still here");
}

#[test]
fn stores_into_a_mapping_are_seen_by_readers() {
    let folder = folder();
    let file = OsFs.open(&folder.path().join("log"), OpenMode::CREATE_NEW).unwrap();
    file.preallocate(10_000).unwrap();
    let mut mapped = file.map(10_000).unwrap();
    mapped.store(4_095, b"over the edge");
    mapped.flush_range(4_095..4_108).unwrap();
    mapped.let_go(0..10_000);
    let mut bytes = [0; 13];
    file.read_exact_at(&mut bytes, 4_095).unwrap();
    assert_eq!(&bytes, b"over the edge");
    file.write_all_at(b"from below", 9_990).unwrap();
    mapped.load(9_990, &mut bytes[..10]);
    assert_eq!(&bytes[..10], b"from below");
    assert_eq!((mapped.len(), mapped.is_empty()), (10_000, false));
}

#[test]
#[expect(unsafe_code, reason = "the halves of a mapping are shared between two threads")]
fn threads_share_a_mapping_by_halves() {
    let folder = folder();
    let file = OsFs.open(&folder.path().join("log"), OpenMode::CREATE_NEW).unwrap();
    file.preallocate(8_192).unwrap();
    let mapped = file.map(8_192).unwrap();
    let fill = |start: usize, byte: u8| {
        // SAFETY: each thread has its own half.
        (start..start + 4_096).for_each(|at| unsafe { mapped.store_shared(at, &[byte]) });
    };
    std::thread::scope(|scope| {
        scope.spawn(|| fill(0, 1));
        scope.spawn(|| fill(4_096, 2));
    });
    let bytes = OsFs.read(file.path()).unwrap();
    assert!(bytes[..4_096].iter().all(|&byte| byte == 1));
    assert!(bytes[4_096..].iter().all(|&byte| byte == 2));
}

#[test]
fn mapping_beyond_the_end_is_refused() {
    let folder = folder();
    let file = OsFs.open(&folder.path().join("log"), OpenMode::CREATE_NEW).unwrap();
    file.set_len(100).unwrap();
    assert_eq!(file.map(101).unwrap_err().kind, FsErrorKind::UnexpectedEnd);
    assert_eq!(file.map(0).unwrap_err().kind, FsErrorKind::InvalidInput);
}

#[test]
#[should_panic(expected = "5 bytes at 96 do not fit into a mapping of 100")]
fn store_beyond_the_mapping_panics() {
    let folder = folder();
    let file = OsFs.open(&folder.path().join("log"), OpenMode::CREATE_NEW).unwrap();
    file.set_len(100).unwrap();
    file.map(100).unwrap().store(96, b"12345");
}

#[test]
fn direct_io_takes_aligned_requests_only() {
    let folder = folder();
    // Memory file systems refuse the flag; then there is nothing to test.
    let mode = OpenMode::OPEN_OR_CREATE.direct();
    let Ok(file) = OsFs.open(&folder.path().join("f"), mode) else { return };
    assert_eq!(file.write_at(&[0; 100], 1).unwrap_err().kind, FsErrorKind::InvalidInput);
}

#[test]
fn text_must_be_text() {
    let folder = folder();
    let path = folder.path().join("f");
    OsFs.write_atomic(&path, &[0xFF]).unwrap();
    assert_eq!(OsFs.read_to_string(&path).unwrap_err().kind, FsErrorKind::InvalidInput);
    OsFs.write_atomic(&path, "gr\u{fc}n".as_bytes()).unwrap();
    assert_eq!(OsFs.read_to_string(&path).unwrap(), "gr\u{fc}n");
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..600)
}

proptest! {
    #[test]
    fn file_is_the_vector_that_the_same_writes_make(
        writes in prop::collection::vec((0_u16..3_000, bytes()), 0..8)
    ) {
        let folder = folder();
        let path = folder.path().join("f");
        let file = OsFs.open(&path, OpenMode::CREATE_NEW).unwrap();
        let mut model: Vec<u8> = Vec::new();
        for (offset, bytes) in writes.iter().filter(|(_, bytes)| !bytes.is_empty()) {
            file.write_all_at(bytes, u64::from(*offset)).unwrap();
            let range = usize::from(*offset)..usize::from(*offset) + bytes.len();
            model.resize(model.len().max(range.end), 0);
            model[range].copy_from_slice(bytes);
        }
        prop_assert_eq!(&*OsFs.read_apart(&path).unwrap(), &*model);
        prop_assert_eq!(OsFs.read(&path).unwrap(), model);
    }
}
