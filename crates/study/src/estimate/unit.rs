//! Results as they are read: three digits and a unit of a fitting size.

/// Units of one kind, each with its size in the first one.
const KINDS: [&[(&str, f64)]; 3] = [
    &[("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)],
    &[("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)],
    &[("/s", 1.0), ("k/s", 1e3), ("M/s", 1e6), ("G/s", 1e9)],
];

/// A value with a unit of the same kind as `unit`, in the first of which it is counted; other units
/// are words, which stay.
pub(super) fn shown(value: f64, unit: &str) -> Result<String, String> {
    let kind = KINDS.iter().find(|kind| kind.iter().any(|(name, _)| *name == unit));
    let Some(kind) = kind else {
        return Ok(format!("{} {unit}", digits(value)).trim_end().to_owned());
    };
    if value < 0.0 {
        return Err(format!("{value} {unit} is less than nothing"));
    }
    let fitting = kind.iter().rev().find(|(_, size)| value >= *size).unwrap_or(&kind[0]);
    Ok(format!("{} {}", digits(value / fitting.1), fitting.0))
}

/// Three digits that count, or all of a whole number, with its thousands apart.
fn digits(value: f64) -> String {
    let magnitude = value.abs();
    if value.fract() != 0.0 && magnitude < 99.95 {
        let decimals = match magnitude {
            0.0..0.1 => 4,
            0.1..9.995 => 2,
            _ => 1,
        };
        return format!("{value:.decimals$}");
    }
    let last =
        if value.fract() == 0.0 { 1.0 } else { 10_f64.powf(magnitude.log10().floor() - 2.0) };
    let whole = format!("{:.0}", (magnitude / last).round() * last);
    let groups = whole.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}", groups.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn units_fit() {
        let cases = [
            (33.57e6, "B", "33.6 MB"),
            (256.0, "kB", "256 B"),
            (80.0, "ns", "80 ns"),
            (1_500_000.0, "ns", "1.50 ms"),
            (12_500_000.0, "/s", "12.5 M/s"),
            (131_072.0, "", "131,072"),
            (1.034, "", "1.03"),
            (0.012_34, "", "0.0123"),
            (217_341.3, "", "217,000"),
            (99.96, "", "100"),
            (3.0, "levels", "3 levels"),
            (-1_234.0, "", "-1,234"),
        ];
        for (value, unit, text) in cases {
            assert_eq!(shown(value, unit).as_deref(), Ok(text), "{value} {unit}");
        }
        assert!(shown(-1.0, "B").is_err());
    }
}
