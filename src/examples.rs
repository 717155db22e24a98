//! Examples of every verb: they end its help and its manual page.

use clap::{Command, CommandFactory, FromArgMatches};

use crate::cli::Cli;
use crate::{json, ui};

/// A verb, and lines of a command and what it is for.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "up",
        &[
            (
                "sudo nsplay up",
                "the lab of this folder, with its log, until Ctrl-C",
            ),
            ("sudo nsplay up -d", "the same, left running"),
            (
                "sudo nsplay -p two up -d --port-offset 1000",
                "a second one beside it",
            ),
        ],
    ),
    (
        "run",
        &[
            (
                "sudo nsplay run --wait userland -- ./test.sh",
                "a test beside a node that has booted",
            ),
            (
                "sudo nsplay run --artifacts out --junit out/junit.xml -- ./test.sh",
                "the same in CI, with all that is known of it afterwards",
            ),
        ],
    ),
    (
        "fetch",
        &[(
            "nsplay fetch debian-preseed",
            "what configs/debian-preseed.toml boots",
        )],
    ),
    (
        "down",
        &[
            ("sudo nsplay down", "the lab of this folder"),
            ("sudo nsplay -p two down", "the lab `two`"),
        ],
    ),
    (
        "ps",
        &[
            ("sudo nsplay ps", "who is there, and in what state"),
            ("sudo nsplay ps --watch", "the same, alive"),
            ("sudo nsplay ps --json", "for a program"),
        ],
    ),
    (
        "top",
        &[
            ("sudo nsplay top", "alive on a terminal, once into a pipe"),
            ("sudo nsplay top --json", "for a program"),
        ],
    ),
    ("ls", &[("sudo nsplay ls", "all labs of this host")]),
    (
        "doctor",
        &[
            ("nsplay doctor", "what is missing, and how it is mended"),
            ("sudo nsplay doctor --fix", "mend it, after asking"),
            ("nsplay doctor --json | jq .labs_run", "for a program"),
        ],
    ),
    (
        "prune",
        &[
            ("sudo nsplay prune", "what killed labs left"),
            (
                "sudo nsplay prune --disks",
                "and all disks of labs that do not run",
            ),
        ],
    ),
    (
        "wait",
        &[
            (
                "sudo nsplay wait node1 --for userland",
                "until its system has come up, for 5 minutes at most",
            ),
            (
                "sudo nsplay wait --for http=http://web/boot.ipxe --timeout 10s",
                "until the lab serves a page",
            ),
        ],
    ),
    (
        "why",
        &[("sudo nsplay why node1", "where its boot stands or died")],
    ),
    (
        "events",
        &[
            ("sudo nsplay events -f node1", "what happens to node1"),
            (
                "sudo nsplay events --json --since 5m",
                "all of the last five minutes, for a program",
            ),
        ],
    ),
    (
        "screenshot",
        &[
            ("sudo nsplay screenshot node1 screen.png", "a picture"),
            ("sudo nsplay screenshot node1 --text", "its text"),
        ],
    ),
    (
        "keys",
        &[
            (
                "sudo nsplay keys node1 'linux single<enter>'",
                "a line at a boot prompt",
            ),
            (
                "sudo nsplay keys node1 '<ctrl-alt-delete>'",
                "three keys at once",
            ),
        ],
    ),
    (
        "vnc",
        &[("sudo nsplay vnc node1", "its screen, in a window")],
    ),
    (
        "timeline",
        &[
            ("sudo nsplay timeline node1", "its last boot"),
            (
                "sudo nsplay timeline node1 --all --json",
                "all of them, for a program",
            ),
        ],
    ),
    (
        "logs",
        &[
            ("sudo nsplay logs", "all that was printed"),
            (
                "sudo nsplay logs -f node1 dhcp",
                "what two members print from now on",
            ),
        ],
    ),
    (
        "console",
        &[("sudo nsplay console node1", "its serial line; ~. ends it")],
    ),
    (
        "exec",
        &[
            (
                "sudo nsplay exec node1 -- ip addr",
                "what node1's namespace has",
            ),
            (
                "sudo nsplay exec fabric -- tcpdump -ni lab0",
                "all packets of the network",
            ),
        ],
    ),
    (
        "shell",
        &[
            ("sudo nsplay shell", "curl, ping and dig as a member would"),
            ("sudo nsplay shell node1", "in the namespace of node1"),
        ],
    ),
    (
        "boot",
        &[
            ("sudo nsplay boot node1", "what it boots from next"),
            (
                "sudo nsplay boot node1 --device disk --once",
                "its disk, at the next start only",
            ),
        ],
    ),
    (
        "link",
        &[
            ("sudo nsplay link node1 down", "its cable is out"),
            (
                "sudo nsplay link node1 up --nic 2",
                "the second card's is in",
            ),
            (
                "sudo nsplay link node1 --rate 10mbit --delay 50ms",
                "a slow and long way to it",
            ),
            ("sudo nsplay link node1 clear", "as fast as it can again"),
        ],
    ),
    (
        "media",
        &[
            (
                "sudo nsplay media node1 insert tools.iso",
                "a CD for a node that runs, or will",
            ),
            (
                "sudo nsplay boot node1 --device cdrom --once",
                "booted at its next start",
            ),
            ("sudo nsplay media node1 eject", "and out with it"),
        ],
    ),
    (
        "capture",
        &[
            ("sudo nsplay capture node1", "the packets of node1"),
            (
                "sudo nsplay capture data -w data.pcapng",
                "those of `[network.data]`, for Wireshark",
            ),
        ],
    ),
    (
        "start",
        &[("sudo nsplay start web", "a service that was stopped")],
    ),
    (
        "stop",
        &[
            ("sudo nsplay stop dhcp", "what does a node do without it?"),
            ("sudo nsplay stop node1", "its power; its BMC answers"),
        ],
    ),
    (
        "restart",
        &[("sudo nsplay restart web", "its program, in the same place")],
    ),
    (
        "attach",
        &[
            ("sudo nsplay attach", "this host on the main network"),
            ("sudo nsplay detach", "and off it again"),
        ],
    ),
    (
        "detach",
        &[(
            "sudo nsplay detach",
            "this host off all networks of the lab",
        )],
    ),
    (
        "power",
        &[
            ("sudo nsplay power node1 cycle", "off, then on"),
            ("sudo nsplay power node1 status", "on or off"),
        ],
    ),
    (
        "bmc",
        &[
            ("sudo nsplay bmc sensors node1", "what its sensors show"),
            (
                "sudo nsplay bmc set node1 \"CPU Temp\" 46..99 --over 30",
                "a CPU that heats up",
            ),
            (
                "sudo nsplay bmc fault node1 unreachable --for 30",
                "a BMC that is away",
            ),
            ("sudo nsplay bmc clear node1", "all of that undone"),
        ],
    ),
    (
        "inspect",
        &[
            (
                "nsplay inspect node1 --json | jq .uuid",
                "what it is, for a program",
            ),
            (
                "sudo nsplay inspect dhcp",
                "what that service runs, and how it is",
            ),
        ],
    ),
    (
        "graph",
        &[
            ("nsplay graph", "on the terminal"),
            ("nsplay graph -f lab.toml --svg > lab.svg", "for a browser"),
            ("nsplay graph --dot | dot -Tpng -o lab.png", "by Graphviz"),
        ],
    ),
    (
        "plan",
        &[
            ("nsplay plan -f lab.toml | less", "what `up` would do"),
            (
                "sudo nsplay plan --diff",
                "what `up` would change in the lab that runs",
            ),
        ],
    ),
    (
        "config",
        &[
            (
                "nsplay config -f base.toml -f mine.toml",
                "two files as one, with all defaults",
            ),
            (
                "nsplay config --schema > nsplay.schema.json",
                "for an editor",
            ),
        ],
    ),
    (
        "image",
        &[("sudo nsplay image build", "what nodes boot by default")],
    ),
    (
        "import",
        &[
            (
                "nsplay import compose docker-compose.yml -o nsplay.toml",
                "a lab of a playground",
            ),
            (
                "nsplay import infrasim ~/.infrasim/.node_map/default.yml",
                "a lab of a node",
            ),
        ],
    ),
    (
        "generate",
        &[
            (
                "nsplay generate completions bash > ~/.local/share/bash-completion/completions/nsplay",
                "for bash",
            ),
            (
                "nsplay generate completions fish > ~/.config/fish/completions/nsplay.fish",
                "for fish",
            ),
            (
                "nsplay generate man ~/.local/share/man/man1",
                "a page for each verb",
            ),
            (
                "nsplay generate schemas schemas",
                "the schemas of what --json prints",
            ),
        ],
    ),
];

/// The command line with its examples.
#[must_use]
pub fn command() -> Command {
    EXAMPLES
        .iter()
        .fold(Cli::command(), |command, (verb, lines)| {
            // Another order of the two lists, or a verb that has gone, must not end the program.
            match command.find_subcommand(verb) {
                Some(_) => command.mut_subcommand(verb, |verb| verb.after_help(spell(lines))),
                None => command,
            }
        })
}

/// Reads the command line, and whether it asks for JSON; what is wrong with it, or its help, ends
/// the program.
#[must_use]
pub fn parse() -> (Cli, bool) {
    // What follows `--` is another program's.
    let words = std::env::args_os().take_while(|word| word != "--");
    let json = words.into_iter().any(|word| word == "--json");
    let parsed = command().try_get_matches();
    let cli = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = cli.unwrap_or_else(|error| {
        if json && error.use_stderr() {
            let _ = ui::json_line(&json::Error::from(&error));
        }
        error.exit()
    });
    (cli, json)
}

fn spell(lines: &[(&str, &str)]) -> String {
    let mut text = "Examples:".to_owned();
    for (command, what) in lines {
        // Side by side where both fit into the line.
        match command.len() + what.len() {
            ..=72 => text += &format!("\n  {command:<44}  {what}"),
            _ => text += &format!("\n  {command}\n      {what}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_of_a_verb_and_is_a_command_line() {
        for (verb, lines) in EXAMPLES {
            assert!(Cli::command().find_subcommand(verb).is_some(), "{verb}");
            for (line, _) in *lines {
                // A shell's own signs stand alone; those of <enter> are the command's.
                let words = line.split(" | ").next().unwrap_or_default();
                let words = words.split(" > ").next().unwrap_or_default();
                let words = shlex::split(words).unwrap();
                let words = words.into_iter().skip_while(|word| word == "sudo");
                let parsed = command().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
            }
        }
    }
}
