//! Numbers, byte strings and versions as bytes.

use super::{Part, Version};

/// A length that goes into four bytes.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("keys, values and records are shorter than 4 GiB")
}

/// Stands for the length of a value that there is not.
const REMOVED: u32 = u32::MAX;

/// Writes behind what is there.
pub trait Encode {
    /// A number, in eight bytes.
    fn put_u64(&mut self, number: u64);
    /// A number, in four bytes.
    fn put_u32(&mut self, number: u32);
    /// A byte string and its length.
    fn put_bytes(&mut self, bytes: &[u8]);
    /// A version.
    fn put_version(&mut self, version: &Version);
    /// Where a part is.
    fn put_part(&mut self, part: Part);
}

impl Encode for Vec<u8> {
    fn put_u64(&mut self, number: u64) {
        self.extend(number.to_le_bytes());
    }

    fn put_u32(&mut self, number: u32) {
        self.extend(number.to_le_bytes());
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_u32(length(bytes));
        self.extend(bytes);
    }

    fn put_version(&mut self, version: &Version) {
        self.put_bytes(&version.key);
        self.put_u64(version.sequence);
        match &version.value {
            Some(value) => self.put_bytes(value),
            None => self.put_u32(REMOVED),
        }
    }

    fn put_part(&mut self, part: Part) {
        self.put_u64(part.offset);
        self.put_u32(part.length);
    }
}

/// Takes from the front of a slice; `None` where there is too little.
pub trait Decode<'a> {
    /// A number of [`Encode::put_u64`].
    fn take_u64(&mut self) -> Option<u64>;
    /// A number of [`Encode::put_u32`].
    fn take_u32(&mut self) -> Option<u32>;
    /// A byte string of [`Encode::put_bytes`].
    fn take_bytes(&mut self) -> Option<&'a [u8]>;
    /// A version of [`Encode::put_version`].
    fn take_version(&mut self) -> Option<Version>;
    /// Where a part is, of [`Encode::put_part`].
    fn take_part(&mut self) -> Option<Part>;
}

impl<'a> Decode<'a> for &'a [u8] {
    fn take_u64(&mut self) -> Option<u64> {
        let (number, rest) = self.split_first_chunk()?;
        *self = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn take_u32(&mut self) -> Option<u32> {
        let (number, rest) = self.split_first_chunk()?;
        *self = rest;
        Some(u32::from_le_bytes(*number))
    }

    fn take_bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.take_u32()? as usize;
        let (bytes, rest) = self.split_at_checked(length)?;
        *self = rest;
        Some(bytes)
    }

    fn take_version(&mut self) -> Option<Version> {
        let key = self.take_bytes()?;
        let sequence = self.take_u64()?;
        let is_removed = self.starts_with(&REMOVED.to_le_bytes());
        let value = if is_removed {
            self.take_u32()?;
            None
        } else {
            Some(self.take_bytes()?)
        };
        Some(Version::new(key, sequence, value))
    }

    fn take_part(&mut self) -> Option<Part> {
        Some(Part { offset: self.take_u64()?, length: self.take_u32()? })
    }
}

/// The versions that were written behind one another, as far as they are whole.
pub fn versions(mut bytes: &[u8]) -> Vec<Version> {
    std::iter::from_fn(|| bytes.take_version()).collect()
}
