//! Names: tags, interfaces, hosts, domains, accounts.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use super::string_type;
use crate::argument::Argument;
use crate::{ValueError, quote};

fn word(value: &str, max: usize, extra: &str) -> Result<String, String> {
    if value.is_empty() {
        return Err("it is empty".into());
    }
    if value.len() > max {
        return Err(format!("{} bytes, at most {max} fit", value.len()));
    }
    match value
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !extra.contains(*c))
    {
        Some(c) => Err(format!(
            "{c:?} is not allowed; use letters, digits and {}",
            extra
                .chars()
                .map(|c| format!("`{c}`"))
                .collect::<Vec<_>>()
                .join(" ")
        )),
        None => Ok(value.to_owned()),
    }
}

fn tag(value: &str) -> Result<String, String> {
    word(value, 63, "_-.")
}

fn account(value: &str) -> Result<String, String> {
    if value.starts_with('-') {
        return Err("it starts with `-`".into());
    }
    word(value, 32, "_-.$")
}

fn interface(value: &str) -> Result<String, String> {
    if value == "." || value == ".." {
        return Err("the kernel refuses it".into());
    }
    word(value, 15, "_-.")
}

fn interface_pattern(value: &str) -> Result<String, String> {
    match value.strip_suffix('*') {
        Some("") | None => interface(value),
        Some(start) => word(start, 14, "_-.").map(|start| start + "*"),
    }
}

/// Labels of letters, digits, `-`, `_`; lower-cased, because dnsmasq passes upper case
/// through IDN, which refuses names such as `AB--c` (2.90 with libidn2).
fn domain(value: &str) -> Result<String, String> {
    if value.is_empty() || value.len() > 253 {
        return Err(format!("{} bytes, a name has 1 to 253", value.len()));
    }
    for label in value.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(format!(
                "the label `{label}` has {} bytes, a label has 1 to 63",
                label.len()
            ));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(format!("the label `{label}` starts or ends with `-`"));
        }
        word(label, 63, "-_")?;
    }
    if value.parse::<Ipv4Addr>().is_ok() {
        return Err("it is an address".into());
    }
    Ok(value.to_ascii_lowercase())
}

fn hostname(value: &str) -> Result<String, String> {
    let name = domain(value)?;
    if name.split('.').any(|label| label.starts_with('_')) {
        return Err("a label starts with `_`".into());
    }
    // dhcp-host guesses what a field is from its looks (2.90).
    if name == "infinite" || name == "ignore" {
        return Err("it is a keyword of dhcp-host; choose another name".into());
    }
    let digits = name
        .strip_suffix(['s', 'm', 'h', 'd', 'w'])
        .unwrap_or(&name);
    if digits.chars().all(|c| c.is_ascii_digit()) && name.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err("dnsmasq reads it as a time; choose a name with more letters".into());
    }
    Ok(name)
}

string_type! {
    /// A tag, at most 63 letters, digits, `_`, `-`, `.`.
    ///
    /// dnsmasq sets some by itself: the interface's name, `known`, `bootp`, `dhcpv6`, ....
    Tag, "a tag", tag
}

string_type! {
    /// An interface's name, at most 15 letters, digits, `_`, `-`, `.` (IFNAMSIZ).
    InterfaceName, "an interface name", interface
}

string_type! {
    /// An interface's name, or its start and `*`: `eth0`, `veth*`.
    InterfacePattern, "an interface name", interface_pattern
}

string_type! {
    /// A domain name without the trailing dot, lower-cased, at most 253 bytes.
    Domain, "a domain", domain
}

string_type! {
    /// A host's name, with or without its domain, lower-cased, at most 253 bytes.
    ///
    /// Refuses what dnsmasq would take for something else: `12h`, `7`, `ignore`,
    /// `infinite`, `192.168.0.1`.
    Hostname, "a host name", hostname
}

string_type! {
    /// A user or group of the host, at most 32 bytes.
    AccountName, "a user or group", account
}

macro_rules! bare_argument {
    ($($name:ident),*) => {$(
        impl Argument for $name {
            fn read(raw: &str) -> Result<Self, ValueError> {
                Self::new(quote::unhide(raw))
            }

            fn write(&self) -> String {
                self.0.clone()
            }
        }
    )*};
}
bare_argument!(
    InterfaceName,
    InterfacePattern,
    Domain,
    Hostname,
    AccountName
);

impl From<InterfaceName> for InterfacePattern {
    fn from(name: InterfaceName) -> Self {
        Self(name.0)
    }
}

/// A tag that a client must have, or must not have.
///
/// Reads `ipxe`, `!ipxe`, `tag:ipxe` and `tag:!ipxe`; shows itself as `tag:!ipxe`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// The tag is set.
    Set(Tag),
    /// The tag is not set.
    Unset(Tag),
}

impl From<Tag> for Condition {
    fn from(tag: Tag) -> Self {
        Self::Set(tag)
    }
}

impl std::ops::Not for Tag {
    type Output = Condition;

    /// `!tag`: the client does not have it.
    fn not(self) -> Condition {
        Condition::Unset(self)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(tag) => write!(f, "tag:{tag}"),
            Self::Unset(tag) => write!(f, "tag:!{tag}"),
        }
    }
}

impl FromStr for Condition {
    type Err = ValueError;

    fn from_str(value: &str) -> Result<Self, ValueError> {
        let value = value.strip_prefix("tag:").unwrap_or(value);
        match value.strip_prefix('!') {
            Some(tag) => Tag::new(tag).map(Self::Unset),
            None => Tag::new(value).map(Self::Set),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_that_dnsmasq_takes_for_times_are_refused() {
        for name in [
            "12h", "7", "1D", "ignore", "infinite", "10.0.0.1", "_a", "a-", "a..b", "",
        ] {
            assert!(Hostname::new(name).is_err(), "{name}");
        }
        for name in ["h", "12hh", "n1", "a_b.c-d", "1a"] {
            assert!(Hostname::new(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn names_are_lower_cased() {
        assert_eq!(Hostname::new("AB--c").unwrap().as_str(), "ab--c");
    }

    #[test]
    fn a_condition_reads_its_own_text() {
        let condition: Condition = "!ipxe".parse().unwrap();
        assert_eq!(condition, !Tag::new("ipxe").unwrap());
        assert_eq!(condition.to_string().parse(), Ok(condition));
    }

    #[test]
    fn an_error_names_the_character_and_the_way_out() {
        assert_eq!(
            Tag::new("a b").unwrap_err().to_string(),
            "cannot use `a b` as a tag: ' ' is not allowed; use letters, digits and `_` `-` `.`"
        );
    }
}
