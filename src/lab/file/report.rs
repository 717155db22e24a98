//! What is wrong with a lab file, and where.

use std::cell::RefCell;
use std::fmt;

/// All that was found wrong with one lab file, in the order of the file.
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
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// The problems of one file while it is read.
pub(super) struct Notes<'t> {
    file: &'t str,
    text: &'t str,
    found: RefCell<Vec<Note>>,
    /// The problems of files that this one names.
    elsewhere: RefCell<Vec<Problem>>,
}

struct Note {
    at: Option<usize>,
    message: String,
    hint: Option<String>,
}

impl<'t> Notes<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            text,
            found: RefCell::default(),
            elsewhere: RefCell::default(),
        }
    }

    /// Notes that `message` is wrong at byte `at`, or with the file as a whole.
    pub(super) fn add(&self, at: Option<usize>, message: String, hint: Option<String>) {
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

/// Finds places from the start of a text to its end, reading it once.
///
/// A file of 1 MiB has room for 100 000 problems: to read it for each of them
/// takes minutes.
struct Cursor<'t> {
    file: &'t str,
    text: &'t str,
    byte: usize,
    line: usize,
    column: usize,
}

impl<'t> Cursor<'t> {
    fn new(notes: &Notes<'t>) -> Self {
        Self {
            file: notes.file,
            text: notes.text,
            // A byte-order mark is no character that an editor would count.
            byte: if notes.text.starts_with('\u{feff}') {
                3
            } else {
                0
            },
            line: 1,
            column: 1,
        }
    }

    /// The place of byte `at`, which is not before the last one asked for.
    fn forward_to(&mut self, at: usize) -> Place {
        for c in self.text[self.byte..].chars() {
            if self.byte + c.len_utf8() > at {
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
            file: self.file.to_owned(),
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
    fn a_message_cannot_speak_to_the_terminal() {
        assert_eq!(shown("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
        assert_eq!(shown("\"it's\""), "\\\"it's\\\"");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 41);
    }
}
