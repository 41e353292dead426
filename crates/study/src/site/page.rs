//! A document as a page: its Markdown rendered, its links turned, its sections noted for search.

use std::path::Path;

use pulldown_cmark::{
    CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html,
};

use super::code::highlighted;
use super::escape;
use super::links::{Links, target_of};
use crate::error::Error;

/// A page of the site.
#[derive(Debug)]
pub(super) struct Page {
    /// Where it is in the site.
    pub(super) target: String,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) sections: Vec<Section>,
}

/// What stands below a heading.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) level: usize,
    pub(super) anchor: String,
    pub(super) title: String,
    pub(super) text: String,
}

/// A line before a piece of code that says where that is from.
const FROM: &str = "<!-- from ";

impl Page {
    pub(super) fn of_document(source: &Path, text: &str, links: &Links<'_>) -> Result<Self, Error> {
        let mut rendering = Rendering { source, links, sections: vec![Section::default()] };
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
        let events: Vec<_> = Parser::new_ext(text, options).collect();
        let mut out = Vec::new();
        let mut rest = events.into_iter();
        while let Some(event) = rest.next() {
            rendering.event(event, &mut rest, &mut out)?;
        }
        let mut body = String::new();
        html::push_html(&mut body, out.into_iter());
        let mut sections = rendering.sections;
        sections.retain(|it| !it.text.trim().is_empty() || !it.title.is_empty());
        let first = sections.iter().find(|it| it.level == 1).map(|it| it.title.clone());
        let title = first.unwrap_or_else(|| source.display().to_string());
        Ok(Self { target: target_of(source), title, body, sections })
    }
}

struct Rendering<'p, 'r> {
    source: &'p Path,
    links: &'p Links<'r>,
    /// The last one is what is being read.
    sections: Vec<Section>,
}

impl Rendering<'_, '_> {
    fn event<'t>(
        &mut self,
        event: Event<'t>,
        rest: &mut impl Iterator<Item = Event<'t>>,
        out: &mut Vec<Event<'t>>,
    ) -> Result<(), Error> {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                let inner = until(rest, |it| matches!(it, Event::End(TagEnd::Heading(_))));
                self.heading(level, inner, out);
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let inner = until(rest, |it| matches!(it, Event::End(TagEnd::CodeBlock)));
                let code = plain(&inner);
                self.say(&code);
                out.push(Event::Html(block(&kind, &code).into()));
            }
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let dest_url = self.links.resolved(self.source, &dest_url)?.into();
                out.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
            }
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                let dest_url = self.links.resolved(self.source, &dest_url)?.into();
                out.push(Event::Start(Tag::Image { link_type, dest_url, title, id }));
            }
            // Wide tables scroll by themselves, not with the page.
            Event::Start(Tag::Table(columns)) => {
                out.push(Event::Html("<div class=\"scroll\">".into()));
                out.push(Event::Start(Tag::Table(columns)));
            }
            Event::End(TagEnd::Table) => {
                out.push(Event::End(TagEnd::Table));
                out.push(Event::Html("</div>\n".into()));
            }
            Event::Code(code) => out.push(self.code(&code)?),
            Event::Html(markup) | Event::InlineHtml(markup) => {
                if let Some(from) = self.origin(&markup)? {
                    out.push(Event::Html(from.into()));
                }
            }
            Event::Text(text) => {
                self.say(&text);
                out.push(Event::Text(text));
            }
            Event::SoftBreak
            | Event::HardBreak
            | Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::TableCell) => {
                self.say(" ");
                out.push(event);
            }
            other => out.push(other),
        }
        Ok(())
    }

    /// Notes text for the search.
    fn say(&mut self, text: &str) {
        self.sections.last_mut().expect("there is a first one").text.push_str(text);
    }

    fn heading<'t>(
        &mut self,
        level: HeadingLevel,
        inner: Vec<Event<'t>>,
        out: &mut Vec<Event<'t>>,
    ) {
        let title = plain(&inner);
        let wanted = slug(&title);
        let taken = |anchor: &String| self.sections.iter().any(|it| it.anchor == *anchor);
        let numbered = (1..).map(|number| format!("{wanted}-{number}"));
        let mut anchors = std::iter::once(wanted.clone()).chain(numbered);
        let anchor = anchors.find(|it| !taken(it)).expect("numbers do not end");
        let depth = level as usize;
        let open = format!("<h{depth} id=\"{anchor}\"><a class=\"here\" href=\"#{anchor}\">");
        self.sections.push(Section { level: depth, anchor, title, text: String::new() });
        out.push(Event::Html(open.into()));
        for event in inner {
            // A heading is a link already.
            let is_link =
                matches!(event, Event::Start(Tag::Link { .. }) | Event::End(TagEnd::Link));
            if !is_link {
                out.push(event);
            }
        }
        out.push(Event::Html(format!("</a></h{depth}>\n").into()));
    }

    /// Code within a line, which leads to what it cites.
    fn code<'t>(&mut self, code: &CowStr<'t>) -> Result<Event<'t>, Error> {
        self.say(code);
        let markup = match self.links.cited(self.source, code)? {
            Some(target) => format!("<a href=\"{target}\"><code>{}</code></a>", escape(code)),
            None => format!("<code>{}</code>", escape(code)),
        };
        Ok(Event::InlineHtml(markup.into()))
    }

    /// What a comment before a piece of code says; other comments are for the editor.
    fn origin(&self, markup: &str) -> Result<Option<String>, Error> {
        let Some(rest) = markup.trim().strip_prefix(FROM) else { return Ok(None) };
        let citation = rest.trim_end_matches("-->").trim();
        let target = self.links.cited(self.source, citation)?;
        let target = target.ok_or_else(|| Error::Refused(format!("{citation} is gone")))?;
        Ok(Some(format!("<p class=\"from\"><a href=\"{target}\">{}</a></p>\n", escape(citation))))
    }
}

/// The events up to an end, which is taken too.
fn until<'t>(
    rest: &mut impl Iterator<Item = Event<'t>>,
    is_end: impl Fn(&Event<'t>) -> bool,
) -> Vec<Event<'t>> {
    rest.take_while(|event| !is_end(event)).collect()
}

fn plain(events: &[Event<'_>]) -> String {
    let text = |event: &Event<'_>| match event {
        Event::Text(text) | Event::Code(text) => text.to_string(),
        _ => String::new(),
    };
    events.iter().map(text).collect()
}

fn block(kind: &CodeBlockKind<'_>, code: &str) -> String {
    let name = match kind {
        CodeBlockKind::Fenced(name) => name.split([',', ' ']).next().unwrap_or_default(),
        CodeBlockKind::Indented => "",
    };
    if name == "estimate" {
        return estimate(code);
    }
    let inner = if name == "rust" { highlighted(code) } else { escape(code) };
    format!("<pre class=\"{}\"><code>{inner}</code></pre>\n", escape(name))
}

/// An [estimate](crate::estimate) as a table: names, formulas, results.
fn estimate(code: &str) -> String {
    let mut rows = String::new();
    for line in code.replace(" =\n    ", " = ").lines() {
        let parts = line.split_once(" = ").and_then(|(name, rest)| {
            let (formula, result) = rest.split_once(" -> ")?;
            Some([name, formula, result].map(|part| escape(part.trim())))
        });
        let row = if let Some([name, formula, result]) = parts {
            format!("<tr><td>{name}</td><td>{formula}</td><td>{result}</td></tr>\n")
        } else {
            let note = escape(line.trim_start_matches(['#', ' ']));
            format!("<tr class=\"note\"><td colspan=\"3\">{note}</td></tr>\n")
        };
        rows.push_str(&row);
    }
    format!("<div class=\"scroll estimate\"><table>\n{rows}</table></div>\n")
}

/// The anchor of a heading, as forges make it.
pub(super) fn slug(title: &str) -> String {
    let kept = |it: char| it.is_alphanumeric() || it == '-' || it == '_';
    let lower = title.to_lowercase().replace(' ', "-");
    lower.chars().filter(|it| kept(*it)).collect()
}
