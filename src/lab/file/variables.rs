//! Variables of the environment in a file's strings: `${NAME}` and `${NAME:-default}`.
//!
//! They are filled in before anything is read, so that what they make is checked as if it had
//! been typed.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{Notes, shown};

/// Fills in the variables of one file.
pub(super) struct Variables<'a> {
    pub(super) known: &'a BTreeMap<String, String>,
    pub(super) notes: &'a Notes<'a>,
    /// The file's text, and the byte at which it starts.
    pub(super) text: &'a str,
    pub(super) base: usize,
}

/// Where a value has a script of iPXE's, whose variables are spelled as ours are and stay.
#[derive(Clone, Copy)]
enum Scripts {
    /// In each table that it holds: it is `node`.
    Below,
    /// In its key `ipxe`: it is the table of a node.
    Here,
    /// It is one.
    This,
    /// It has none.
    Nowhere,
}

/// A `${…}` that cannot be filled in.
pub(super) struct Unfilled {
    /// It, as far as it goes.
    spelled: String,
    message: String,
    hint: String,
}

impl Variables<'_> {
    /// `table` with its variables filled in, each span moved to where the file starts.
    pub(super) fn table<'t>(&self, table: DeTable<'t>) -> DeTable<'t> {
        self.entries(table, |key| match key {
            "defaults" => Scripts::Here,
            "node" => Scripts::Below,
            _ => Scripts::Nowhere,
        })
    }

    /// `table` with its variables filled in; where scripts are, depends on the key.
    fn entries<'t>(&self, table: DeTable<'t>, scripts: impl Fn(&str) -> Scripts) -> DeTable<'t> {
        let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'t>>)| {
            let at = self.moved(key.span());
            let key: std::borrow::Cow<'t, str> = key.into_inner();
            let scripts = scripts(&key);
            (Spanned::new(at, key), self.value(value, scripts))
        };
        table.into_iter().map(entry).collect()
    }

    fn value<'t>(&self, value: Spanned<DeValue<'t>>, scripts: Scripts) -> Spanned<DeValue<'t>> {
        let span = value.span();
        let at = self.moved(span.clone());
        let filled = match value.into_inner() {
            DeValue::Table(table) => DeValue::Table(self.entries(table, |key| match scripts {
                Scripts::Below => Scripts::Here,
                Scripts::Here if key == "ipxe" => Scripts::This,
                Scripts::Here | Scripts::This | Scripts::Nowhere => Scripts::Nowhere,
            })),
            DeValue::Array(elements) => DeValue::Array(
                elements
                    .into_iter()
                    .map(|value| self.value(value, Scripts::Nowhere))
                    .collect(),
            ),
            DeValue::String(script) if matches!(scripts, Scripts::This) => DeValue::String(script),
            DeValue::String(text) if text.contains('$') => {
                let (filled, wrong) = filled(&text, self.known);
                self.notes.fill(self.base + span.start);
                let mut from = span.start;
                for unfilled in wrong {
                    // An escape may have made it: then it is found nowhere, and the string stands for it.
                    let typed = self.text.get(from..span.end).unwrap_or_default();
                    let found = typed.find(&unfilled.spelled).map(|offset| from + offset);
                    from = found.map_or(from, |found| found + unfilled.spelled.len());
                    let at = self.base + found.unwrap_or(span.start);
                    self.notes
                        .add(Some(at), unfilled.message, Some(unfilled.hint));
                    self.notes.tell_no_more(self.base + span.start);
                }
                DeValue::String(filled.into())
            }
            other @ (DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)) => other,
        };
        Spanned::new(at, filled)
    }

    fn moved(&self, span: std::ops::Range<usize>) -> std::ops::Range<usize> {
        self.base + span.start..self.base + span.end
    }
}

/// `text` with the variables in their places, and those that nothing can be put in place of.
pub(super) fn filled(text: &str, known: &BTreeMap<String, String>) -> (String, Vec<Unfilled>) {
    let (mut filled, mut wrong) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled += before;
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            filled.push('$');
            rest = after;
        } else if let Some(opened) = rest.strip_prefix('{') {
            let (inside, after) = opened.split_once('}').unwrap_or((opened, ""));
            match value(inside, opened.len() > inside.len(), known) {
                Ok(value) => filled += value,
                Err(unfilled) => wrong.push(unfilled),
            }
            rest = after;
        } else {
            filled.push('$');
        }
    }
    (filled + rest, wrong)
}

/// What stands for `${inside}`.
fn value<'a>(
    inside: &'a str,
    closed: bool,
    known: &'a BTreeMap<String, String>,
) -> Result<&'a str, Unfilled> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let unfilled = |message, hint| Unfilled {
        spelled: format!("${{{inside}"),
        message,
        hint,
    };
    let begins = |c: char| c.is_ascii_alphabetic() || c == '_';
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !closed || !name.starts_with(begins) || !name.chars().all(goes_on) {
        return Err(unfilled(
            format!("`${{{}` is no variable", shown(inside)),
            "write ${NAME} or ${NAME:-default}; $$ is a dollar".to_owned(),
        ));
    }
    // As in a shell, an empty variable has the default too.
    match (known.get(name).map(String::as_str), default) {
        (None | Some(""), Some(default)) => Ok(default),
        (Some(value), _) => Ok(value),
        (None, None) => Err(unfilled(
            format!("the variable `{}` is not set", shown(name)),
            format!(
                "write ${{{0}:-default}}, or set it; sudo takes it along as `sudo {0}=… nsplay …`",
                shown(name)
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_dollars_stay() {
        let known = [("A", "1"), ("EMPTY", ""), ("B_2", "${A}")];
        let known = known.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let text = |text| {
            let (filled, wrong) = filled(text, &known.clone().into());
            (filled, wrong.len())
        };
        let fine = |filled: &str| (filled.to_owned(), 0);
        assert_eq!(text("${A}-${A:-2}${NO:-3}"), fine("1-13"));
        assert_eq!(text("${EMPTY}|${EMPTY:-x}|${NO:-}"), fine("|x|"));
        assert_eq!(text("${B_2}"), fine("${A}"), "nothing is filled in twice");
        assert_eq!(text("$$ $${A} a$b $"), fine("$ ${A} a$b $"));
        for bad in ["${NO}", "${", "${}", "${A", "${net0/mac}", "${2}", "${A-x}"] {
            assert_eq!(text(bad).1, 1, "{bad}");
        }
    }
}
