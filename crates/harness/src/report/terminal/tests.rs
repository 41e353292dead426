use super::super::tests::golden;
use super::*;

fn widest_line(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[test]
fn nothing_is_lost_in_a_narrow_terminal() {
    let record = golden();
    let words = |terminal| {
        let text = render(&record, terminal);
        let mut words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        words.sort();
        words.dedup();
        (widest_line(&text), words)
    };
    let (narrow_width, narrow) = words(Terminal { width: 64, colours: false });
    let (plain_width, plain) = words(Terminal::PLAIN);
    let (wide_width, wide) = words(Terminal { width: 200, colours: false });
    assert!(narrow_width <= 64 && plain_width <= 80 && wide_width <= 200);
    assert!(wide_width > 100, "a wide terminal is not used: {wide_width}");
    assert_eq!(narrow, plain);
    assert_eq!(plain, wide);
}

#[test]
fn colours_come_only_when_asked_for() {
    let record = golden();
    assert!(!render(&record, Terminal::PLAIN).contains('\u{1b}'));
    let coloured = render(&record, Terminal { colours: true, ..Terminal::PLAIN });
    assert!(coloured.contains('\u{1b}'));
}

#[test]
fn lines_are_shown_as_in_the_whole() {
    let record = golden();
    let whole = render(&record, Terminal::PLAIN);
    let lines = render_lines(&record, Terminal::PLAIN);
    assert!(lines.lines().all(|line| whole.contains(line)));
    assert!(!lines.contains("geometric mean"));
}

#[test]
fn sentences_break_at_spaces_and_long_words_anywhere() {
    assert_eq!(figure::wrap("one two three", 8, 2), "one two\n  three");
    assert_eq!(figure::wrap("one", 8, 2), "one");
    assert_eq!(figure::wrap("", 8, 2), "");
    assert_eq!(figure::wrap("abcdefghij", 4, 1), "abcd\n efg\n hij");
    assert_eq!(figure::wrap("a\nb\u{1b}c", 8, 0), "a b c");
    assert_eq!(figure::wrap("abc", 0, 0), "a\nb\nc");
}
