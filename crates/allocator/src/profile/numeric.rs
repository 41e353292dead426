//! The two functions of analysis that sampling needs, by their series.
//!
//! Those of the C library are in a library of their own, `libm`. Every process under
//! `LD_PRELOAD` would load it, at 300 KiB of resident memory, whether it takes a profile or not.

/// The natural logarithm of a normal number above zero, to one part in 10^13.
pub(super) fn ln(value: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    const BIAS: i64 = 1023;
    debug_assert!(value.is_normal() && value > 0.0, "the logarithm of {value}");
    let bits = value.to_bits();
    let (mut exponent, mantissa) = ((bits >> 52).cast_signed() - BIAS, bits & MANTISSA);
    let mut part = f64::from_bits(mantissa | 1.0_f64.to_bits());
    if part > std::f64::consts::SQRT_2 {
        part /= 2.0;
        exponent += 1;
    }
    // ln(part) = 2 artanh(ratio) = 2 (ratio + ratio^3 / 3 + ...), with a ratio below 0.172.
    let ratio = (part - 1.0) / (part + 1.0);
    let square = ratio * ratio;
    let series = (0..9).rev().fold(0.0, |sum, term| sum * square + 1.0 / f64::from(2 * term + 1));
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * ratio * series
}

/// `1 - exp(-value)` for a value that is not negative, to one part in 10^12 also near zero.
pub(super) fn one_minus_exp(value: f64) -> f64 {
    /// From here on the result is one, as exactly as can be told.
    const ONE: f64 = 64.0;
    if value >= ONE {
        return 1.0;
    }
    let (mut small, mut halvings) = (value, 0);
    while small > 0.125 {
        small /= 2.0;
        halvings += 1;
    }
    // small - small^2 / 2! + small^3 / 3! - ...
    let series = (1..=8).rev().fold(1.0, |sum, term| 1.0 - small / f64::from(term + 1) * sum);
    // With f(x) = 1 - exp(-x): f(2x) = f(x) (2 - f(x)).
    (0..halvings).fold(small * series, |sum, _| sum * (2.0 - sum))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ln, one_minus_exp};

    fn agree(ours: f64, theirs: f64, bound: f64) -> bool {
        (ours - theirs).abs() <= bound * theirs.abs()
    }

    proptest! {
        #[test]
        fn the_c_library_agrees(mantissa in 1.0_f64..2.0, exponent in -60_i32..60) {
            let value = mantissa * 2_f64.powi(exponent);
            prop_assert!(agree(ln(value), value.ln(), 1e-13), "ln {value}: {}", ln(value));
            let expected = -(-value).exp_m1();
            let ours = one_minus_exp(value);
            prop_assert!(agree(ours, expected, 1e-12), "{value}: {ours} for {expected}");
        }
    }

    #[test]
    fn the_ends_are_exact() {
        assert!(ln(1.0).to_bits() == 0, "so that the distance to a sample is at least zero");
        assert!(ln(f64::MIN_POSITIVE) < -708.0);
        assert!(one_minus_exp(0.0).to_bits() == 0);
        assert!(agree(one_minus_exp(63.9), 1.0, 1e-15));
    }
}
