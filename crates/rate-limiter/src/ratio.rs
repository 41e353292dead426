//! A product of two 128-bit numbers over a third, exactly.

/// `floor(a * b / c)`, or the largest number where the result has more than 128 bits.
///
/// Panics when `c` is zero. Schoolbook: the product in two words, then one bit of the quotient at
/// a time where it has two. For changes of a quota, not for checks.
pub(crate) fn mul_div(a: u128, b: u128, c: u128) -> u128 {
    divide(product(a, b), c).0
}

/// `ceil(a * b / c)`, likewise.
pub(crate) fn mul_div_ceil(a: u128, b: u128, c: u128) -> u128 {
    let (quotient, remainder) = divide(product(a, b), c);
    quotient.saturating_add(u128::from(remainder != 0))
}

const HALF: u32 = 64;

/// `a * b` as its high and its low word.
fn product(a: u128, b: u128) -> (u128, u128) {
    let halves = |word: u128| (word >> HALF, word & u128::from(u64::MAX));
    let ((a1, a0), (b1, b0)) = (halves(a), halves(b));
    let (middle, carry) = (a1 * b0).overflowing_add(a0 * b1);
    let (low, overflow) = (a0 * b0).overflowing_add(middle << HALF);
    let high = a1 * b1 + (middle >> HALF) + (u128::from(carry) << HALF) + u128::from(overflow);
    (high, low)
}

/// Quotient and remainder of a number of two words.
fn divide((high, low): (u128, u128), divisor: u128) -> (u128, u128) {
    assert!(divisor > 0, "nothing can be divided by zero");
    if high == 0 {
        return (low / divisor, low % divisor);
    }
    if high >= divisor {
        return (u128::MAX, 0);
    }
    let (mut remainder, mut quotient) = (high, 0);
    for bit in (0..u128::BITS).rev() {
        let carried = remainder >> (u128::BITS - 1) != 0;
        remainder = (remainder << 1) | ((low >> bit) & 1);
        quotient <<= 1;
        if carried || remainder >= divisor {
            // With a bit carried out the difference still fits, since the remainder was smaller.
            remainder = remainder.wrapping_sub(divisor);
            quotient |= 1;
        }
    }
    (quotient, remainder)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{divide, mul_div, mul_div_ceil, product};

    proptest! {
        #[test]
        fn small_numbers_agree_with_the_machine(
            a in any::<u64>(),
            b in any::<u64>(),
            c in 1..=u128::MAX,
        ) {
            let whole = u128::from(a) * u128::from(b);
            prop_assert_eq!(mul_div(a.into(), b.into(), c), whole / c);
            prop_assert_eq!(mul_div_ceil(a.into(), b.into(), c), whole.div_ceil(c));
        }

        #[test]
        fn quotient_times_divisor_plus_remainder_is_the_number(
            a in any::<u128>(),
            b in any::<u128>(),
            c in 1..=u128::MAX,
        ) {
            let number = product(a, b);
            let (quotient, remainder) = divide(number, c);
            prop_assume!(number.0 < c);
            prop_assert!(remainder < c);
            let (high, low) = product(quotient, c);
            let (low, carry) = low.overflowing_add(remainder);
            prop_assert_eq!((high + u128::from(carry), low), number);
        }
    }

    #[test]
    fn what_does_not_fit_is_the_largest_number() {
        assert_eq!(mul_div(u128::MAX, 2, 1), u128::MAX);
        assert_eq!(mul_div(u128::MAX, u128::MAX, u128::MAX), u128::MAX);
        assert_eq!(mul_div(u128::MAX, u128::MAX - 1, u128::MAX), u128::MAX - 1);
    }
}
