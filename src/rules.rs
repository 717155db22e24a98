//! Firewall rules as data; a table prints as what `nft -f` reads (nft(8)).
//!
//! Handing them to the kernel is [`kernel::nft`](crate::kernel::nft)'s.

use std::fmt;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::lab::LinkName;

/// A table of rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// What it sees.
    pub family: Family,
    /// Its chains.
    pub chains: Vec<Chain>,
}

/// What a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    Ip,
    /// IPv4 and IPv6.
    Inet,
}

/// A chain of rules, of which the first that decides counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Where packets meet it.
    pub hook: Hook,
    /// Whether what no rule decides is dropped.
    pub drops: bool,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// Where packets meet a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hook {
    /// What is for this network namespace.
    Input,
    /// What passes through it.
    Forward,
    /// What leaves it, before its source address is settled.
    Postrouting,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What a packet must be, all of it.
    pub matches: Vec<Match>,
    /// What becomes of it then.
    pub verdict: Verdict,
}

/// What a packet must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Match {
    /// It comes in by this link.
    In(LinkName),
    /// It goes out by this link.
    Out(LinkName),
    /// Its source is in this network.
    From(Ipv4Net),
    /// Its destination is in this network.
    To(Ipv4Net),
    /// It belongs to something that is going on: `ct state established,related`.
    GoingOn,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It goes on.
    Accept,
    /// It is lost.
    Drop,
    /// It gets the address of the link that it goes out by.
    Masquerade,
}

impl Rule {
    /// A rule.
    #[must_use]
    pub fn new(matches: impl Into<Vec<Match>>, verdict: Verdict) -> Self {
        Self {
            matches: matches.into(),
            verdict,
        }
    }
}

impl Hook {
    /// The name of the chain, and of the hook.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Postrouting => "postrouting",
        }
    }

    /// The type of the chain, and where it stands among others (nft(8), table 6).
    #[must_use]
    pub fn kind(self) -> (&'static str, i32) {
        match self {
            Self::Input | Self::Forward => ("filter", 0),
            Self::Postrouting => ("nat", 100),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::Ip => "ip",
            Family::Inet => "inet",
        };
        writeln!(f, "table {family} {} {{", self.name)?;
        self.chains.iter().try_for_each(|chain| chain.fmt(f))?;
        writeln!(f, "}}")
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.hook.name();
        let (kind, priority) = self.hook.kind();
        let policy = if self.drops { "drop" } else { "accept" };
        writeln!(f, "    chain {name} {{")?;
        writeln!(
            f,
            "        type {kind} hook {name} priority {priority}; policy {policy};"
        )?;
        for rule in &self.rules {
            writeln!(f, "        {rule}")?;
        }
        writeln!(f, "    }}")
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for found in &self.matches {
            match found {
                Match::In(link) => write!(f, "iifname \"{link}\" ")?,
                Match::Out(link) => write!(f, "oifname \"{link}\" ")?,
                Match::From(net) => write!(f, "ip saddr {net} ")?,
                Match::To(net) => write!(f, "ip daddr {net} ")?,
                Match::GoingOn => f.write_str("ct state established,related ")?,
            }
        }
        f.write_str(match self.verdict {
            Verdict::Accept => "accept",
            Verdict::Drop => "drop",
            Verdict::Masquerade => "masquerade",
        })
    }
}
