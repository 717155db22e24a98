//! YAML with places: every node knows its line, so that comments and errors can name it.
//!
//! The scanner is saphyr's; the tree is ours because anchors of one file may stand for more nodes
//! than fit in memory. Here an alias is the anchor's node itself, and `<<` merges as YAML 1.1 has it.

use std::collections::HashMap;
use std::fmt::Write;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use super::Error;

/// Deeper nesting is no description of a server.
const DEEPEST: usize = 64;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// A scalar, and whether it stands without quotes: only such a one can be a number.
    Text(String, bool),
    List(Vec<Rc<Node>>),
    Table(Vec<(String, Rc<Node>)>),
}

impl Node {
    /// The text of a scalar that is not null.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text, plain) if *plain && matches!(text.as_str(), "" | "~" | "null") => None,
            Kind::Text(text, _) => Some(text),
            Kind::List(_) | Kind::Table(_) => None,
        }
    }

    pub(super) fn integer(&self) -> Option<u64> {
        let text = self.text()?;
        match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        }
    }

    /// A boolean as YAML 1.1 spells it, which InfraSIM and Docker read.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some(true),
            "false" | "no" | "off" | "n" => Some(false),
            _ => None,
        }
    }

    /// The elements of a list; none of anything else.
    pub(super) fn list(&self) -> &[Rc<Node>] {
        match &self.kind {
            Kind::List(elements) => elements,
            Kind::Text(..) | Kind::Table(_) => &[],
        }
    }

    /// The entries of a table, in the order of the file; none of anything else.
    pub(super) fn entries(&self) -> &[(String, Rc<Node>)] {
        match &self.kind {
            Kind::Table(entries) => entries,
            Kind::Text(..) | Kind::List(_) => &[],
        }
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.kind, Kind::Table(_))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Rc<Node>> {
        let found = self.entries().iter().find(|(name, _)| name == key);
        found.map(|(_, node)| node)
    }

    /// The value in one line, as far as it is short.
    pub(super) fn shown(&self) -> String {
        let mut shown = String::new();
        self.show(&mut shown);
        if shown.chars().count() > 120 {
            shown = shown.chars().take(119).collect();
            shown.push('…');
        }
        shown
    }

    fn show(&self, out: &mut String) {
        // An alias may stand for a tree without end.
        if out.len() > 500 {
            return;
        }
        let comma = |n: usize| if n > 0 { ", " } else { "" };
        match &self.kind {
            Kind::Text(text, _) => out.push_str(text),
            Kind::List(elements) => {
                out.push('[');
                for (n, element) in elements.iter().enumerate().take(50) {
                    out.push_str(comma(n));
                    element.show(out);
                }
                out.push(']');
            }
            Kind::Table(entries) => {
                out.push('{');
                for (n, (key, value)) in entries.iter().enumerate().take(50) {
                    let _ = write!(out, "{}{key}: ", comma(n));
                    value.show(out);
                }
                out.push('}');
            }
        }
    }
}

/// A list or a table that is not closed yet.
enum Open {
    List(Vec<Rc<Node>>),
    /// The entries, what `<<` brings, and the key whose value comes next.
    Table(Vec<(String, Rc<Node>)>, Vec<Rc<Node>>, Option<String>),
}

/// Reads the one document of `text`; `file` is what errors call it.
pub(super) fn read(file: &str, text: &str) -> Result<Rc<Node>, Error> {
    let mut reader = Reader {
        file,
        open: Vec::new(),
        anchors: HashMap::new(),
        root: None,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| reader.scan(&error))?;
        reader.take(event, span.start)?;
    }
    reader.root.ok_or_else(|| Error {
        file: file.to_owned(),
        place: (1, 1),
        message: "there is nothing in this file".to_owned(),
        hint: None,
    })
}

struct Reader<'f> {
    file: &'f str,
    open: Vec<(Open, Marker, usize)>,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
}

impl Reader<'_> {
    fn scan(&self, error: &ScanError) -> Error {
        self.wrong(*error.marker(), format!("not YAML: {}", error.info()))
    }

    fn wrong(&self, at: Marker, message: impl Into<String>) -> Error {
        Error {
            file: self.file.to_owned(),
            place: (at.line(), at.col() + 1),
            message: message.into(),
            hint: None,
        }
    }

    fn take(&mut self, event: Event, at: Marker) -> Result<(), Error> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) if self.root.is_some() => {
                return Err(self.wrong(
                    at,
                    "a second document begins here, of which there is no use",
                ));
            }
            Event::DocumentStart(_) => {}
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => {
                    let node = Rc::clone(node);
                    self.add(node, at)?;
                }
                None => return Err(self.wrong(at, "this alias stands for what it is in")),
            },
            Event::Scalar(text, style, anchor, _) => {
                let kind = Kind::Text(text.into_owned(), style == ScalarStyle::Plain);
                self.made(kind, at, anchor)?;
            }
            Event::SequenceStart(anchor, _) => self.begin(Open::List(Vec::new()), at, anchor)?,
            Event::MappingStart(anchor, _) => {
                self.begin(Open::Table(Vec::new(), Vec::new(), None), at, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((open, began, anchor)) = self.open.pop() else {
                    return Err(self.wrong(at, "not YAML: something ends that did not begin"));
                };
                let kind = match open {
                    Open::List(elements) => Kind::List(elements),
                    Open::Table(entries, merged, _) => Kind::Table(merge(entries, &merged)),
                };
                self.made(kind, began, anchor)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, open: Open, at: Marker, anchor: usize) -> Result<(), Error> {
        if self.open.len() == DEEPEST {
            return Err(self.wrong(at, "nested too deeply"));
        }
        self.open.push((open, at, anchor));
        Ok(())
    }

    fn made(&mut self, kind: Kind, at: Marker, anchor: usize) -> Result<(), Error> {
        let node = Rc::new(Node {
            line: at.line(),
            column: at.col() + 1,
            kind,
        });
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.add(node, at)
    }

    /// Puts a node where it belongs: into the list, or the table, that is open.
    fn add(&mut self, node: Rc<Node>, at: Marker) -> Result<(), Error> {
        let (entries, merged, key) = match self.open.last_mut() {
            None => {
                self.root = Some(node);
                return Ok(());
            }
            Some((Open::List(elements), ..)) => {
                elements.push(node);
                return Ok(());
            }
            Some((Open::Table(entries, merged, key), ..)) => (entries, merged, key),
        };
        match key.take() {
            Some(name) if name == "<<" => merged.push(node),
            Some(name) => entries.push((name, node)),
            None => {
                let Kind::Text(name, _) = &node.kind else {
                    return Err(self.wrong(at, "a key is a list or a table"));
                };
                if entries.iter().any(|(known, _)| known == name) {
                    let message = format!("`{}` is there twice", super::draft::clean(name));
                    return Err(self.wrong(at, message));
                }
                *key = Some(name.clone());
            }
        }
        Ok(())
    }
}

/// The table's own entries, and those of the merged tables that it has not.
fn merge(mut own: Vec<(String, Rc<Node>)>, merged: &[Rc<Node>]) -> Vec<(String, Rc<Node>)> {
    for node in merged {
        let tables = match node.list() {
            [] => std::slice::from_ref(node),
            tables => tables,
        };
        for (key, value) in tables.iter().flat_map(|table| table.entries()) {
            if !own.iter().any(|(known, _)| known == key) {
                own.push((key.clone(), Rc::clone(value)));
            }
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_place() {
        let node = read("a.yml", "a:\n  - b: 1\n    'c': [x, \"2\"]\n").unwrap();
        let inner = &node.get("a").unwrap().list()[0];
        let list = inner.get("c").unwrap();
        assert_eq!((list.line, list.column), (3, 10));
        assert_eq!(inner.get("b").unwrap().integer(), Some(1));
        assert_eq!(node.shown(), "{a: [{b: 1, c: [x, 2]}]}");
    }

    #[test]
    fn merged_tables_give_what_the_table_has_not() {
        let node = read("a.yml", "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n").unwrap();
        assert_eq!(node.get("y").unwrap().shown(), "{b: 3, a: 1}");
    }

    #[test]
    fn anchors_that_multiply_are_no_bomb() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..40 {
            let before = format!("*a{}, ", n - 1).repeat(8);
            let _ = writeln!(text, "a{n}: &a{n} [{before}]");
        }
        assert!(read("bomb.yml", &text).unwrap().shown().len() < 500);
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_place() {
        let told = |text: &str| read("a.yml", text).unwrap_err().to_string();
        assert_eq!(told("a: 1\na: 2\n"), "a.yml:2:1: `a` is there twice");
        assert_eq!(
            told("a: &a [*a]\n"),
            "a.yml:1:8: this alias stands for what it is in"
        );
        assert_eq!(told(&"[".repeat(100)), "a.yml:1:65: nested too deeply");
        assert_eq!(
            told("? [a]\n: 1\n"),
            "a.yml:1:3: a key is a list or a table"
        );
        assert!(told("a: 1\n---\nb: 2\n").starts_with("a.yml:2:1: a second document"));
        assert_eq!(
            told("# nothing\n"),
            "a.yml:1:1: there is nothing in this file"
        );
        assert!(
            told("a: [1, 2\nb: 3\n").starts_with("a.yml:2:"),
            "{}",
            told("a: [1, 2\nb: 3\n")
        );
    }
}
