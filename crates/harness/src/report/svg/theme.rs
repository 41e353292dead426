//! Colours: one table, two schemes.
//!
//! Text has a contrast of at least 4.5 to 1 with its ground, marks and bars at least 3 to 1, in
//! both schemes; a test computes it. Contenders also differ by the shape of their marks, and bars
//! of wins and losses by the side of the axis, so that nothing is said by colour alone.
//!
//! # What this module does not do
//!
//! It holds no colours of the page around the plots.

/// Colours of the peers; the ninth has that of the first again, and another mark.
pub(in crate::report) const PEERS: usize = 8;

/// The grounds of both schemes.
const GROUNDS: (&str, &str) = ("#ffffff", "#14181d");

/// Class, property, and its colour on the light and on the dark ground.
type Colour = (&'static str, &'static str, &'static str, &'static str);

const COLOURS: [Colour; 20] = [
    ("ground", "fill", GROUNDS.0, GROUNDS.1),
    ("halo", "stroke", GROUNDS.0, GROUNDS.1),
    ("ink", "fill", "#1b2026", "#e8ecf0"),
    ("soft", "fill", "#59626d", "#a3adb8"),
    ("grid", "stroke", "#e3e7eb", "#2b323a"),
    ("axis", "stroke", "#6d7783", "#8b95a1"),
    ("better", "fill", "#1f6fd6", "#58a0f7"),
    ("even", "fill", "#7a8794", "#8793a0"),
    ("worse", "fill", "#cb3a2a", "#f3776a"),
    ("whisker", "stroke", "#1b2026", "#e8ecf0"),
    ("c-ours", "color", "#1f6fd6", "#58a0f7"),
    ("c-yours", "color", "#c2257f", "#f47ac0"),
    ("c-p0", "color", "#b35900", "#e9963e"),
    ("c-p1", "color", "#17803d", "#4cc474"),
    ("c-p2", "color", "#7b46c9", "#b794f6"),
    ("c-p3", "color", "#5d6875", "#a9b4c0"),
    ("c-p4", "color", "#0c7f86", "#3fc3cb"),
    ("c-p5", "color", "#8a6d00", "#d8b62c"),
    ("c-p6", "color", "#95442c", "#dd8d6f"),
    ("c-p7", "color", "#47549f", "#93a1ee"),
];

/// What does not depend on the scheme.
const SHAPES: &str = "\
    .plot text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,\
    sans-serif}\
    .plot .small{font-size:11px}.plot .bold{font-weight:600}\
    .plot .head{font-size:15px;font-weight:600}\
    .plot .mark{fill:currentColor;stroke:none}\
    .plot .run{fill:none;stroke:currentColor;stroke-width:1.6}\
    .plot .run.c-ours{stroke-width:2.6}\
    .plot .rest{opacity:.55}.plot .halo{stroke-width:.8}\
    .plot .grid,.plot .axis{fill:none;stroke-width:1}.plot .whisker{fill:none;stroke-width:1.3}\
    .plot .axis.one{stroke-width:1.4}";

/// The rules that every drawing needs, for a `style` element.
pub(in crate::report) fn css() -> String {
    let rules = |pick: fn(&Colour) -> &'static str| {
        let rule = |it: &Colour| format!(".plot .{}{{{}:{}}}", it.0, it.1, pick(it));
        COLOURS.iter().map(rule).collect::<Vec<_>>().concat()
    };
    let (light, dark) = (rules(|rule| rule.2), rules(|rule| rule.3));
    format!("{SHAPES}{light}@media(prefers-color-scheme:dark){{{dark}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, as WCAG 2 defines it.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let byte = u8::from_str_radix(&colour[at..at + 2], 16).expect("two hexadecimal digits");
            let part = f64::from(byte) / 255.0;
            if part <= 0.03928 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_and_marks_stand_out_in_both_schemes() {
        assert!((contrast("#ffffff", "#000000") - 21.0).abs() < 0.1);
        for (class, _, light, dark) in COLOURS {
            let needed = match class {
                "ground" | "halo" | "grid" => continue,
                "ink" | "soft" | "better" | "worse" => 4.5,
                _ => 3.0,
            };
            for (colour, ground) in [(light, GROUNDS.0), (dark, GROUNDS.1)] {
                let found = contrast(colour, ground);
                assert!(found >= needed, "{class}: {colour} on {ground} has {found:.2}");
            }
        }
    }
}
