//! Figures as text: three significant digits, and the unit that keeps them short.
//!
//! | unit in the record | shown as                        |
//! |--------------------|---------------------------------|
//! | `op/s`             | op/s, kop/s, Mop/s, Gop/s       |
//! | `ns`               | ns, µs, ms, s                   |
//! | `B`                | B, KiB, MiB, GiB, TiB           |
//! | anything else      | as it is                        |
//!
//! A figure beyond those units gets an exponent, and one that is no number (a bug of whoever made
//! the record) a dash, so that no record makes a column wider than a dozen characters.
//!
//! # What this module does not do
//!
//! It rounds for the eye. Comparisons are made on the figures of the record, never on these texts.

use crate::record::Machine;

/// Shown where there is no number.
pub(super) const NOTHING: &str = "-";

/// Below this, and from `LARGE` on, a figure has an exponent.
const SMALL: f64 = 1e-3;
const LARGE: f64 = 1e5;

/// How a metric is called where there is room, and where there is little.
const METRICS: [(&str, &str, &str); 19] = [
    ("throughput", "throughput", "Mop/s"),
    ("cpu_per_op", "CPU time per operation", "CPU ns/op"),
    ("p50", "latency p50", "p50"),
    ("p90", "latency p90", "p90"),
    ("p99", "latency p99", "p99"),
    ("p999", "latency p99.9", "p99.9"),
    ("p9999", "latency p99.99", "p99.99"),
    ("max", "latency max", "max"),
    ("p50_over_floor", "latency p50 over the floor", "p50 - floor"),
    ("p99_over_floor", "latency p99 over the floor", "p99 - floor"),
    ("worst_cpu", "worst CPU time of an operation", "worst CPU"),
    ("displacement", "displacement from the order of coming", "displaced"),
    ("syncs_per_op", "syncs per operation", "syncs/op"),
    ("wire_bytes_per_op", "bytes on the wire per operation", "wire B/op"),
    ("settle", "time to settle", "settle"),
    ("peak_rss", "peak memory", "peak RSS"),
    ("bytes_per_entry", "memory per entry", "B/entry"),
    ("bytes_written", "bytes written", "written"),
    ("disk", "disk used", "disk"),
];

/// Percentiles of a latency plot, in order.
pub(super) const PERCENTILES: [&str; 6] = ["p50", "p90", "p99", "p999", "p9999", "max"];

/// Metrics that are sizes, in order.
pub(super) const SIZES: [&str; 4] = ["peak_rss", "bytes_per_entry", "bytes_written", "disk"];

/// `28.1 ns to 61.0 ns`: how long a cache line takes from one processor to the other; [`NOTHING`]
/// where that was not measured.
pub(super) fn handover(machine: &Machine) -> String {
    let [shortest, longest] = machine.handover_ns;
    if longest == 0.0 {
        return NOTHING.to_owned();
    }
    format!("{} to {}", quantity(shortest, "ns"), quantity(longest, "ns"))
}

/// The warning of a machine whose processors [moved](Machine::moved).
pub(super) fn moved(machine: &Machine) -> String {
    format!(
        "MOVED: a cache line took {} from one processor to the other during this run; lines of \
         several threads were not all measured on the same machine",
        handover(machine)
    )
}

/// Where a metric stands among the others; those that we do not know come last.
pub(super) fn order(metric: &str) -> usize {
    METRICS.iter().position(|(name, ..)| *name == metric).unwrap_or(METRICS.len())
}

/// `latency p99`.
pub(super) fn title(metric: &str) -> &str {
    METRICS.get(order(metric)).map_or(metric, |(_, title, _)| title)
}

/// `p99`: the head of a column.
pub(super) fn heading(metric: &str) -> &str {
    METRICS.get(order(metric)).map_or(metric, |(.., heading)| heading)
}

/// A figure in a column of its metric, whose [`heading`] may name the unit.
pub(super) fn in_column(metric: &str, value: f64, unit: &str) -> String {
    match (metric, unit) {
        ("throughput", "op/s") => short(value / 1e6),
        ("cpu_per_op", "ns") | ("bytes_per_entry", "B") => short(value),
        _ => quantity(value, unit),
    }
}

/// A figure with its unit: `12.3 Mop/s`.
pub(super) fn quantity(value: f64, unit: &str) -> String {
    let (divisor, unit) = scale(value, unit);
    format!("{} {unit}", short(value / divisor)).trim_end().to_owned()
}

/// The unit that suits a value, and what to divide by.
pub(super) fn scale(value: f64, unit: &str) -> (f64, &str) {
    const KIB: f64 = 1024.0;
    let steps: &[(f64, &str)] = match unit {
        "op/s" => &[(1.0, "op/s"), (1e3, "kop/s"), (1e6, "Mop/s"), (1e9, "Gop/s")],
        "ns" => &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")],
        "B" => &[
            (1.0, "B"),
            (KIB, "KiB"),
            (KIB * KIB, "MiB"),
            (KIB * KIB * KIB, "GiB"),
            (KIB * KIB * KIB * KIB, "TiB"),
        ],
        _ => return (1.0, unit),
    };
    let fits = |&&(step, _): &&(f64, &str)| value.abs() >= step;
    *steps.iter().rev().find(fits).unwrap_or(&steps[0])
}

/// Three significant digits: `0.0123`, `1.23`, `12.3`, `123`, `12345`, `1.23e9`.
pub(super) fn short(value: f64) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    // Bounds lie where rounding to three digits would gain one.
    match size {
        _ if !(SMALL..LARGE).contains(&size) => format!("{value:.2e}"),
        _ if size < 0.009_995 => format!("{value:.5}"),
        _ if size < 0.099_95 => format!("{value:.4}"),
        _ if size < 0.999_5 => format!("{value:.3}"),
        _ if size < 9.995 => format!("{value:.2}"),
        _ if size < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A ratio and its interval: `1.71 [1.68, 1.74]`.
pub(super) fn interval(value: f64, lo: f64, hi: f64) -> String {
    format!("{} [{}, {}]", short(value), short(lo), short(hi))
}

/// `1 thread`, `2 threads`.
pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A name without what would steer a terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A name of at most `chars` characters, with the middle left out where there are more: both ends
/// of a workload's path tell it from its neighbours.
pub(super) fn clip(text: &str, chars: usize) -> String {
    let text = clean(text);
    let length = text.chars().count();
    if length <= chars {
        return text;
    }
    let kept = chars.saturating_sub(1);
    let head = kept.div_ceil(2);
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - (kept - head)).collect();
    format!("{start}\u{2026}{end}")
}

/// Breaks a sentence at spaces into lines of `width` characters, or within a word that is longer;
/// lines after the first are indented by `indent`.
pub(super) fn wrap(sentence: &str, width: usize, indent: usize) -> String {
    let clean: String = sentence.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut lines = vec![String::new()];
    for word in clean.split_inclusive(' ') {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let line = lines.last_mut().expect("there is a first line");
            let left = width.saturating_sub(line.chars().count());
            let needed = word.len() - usize::from(word.last() == Some(&' '));
            let fresh = line.trim().is_empty();
            if needed <= left {
                line.extend(word);
                break;
            }
            if fresh {
                line.extend(word.drain(..left.max(1).min(word.len())));
                if word.is_empty() {
                    break;
                }
            }
            lines.push(" ".repeat(indent));
        }
    }
    let lines: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_whatever_their_size() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1e-9, "1.00e-9"),
            (0.001, "0.00100"),
            (0.009_996, "0.0100"),
            (0.999_6, "1.00"),
            (9.996, "10.0"),
            (99.96, "100"),
            (1.0, "1.00"),
            (12_345.0, "12345"),
            (1e15, "1.00e15"),
            (-3.17, "-3.17"),
            (f64::MAX, "1.80e308"),
            (f64::NAN, "-"),
            (f64::INFINITY, "-"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text, "{value}");
        }
    }

    #[test]
    fn units_follow_the_size() {
        assert_eq!(quantity(12_345_678.0, "op/s"), "12.3 Mop/s");
        assert_eq!(quantity(999.0, "ns"), "999 ns");
        assert_eq!(quantity(1_500_000.0, "ns"), "1.50 ms");
        assert_eq!(quantity(1536.0, "B"), "1.50 KiB");
        assert_eq!(quantity(0.0, "B"), "0 B");
        assert_eq!(quantity(1e15, "ns"), "1.00e6 s");
        assert_eq!(quantity(3.0, "faults"), "3.00 faults");
        assert_eq!(quantity(3.0, ""), "3.00");
    }

    #[test]
    fn clipping_keeps_both_ends_and_whole_characters() {
        assert_eq!(clip("keyed/1k", 8), "keyed/1k");
        assert_eq!(clip("keyed/1M/uniform", 9), "keye…form");
        assert_eq!(clip("ääääää", 3), "ä…ä");
        assert_eq!(clip("abc", 1), "…");
    }

    #[test]
    fn every_plotted_metric_has_a_title() {
        for metric in PERCENTILES.iter().chain(&SIZES) {
            assert!(order(metric) < METRICS.len(), "{metric}");
        }
    }
}
