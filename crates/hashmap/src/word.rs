//! What fits into a word.

use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64,
};

/// A small `Copy` type that travels as 64 bits: a key or a value of a [`WordMap`](crate::WordMap).
///
/// Keys are compared and hashed as their words, so two keys are equal exactly where their words
/// are. An implementation must return from [`from_word`](Word::from_word) what was given to
/// [`into_word`](Word::into_word); one that does not gets wrong answers, never undefined behaviour.
///
/// ```
/// use hashmap::{Word, WordMap};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// struct UserId(u32);
///
/// impl Word for UserId {
///     fn into_word(self) -> u64 {
///         self.0.into()
///     }
///     fn from_word(word: u64) -> Self {
///         Self(word as u32)
///     }
/// }
///
/// let karma: WordMap<UserId, i64> = WordMap::new();
/// karma.insert(UserId(7), -3);
/// assert_eq!(karma.get(UserId(7)), Some(-3));
/// ```
pub trait Word: Copy {
    /// The word of this value.
    fn into_word(self) -> u64;

    /// The value of a word that [`into_word`](Word::into_word) made.
    fn from_word(word: u64) -> Self;
}

macro_rules! unsigned {
    ($($type:ty),*) => {$(
        impl Word for $type {
            #[inline(always)]
            fn into_word(self) -> u64 {
                self.into()
            }
            #[inline(always)]
            #[expect(clippy::cast_possible_truncation, reason = "the word came from this type")]
            fn from_word(word: u64) -> Self {
                word as Self
            }
        }
    )*};
}

macro_rules! signed {
    ($($type:ty),*) => {$(
        impl Word for $type {
            #[inline(always)]
            fn into_word(self) -> u64 {
                i64::from(self).cast_unsigned()
            }
            #[inline(always)]
            #[expect(clippy::cast_possible_truncation, reason = "the word came from this type")]
            fn from_word(word: u64) -> Self {
                word.cast_signed() as Self
            }
        }
    )*};
}

macro_rules! non_zero {
    ($($type:ty: $inner:ty),*) => {$(
        impl Word for $type {
            #[inline(always)]
            fn into_word(self) -> u64 {
                self.get().into_word()
            }
            #[inline(always)]
            fn from_word(word: u64) -> Self {
                Self::new(<$inner>::from_word(word)).expect("the word of a number that is not 0")
            }
        }

        impl Word for Option<$type> {
            #[inline(always)]
            fn into_word(self) -> u64 {
                self.map_or(0, <$type>::into_word)
            }
            #[inline(always)]
            fn from_word(word: u64) -> Self {
                <$type>::new(<$inner>::from_word(word))
            }
        }
    )*};
}

macro_rules! bytes {
    ($($length:literal),*) => {$(
        impl Word for [u8; $length] {
            #[inline(always)]
            fn into_word(self) -> u64 {
                let mut bytes = [0; 8];
                bytes[..$length].copy_from_slice(&self);
                u64::from_le_bytes(bytes)
            }
            #[inline(always)]
            fn from_word(word: u64) -> Self {
                std::array::from_fn(|index| word.to_le_bytes()[index])
            }
        }
    )*};
}

unsigned!(u8, u16, u32);
signed!(i8, i16, i32);
non_zero!(
    NonZeroU8: u8, NonZeroU16: u16, NonZeroU32: u32, NonZeroU64: u64,
    NonZeroI8: i8, NonZeroI16: i16, NonZeroI32: i32, NonZeroI64: i64
);
bytes!(1, 2, 3, 4, 5, 6, 7, 8);

impl Word for u64 {
    #[inline(always)]
    fn into_word(self) -> u64 {
        self
    }
    #[inline(always)]
    fn from_word(word: u64) -> Self {
        word
    }
}

impl Word for i64 {
    #[inline(always)]
    fn into_word(self) -> u64 {
        self.cast_unsigned()
    }
    #[inline(always)]
    fn from_word(word: u64) -> Self {
        word.cast_signed()
    }
}

impl Word for usize {
    #[inline(always)]
    fn into_word(self) -> u64 {
        self as u64
    }
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the word came from this type")]
    fn from_word(word: u64) -> Self {
        word as Self
    }
}

impl Word for isize {
    #[inline(always)]
    fn into_word(self) -> u64 {
        self.cast_unsigned().into_word()
    }
    #[inline(always)]
    fn from_word(word: u64) -> Self {
        usize::from_word(word).cast_signed()
    }
}

impl Word for () {
    #[inline(always)]
    fn into_word(self) -> u64 {
        0
    }
    #[inline(always)]
    fn from_word(_word: u64) -> Self {}
}

impl Word for bool {
    #[inline(always)]
    fn into_word(self) -> u64 {
        self.into()
    }
    #[inline(always)]
    fn from_word(word: u64) -> Self {
        word != 0
    }
}

impl Word for char {
    #[inline(always)]
    fn into_word(self) -> u64 {
        self.into()
    }
    #[inline(always)]
    fn from_word(word: u64) -> Self {
        Self::from_u32(u32::from_word(word)).expect("the word of a character")
    }
}

/// As a key a float is its bits: `0.0` and `-0.0` are two keys, and a NaN equals itself.
impl Word for f32 {
    #[inline(always)]
    fn into_word(self) -> u64 {
        self.to_bits().into()
    }
    #[inline(always)]
    fn from_word(word: u64) -> Self {
        Self::from_bits(u32::from_word(word))
    }
}

/// As a key a float is its bits: `0.0` and `-0.0` are two keys, and a NaN equals itself.
impl Word for f64 {
    #[inline(always)]
    fn into_word(self) -> u64 {
        self.to_bits()
    }
    #[inline(always)]
    fn from_word(word: u64) -> Self {
        Self::from_bits(word)
    }
}

impl Word for (u32, u32) {
    #[inline(always)]
    fn into_word(self) -> u64 {
        u64::from(self.0) << 32 | u64::from(self.1)
    }
    #[inline(always)]
    fn from_word(word: u64) -> Self {
        (u32::from_word(word >> 32), u32::from_word(word))
    }
}
