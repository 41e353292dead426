//! Records that nobody should make and somebody will.

use super::super::view;
use super::golden;
use super::markup::{assert_well_formed, tags};
use crate::record::{Better, DisturbedLine, FailedLine, Machine, Ratio, Record, Row, SCHEMA};
use crate::report::page::{self, Link};
use crate::report::plots;
use crate::report::terminal::{self, Terminal};

/// Tags that HTML never closes.
const VOID: [&str; 2] = ["meta", "br"];

fn empty() -> Record {
    Record {
        schema: SCHEMA,
        commit: String::new(),
        dirty: false,
        mode: "quick".to_owned(),
        machine: Machine::default(),
        rows: Vec::new(),
        ratios: Vec::new(),
        failures: Vec::new(),
        disturbed: Vec::new(),
    }
}

fn row(build: &str, workload: &str, contender: &str, metric: &str, median: f64) -> Row {
    Row {
        build: build.to_owned(),
        workload: workload.to_owned(),
        threads: 1,
        contender: contender.to_owned(),
        version: "1.0.0".to_owned(),
        metric: metric.to_owned(),
        unit: if metric == "throughput" { "op/s" } else { "ns" }.to_owned(),
        better: Better::Higher,
        median,
        lo: median * 0.9,
        hi: median * 1.1,
        rounds: 3,
    }
}

fn ratio(build: &str, workload: &str, peer: &str, ratio: f64) -> Ratio {
    Ratio {
        build: build.to_owned(),
        workload: workload.to_owned(),
        threads: 1,
        metric: "throughput".to_owned(),
        ours: build.to_owned(),
        peer: peer.to_owned(),
        best_peer: true,
        ratio,
        lo: ratio * 0.9,
        hi: ratio * 1.1,
    }
}

fn failure(contender: &str, reason: &str, fault: bool) -> FailedLine {
    FailedLine {
        build: "lsm".to_owned(),
        workload: "fillseq".to_owned(),
        threads: 1,
        contender: contender.to_owned(),
        reason: reason.to_owned(),
        fault,
    }
}

/// Makes everything of a record, and checks what must hold of any.
fn show(record: &Record) -> (String, String) {
    let text = terminal::render(record, Terminal::PLAIN);
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
        assert!(!line.contains(|c: char| c.is_control()), "a control character: {line:?}");
    }
    let page = page::render(record, &[]);
    assert_well_formed("the page", &page, &VOID);
    assert_fetches_nothing(&page);
    for file in plots::files(record) {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        assert!(file.name.chars().all(plain), "{} is no name for a file", file.name);
        assert_well_formed(&file.name, &file.svg, &[]);
        assert_fetches_nothing(&file.svg);
        assert!(!file.svg.contains("NaN") && !file.svg.contains("inf\""), "{}", file.name);
    }
    (text, page)
}

/// Looks into tags and styles only: a text may say what it likes. The name of the SVG name space
/// is no address that anyone fetches.
fn assert_fetches_nothing(markup: &str) {
    for tag in tags(markup) {
        let element = tag.split([' ', '/']).next().expect("a split has a first part");
        let fetching = ["script", "link", "iframe", "img", "image", "object", "embed", "base"];
        assert!(!fetching.contains(&element), "{tag}");
        for attribute in ["src=", "style=", "srcset=", "xlink"] {
            let names: String = tag.split('"').step_by(2).collect();
            assert!(!names.contains(attribute), "{attribute} in {tag}");
        }
        for elsewhere in ["href=\"http", "href=\"//", "href=\"data", "url("] {
            assert!(!tag.contains(elsewhere), "{elsewhere} in {tag}");
        }
    }
    for style in markup.split("<style>").skip(1) {
        let style = style.split("</style>").next().expect("a split has a first part");
        assert!(!style.contains("url(") && !style.contains("@import"), "{style}");
    }
}

#[test]
fn the_golden_record_shows() {
    show(&golden());
}

#[test]
fn an_empty_record_says_so() {
    let (text, page) = show(&empty());
    assert!(text.contains("nothing was measured"), "{text}");
    assert!(page.contains("Nothing was measured"), "{page}");
    assert!(plots::files(&empty()).is_empty());
}

#[test]
fn names_cannot_leave_their_place() {
    let names = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'; DROP TABLE rows; --",
        "</style></svg></title>",
        "&lt;already&gt;",
        "\u{1b}[31mred\u{7}",
        "\u{202e}reversed",
        "..",
        "",
        "ünïcödé 漢字 🦀",
    ];
    for name in names {
        let mut record = empty();
        record.commit = name.to_owned();
        record.machine.cpu = name.to_owned();
        record.mode = name.to_owned();
        record.rows = vec![row(name, name, name, name, 1.0), row(name, name, "peer", "p99", 2.0)];
        record.rows.push(row(name, name, "peer", "throughput", 2.0));
        record.ratios = vec![ratio(name, name, "peer", 0.5)];
        record.failures = vec![failure(name, name, true)];
        let (_, page) = show(&record);
        assert!(!page.contains("<img") && !page.contains("alert(1)</script>"), "{name}");
    }
}

#[test]
fn long_names_fit() {
    let long = "a-rather-long-part-of-a-path/".repeat(7);
    assert!(long.len() > 200);
    let mut record = empty();
    for contender in ["lsm", "a-contender-whose-name-nobody-can-remember-or-spell", &long] {
        for metric in ["throughput", "cpu_per_op", "p50", "p99", "peak_rss", &long] {
            record.rows.push(row("lsm", &long, contender, metric, 123.0));
        }
    }
    record.ratios = vec![ratio("lsm", &long, &long, 0.5)];
    record.failures = vec![failure(&long, &long, false)];
    record.machine.cpu = long;
    show(&record);
}

#[test]
fn figures_of_any_size_show() {
    let sizes = [0.0, 1e-9, 1e15, f64::MIN_POSITIVE, f64::MAX, f64::NAN, f64::INFINITY, -1.0];
    for (index, &size) in sizes.iter().enumerate() {
        let mut record = empty();
        for (peer, &other) in sizes.iter().enumerate() {
            for metric in ["throughput", "p50", "max", "peak_rss", "unknown"] {
                record.rows.push(row("lsm", "fillseq", "lsm", metric, size));
                record.rows.push(row("lsm", "fillseq", &format!("peer-{peer}"), metric, other));
            }
            let mut ratio = ratio("lsm", "fillseq", &format!("peer-{peer}"), other);
            ratio.best_peer = peer == index;
            record.ratios.push(ratio);
        }
        show(&record);
    }
}

#[test]
fn one_contender_alone_shows_without_ratios() {
    let mut record = golden();
    record.rows.retain(|row| row.contender == "rate-limiter");
    record.ratios.clear();
    let (text, page) = show(&record);
    assert!(text.contains("ours met no peer"), "{text}");
    assert!(page.contains("Ours met no peer"));
    let kinds = ["throughput", "latency", "memory"];
    let files = plots::files(&record).into_iter().map(|file| file.name).collect::<Vec<_>>();
    assert_eq!(files, kinds.map(|kind| format!("{kind}-rate-limiter.svg")));
}

#[test]
fn all_failed_shows_every_reason() {
    let mut record = empty();
    record.failures = vec![
        failure("lsm", "it panicked: index out of bounds", true),
        failure("rocksdb", "it does not support the line", false),
    ];
    let (text, page) = show(&record);
    for shown in [&text, &page] {
        for failure in &record.failures {
            assert!(shown.contains(&failure.reason), "{} is missing", failure.reason);
        }
    }
    assert!(text.contains("lsm: FAILED: it panicked"), "{text}");
    assert!(text.contains("rocksdb: not run: "), "{text}");
}

#[test]
fn doubtful_records_are_loud() {
    let mut record = golden();
    assert!(!show(&record).1.contains("role=\"alert\""));
    record.machine.busy = true;
    record.mode = "smoke".to_owned();
    record.dirty = true;
    record.machine.note_handover(88.02);
    record.disturbed.push(DisturbedLine {
        build: "rate-limiter".to_owned(),
        workload: "direct/<admit>".to_owned(),
        threads: 2,
        load: 0.8123,
    });
    let (text, page) = show(&record);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for loud in
        ["BUSY: ", "SMOKE: ", "DISTURBED: ", " 0.81 ", " with changes,", "MOVED: ", " 88.0 "]
    {
        assert!(text.contains(loud), "{loud} is missing: {text}");
    }
    assert_eq!(page.matches("role=\"alert\"").count(), 5);
    assert!(page.contains("rate-limiter direct/&lt;admit&gt;, 2 threads (0.81)"), "{page}");
}

#[test]
fn links_to_other_hosts_are_left_out() {
    let targets = [
        ("docs/rate-limiter/walkthrough.md", true),
        ("../../docs/rate-limiter/walkthrough.md", true),
        ("https://example.org/x", false),
        ("//example.org/x", false),
        ("\\\\example.org\\x", false),
        ("javascript:alert(1)", false),
    ];
    for (target, is_shown) in targets {
        let link = |build: &str| Link {
            build: build.to_owned(),
            target: target.to_owned(),
            text: "Walkthrough".to_owned(),
        };
        let page = page::render(&golden(), &[link("rate-limiter")]);
        assert_eq!(page.contains("Walkthrough"), is_shown, "{target}");
        assert!(!page::render(&golden(), &[link("raft")]).contains("Walkthrough"));
    }
}

#[test]
fn builds_of_one_slug_have_files_of_their_own() {
    let mut record = empty();
    record.rows = vec![
        row("a/b", "w", "x", "throughput", 1.0),
        row("a.b", "w", "x", "throughput", 1.0),
        row("//", "w", "x", "throughput", 1.0),
    ];
    let slugs: Vec<_> = view::builds(&record).into_iter().map(|build| build.slug).collect();
    assert_eq!(slugs, ["a-b", "a-b-2", "build"]);
    show(&record);
}
