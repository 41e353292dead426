//! Numbers and byte strings in files: little-endian, lengths before bytes, all checked.

/// Appends to a byte string.
pub(crate) trait Put {
    fn put_u8(&mut self, value: u8);
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    /// A length of four bytes, and the bytes.
    fn put_bytes(&mut self, bytes: &[u8]);
    /// A number in as few bytes as it needs, seven bits in each, the lowest first (LEB128).
    fn put_short(&mut self, value: u32);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_u32(u32::try_from(bytes.len()).expect("keys and values are below 4 GiB"));
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn put_short(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.push(value.to_le_bytes()[0]);
    }
}

/// Takes from the front of a byte string; `None` where it is too short.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taker<'a>(pub(crate) &'a [u8]);

impl<'a> Taker<'a> {
    #[inline]
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.chunk::<1>().map(|it| it[0])
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.chunk().map(|it| u32::from_le_bytes(*it))
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.chunk().map(|it| u64::from_le_bytes(*it))
    }

    /// A number of [`Put::put_short`].
    #[inline]
    pub(crate) fn short(&mut self) -> Option<u32> {
        let mut value = 0_u64;
        for at in 0..5 {
            let byte = u64::from(self.u8()?);
            value |= (byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                return u32::try_from(value).ok();
            }
        }
        None
    }

    /// So many bytes.
    #[inline]
    pub(crate) fn take(&mut self, len: u32) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len as usize)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(len)
    }

    #[inline]
    fn chunk<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
