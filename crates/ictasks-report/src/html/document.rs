//! A page taken apart for tests: strictly, as XML, so that nothing is left for a browser to mend.

use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An element of a page.
#[derive(Debug)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    /// All text in it.
    pub text: String,
    /// Text in it, a piece for each run of characters between tags.
    pub pieces: Vec<String>,
    /// Indices of the elements around it, the outermost first.
    pub within: Vec<usize>,
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn has_class(&self, class: &str) -> bool {
        self.attribute("class").is_some_and(|classes| classes.split(' ').any(|each| each == class))
    }
}

/// A page.
pub struct Document {
    pub elements: Vec<Element>,
}

impl Document {
    /// Takes a page apart; panics on whatever is not well-formed.
    pub fn parse(page: &str) -> Self {
        let mut document = Self { elements: Vec::new() };
        let page = as_xml(page);
        let mut reader = Reader::from_str(&page);
        let mut open: Vec<usize> = Vec::new();
        loop {
            match reader.read_event().unwrap_or_else(|error| panic!("{error} at {}", reader.error_position()))
            {
                Event::Start(start) => {
                    document.elements.push(element(&start, &open));
                    open.push(document.elements.len() - 1);
                }
                Event::Empty(start) => document.elements.push(element(&start, &open)),
                Event::End(_) => {
                    open.pop();
                }
                Event::Text(text) => document.text(&open, &text, true),
                Event::CData(text) => document.text(&open, &text, true),
                Event::GeneralRef(name) => document.text(&open, character(&name), false),
                Event::DocType(_) => {}
                Event::Eof => break,
                other => panic!("unexpected in a page: {other:?}"),
            }
        }
        assert!(open.is_empty());
        document
    }

    fn text(&mut self, open: &[usize], text: &str, begins: bool) {
        for &around in open {
            let element = &mut self.elements[around];
            // What follows a character reference belongs to the same run of characters.
            let goes_on = !begins || element.text.ends_with(['<', '>', '&', '"']);
            match element.pieces.last_mut() {
                Some(piece) if goes_on => piece.push_str(text),
                _ => element.pieces.push(text.to_owned()),
            }
            element.text.push_str(text);
        }
    }

    /// Elements with this name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements.iter().filter(move |element| element.name == name)
    }

    /// The element with this id.
    pub fn id(&self, id: &str) -> &Element {
        let found = self.elements.iter().find(|element| element.attribute("id") == Some(id));
        found.unwrap_or_else(|| panic!("no `{id}`"))
    }

    /// Whether an element lies in one that is `around`.
    pub fn lies_in(&self, element: &Element, around: impl Fn(&Element) -> bool) -> bool {
        element.within.iter().any(|&number| around(&self.elements[number]))
    }

    /// Elements with this name in the one with this id.
    pub fn inside<'a>(&'a self, id: &'a str, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.named(name)
            .filter(move |element| self.lies_in(element, |around| around.attribute("id") == Some(id)))
    }
}

fn element(start: &BytesStart<'_>, open: &[usize]) -> Element {
    let attribute = |attribute: quick_xml::events::attributes::Attribute<'_>| {
        let value = quick_xml::escape::unescape(&attribute.value).unwrap().into_owned();
        (attribute.key.0.to_owned(), value)
    };
    Element {
        name: start.name().0.to_owned(),
        attributes: start.html_attributes().map(|found| attribute(found.unwrap())).collect(),
        text: String::new(),
        pieces: Vec::new(),
        within: open.to_vec(),
    }
}

fn character(name: &str) -> &'static str {
    match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "quot" => "\"",
        name => panic!("unexpected reference `{name}`"),
    }
}

/// HTML as XML: the one kind of void element is closed, style and script are character data.
fn as_xml(page: &str) -> String {
    let mut xml = String::with_capacity(page.len());
    let mut rest = page;
    while let Some(start) = rest.find("<meta ") {
        let end = start + rest[start..].find('>').expect("an end of `meta`");
        // Writing to a string cannot fail.
        let _ = write!(xml, "{}/>", &rest[..end]);
        rest = &rest[end + 1..];
    }
    xml.push_str(rest);
    for name in ["style", "script"] {
        xml = xml.replacen(&format!("<{name}>"), &format!("<{name}><![CDATA["), 1);
        xml = xml.replacen(&format!("</{name}>"), &format!("]]></{name}>"), 1);
    }
    xml
}
