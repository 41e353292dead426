//! Cells that one thread writes while another may look: what [`Stats`](crate::Stats) counts.
//!
//! They are read and written as plain memory is, at no cost; what is read is some value that was
//! written, and two of them need not fit together.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use super::{Counts, Kind};

macro_rules! shown {
    ($($doc:literal $name:ident: $type:ty as $atomic:ident,
        $new:ident => $into:expr, $old:ident => $from:expr;)+) => {$(
        #[doc = $doc]
        #[derive(Debug)]
        pub(crate) struct $name($atomic);

        impl $name {
            pub(crate) const fn new($new: $type) -> Self {
                Self($atomic::new($into))
            }

            #[inline(always)]
            pub(crate) fn get(&self) -> $type {
                let $old = self.0.load(Ordering::Relaxed); // Relaxed: see the module's header.
                $from
            }

            #[inline(always)]
            pub(crate) fn set(&self, $new: $type) {
                self.0.store($into, Ordering::Relaxed); // Relaxed: see the module's header.
            }
        }
    )+};
}

shown! {
    "A number." ShownNumber: u32 as AtomicU32, new => new, old => old;
    "A size class." ShownClass: u8 as AtomicU8, new => new, old => old;
    "Whether something is so." ShownFlag: bool as AtomicBool, new => new, old => old;
    "What a descriptor describes." ShownKind: Kind as AtomicU8,
        new => new as u8, old => Kind::of(old);
    "Two numbers in one word." ShownCounts: Counts as AtomicU64,
        new => new.word(), old => Counts::of(old);
}
