//! What can be waited for.

use std::fmt;
use std::str::FromStr;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::lab::Stage;

/// What is waited for, as `--for` spells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Nodes have come as far as this, or farther.
    Stage(Stage),
    /// Every service and BMC answers, and the nodes are on.
    Healthy,
    /// A page answers with a status from 200 to 399.
    Http(Page),
    /// A connection is accepted.
    Tcp(Socket),
    /// Somebody prints a line that this matches.
    Log(Pattern),
    /// The screen of a node shows a line that this matches.
    Screen(Pattern),
}

/// A page, asked for from inside the lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Who is asked.
    pub at: Socket,
    /// What for, with its slash.
    pub path: String,
}

/// A port of a member, or of any address that the fabric reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// An IPv4 address, or a member's or node's name.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// A regular expression that compiles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(String);

impl Pattern {
    /// The expression, ready to match.
    ///
    /// # Errors
    /// None: it was compiled once.
    pub fn regex(&self) -> Result<Regex, regex::Error> {
        Regex::new(&self.0)
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Regex::new(&text) {
            Ok(_) => Ok(Self(text)),
            Err(error) => Err(reason(&error.to_string())),
        }
    }
}

/// What is wrong with an expression, and at which character.
///
/// The last line of what the crate says is the reason; the one before marks the place with `^`, below
/// the expression, which is indented by four.
fn reason(text: &str) -> String {
    let mut lines = text.lines().rev();
    let reason = lines.next().unwrap_or_default();
    let reason = reason.strip_prefix("error: ").unwrap_or(reason).trim();
    let marked = lines.next().unwrap_or_default();
    let is_mark = marked.contains('^') && marked.chars().all(|c| matches!(c, ' ' | '^'));
    match marked.find('^').and_then(|column| column.checked_sub(3)) {
        Some(place) if is_mark => format!("{reason}, at character {place}"),
        Some(_) | None => reason.to_owned(),
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pattern = |text: &str| {
            if text.is_empty() {
                return Err("a regular expression follows the `=`".to_owned());
            }
            Pattern::try_from(text.to_owned())
                .map_err(|error| format!("`{text}` is no regular expression: {error}"))
        };
        match text.split_once('=') {
            None if text == "healthy" => Ok(Self::Healthy),
            None => text.parse().map(Self::Stage).map_err(|_| expected(text)),
            Some(("http", url)) => page(url).map(Self::Http),
            Some(("tcp", at)) => socket(at, None)
                .map(Self::Tcp)
                .ok_or_else(|| format!("`{at}` is no HOST:PORT; tcp=192.168.25.3:80 is one")),
            Some(("log", text)) => pattern(text).map(Self::Log),
            Some(("screen", text)) => pattern(text).map(Self::Screen),
            Some(_) => Err(expected(text)),
        }
    }
}

fn expected(text: &str) -> String {
    let stages = Stage::ALL.map(|stage| stage.to_string()).join(", ");
    format!(
        "`{text}` cannot be waited for: expected a boot stage ({stages}), healthy, \
         http=URL, tcp=HOST:PORT, log=REGEX or screen=REGEX"
    )
}

fn page(url: &str) -> Result<Page, String> {
    if url.starts_with("https:") {
        return Err("https cannot be asked for: the lab's fabric speaks plain http".to_owned());
    }
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let at = socket(host, Some(80));
    let is_path = path.bytes().all(|byte| byte.is_ascii_graphic());
    let at = at
        .filter(|_| is_path)
        .ok_or_else(|| format!("`{url}` is no URL; http=http://web/boot.ipxe names one"))?;
    let path = if path.is_empty() { "/" } else { path };
    Ok(Page {
        at,
        path: path.to_owned(),
    })
}

fn socket(text: &str, default: Option<u16>) -> Option<Socket> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (text, default?),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let is_host = !host.is_empty() && host.bytes().all(plain);
    (is_host && port != 0).then(|| Socket {
        host: host.to_owned(),
        port,
    })
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stage(stage) => stage.fmt(f),
            Self::Healthy => f.write_str("healthy"),
            Self::Http(Page { at, path }) => write!(f, "http=http://{}:{}{path}", at.host, at.port),
            Self::Tcp(at) => write!(f, "tcp={}:{}", at.host, at.port),
            Self::Log(pattern) => write!(f, "log={}", pattern.0),
            Self::Screen(pattern) => write!(f, "screen={}", pattern.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_read_back_as_they_were_written() {
        for text in [
            "userland",
            "healthy",
            "http=http://web:80/boot.ipxe?a=b",
            "tcp=192.168.25.3:80",
            "log=^nsplay: .* is up",
            "screen=login:$",
        ] {
            assert_eq!(text.parse::<Goal>().unwrap().to_string(), text);
        }
        let short = "http=web".parse::<Goal>().unwrap();
        assert_eq!(short.to_string(), "http=http://web:80/");
    }

    #[test]
    fn what_cannot_be_waited_for_is_told_with_what_can() {
        for (text, told) in [
            ("userlnd", "expected a boot stage (powered, "),
            ("https=x", "expected a boot stage"),
            ("http=https://web/", "speaks plain http"),
            ("http=", "is no URL"),
            ("http=http://web/a b", "is no URL"),
            ("tcp=web", "is no HOST:PORT"),
            ("tcp=web:0", "is no HOST:PORT"),
            ("log=", "follows the `=`"),
            (
                "log=(",
                "`(` is no regular expression: unclosed group, at character 1",
            ),
            (
                "screen=ö+ [a",
                "`ö+ [a` is no regular expression: unclosed character class, at character 4",
            ),
        ] {
            let error = text.parse::<Goal>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
