//! A checker of well-formed markup, small enough to trust.

/// Panics where tags do not nest, an attribute is not quoted, or a `<` or `&` stands bare.
///
/// `void` names the tags that HTML never closes; XML has none.
pub(super) fn assert_well_formed(name: &str, markup: &str, void: &[&str]) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = markup;
    while let Some(at) = rest.find('<') {
        assert_text(name, &rest[..at]);
        let end = tag_end(&rest[at..]).unwrap_or_else(|| panic!("{name}: a tag never ends"));
        let tag = &rest[at + 1..at + end];
        rest = &rest[at + end + 1..];
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed.trim()), "{name}: closed what was not open");
        } else if !tag.starts_with('!') {
            let element = tag.split([' ', '\n', '/']).next().expect("a split has a first part");
            assert_attributes(name, tag);
            if !tag.ends_with('/') && !void.contains(&element) {
                open.push(element);
            }
            if element == "style" {
                rest = &rest[rest.find("</style>").expect("a style ends")..];
            }
        }
    }
    assert_text(name, rest);
    assert!(open.is_empty(), "{name}: never closed {open:?}");
}

/// The tags of sound markup, without their brackets.
pub(super) fn tags(markup: &str) -> impl Iterator<Item = &str> {
    let starts = markup.match_indices('<').map(|(at, _)| &markup[at..]);
    starts.filter_map(|rest| Some(&rest[1..tag_end(rest)?]))
}

/// Where a tag ends: the first `>` outside of quotes.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quoted = false;
    tag.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '>' && !quoted).then_some(at)
    })
}

fn assert_text(name: &str, text: &str) {
    assert!(!text.contains('>'), "{name}: a bare > in {text:?}");
    for entity in text.split('&').skip(1) {
        let known = ["amp;", "lt;", "gt;", "quot;", "#39;"];
        assert!(known.iter().any(|it| entity.starts_with(it)), "{name}: a bare & in {text:?}");
    }
    let is_control = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(is_control), "{name}: a control character in {text:?}");
}

/// Outside of quotes a tag has names, `=`, spaces and slashes only.
fn assert_attributes(name: &str, tag: &str) {
    for (index, part) in tag.split('"').enumerate() {
        if index % 2 == 1 {
            assert!(!part.contains('<'), "{name}: a < in an attribute of {tag:?}");
            assert_text(name, &part.replace('>', ""));
        } else {
            let plain = |c: char| c.is_ascii_alphanumeric() || " =-/\n".contains(c);
            assert!(part.chars().all(plain), "{name}: strange tag {tag:?}");
        }
    }
    assert_eq!(tag.matches('"').count() % 2, 0, "{name}: an open quote in {tag:?}");
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let broken = [
        "<a><b></a></b>",
        "<a>",
        "</a>",
        "<a b='c'/>",
        "<a b=\"c/>",
        "<a>x & y</a>",
        "<a>\u{1}</a>",
        "<a b=\"<\"/>",
        "<a>1 > 0</a>",
    ];
    assert_well_formed("sound", "<a x=\"1\"><b/>&lt;&amp;</a>\n", &[]);
    assert_well_formed("sound", "<p><br></p>", &["br"]);
    for markup in broken {
        let caught = std::panic::catch_unwind(|| assert_well_formed("broken", markup, &[]));
        assert!(caught.is_err(), "{markup} passed");
    }
}
