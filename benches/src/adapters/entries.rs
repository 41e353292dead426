//! What engines share whose entries come as an iterator of pairs.

use harness::contract::StoreError;

/// Shows all entries; how many there were is returned.
pub(super) fn visited<K: AsRef<[u8]>, V: AsRef<[u8]>, E: Into<StoreError>>(
    entries: impl Iterator<Item = Result<(K, V), E>>,
    mut visit: impl FnMut(&[u8], &[u8]),
) -> Result<usize, StoreError> {
    let mut count = 0;
    for entry in entries {
        let (key, value) = entry.map_err(Into::into)?;
        visit(key.as_ref(), value.as_ref());
        count += 1;
    }
    Ok(count)
}
