//! Every number that is shown is one of the record.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::figure;
use super::super::view;
use super::golden;
use crate::record::Record;
use crate::report::page;
use crate::report::terminal::{self, Terminal};

/// The numbers in a text, as they are written there.
fn numbers(text: &str) -> BTreeSet<String> {
    let part = |c: char| c.is_alphanumeric() || c == '.' || c == '-';
    let words = text.split(|c: char| !part(c)).map(|word| word.trim_matches(['.', '-']));
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned).collect()
}

/// What a record may make appear: its figures in every form, its counts, its texts.
fn known(record: &Record) -> BTreeSet<String> {
    let mut texts = vec![
        record.commit.clone(),
        record.machine.cpu.clone(),
        record.machine.kernel.clone(),
        record.machine.rustc.clone(),
        format!("{:.2} {}", record.machine.load_before, record.machine.cores),
        figure::handover(&record.machine),
        // The percentiles' names, the size of an interval, and the point where ours equals it.
        "50 90 99 99.9 95 1".to_owned(),
    ];
    for row in &record.rows {
        texts.extend([row.workload.clone(), row.contender.clone(), row.version.clone()]);
        texts.push(row.threads.to_string());
        for value in [row.median, row.lo, row.hi] {
            texts.push(figure::in_column(&row.metric, value, &row.unit));
            texts.push(figure::quantity(value, &row.unit));
        }
    }
    for it in &record.ratios {
        texts.push(figure::interval(it.ratio, it.lo, it.hi));
    }
    for it in &record.failures {
        texts.extend([it.reason.clone(), it.workload.clone(), it.threads.to_string()]);
    }
    for it in &record.disturbed {
        texts.push(format!("{} {} {:.2}", it.workload, it.threads, it.load));
    }
    for build in &view::builds(record) {
        texts.push(build.lines.len().to_string());
        for it in build.summaries() {
            texts.push(format!("{} {}", it.lines(), figure::short(it.mean)));
            texts.push(format!("{} {} {}", it.better, it.even, it.worse));
        }
    }
    texts.iter().flat_map(|text| numbers(text)).collect()
}

/// The text of a page: no tags, no style, and no drawing but its titles, since ticks are places on
/// an axis and no figures.
fn text_of(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        for (open, close) in [("<style", "</style>"), ("<text", "</text>")] {
            if rest.starts_with(open) {
                rest = &rest[rest.find(close).expect("an element ends")..];
            }
        }
        rest = &rest[rest.find('>').expect("a tag ends") + 1..];
        text.push(' ');
    }
    text.replace("&#39;", "'")
}

fn assert_true(record: &Record) {
    let known = known(record);
    let page = text_of(&page::render(record, &[]));
    let table = terminal::render(record, Terminal::PLAIN);
    // `x2`, the threads of a line, does not begin with a digit.
    for shown in [page, table] {
        let strange: Vec<_> =
            numbers(&shown).into_iter().filter(|it| !known.contains(it)).collect();
        assert!(strange.is_empty(), "not in the record: {strange:?}");
    }
}

#[test]
fn a_number_that_is_not_in_the_record_is_found() {
    let record = golden();
    assert_true(&record);
    let mut other = record.clone();
    other.rows[0].median = 8.765e15;
    let strange = numbers(&terminal::render(&other, Terminal::PLAIN));
    assert!(!strange.is_subset(&known(&record)), "a changed figure went unseen");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_number_comes_from_the_record(
        factors in prop::collection::vec(-12_i32..13, 1..40),
        keep in prop::collection::vec(any::<bool>(), 1..40),
    ) {
        let mut record = golden();
        for (row, power) in record.rows.iter_mut().zip(factors.iter().cycle()) {
            let factor = 7.3_f64.powi(*power);
            (row.median, row.lo, row.hi) = (row.median * factor, row.lo * factor, row.hi * factor);
        }
        for (ratio, power) in record.ratios.iter_mut().zip(factors.iter().cycle()) {
            let factor = 1.37_f64.powi(*power);
            (ratio.ratio, ratio.lo, ratio.hi) =
                (ratio.ratio * factor, ratio.lo * factor, ratio.hi * factor);
        }
        let mut kept = keep.iter().cycle();
        record.rows.retain(|_| *kept.next().expect("a cycle has no end"));
        record.ratios.retain(|_| *kept.next().expect("a cycle has no end"));
        assert_true(&record);
    }
}
