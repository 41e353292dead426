//! What the nodes of a replicated log apply entries to.

/// A state machine that counts.
pub trait Machine: Default + Send {
    /// Applies one entry.
    fn apply(&mut self, payload: &[u8]);

    /// How many entries it has applied.
    fn count(&self) -> u64;

    /// What it has applied, in order; for [`Summed`] one payload, the sum.
    fn payloads(&self) -> Vec<Vec<u8>>;

    /// All of it, for a node that fell behind what the others' logs keep.
    fn save(&self) -> Vec<u8>;

    /// What was saved takes its place.
    ///
    /// Panics where [`Machine::save`] never gave this.
    fn load(&mut self, saved: &[u8]);
}

/// Keeps everything: for checks.
#[derive(Debug, Default)]
pub struct Kept(Vec<Vec<u8>>);

impl Machine for Kept {
    fn apply(&mut self, payload: &[u8]) {
        self.0.push(payload.to_vec());
    }

    fn count(&self) -> u64 {
        self.0.len() as u64
    }

    fn payloads(&self) -> Vec<Vec<u8>> {
        self.0.clone()
    }

    fn save(&self) -> Vec<u8> {
        let with_len = |it: &Vec<u8>| [&(it.len() as u64).to_le_bytes()[..], it].concat();
        self.0.iter().flat_map(with_len).collect()
    }

    fn load(&mut self, mut saved: &[u8]) {
        self.0.clear();
        while let Some((len, rest)) = saved.split_first_chunk() {
            let len = usize::try_from(u64::from_le_bytes(*len)).expect("64-bit targets only");
            let (payload, rest) = rest.split_at(len);
            self.0.push(payload.to_vec());
            saved = rest;
        }
    }
}

/// Adds up the first word of each entry: costs next to nothing while others are measured.
#[derive(Debug, Default)]
pub struct Summed {
    count: u64,
    sum: u64,
}

impl Machine for Summed {
    fn apply(&mut self, payload: &[u8]) {
        let word = payload.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        self.count += 1;
        self.sum = self.sum.wrapping_add(word);
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn payloads(&self) -> Vec<Vec<u8>> {
        vec![self.sum.to_le_bytes().to_vec()]
    }

    fn save(&self) -> Vec<u8> {
        [self.count.to_le_bytes(), self.sum.to_le_bytes()].concat()
    }

    fn load(&mut self, saved: &[u8]) {
        let words = saved.as_chunks().0;
        [self.count, self.sum] = [0, 1].map(|at| u64::from_le_bytes(words[at]));
    }
}

/// How many applied entries a node's log may hold before it is compacted, and how many then stay.
pub const LOG_MAX: u64 = 8_192;
/// See [`LOG_MAX`].
pub const LOG_KEPT: u64 = 1_024;

/// More rounds of messages than any proposal needs; ticks pass in idle ones.
pub const ROUNDS_MAX: u32 = 10_000;

/// A cluster that does not come to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck;

impl std::fmt::Display for Stuck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the cluster made no end of it in {ROUNDS_MAX} rounds; look at its messages")
    }
}

impl std::error::Error for Stuck {}
