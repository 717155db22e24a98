//! What is wrong with a lab file, and where.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

/// All that was found wrong with a lab's files, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The problems; never empty.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong, and the way out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where the lab file says it; none for what concerns the whole file.
    pub place: Option<Place>,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

/// A place in a lab file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    /// The file as the user calls it.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The character in that line, from 1; a tab is one character.
    pub column: usize,
}

impl std::error::Error for Report {}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().take(Self::SHOWN).enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        match self.problems.len().saturating_sub(Self::SHOWN) {
            0 => Ok(()),
            more => write!(f, "\nerror: {more} more problems are not shown"),
        }
    }
}

impl Report {
    /// More than this nobody reads, and a file of 1 MiB has room for 100 000.
    const SHOWN: usize = 50;
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error: ")?;
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The problems of a lab's files while they are read.
///
/// All files share one count of bytes: that of a file starts where that of the one before it ends.
pub(super) struct Notes<'t> {
    texts: Vec<Text<'t>>,
    found: RefCell<Vec<Note>>,
    /// The problems of files that this one names.
    elsewhere: RefCell<Vec<Problem>>,
    /// The bytes of which one problem is told: many nodes have what stands there.
    shared: RefCell<HashSet<usize>>,
    /// Those of them of which one has been told.
    told: RefCell<HashSet<usize>>,
    /// The bytes of the strings in which a variable has been filled in.
    filled: RefCell<HashSet<usize>>,
}

/// One of the files.
#[derive(Clone, Copy)]
struct Text<'t> {
    file: &'t str,
    text: &'t str,
    /// The byte at which it starts.
    base: usize,
}

struct Note {
    at: Option<usize>,
    message: String,
    hint: Option<String>,
}

impl<'t> Notes<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        Self::of([(file, text)])
    }

    /// Of several files, each with its name and its text.
    pub(super) fn of(files: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let mut base = 0;
        let text = |(file, text): (&'t str, &'t str)| {
            let start = base;
            // A problem can stand behind the last byte.
            base += text.len() + 1;
            Text {
                file,
                text,
                base: start,
            }
        };
        Self {
            texts: files.into_iter().map(text).collect(),
            found: RefCell::default(),
            elsewhere: RefCell::default(),
            shared: RefCell::default(),
            told: RefCell::default(),
            filled: RefCell::default(),
        }
    }

    /// The byte at which the `nth` file starts.
    pub(super) fn base(&self, nth: usize) -> usize {
        self.texts[nth].base
    }

    /// Which file byte `at` is in.
    pub(super) fn file_of(&self, at: usize) -> usize {
        self.texts
            .partition_point(|text| text.base <= at)
            .saturating_sub(1)
    }

    /// From now on tells one problem of each of these bytes: many nodes have what stands there.
    pub(super) fn share(&self, bytes: impl IntoIterator<Item = usize>) {
        self.shared.borrow_mut().extend(bytes);
    }

    /// From now on tells nothing of this byte: what is wrong there has been told elsewhere.
    pub(super) fn tell_no_more(&self, at: usize) {
        self.shared.borrow_mut().insert(at);
        self.told.borrow_mut().insert(at);
    }

    /// Remembers that a variable has been filled in in the string at this byte.
    pub(super) fn fill(&self, at: usize) {
        self.filled.borrow_mut().insert(at);
    }

    /// Whether there was a variable in the string at this byte.
    pub(super) fn is_filled(&self, at: usize) -> bool {
        self.filled.borrow().contains(&at)
    }

    /// Notes that `message` is wrong at byte `at`, or with the file as a whole.
    pub(super) fn add(&self, at: Option<usize>, message: String, hint: Option<String>) {
        let shared = at.filter(|at| self.shared.borrow().contains(at));
        if shared.is_some_and(|at| !self.told.borrow_mut().insert(at)) {
            return;
        }
        self.found.borrow_mut().push(Note { at, message, hint });
    }

    /// Notes all that is wrong with another file, once.
    pub(super) fn add_report(&self, report: &Report) {
        let mut elsewhere = self.elsewhere.borrow_mut();
        for problem in &report.problems {
            if !elsewhere.contains(problem) {
                elsewhere.push(problem.clone());
            }
        }
    }

    /// The place of byte `at`, by reading all that is before it.
    pub(super) fn place(&self, at: usize) -> Place {
        Cursor::new(self).forward_to(at)
    }

    /// `value` if nothing was found wrong, else the report.
    pub(super) fn finish<T>(self, value: T) -> Result<T, Report> {
        if self.found.borrow().is_empty() && self.elsewhere.borrow().is_empty() {
            return Ok(value);
        }
        Err(self.into_report())
    }

    pub(super) fn into_report(self) -> Report {
        let mut found = self.found.take();
        let elsewhere = self.elsewhere.take();
        found.sort_by_key(|note| note.at);
        let mut cursor = Cursor::new(&self);
        let problems = found
            .into_iter()
            .map(|Note { at, message, hint }| Problem {
                place: at.map(|at| cursor.forward_to(at)),
                message,
                hint,
            })
            .chain(elsewhere)
            .collect();
        Report { problems }
    }
}

/// Finds places from the start of the files to their end, reading them once.
///
/// A file of 1 MiB has room for 100 000 problems: to read it for each of them
/// takes minutes.
struct Cursor<'n, 't> {
    notes: &'n Notes<'t>,
    nth: usize,
    byte: usize,
    line: usize,
    column: usize,
}

impl<'n, 't> Cursor<'n, 't> {
    fn new(notes: &'n Notes<'t>) -> Self {
        Self::at_start(notes, 0)
    }

    fn at_start(notes: &'n Notes<'t>, nth: usize) -> Self {
        // A byte-order mark is no character that an editor would count.
        let marked = notes.texts[nth].text.starts_with('\u{feff}');
        Self {
            notes,
            nth,
            byte: if marked { 3 } else { 0 },
            line: 1,
            column: 1,
        }
    }

    /// The place of byte `at`, which is not before the last one asked for.
    fn forward_to(&mut self, at: usize) -> Place {
        let nth = self.notes.file_of(at);
        if nth != self.nth {
            *self = Self::at_start(self.notes, nth);
        }
        let Text { file, text, base } = self.notes.texts[nth];
        for c in text[self.byte..].chars() {
            if base + self.byte + c.len_utf8() > at {
                break;
            }
            self.byte += c.len_utf8();
            if c == '\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else {
                self.column += 1;
            }
        }
        Place {
            file: file.to_owned(),
            line: self.line,
            column: self.column,
        }
    }
}

/// `text` as it can stand in a message: in one line, not long, nothing that
/// would speak to a terminal.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(40).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    // escape_debug would escape the apostrophe too, which nothing here needs.
    shown.escape_debug().to_string().replace("\\'", "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_not_bytes() {
        let notes = Notes::new("x.toml", "# größe\n\u{e9}\u{e9} = 1\n");
        let at = |line, column| Place {
            file: "x.toml".into(),
            line,
            column,
        };
        assert_eq!(notes.place(0), at(1, 1));
        assert_eq!(notes.place(10), at(2, 1));
        assert_eq!(notes.place(12), at(2, 2));
        assert_eq!(notes.place(11), at(2, 1), "inside a character");
        assert_eq!(notes.place(9999), at(3, 1), "beyond the end");
    }

    #[test]
    fn the_bytes_of_a_file_follow_those_of_the_one_before_it() {
        let notes = Notes::of([
            ("a.toml", "1\n2"),
            ("b.toml", ""),
            ("c.toml", "\u{feff}x\ny"),
        ]);
        let shown = |at| notes.place(at).to_string();
        assert_eq!(shown(2), "a.toml:2:1");
        assert_eq!(shown(3), "a.toml:2:2", "its end");
        assert_eq!(shown(notes.base(1)), "b.toml:1:1");
        assert_eq!(shown(notes.base(2) + 3), "c.toml:1:1");
        assert_eq!(shown(notes.base(2) + 5), "c.toml:2:1");
        notes.add(Some(notes.base(2) + 5), "late".to_owned(), None);
        notes.add(Some(2), "early".to_owned(), None);
        assert_eq!(
            notes.into_report().to_string(),
            "error: a.toml:2:1: early\nerror: c.toml:2:1: late"
        );
    }

    #[test]
    fn one_problem_is_told_of_what_many_nodes_have() {
        let notes = Notes::new("a.toml", "12");
        notes.share([1]);
        for at in [0, 0, 1, 1] {
            notes.add(Some(at), format!("{at}"), None);
        }
        assert_eq!(notes.into_report().problems.len(), 3);
    }

    #[test]
    fn a_message_cannot_speak_to_the_terminal() {
        assert_eq!(shown("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
        assert_eq!(shown("\"it's\""), "\\\"it's\\\"");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 41);
    }
}
