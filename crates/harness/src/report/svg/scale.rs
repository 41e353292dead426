//! From values to places along an axis.
//!
//! # What this module does not do
//!
//! It draws nothing, and it never fails: a value that a logarithmic axis cannot hold (zero, or
//! beyond its ends) lies at the end.

/// An axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::report) struct Scale {
    kind: Kind,
    /// The values at both ends, the lesser first and never equal.
    domain: (f64, f64),
    /// Their places.
    range: (f64, f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Linear,
    Logarithmic,
}

/// Values that a logarithmic axis may reach; the squares of both are numbers.
const LEAST: f64 = 1e-150;
const MOST: f64 = 1e150;

impl Scale {
    /// From zero to `most`, or a little further, so that the last tick is a round number.
    pub(in crate::report) fn from_zero(most: f64, range: (f64, f64)) -> Self {
        let most = if most.is_finite() && most > 0.0 { most.min(MOST) } else { 1.0 };
        let step = round_step(most / 3.0);
        let top = (most / step).ceil() * step;
        Self { kind: Kind::Linear, domain: (0.0, top), range }
    }

    /// From zero to `most` and no further.
    pub(in crate::report) fn exactly(most: f64, range: (f64, f64)) -> Self {
        let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
        Self { kind: Kind::Linear, domain: (0.0, most), range }
    }

    /// From `least` to `most`, by factors.
    pub(in crate::report) fn logarithmic(least: f64, most: f64, range: (f64, f64)) -> Self {
        let held = |value: f64| if value.is_finite() { value.clamp(LEAST, MOST) } else { 1.0 };
        let (least, mut most) = (held(least), held(most));
        if most <= least * 1.01 {
            most = least * 2.0;
        }
        Self { kind: Kind::Logarithmic, domain: (least, most), range }
    }

    /// The place of a value.
    pub(in crate::report) fn at(&self, value: f64) -> f64 {
        let (least, most) = self.domain;
        let value = if value.is_nan() { least } else { value.clamp(least, most) };
        let part = match self.kind {
            Kind::Linear => (value - least) / (most - least),
            Kind::Logarithmic => (value / least).ln() / (most / least).ln(),
        };
        self.range.0 + part * (self.range.1 - self.range.0)
    }

    /// Whether a value lies between the ends.
    pub(in crate::report) fn holds(&self, value: f64) -> bool {
        (self.domain.0..=self.domain.1).contains(&value)
    }

    /// Round values along the axis, at most `count` where that can be done.
    pub(in crate::report) fn ticks(&self, count: usize) -> Vec<f64> {
        match self.kind {
            Kind::Linear => self.linear_ticks(),
            Kind::Logarithmic => self.logarithmic_ticks(count),
        }
    }

    fn linear_ticks(&self) -> Vec<f64> {
        let top = self.domain.1;
        let step = round_step(top / 4.01);
        (0..=5).map(|index| f64::from(index) * step).filter(|tick| *tick <= top * 1.001).collect()
    }

    /// The finest of some series that does not give more than `count`.
    fn logarithmic_ticks(&self, count: usize) -> Vec<f64> {
        const SERIES: [&[f64]; 4] = [
            &[1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.7, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
            &[1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0],
            &[1.0, 2.0, 5.0],
            &[1.0, 3.0],
        ];
        let fine = SERIES.iter().map(|series| self.multiples(series, 1));
        let coarse = [1, 2, 3, 6, 12, 24, 48, 96].map(|decades| self.multiples(&[1.0], decades));
        let mut coarsest = Vec::new();
        for ticks in fine.chain(coarse) {
            if ticks.len() <= count {
                return ticks;
            }
            coarsest = ticks;
        }
        coarsest
    }

    /// `series` times each `decades`-th power of ten, as far as it lies on the axis.
    fn multiples(&self, series: &[f64], decades: usize) -> Vec<f64> {
        let powers = (-150..=150).step_by(decades).map(|power| 10_f64.powi(power));
        let ticks = powers.flat_map(|power| series.iter().map(move |factor| factor * power));
        ticks.filter(|tick| self.holds(*tick)).collect()
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.max(LEAST).log10().floor());
    let fits = |factor: &f64| factor * power >= step * 0.999;
    [1.0, 2.0, 5.0].into_iter().find(fits).unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_lie_at_the_ends_and_ticks_between() {
        for most in [1e-9, 0.3, 1.0, 7.0, 44.0, 1e15] {
            let scale = Scale::from_zero(most, (100.0, 0.0));
            let ticks = scale.ticks(5);
            assert!((2..=6).contains(&ticks.len()), "{most}: {ticks:?}");
            assert!(ticks.iter().all(|tick| scale.holds(*tick)), "{most}: {ticks:?}");
            assert!(scale.holds(most) && (scale.at(0.0) - 100.0).abs() < 1e-9);
        }
    }

    #[test]
    fn logarithmic_ticks_are_as_many_as_fit() {
        for (least, most) in [(0.9, 1.1), (0.5, 2.0), (0.2, 30.0), (1.0, 1e6), (1e-9, 1e15)] {
            let scale = Scale::logarithmic(least, most, (0.0, 300.0));
            let ticks = scale.ticks(7);
            assert!((2..=7).contains(&ticks.len()), "{least} to {most}: {ticks:?}");
            let places: Vec<_> = ticks.iter().map(|tick| scale.at(*tick)).collect();
            assert!(places.is_sorted(), "{places:?}");
        }
    }

    #[test]
    fn what_an_axis_cannot_hold_lies_at_its_end() {
        let scale = Scale::logarithmic(0.5, 2.0, (0.0, 10.0));
        for (value, place) in [(0.0, 0.0), (-1.0, 0.0), (f64::NAN, 0.0), (f64::INFINITY, 10.0)] {
            assert!((scale.at(value) - place).abs() < 1e-9, "{value}");
        }
        for scale in [
            Scale::logarithmic(0.0, 0.0, (0.0, 1.0)),
            Scale::logarithmic(f64::NAN, f64::INFINITY, (0.0, 1.0)),
            Scale::from_zero(f64::MAX, (0.0, 1.0)),
            Scale::from_zero(f64::MIN_POSITIVE, (0.0, 1.0)),
        ] {
            assert!(scale.at(1.0).is_finite() && scale.ticks(5).len() < 100, "{scale:?}");
        }
    }
}
