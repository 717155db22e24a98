//! Labs from elsewhere: an InfraSIM node, or a playground of docker compose, as a lab file.
//!
//! Nothing is guessed silently: what was inferred, and what has no counterpart, is said in a
//! comment where it stands. What comes out loads: `draft` asks the loader, and what it refuses
//! becomes a comment with the loader's reason. Pure: other files are read through the caller.

mod compose;
mod dnsmasq;
mod draft;
mod infrasim;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

/// What is imported, and from where.
pub struct Import<'a> {
    /// What messages and comments call the file.
    pub file: &'a str,
    /// What is in it.
    pub text: &'a str,
    /// The environment's variables, with which the lab file is tried.
    pub variables: &'a BTreeMap<String, String>,
    /// Put before relative paths, when the lab file will stand in another folder.
    pub folder: Option<&'a Path>,
    /// Reads a file that this one names, by its path relative to this one's folder.
    pub open: &'a dyn Fn(&Path) -> io::Result<String>,
}

/// Why a file cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The file as the user calls it.
    pub file: String,
    /// Line and column, in characters from 1.
    pub place: (usize, usize),
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.place;
        write!(f, "{}:{line}:{column}: {}", self.file, self.message)
    }
}

/// A lab file of an InfraSIM node description.
///
/// # Errors
/// When it is no YAML, or describes no node.
pub fn infrasim(import: &Import) -> Result<String, Error> {
    infrasim::lab(import)
}

/// A lab file of a compose file.
///
/// # Errors
/// When it is no YAML, or has no services.
pub fn compose(import: &Import) -> Result<String, Error> {
    compose::lab(import)
}

/// What the lab file says of itself.
fn header(import: &Import, what: &str) -> draft::Table {
    let mut table = draft::Table::new("");
    table.note(format!(
        "Made by `nsplay import {what} {}`. Comments say what was inferred and what has no counterpart; docs/import.md has every key.",
        import.file
    ));
    if import.folder.is_none() {
        table.note("Relative paths start at the folder of that file: keep this one beside it.");
    }
    table
}

/// The name of a member for what is called `text` elsewhere, and what to say if it differs.
fn name(text: &str, fallback: &str) -> (String, String) {
    let allowed = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
        _ => '-',
    };
    let plain: String = text.chars().map(allowed).collect();
    let plain = plain.trim_matches('-');
    let cut: String = plain.chars().take(crate::lab::Name::MOST).collect();
    let taken = [
        "dhcp", "web", "ssh", "fabric", "lab0", "lo", "all", "default", "",
    ];
    let name = match taken.contains(&cut.as_str()) {
        true => fallback.to_owned(),
        false => cut,
    };
    let why = match name == text {
        true => String::new(),
        false => format!("called `{}` there", draft::clean(text)),
    };
    (name, why)
}
