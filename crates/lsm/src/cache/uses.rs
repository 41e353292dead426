//! How often something was used since the cache last looked.

use std::sync::atomic::{AtomicU8, Ordering};

/// Most uses that are counted between two looks of the cache.
const USES_MAX: u8 = 3;

/// A count of uses.
#[derive(Debug, Default)]
pub(crate) struct Uses(AtomicU8);

impl Uses {
    /// Notes a use.
    #[inline]
    pub(crate) fn add(&self) {
        // Relaxed, both: a lost count does no harm. It is written three times at most between two
        // looks, so that what is hot stays in every processor's cache.
        let uses = self.0.load(Ordering::Relaxed);
        if uses < USES_MAX {
            self.0.store(uses + 1, Ordering::Relaxed);
        }
    }

    /// Whether there are any.
    pub(crate) fn are_any(&self) -> bool {
        // Relaxed: see `add`.
        self.0.load(Ordering::Relaxed) > 0
    }

    /// Takes one from the uses; false where there was none.
    pub(crate) fn take(&self) -> bool {
        // Relaxed, both: see `add`.
        let uses = self.0.load(Ordering::Relaxed);
        self.0.store(uses.saturating_sub(1), Ordering::Relaxed);
        uses > 0
    }
}
