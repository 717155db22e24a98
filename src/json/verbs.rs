//! Which verb prints which documents.

/// What a verb prints with `--json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prints {
    /// One document, of one of these schemas.
    One(&'static [&'static str]),
    /// Documents line for line; where the second is not empty, with some options one of these
    /// instead.
    Lines(&'static str, &'static [&'static str]),
    /// It has no `--json`, for this reason.
    Nothing(&'static str),
}

use Prints::{Lines, Nothing, One};

/// All verbs, in the order of the help.
pub const VERBS: &[(&str, Prints)] = &[
    ("up", Lines("event", &["up"])),
    ("run", One(&["run"])),
    ("down", One(&["down"])),
    ("ps", One(&["ps"])),
    ("top", One(&["top"])),
    ("ls", One(&["ls"])),
    ("doctor", One(&["doctor"])),
    ("prune", One(&["prune"])),
    ("wait", One(&["wait"])),
    ("why", One(&["why"])),
    ("events", Lines("event", &[])),
    ("screenshot", One(&["screenshot"])),
    ("keys", One(&["keys"])),
    ("vnc", One(&["vnc"])),
    ("timeline", One(&["timeline"])),
    ("logs", Lines("event", &[])),
    (
        "console",
        Nothing("it carries a terminal's bytes both ways"),
    ),
    ("exec", Nothing("what it prints is the command's")),
    ("shell", Nothing("what it prints is the shell's")),
    ("capture", Lines("packet", &["capture"])),
    ("start", One(&["order"])),
    ("stop", One(&["order"])),
    ("restart", One(&["order"])),
    ("attach", One(&["attach"])),
    ("detach", One(&["detach"])),
    ("power", One(&["power"])),
    ("boot", One(&["boot"])),
    ("link", One(&["link"])),
    ("media", One(&["media"])),
    ("bmc set", One(&["bmc"])),
    ("bmc event", One(&["bmc"])),
    ("bmc fault", One(&["bmc"])),
    ("bmc clear", One(&["bmc"])),
    ("bmc sensors", One(&["sensors"])),
    ("inspect", One(&["node", "service"])),
    ("graph", One(&["graph"])),
    ("plan", One(&["plan", "difference"])),
    ("config", One(&["config"])),
    ("image build", One(&["image"])),
    ("fetch", One(&["fetch"])),
    ("import infrasim", One(&["import"])),
    ("import compose", One(&["import"])),
    (
        "generate completions",
        Nothing("it prints a script for a shell"),
    ),
    ("generate man", Nothing("it prints pages for man")),
    (
        "generate schemas",
        Nothing("it writes the schemas themselves"),
    ),
];

/// What the verb of this command line prints; none for one that there is not.
#[must_use]
pub fn of_verb(words: &[&str]) -> Option<Prints> {
    let is = |verb: &str| {
        let mut words = words.iter();
        verb.split(' ').all(|word| words.next() == Some(&word))
    };
    let found = VERBS.iter().find(|(verb, _)| is(verb));
    found.map(|(_, prints)| *prints)
}
