//! Backups are read as they were written, in pieces of any length, and never otherwise.

use super::*;

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// Entries of more than one block, one of them nearly as long as a command may be.
fn sample() -> Entries {
    let value = |number: u32| vec![b'v'; if number == 7 { COMMAND_MAX - 20 } else { 40_000 }];
    (0..20).map(|number| (format!("key {number:03}").into_bytes(), value(number))).collect()
}

fn written(entries: &Entries) -> Vec<u8> {
    let mut bytes = head(Index(57)).to_vec();
    let mut left = entries.iter().cloned().map(Ok::<_, Damaged>).peekable();
    let (mut blocks, mut total) = (0, 0);
    while let Some((block, count)) = Block::take(blocks, &mut left).expect("nothing fails") {
        bytes.extend_from_slice(&block.encode());
        blocks += 1;
        total += count;
    }
    assert!(blocks > 2 || entries.len() < 20, "they take more than one block: {blocks}");
    bytes.extend_from_slice(&end(blocks, total));
    bytes
}

fn read(bytes: &[u8], piece: usize) -> Result<(Summary, Entries), Damaged> {
    let (mut reader, mut found) = (Reader::default(), Vec::new());
    for piece in bytes.chunks(piece) {
        reader.feed(piece);
        while let Some(block) = reader.block()? {
            for entry in entries(&block.entries) {
                let (key, value) = entry?;
                found.push((key.to_vec(), value.to_vec()));
            }
        }
        assert!(reader.buffer.len() < FRONT + ENTRIES_MAX, "what is held is less than a block");
    }
    reader.finish().map(|summary| (summary, found))
}

#[test]
fn backups_are_read_as_they_were_written() {
    for entries in [sample(), Vec::new()] {
        let bytes = written(&entries);
        let summary = Summary { applied: Index(57), entries: entries.len() as u64 };
        for piece in [1 << 10, 100_001, bytes.len()] {
            assert_eq!(read(&bytes, piece), Ok((summary, entries.clone())), "in pieces of {piece}");
        }
    }
}

#[test]
fn what_is_cut_flipped_moved_or_longer_is_refused() {
    let small: Entries = vec![(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"2".to_vec())];
    let whole = written(&small);
    for len in 0..whole.len() {
        assert!(read(&whole[..len], 7).is_err(), "cut at {len}");
    }
    for bit in 0..8 * whole.len() {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&flipped, 7).is_err(), "bit {bit} is flipped");
    }
    assert!(read(&[&whole[..], &[0]].concat(), 7).is_err(), "something is behind it");
    assert!(read(&[&whole[..], &[0]].concat(), 1 << 20).is_err(), "and comes with the end");
    let block = |number, key: &[u8]| {
        let entries = [(key.to_vec(), Vec::new())].into_iter().map(Ok::<_, Damaged>);
        let (block, _) = Block::take(number, &mut entries.peekable())
            .expect("nothing fails")
            .expect("it has one");
        block.encode()
    };
    let of = |blocks: &[Bytes], count| {
        read(&[&head(Index(1))[..], &blocks.concat(), &end(count, count)].concat(), 7)
    };
    assert!(of(&[block(0, b"a"), block(1, b"b")], 2).is_ok());
    assert!(of(&[block(1, b"b"), block(0, b"a")], 2).is_err(), "two have changed places");
    assert!(of(&[block(0, b"a"), block(0, b"a")], 2).is_err(), "one is doubled");
    assert!(of(&[block(0, b"a")], 2).is_err(), "the last one is lost");
}

#[test]
fn entries_that_a_server_would_not_take_are_refused() {
    let block = |key: &[u8], value: &[u8]| {
        let entries = [(key.to_vec(), value.to_vec())].into_iter().map(Ok::<_, Damaged>);
        let (block, _) =
            Block::take(0, &mut entries.peekable()).expect("nothing fails").expect("it has one");
        Block::decode(0, block.encode())
    };
    assert!(block(&[b'k'; KEY_MAX], b"").is_ok());
    for (key, value) in
        [(&[b'k'; KEY_MAX + 1][..], &b""[..]), (b"", b"value"), (b"\xff", b""), (b"k", b"\xff")]
    {
        assert!(block(key, value).is_err(), "{key:?}");
    }
    let whole = block(b"key", b"value").expect("it is right").encode();
    for len in 0..whole.len() {
        assert!(Block::decode(0, whole.slice(..len)).is_err(), "cut at {len}");
    }
    let mut long = Reader::default();
    long.feed(&[&head(Index(1))[..], &u32::MAX.to_le_bytes()].concat());
    assert!(long.block().is_err(), "nobody waits for four gigabytes");
}
