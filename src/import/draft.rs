//! A lab file that is being written: tables of keys, with comments where they belong.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::yaml::Node;
use crate::lab::file::{Origin, load};

/// Comments are broken before this column.
const COLUMNS: usize = 100;

/// The lab file to be.
pub(super) struct Draft {
    pub(super) tables: Vec<Table>,
}

/// A table of it, or with an empty head the file's own keys.
pub(super) struct Table {
    pub(super) head: String,
    lines: Vec<Line>,
    /// Why the whole table is a comment, if it is.
    dropped: Option<String>,
}

enum Line {
    Note(String),
    Set {
        key: String,
        /// As TOML spells it, in one line.
        value: String,
        why: String,
        /// What the loader says against it.
        refused: Option<String>,
    },
}

/// A file that is read, as comments call it.
#[derive(Clone, Copy)]
pub(super) struct Source<'f> {
    pub(super) file: &'f str,
}

impl Source<'_> {
    /// `lab.yml:12`.
    pub(super) fn place(&self, node: &Node) -> String {
        let name = self.file.rsplit('/').next().unwrap_or(self.file);
        format!("{name}:{}", node.line)
    }
}

impl Table {
    pub(super) fn new(head: impl Into<String>) -> Self {
        Self {
            head: head.into(),
            lines: Vec::new(),
            dropped: None,
        }
    }

    /// Makes all of it a comment, whose reason notes have told.
    pub(super) fn drop(&mut self) {
        self.dropped = Some(String::new());
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Note(text.into()));
    }

    /// Says that `path: node` has no counterpart, and why that matters or not.
    pub(super) fn none(&mut self, source: Source, path: &str, node: &Node, why: &str) {
        let place = source.place(node);
        self.note(format!(
            "no counterpart ({place}): {path}: {}; {why}",
            node.shown()
        ));
    }

    /// Sets a key to a value that is TOML already; `why` says what was decided on the way, if
    /// anything was.
    pub(super) fn set(&mut self, key: &str, value: impl Into<String>, why: impl Into<String>) {
        self.lines.push(Line::Set {
            key: key.to_owned(),
            value: value.into(),
            why: why.into(),
            refused: None,
        });
    }

    /// The value of a key, as TOML spells it.
    pub(super) fn value(&self, wanted: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| match line {
            Line::Set { key, value, .. } if key == wanted => Some(value.as_str()),
            Line::Set { .. } | Line::Note(_) => None,
        })
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Takes a key away again.
    pub(super) fn unset(&mut self, unwanted: &str) {
        let is = |line: &Line| matches!(line, Line::Set { key, .. } if key == unwanted);
        self.lines.retain(|line| !is(line));
    }

    /// Appends the lines of another table.
    pub(super) fn append(&mut self, other: Table) {
        self.lines.extend(other.lines);
    }

    /// Appends the table to `out`, and tells `wrote` of each line that it has written.
    fn render(&self, out: &mut String, mut wrote: impl FnMut(&str, Option<usize>)) {
        let mark = match &self.dropped {
            Some(why) => {
                if !why.is_empty() {
                    comment(out, &format!("nsplay refuses this table: {why}"));
                }
                "# "
            }
            None => "",
        };
        if !self.head.is_empty() {
            let _ = writeln!(out, "{mark}[{}]", self.head);
            wrote(out, None);
        }
        for (n, line) in self.lines.iter().enumerate() {
            match line {
                Line::Note(text) => comment(out, text),
                Line::Set {
                    key,
                    value,
                    why,
                    refused: Some(refused),
                } => {
                    let why = match why.as_str() {
                        "" => String::new(),
                        why => format!(" ({why})"),
                    };
                    let left_out = format!("{key} = {value}{why}: nsplay refuses that: {refused}");
                    comment(out, &left_out);
                }
                Line::Set {
                    key,
                    value,
                    why,
                    refused: None,
                } => {
                    let set = format!("{mark}{key} = {value}");
                    let beside = format!("{set:<32}  # {}", clean(why));
                    if why.is_empty() {
                        let _ = writeln!(out, "{set}");
                    } else if beside.chars().count() <= COLUMNS {
                        let _ = writeln!(out, "{beside}");
                    } else {
                        comment(out, why);
                        let _ = writeln!(out, "{set}");
                    }
                }
            }
            wrote(out, Some(n));
        }
    }
}

/// What a line of the text comes from: a table, and a line of it or its head.
type Owner = (usize, Option<usize>);

impl Draft {
    /// The lab file, which loads: what the loader refuses has become a comment that says why.
    pub(super) fn settle(mut self, variables: &BTreeMap<String, String>) -> String {
        let origin = Origin {
            variables: variables.clone(),
            ..Origin::built_in(None)
        };
        // Each round makes one line at least a comment, so this ends.
        loop {
            let (text, owners) = self.render();
            let Err(report) = load(&text, &origin) else {
                return text;
            };
            let mut refused = false;
            for problem in &report.problems {
                let line = problem.place.as_ref().map_or(0, |place| place.line);
                // Which keys there are instead would fill lines.
                let message = match problem.message.split_once(", expected `") {
                    Some((unknown, _)) if unknown.contains("unknown key") => unknown,
                    Some(_) | None => &problem.message,
                };
                if let Some(owner) = line.checked_sub(1).and_then(|line| owners.get(line)) {
                    refused |= self.refuse(*owner, message);
                }
            }
            if !refused {
                return hopeless(&text, &report.to_string());
            }
        }
    }

    /// Makes a comment of what stands there; false if it is one already.
    fn refuse(&mut self, (table, line): Owner, message: &str) -> bool {
        let table = &mut self.tables[table];
        let Some(line) = line else {
            let first = table.dropped.is_none() && !table.head.is_empty();
            if first {
                table.dropped = Some(message.to_owned());
            }
            return first;
        };
        match &mut table.lines[line] {
            Line::Set { refused, .. } if refused.is_none() => {
                *refused = Some(message.to_owned());
                true
            }
            Line::Set { .. } | Line::Note(_) => false,
        }
    }

    /// The text, and whose each of its lines is.
    fn render(&self) -> (String, Vec<Owner>) {
        let (mut text, mut owners): (String, Vec<Owner>) = Default::default();
        for (n, table) in self.tables.iter().enumerate() {
            if n > 0 {
                text.push('\n');
                owners.push((n, None));
            }
            table.render(&mut text, |text, line| {
                // What was written since the last time.
                let known: usize = owners.len();
                let more = text.lines().skip(known).count();
                owners.extend(std::iter::repeat_n((n, line), more));
            });
        }
        (text, owners)
    }
}

/// What cannot be loaded for another reason than one of its lines: all of it as a comment.
fn hopeless(text: &str, report: &str) -> String {
    let mut out = String::new();
    comment(&mut out, "What follows makes no lab that nsplay can run:");
    for line in report.lines() {
        comment(&mut out, line);
    }
    for line in text.lines() {
        let _ = writeln!(out, "# {line}");
    }
    out
}

/// `text` as a TOML string; dollars mean variables in it.
pub(super) fn string(text: &str) -> String {
    // JSON's escapes are TOML's, and it leaves no line break in.
    let quoted = serde_json::Value::from(text).to_string();
    quoted.replace('\u{7f}', "\\u007F")
}

/// `text` as a TOML string in which dollars are dollars.
pub(super) fn literal(text: &str) -> String {
    string(&text.replace('$', "$$"))
}

/// TOML strings as a list.
pub(super) fn list<T: AsRef<str>>(strings: impl IntoIterator<Item = T>) -> String {
    let strings: Vec<String> = strings
        .into_iter()
        .map(|text| string(text.as_ref()))
        .collect();
    format!("[{}]", strings.join(", "))
}

/// `text` without what would speak to a terminal or end a comment.
pub(super) fn clean(text: &str) -> String {
    let space = |c: char| match c {
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().map(space).collect()
}

/// Writes a comment, broken before column 100.
fn comment(out: &mut String, text: &str) {
    let text = clean(text);
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let long = line.chars().count() + word.chars().count() + 3 > COLUMNS;
        if long && !line.is_empty() {
            let _ = writeln!(out, "# {line}");
            line.clear();
        }
        // A word that is longer than a line is broken where the line ends.
        let mut word = word;
        while word.chars().count() > COLUMNS - 2 {
            let end = word
                .char_indices()
                .nth(COLUMNS - 2)
                .map_or(word.len(), |(at, _)| at);
            let _ = writeln!(out, "# {}", &word[..end]);
            word = &word[end..];
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(out, "# {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(lines: &[(&str, &str, &str)]) -> Draft {
        let mut table = Table::new("node.n");
        for (key, value, why) in lines {
            table.set(key, *value, *why);
        }
        Draft {
            tables: vec![table],
        }
    }

    #[test]
    fn what_the_loader_refuses_becomes_a_comment_with_the_reason() {
        let lines = [
            ("cpus", "2", ""),
            ("memory", "\"1 MB\"", "of the file"),
            ("nonsense", "true", &"words ".repeat(40)),
        ];
        let text = draft(&lines).settle(&BTreeMap::new());
        assert!(text.contains("\ncpus = 2\n"), "{text}");
        assert!(
            text.contains("# memory = \"1 MB\" (of the file): nsplay refuses that:"),
            "{text}"
        );
        assert!(text.contains("\n# nonsense = true"), "{text}");
        load(&text, &Origin::built_in(None)).unwrap();
    }

    #[test]
    fn comments_end_before_column_100() {
        let mut out = String::new();
        comment(
            &mut out,
            &format!("{} {} tail", "word ".repeat(60), "x".repeat(250)),
        );
        assert!(
            out.lines()
                .all(|line| line.starts_with("# ") && line.chars().count() <= 100),
            "{out}"
        );
    }

    #[test]
    fn a_string_is_one_line_of_toml() {
        let text = format!("a = {}", string("\"quotes\"\n\u{7f}\u{1b}\\"));
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["a"].as_str(), Some("\"quotes\"\n\u{7f}\u{1b}\\"));
        assert_eq!(text.lines().count(), 1);
    }
}
