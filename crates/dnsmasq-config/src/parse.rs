//! Reading configuration text, the way dnsmasq does.

use std::str::FromStr;

use crate::error::{LineError, ParseError};
use crate::{Config, Directive, quote};

impl FromStr for Config {
    type Err = ParseError;

    /// Reads configuration text: one directive per line, `#` comments, spaces around `=`.
    ///
    /// A list of interfaces or addresses becomes one directive each. Comments and spacing
    /// are not kept.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut builder = Self::builder();
        let mut lines = Vec::new();
        for (at, line) in text.split('\n').enumerate() {
            let number = at + 1;
            let error = |directive: Option<&str>, source| ParseError {
                line: number,
                directive: directive.map(quote::unhide),
                source,
            };
            let clean = quote::clean(line).map_err(|source| error(None, source))?;
            if clean.is_empty() {
                continue;
            }
            let (name, value) = match clean.split_once('=') {
                Some((name, value)) => (
                    name.trim_end_matches(' '),
                    Some(value.trim_start_matches(' ')),
                ),
                None => (clean.as_str(), None),
            };
            for directive in
                Directive::read(name, value).map_err(|source| error(Some(name), source))?
            {
                builder.push(directive);
                lines.push(number);
            }
        }
        let names: Vec<&'static str> = builder.names().collect();
        builder.build().map_err(|source| {
            let at = source.index();
            let (line, directive) = (lines.get(at).copied(), names.get(at).copied());
            ParseError {
                line: line.unwrap_or_default(),
                directive: directive.map(str::to_owned),
                source: LineError::Config(source),
            }
        })
    }
}
