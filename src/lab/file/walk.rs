//! Reading a TOML table key by key, noting what is wrong instead of stopping at it.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{Notes, shown};

/// A value of the lab file, or why there is none.
#[derive(Clone, Debug)]
pub(super) enum Read<T> {
    /// The file does not say.
    Absent,
    /// The file says something that was refused and noted.
    Bad,
    /// The file says this, at this byte.
    Given(T, usize),
}

/// A value and where it is from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<T> {
    pub(super) value: T,
    pub(super) at: At,
}

/// Where a value is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// The file does not say: it is a default.
    Default,
    /// The byte of the file that says it.
    File(usize),
    /// It stands in for a value that was refused: nothing is to be said about it.
    Bad,
}

impl<T> Read<T> {
    pub(super) fn or(self, default: T) -> Item<T> {
        self.or_else(|| default)
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(super) fn or_else(self, default: impl FnOnce() -> T) -> Item<T> {
        let (value, at) = match self {
            Self::Absent => (default(), At::Default),
            Self::Bad => (default(), At::Bad),
            Self::Given(value, at) => (value, At::File(at)),
        };
        Item { value, at }
    }
}

impl At {
    pub(super) fn byte(self) -> Option<usize> {
        match self {
            Self::File(at) => Some(at),
            Self::Default | Self::Bad => None,
        }
    }
}

/// Why a value is refused: what was expected instead, and what could be done.
pub(super) struct Wrong {
    pub(super) expected: String,
    pub(super) hint: Option<String>,
}

/// A table of the lab file, as far as it is there.
pub(super) struct Table<'a> {
    notes: &'a Notes<'a>,
    /// How messages start: ``node `node1`: ``; empty for the whole file.
    scope: String,
    entries: Option<&'a DeTable<'a>>,
    keys: &'static [&'static str],
}

impl<'a> Table<'a> {
    /// Opens `entries`, noting every key that is none of `keys`.
    pub(super) fn open(
        notes: &'a Notes<'a>,
        scope: &str,
        entries: Option<&'a DeTable<'a>>,
        keys: &'static [&'static str],
    ) -> Self {
        let table = Self::within(notes, scope, entries, keys);
        for (key, value) in entries.into_iter().flat_map(DeTable::iter) {
            if !keys.contains(&key.get_ref().as_ref()) {
                table.unknown(key, value.get_ref());
            }
        }
        table
    }

    /// Notes a key that is none of the table's.
    pub(super) fn unknown(&self, key: &Spanned<Cow<str>>, value: &DeValue) {
        let (name, scope, keys) = (key.get_ref().as_ref(), &self.scope, self.keys);
        let instead = match nearest(name, keys) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("expected {}", either(keys, '`')),
        };
        let lost_node = scope.is_empty()
            && value.is_table()
            && matches!(nearest(name, keys), None | Some("node"));
        let hint = lost_node.then(|| "the table of a node is spelled [node.NAME]".to_owned());
        let message = format!("{scope}unknown key `{}`, {instead}", shown(name));
        self.notes.add(Some(key.span().start), message, hint);
    }

    /// Opens `entries` for these `keys`, whatever others it has.
    pub(super) fn within(
        notes: &'a Notes<'a>,
        scope: &str,
        entries: Option<&'a DeTable<'a>>,
        keys: &'static [&'static str],
    ) -> Self {
        let scope = match scope {
            "" => String::new(),
            scope => format!("{scope}: "),
        };
        Self {
            notes,
            scope,
            entries,
            keys,
        }
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        debug_assert!(self.keys.contains(&key), "`{key}` is read but not listed");
        self.entries?.get(key)
    }

    /// Reads `key` with `parse`.
    pub(super) fn read<T>(
        &self,
        key: &str,
        parse: impl Fn(&DeValue) -> Result<T, Wrong>,
    ) -> Read<T> {
        self.read_at(key, |value, _| parse(value))
    }

    /// Reads `key` with `parse`, which is told the byte of the value.
    pub(super) fn read_at<T>(
        &self,
        key: &str,
        parse: impl Fn(&DeValue, usize) -> Result<T, Wrong>,
    ) -> Read<T> {
        let Some(value) = self.get(key) else {
            return Read::Absent;
        };
        let at = value.span().start;
        let parsed = parse(value.get_ref(), at).or_else(|wrong| {
            // Variables stand in strings alone, so one may mean a number, or true or false.
            let text = value.get_ref().as_str();
            let text = text.filter(|_| self.notes.is_filled(at));
            let meant = text.and_then(|text| DeValue::parse(text).ok());
            meant
                .and_then(|meant| parse(meant.get_ref(), at).ok())
                .ok_or(wrong)
        });
        match parsed {
            Ok(parsed) => Read::Given(parsed, at),
            Err(wrong) => {
                self.refuse(key, value, wrong);
                Read::Bad
            }
        }
    }

    /// Reads each element of the array `key` with `parse`.
    pub(super) fn read_list<T>(
        &self,
        key: &str,
        example: &str,
        parse: impl Fn(&DeValue) -> Result<T, Wrong>,
    ) -> Read<Vec<(T, usize)>> {
        let Some(value) = self.get(key) else {
            return Read::Absent;
        };
        let DeValue::Array(elements) = value.get_ref() else {
            self.refuse(key, value, Wrong::want(format!("a list such as {example}")));
            return Read::Bad;
        };
        let mut list = Vec::new();
        for element in elements.iter() {
            match parse(element.get_ref()) {
                Ok(parsed) => list.push((parsed, element.span().start)),
                Err(wrong) => self.refuse_as("holds", key, element, wrong),
            }
        }
        if list.len() < elements.len() {
            return Read::Bad;
        }
        Read::Given(list, value.span().start)
    }

    /// Reads the one value of `key`, or each element of the array that it is, with `parse`.
    pub(super) fn read_one_or_more<T>(
        &self,
        key: &str,
        parse: impl Fn(&DeValue) -> Result<T, Wrong>,
    ) -> Read<Vec<(T, usize)>> {
        match self.get(key).map(Spanned::get_ref) {
            Some(DeValue::Array(_)) => self.read_list(key, "", parse),
            Some(_) | None => match self.read(key, parse) {
                Read::Absent => Read::Absent,
                Read::Bad => Read::Bad,
                Read::Given(one, at) => Read::Given(vec![(one, at)], at),
            },
        }
    }

    /// The byte of the value of `key`, if it is there.
    pub(super) fn byte_of(&self, key: &str) -> Option<usize> {
        self.get(key).map(|value| value.span().start)
    }

    /// The tables of the list `key`, each with its byte; what is no table is noted.
    pub(super) fn read_tables(&self, key: &str, example: &str) -> Vec<(&'a DeTable<'a>, usize)> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let wrong = || Wrong::want(format!("a list such as {example}"));
        let DeValue::Array(elements) = value.get_ref() else {
            self.refuse(key, value, wrong());
            return Vec::new();
        };
        let mut tables = Vec::new();
        for element in elements.iter() {
            match element.get_ref() {
                DeValue::Table(entries) => tables.push((entries, element.span().start)),
                _ => self.refuse_as("holds", key, element, wrong()),
            }
        }
        tables
    }

    /// Reads the table `key`; `false` in its place is allowed when `switch` is.
    pub(super) fn read_table(&self, key: &str, switch: bool) -> Read<Option<&'a DeTable<'a>>> {
        let Some(value) = self.get(key) else {
            return Read::Absent;
        };
        let at = value.span().start;
        match value.get_ref() {
            DeValue::Table(entries) => Read::Given(Some(entries), at),
            DeValue::Boolean(false) if switch => Read::Given(None, at),
            _ => {
                let or_false = if switch { ", or false" } else { "" };
                let wrong = Wrong::want(format!("a table{or_false}"));
                self.refuse(key, value, wrong);
                Read::Bad
            }
        }
    }

    fn refuse(&self, key: &str, value: &Spanned<DeValue>, wrong: Wrong) {
        self.refuse_as("is", key, value, wrong);
    }

    fn refuse_as(&self, verb: &str, key: &str, value: &Spanned<DeValue>, wrong: Wrong) {
        let message = format!(
            "{}`{key}` {verb} {}, expected {}",
            self.scope,
            described(value.get_ref()),
            wrong.expected
        );
        self.notes
            .add(Some(value.span().start), message, wrong.hint);
    }
}

impl Wrong {
    pub(super) fn want(expected: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// `value` as a message names it.
fn described(value: &DeValue) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", shown(text)),
        DeValue::Integer(number) => shown(&number.to_string()),
        DeValue::Float(number) => shown(&number.to_string()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// `words` in quotes: `"a", "b" or "c"`.
pub(super) fn either(words: &[&str], quote: char) -> String {
    let quoted: Vec<_> = words
        .iter()
        .map(|word| format!("{quote}{word}{quote}"))
        .collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [word] => word.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// The one of `words` that `typed` was probably meant to be.
pub(super) fn nearest<'w>(typed: &str, words: &[&'w str]) -> Option<&'w str> {
    if typed.len() > 32 {
        return None;
    }
    let typed = typed.to_lowercase().replace('-', "_");
    if let Some(word) = words
        .iter()
        .find(|word| typed.len() >= 3 && word.starts_with(&typed))
    {
        return Some(word);
    }
    words
        .iter()
        .map(|word| (distance(&typed, word), *word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1) && *distance < word.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// How many letters must be changed, added, dropped or swapped with their
/// neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let differs = usize::from(a[i - 1] != b[j - 1]);
                let mut least = (rows[i - 1][j] + 1)
                    .min(rows[i][j - 1] + 1)
                    .min(rows[i - 1][j - 1] + differs);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognized_and_a_stranger_is_not() {
        let keys = ["address", "cpus", "memory", "mac", "nic"];
        assert_eq!(nearest("cpu", &keys), Some("cpus"));
        assert_eq!(nearest("adress", &keys), Some("address"));
        assert_eq!(nearest("Memroy", &keys), Some("memory"));
        assert_eq!(nearest("addr", &keys), Some("address"), "its beginning");
        assert_eq!(nearest("vlan", &keys), None);
        assert_eq!(nearest("prot", &["pool"]), None);
        assert_eq!(nearest(&"m".repeat(1_000_000), &keys), None);
    }
}
