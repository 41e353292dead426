//! The log of the model: whole records, each with its length and checksum.
//!
//! ```text
//! 0          4            12             12 + length
//! | length   | checksum   | changes ...  |
//! change:  key length u32, key, value length u32 (u32::MAX: removed), value
//! ```
//!
//! Numbers are little-endian. The checksum is FNV-1a of the changes: enough to see a record that
//! was cut short, which is all that a killed process leaves behind.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a model must not rest on the file layer that it is used to judge"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The changes of one record: a value sets the key, `None` removes it.
pub(crate) type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// An append-only file of [`Changes`].
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
}

/// Length and checksum.
const HEADER: usize = 12;
/// A value length that stands for "removed".
const REMOVED: u32 = u32::MAX;

impl Log {
    /// Opens the log in `directory`, which is created where it is missing, and returns its whole
    /// records. What follows the last whole record is cut off.
    pub(crate) fn open(directory: &Path) -> io::Result<(Self, Vec<Changes>)> {
        fs::create_dir_all(directory)?;
        let path = directory.join("log");
        let file = OpenOptions::new().create(true).append(true).read(true).open(&path)?;
        let bytes = fs::read(&path)?;
        let mut records = Vec::new();
        let mut rest = bytes.as_slice();
        while let Some((changes, after)) = decode(rest) {
            records.push(changes);
            rest = after;
        }
        file.set_len((bytes.len() - rest.len()) as u64)?;
        Ok((Self { file }, records))
    }

    /// Writes one record, and makes it survive a loss of power where `sync` is set.
    pub(crate) fn append(&mut self, changes: &Changes, sync: bool) -> io::Result<()> {
        self.file.write_all(&encode(changes)?)?;
        if sync { self.file.sync_data() } else { Ok(()) }
    }
}

fn encode(changes: &Changes) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    for (key, value) in changes {
        body.extend(length(key)?.to_le_bytes());
        body.extend(key);
        match value {
            Some(value) => {
                body.extend(length(value)?.to_le_bytes());
                body.extend(value);
            }
            None => body.extend(REMOVED.to_le_bytes()),
        }
    }
    let mut record = Vec::with_capacity(HEADER + body.len());
    record.extend(length(&body)?.to_le_bytes());
    record.extend(checksum(&body).to_le_bytes());
    record.extend(body);
    Ok(record)
}

/// Lengths stay below [`REMOVED`].
fn length(bytes: &[u8]) -> io::Result<u32> {
    u32::try_from(bytes.len()).ok().filter(|&it| it < REMOVED).ok_or_else(|| {
        let message = "the model stores keys, values and batches below 4 GiB; write less at once";
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}

/// The first record of `bytes` and what follows it; `None` where there is no whole record.
fn decode(mut bytes: &[u8]) -> Option<(Changes, &[u8])> {
    let size = take_length(&mut bytes)?;
    let sum = u64::from_le_bytes(take(&mut bytes, 8)?.try_into().expect("eight bytes"));
    let mut body = take(&mut bytes, size as usize)?;
    if checksum(body) != sum {
        return None;
    }
    let mut changes = Changes::new();
    while !body.is_empty() {
        let key_size = take_length(&mut body)?;
        let key = take(&mut body, key_size as usize)?.to_vec();
        let value = match take_length(&mut body)? {
            REMOVED => None,
            value_size => Some(take(&mut body, value_size as usize)?.to_vec()),
        };
        changes.push((key, value));
    }
    Some((changes, bytes))
}

fn take_length(bytes: &mut &[u8]) -> Option<u32> {
    let length = take(bytes, 4)?;
    Some(u32::from_le_bytes(length.try_into().expect("four bytes")))
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash: u64, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}
