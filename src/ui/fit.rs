//! Lines that fit a terminal: broken between words, and indented like what they go on.

use std::io::{self, IsTerminal};

use console::{Term, measure_text_width};

/// How many columns there are on standard error; no end of them where it is no terminal.
#[must_use]
pub fn columns() -> usize {
    let size = io::stderr()
        .is_terminal()
        .then(|| Term::stderr().size_checked());
    size.flatten()
        .map_or(usize::MAX, |(_, columns)| columns.into())
}

/// Breaks lines that have no room in `columns`, the first `indent` of which are taken.
#[must_use]
pub fn lines(text: &str, indent: usize, columns: usize) -> String {
    let mut all = Vec::new();
    for (number, line) in text.split('\n').enumerate() {
        // The first line stands behind a mark, others bring their own blanks.
        let (begins, indent) = match number {
            0 => (indent, indent),
            _ => (0, line.len() - line.trim_start().len()),
        };
        broken(line, begins, indent, columns, &mut all);
    }
    all.join("\n")
}

fn broken(line: &str, begins: usize, indent: usize, columns: usize, all: &mut Vec<String>) {
    // A terminal wraps a line that reaches its last column, or not, as it likes.
    let fits = |width: usize| width < columns;
    if fits(begins + measure_text_width(line)) {
        return all.push(line.to_owned());
    }
    let mut part = " ".repeat(indent - begins);
    let (mut width, mut is_first) = (indent, true);
    for word in line.split_whitespace() {
        let long = measure_text_width(word);
        if !is_first && !fits(width + 1 + long) {
            all.push(std::mem::replace(&mut part, " ".repeat(indent)));
            (width, is_first) = (indent, true);
        }
        if !is_first {
            part.push(' ');
            width += 1;
        }
        part += word;
        width += long;
        is_first = false;
    }
    all.push(part);
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn what_fits_stays_as_it_is() {
        let text = "web (lighttpd)      ready     24 ms";
        assert_eq!(lines(text, 4, 40), text);
        assert_eq!(lines(text, 4, usize::MAX), text);
    }

    #[test]
    fn what_does_not_is_broken_between_words() {
        assert_eq!(
            lines("nodes run under TCG, QEMU's own translator", 4, 24),
            "nodes run under\n    TCG, QEMU's own\n    translator"
        );
    }

    #[test]
    fn lines_keep_their_own_blanks_and_words_that_are_too_long_stay_whole() {
        assert_eq!(
            lines("db ended\n      cannot open /var/lib/db/a-long-name", 4, 20),
            "db ended\n      cannot open\n      /var/lib/db/a-long-name"
        );
    }
}
