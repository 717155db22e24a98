//! Errors: one for a value, one for a configuration, one for a line of text.

use std::net::Ipv4Addr;

use thiserror::Error;

use crate::quote;

/// A value that dnsmasq would refuse, cut short or read as something else.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot use `{value}` as {kind}: {reason}")]
pub struct ValueError {
    kind: &'static str,
    value: String,
    reason: String,
}

impl ValueError {
    /// Quoted characters are shown as the user wrote them, not as dnsmasq hides them.
    pub(crate) fn new(kind: &'static str, value: &str, reason: impl Into<String>) -> Self {
        Self {
            kind,
            value: quote::unhide(value),
            reason: reason.into(),
        }
    }

    /// Returns what the value was meant to be, with its article: `a tag`.
    pub fn kind(&self) -> &str {
        self.kind
    }

    /// Returns the value as given.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Returns why it was refused and what to write instead.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// Directives that are right one by one and wrong together.
///
/// `index` counts the directives of the [`Builder`](crate::Builder) from 0 and
/// names the later of the two.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Two reservations hold one IPv4 address; dnsmasq 2.90 exits with
    /// "duplicate dhcp-host IP address".
    #[error(
        "cannot reserve {address} twice: give each dhcp-host its own address, or one dhcp-host several MAC addresses"
    )]
    DuplicateAddress {
        /// The address.
        address: Ipv4Addr,
        /// The later reservation.
        index: usize,
    },
    /// dnsmasq takes this directive once ("illegal repeated keyword").
    #[error("cannot give {name} twice: keep one of them")]
    Repeated {
        /// The directive's name.
        name: &'static str,
        /// The later of the two.
        index: usize,
    },
    /// `bind-interfaces` and `bind-dynamic` exclude each other.
    #[error("cannot set both bind-interfaces and bind-dynamic: keep one of them")]
    TwoBindModes {
        /// The later of the two.
        index: usize,
    },
    /// Without looking for changes dnsmasq reads one resolv.conf only.
    #[error("cannot read several resolv-file with no-poll: keep one, or drop no-poll")]
    SeveralResolvFiles {
        /// The last of these directives.
        index: usize,
    },
    /// dnsmasq reads a line in pieces of 1023 bytes and takes the rest for a new directive.
    #[error("cannot write {name} in one line: {length} bytes, dnsmasq reads at most {max}; split it or shorten its values", max = quote::LINE_MAX)]
    LineTooLong {
        /// The directive's name.
        name: &'static str,
        /// Bytes that the line would have.
        length: usize,
        /// The directive.
        index: usize,
    },
}

impl ConfigError {
    /// Returns the position of the directive that is in the way, from 0.
    pub fn index(&self) -> usize {
        match self {
            Self::DuplicateAddress { index, .. }
            | Self::Repeated { index, .. }
            | Self::SeveralResolvFiles { index }
            | Self::TwoBindModes { index }
            | Self::LineTooLong { index, .. } => *index,
        }
    }
}

/// A line of configuration text that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {}{source}", directive.as_ref().map(|name| format!("{name}: ")).unwrap_or_default())]
pub struct ParseError {
    pub(crate) line: usize,
    pub(crate) directive: Option<String>,
    pub(crate) source: LineError,
}

impl ParseError {
    /// Returns the line number, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Returns the directive's name as written, if the line got that far.
    pub fn directive(&self) -> Option<&str> {
        self.directive.as_deref()
    }

    /// Returns what is wrong with the line.
    pub fn problem(&self) -> &LineError {
        &self.source
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LineError {
    /// The directive is not one that this crate types.
    #[error(
        "unknown directive; remove it, or look for a spelling mistake (long option names of dnsmasq(8), without dashes)"
    )]
    UnknownDirective,
    /// The directive needs a value.
    #[error("missing value; write `{0}=...`")]
    MissingValue(&'static str),
    /// The directive takes no value.
    #[error("unexpected value; write `{0}` alone")]
    UnexpectedValue(&'static str),
    /// A quotation mark is never closed; dnsmasq says `missing "`.
    #[error("unclosed quotation mark; add a closing `\"`, or write `\\\"` inside quotes")]
    UnclosedQuote,
    /// dnsmasq takes raw control characters for hidden digits and letters.
    #[error(
        "raw control character {0:?}; write \\t, \\n, \\r, \\b or \\e inside quotes, or remove it"
    )]
    ControlCharacter(char),
    /// The line is longer than what dnsmasq reads at once.
    #[error("{0} bytes, dnsmasq reads at most {max} as one line; split it", max = quote::LINE_MAX)]
    TooLong(usize),
    /// A value is wrong.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The directive contradicts an earlier one.
    #[error(transparent)]
    Config(#[from] ConfigError),
}
