//! A small writer of SVG.
//!
//! It is not `plotters`: that writes colours as attributes where a drawing that follows the
//! reader's scheme needs classes, it has no `<title>` for a mark, and its label areas have a fixed
//! size where long names need as much as they are wide. What is needed is small: lines, boxes,
//! marks, text.
//!
//! ```text
//!   Canvas --(lines, boxes, marks, text)--> finish(height, title) --> Drawing
//!                                                         |
//!                      inline: for a page that has the style already
//!                      standalone: with a style and a ground of its own
//! ```
//!
//! # Modules
//!
//! | module  | holds                                             |
//! |---------|---------------------------------------------------|
//! | `scale` | from values to places, linear or logarithmic      |
//! | `theme` | the colours of both schemes, and the classes      |
//!
//! # What this module does not do
//!
//! It knows no record. It does not know the reader's fonts either: the width of a text is an
//! estimate on the wide side.

use std::fmt::{self, Write as _};

use super::markup::escape;

pub(super) mod scale;
pub(super) mod theme;

/// A point, in pixels from the upper left.
pub(super) type Point = (f64, f64);

/// Which end of a text its place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing in the making.
#[derive(Debug)]
pub(super) struct Canvas {
    width: f64,
    body: String,
}

/// A drawing.
#[derive(Debug)]
pub(super) struct Drawing {
    width: f64,
    height: f64,
    title: String,
    description: String,
    body: String,
}

impl Canvas {
    pub(super) fn new(width: f64) -> Self {
        Self { width, body: String::new() }
    }

    pub(super) fn width(&self) -> f64 {
        self.width
    }

    fn put(&mut self, markup: fmt::Arguments<'_>) {
        self.body.write_fmt(markup).expect("writing to a string does not fail");
        self.body.push('\n');
    }

    pub(super) fn text(&mut self, (x, y): Point, class: &str, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let text = escape(text);
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\"{anchor}>{text}</text>"
        ));
    }

    pub(super) fn line(&mut self, (x1, y1): Point, (x2, y2): Point, class: &str) {
        self.put(format_args!("<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" class=\"{class}\"/>"));
    }

    /// A line through points.
    pub(super) fn run(&mut self, points: &[Point], class: &str) {
        let mut path = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let step = if index == 0 { 'M' } else { 'L' };
            write!(path, "{step}{x:.1} {y:.1}").expect("writing to a string does not fail");
        }
        self.put(format_args!("<path d=\"{path}\" class=\"run {class}\"/>"));
    }

    /// A box from its upper left to its lower right.
    pub(super) fn area(&mut self, (x1, y1): Point, (x2, y2): Point, class: &str) {
        let (width, height) = ((x2 - x1).max(0.0), (y2 - y1).max(0.0));
        self.put(format_args!(
            "<rect x=\"{x1:.1}\" y=\"{y1:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             rx=\"1.5\" class=\"{class}\"/>"
        ));
    }

    /// One of the marks that tell contenders apart where colours do not.
    pub(super) fn mark(&mut self, (x, y): Point, shape: usize, class: &str) {
        let path = match shape % 6 {
            0 => "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
            1 => "m-3.6 -3.6h7.2v7.2h-7.2z",
            2 => "m0 -4.8l4.8 4.8l-4.8 4.8l-4.8 -4.8z",
            3 => "m0 -4.4l4.4 7.6h-8.8z",
            4 => "m0 4.4l4.4 -7.6h-8.8z",
            _ => "m-1.5 -4.2h3v2.7h2.7v3h-2.7v2.7h-3v-2.7h-2.7v-3h2.7z",
        };
        self.put(format_args!("<path d=\"M{x:.1} {y:.1}{path}\" class=\"mark halo {class}\"/>"));
    }

    /// What `draw` draws, with a title that shows where the pointer rests.
    pub(super) fn titled(&mut self, title: &str, draw: impl FnOnce(&mut Self)) {
        self.put(format_args!("<g><title>{}</title>", escape(title)));
        draw(self);
        self.put(format_args!("</g>"));
    }

    /// Puts a drawing behind all that is drawn already.
    pub(super) fn below(&mut self, other: &Self) {
        self.body.insert_str(0, &other.body);
    }

    /// The drawing, of this height. The title is what it shows, the description what it says.
    pub(super) fn finish(self, height: f64, title: String, description: String) -> Drawing {
        Drawing { width: self.width, height, title, description, body: self.body }
    }
}

impl Drawing {
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn description(&self) -> &str {
        &self.description
    }

    /// For a page that holds [`theme::css`] already.
    pub(super) fn inline(&self) -> String {
        self.markup("", "")
    }

    /// For a file of its own.
    pub(super) fn standalone(&self) -> String {
        let style = format!("<style>{}</style>\n", theme::css());
        let ground = "<rect width=\"100%\" height=\"100%\" rx=\"6\" class=\"ground\"/>\n";
        self.markup(&style, ground)
    }

    fn markup(&self, style: &str, ground: &str) -> String {
        let Self { width, height, body, .. } = self;
        let (title, description) = (escape(&self.title), escape(&self.description));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" viewBox=\"0 0 {width:.0} \
             {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" \
             aria-label=\"{title}\">\n<title>{title}</title>\n<desc>{description}</desc>\n\
             {style}{ground}{body}</svg>\n"
        )
    }
}

/// About how wide a text is, in pixels, at a size of 12.
pub(super) fn width_of(text: &str) -> f64 {
    text.chars().map(advance).sum::<f64>() * 12.0
}

/// As [`width_of`], for bold text.
pub(super) fn width_of_bold(text: &str) -> f64 {
    width_of(text) * BOLD
}

/// How much wider bold letters are, at most.
const BOLD: f64 = 1.14;

/// Width of a character in parts of the size: that of the widest of the usual fonts.
fn advance(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | 'I' => 0.32,
        'f' | 'r' | 't' | '/' | '(' | ')' | '[' | ']' | ' ' | '-' => 0.40,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '\u{2026}' => 0.98,
        '\u{d7}' => 0.84,
        'A'..='Z' => 0.72,
        '\0'..='\u{2FF}' => 0.64,
        _ => 1.0,
    }
}

/// As [`fit`], for bold text.
pub(super) fn fit_bold(text: &str, width: f64) -> String {
    fit(text, width / BOLD)
}

/// A text that is cut in the middle until it fits into `width` pixels at a size of 12.
pub(super) fn fit(text: &str, width: f64) -> String {
    let mut chars = text.chars().count();
    let mut fitted = text.to_owned();
    while width_of(&fitted) > width && chars > 1 {
        chars -= 1;
        fitted = super::figure::clip(text, chars);
    }
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_to_its_space() {
        let long = "a/rather/long/path".repeat(20);
        for width in [20.0, 100.0, 300.0] {
            let fitted = fit(&long, width);
            assert!(width_of(&fitted) <= width, "{fitted} in {width}");
            assert!(width_of(&fitted) > width - 24.0, "{fitted} wastes {width}");
        }
        assert_eq!(fit("short", 100.0), "short");
    }
}
