//! A well-formed document as a list of elements, each with its parent and its line.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    /// Its parent's place in the list; none for the root.
    pub(crate) parent: Option<usize>,
    pub(crate) line: usize,
    /// What stands in it, without that of its children.
    pub(crate) text: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// Reads a document up to its end, or to where it is broken.
pub(crate) fn read(text: &str) -> Vec<Element> {
    let mut reader = Reader::from_str(text);
    let (mut all, mut open): (Vec<Element>, Vec<usize>) = (Vec::new(), Vec::new());
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(0);
        match reader.read_event() {
            Ok(Event::Start(element)) => {
                all.push(note(&element, open.last().copied(), line(text, at)));
                open.push(all.len() - 1);
            }
            Ok(Event::Empty(element)) => all.push(note(&element, open.last().copied(), line(text, at))),
            Ok(Event::End(_)) => {
                open.pop();
            }
            Ok(Event::Text(piece)) => add(&mut all, &open, &piece),
            Ok(Event::CData(piece)) => add(&mut all, &open, &piece),
            Ok(Event::GeneralRef(name)) => {
                let character =
                    quick_xml::escape::unescape(&format!("&{};", &*name)).map(|text| text.into_owned());
                add(&mut all, &open, &character.unwrap_or_default());
            }
            Ok(Event::Eof) | Err(_) => return all,
            Ok(_) => {}
        }
    }
}

fn add(all: &mut [Element], open: &[usize], piece: &str) {
    if let Some(element) = open.last().and_then(|at| all.get_mut(*at)) {
        element.text.push_str(piece);
    }
}

fn note(element: &BytesStart<'_>, parent: Option<usize>, line: usize) -> Element {
    let attributes = element.attributes().flatten().map(|attribute| {
        let raw = attribute.value.clone().into_owned();
        let value = quick_xml::escape::unescape(&raw).map(|value| value.into_owned()).unwrap_or_default();
        (attribute.key.as_ref().to_owned(), value)
    });
    let name = element.name().as_ref().to_owned();
    Element { name, parent, line, text: String::new(), attributes: attributes.collect() }
}

fn line(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count() + 1
}

/// Line and column, both from 1.
pub(crate) fn text_place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    format!("line {}, column {column}", line(text, at))
}
