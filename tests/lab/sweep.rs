//! Death and failure at every step: each fault point that an operation passes is tried, and the
//! host is as it was afterwards.
//!
//! Nobody keeps a list of the points: the operation is done once to hear which it passes. What is
//! tried afterwards must come to its point, so each of these is a next `up` that works, too.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::host::{Host, Ran, ran};
use crate::ways::connected;

/// A lab without a guest: each step that makes a lab is there, and none takes long.
pub const LAB: &str = "\
dhcp = false
ssh = false
[node.node1]
power = \"off\"
vnc = false
";

/// The kernel drops a lab within 0.1 s; a loaded machine has needed seconds.
const SETTLES_WITHIN: Duration = Duration::from_secs(20);

/// A point, and for which time its process passes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Point {
    name: String,
    time: u32,
    can_fail: bool,
    /// Whether the command passes it, and not the supervisor or the watcher.
    is_commands: bool,
}

impl Point {
    /// The points that `said` tells of, in their order. What a command says begins with itself; what
    /// it has forked may speak there, too.
    fn read(said: &str, is_commands: bool) -> Vec<Self> {
        let mut command = None;
        let points = said.lines().filter_map(|line| {
            let mut words = line.strip_prefix("fault: ")?.splitn(4, ' ');
            let can_fail = match words.next()? {
                "point" => true,
                "moment" => false,
                _ => return None,
            };
            let process = words.next()?;
            Some(Self {
                time: words.next()?.parse().ok()?,
                name: words.next()?.to_owned(),
                can_fail,
                is_commands: is_commands && *command.get_or_insert(process) == process,
            })
        });
        points.collect()
    }
}

/// An operation on a lab.
struct Operation<'o> {
    host: &'o Host,
    /// The lab that is up before, if any.
    from: Option<&'o str>,
    /// The lab that the file says then.
    to: &'o str,
    /// The command.
    arguments: &'o [&'o str],
    before: String,
}

impl<'o> Operation<'o> {
    fn new(host: &'o Host, from: Option<&'o str>, to: &'o str, arguments: &'o [&'o str]) -> Self {
        Self {
            host,
            from,
            to,
            arguments,
            before: host.inventory(),
        }
    }

    fn nsplay(&self, fault: &str, arguments: &[&str]) -> Ran {
        let mut command = self.host.bounded(env!("CARGO_BIN_EXE_nsplay"));
        ran(command.args(arguments).env("NSPLAY_FAULT", fault))
    }

    /// What the supervisor and the watcher of the last lab have said.
    fn log(&self) -> String {
        fs::read_to_string(self.host.at("/var/lib/nsplay/default/supervisor.log"))
            .unwrap_or_default()
    }

    fn prepare(&self, fault: &str) {
        if let Some(from) = self.from {
            self.host.write("nsplay.toml", from);
            self.nsplay(fault, &["up", "-d"]).ok();
        }
        self.host.write("nsplay.toml", self.to);
    }

    /// The points that the operation passes.
    fn points(&self) -> Vec<Point> {
        self.prepare("list");
        let known = match self.from {
            Some(_) => Point::read(&self.log(), false),
            None => Vec::new(),
        };
        let done = self.nsplay("list", self.arguments).ok();
        let mut points = Point::read(&done.err, true);
        points.extend(Point::read(&self.log(), false));
        self.host.nsplay(&["down"]).ok();
        self.is_as_before("the listing");
        points.retain(|point| !known.contains(point));
        // How often a command asks again depends on the machine.
        points.retain(|point| point.time == 1 || !point.is_commands);
        points
    }

    /// Tries all points of which `is_wanted` says yes, and tells what is wrong of all of them.
    fn sweep(&self, is_wanted: impl Fn(&str) -> bool) -> usize {
        let mut points = self.points();
        points.retain(|point| is_wanted(&point.name));
        let mut wrong = Vec::new();
        for point in &points {
            let tries = [
                Some(self.dies_at(point)),
                point.can_fail.then(|| self.fails_at(point)),
            ];
            for told in tries.into_iter().flatten().flatten() {
                wrong.push(told);
                self.host.nsplay(&["down"]);
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
        points.len()
    }

    /// Does the operation with a fault; returns what it did, and what else was said.
    fn with(&self, point: &Point, deed: &str) -> Ran {
        let armed = format!("{}:{deed}@{}", point.name, point.time);
        match (self.from, point.is_commands) {
            (Some(_), false) => {
                self.prepare(&armed);
                self.nsplay("never:kill", self.arguments)
            }
            _ => {
                self.prepare("never:kill");
                self.nsplay(&armed, self.arguments)
            }
        }
    }

    fn dies_at(&self, point: &Point) -> Option<String> {
        let ran = self.with(point, "kill");
        let told = |what: &str| Some(format!("{point:?}: kill: {what}\n{}{}", ran.code, ran.err));
        if point.is_commands && ran.code != 137 {
            return told("it did not die");
        }
        let down = self.host.nsplay(&["down"]);
        if down.code != 0 {
            return told(&format!("down: {} {}", down.code, down.err));
        }
        self.left().and_then(|left| told(&format!("left:\n{left}")))
    }

    fn fails_at(&self, point: &Point) -> Option<String> {
        let ran = self.with(point, "error");
        let said = format!("{}{}", ran.err, self.log());
        let told = |what: &str| Some(format!("{point:?}: error: {what}\n{} {said}", ran.code));
        if !said.contains(&format!("fault: failed {}\n", point.name)) {
            return told("it was not passed");
        }
        match ran.code {
            // What is no reason to fail is told in the log.
            0 => {}
            1 | 2 if ran.err.contains("error: ") && ran.err.contains("No space left") => {}
            _ => return told("its error says nothing"),
        }
        match self.from {
            // A lab that failed to come up has gone by itself.
            None if ran.code != 0 => {}
            None => {
                self.host.nsplay(&["down"]).ok();
            }
            Some(_) => {
                let again = self.host.nsplay(&["up", "-d"]);
                if again.code != 0 {
                    return told(&format!("the next up: {} {}", again.code, again.err));
                }
                self.host.nsplay(&["down"]).ok();
            }
        }
        self.left().and_then(|left| told(&format!("left:\n{left}")))
    }

    #[track_caller]
    fn is_as_before(&self, what: &str) {
        let left = self.left();
        assert_eq!(left, None, "after {what}");
    }

    /// Waits until the host is as it was before; what is another if that does not come.
    fn left(&self) -> Option<String> {
        let end = Instant::now() + SETTLES_WITHIN;
        loop {
            let now = self.host.inventory();
            if now == self.before {
                return None;
            }
            if Instant::now() > end {
                let lines =
                    |text: &str| -> BTreeSet<String> { text.lines().map(str::to_owned).collect() };
                let (now, before) = (lines(&now), lines(&self.before));
                let more = now.difference(&before).map(|line| format!("+ {line}"));
                let less = before.difference(&now).map(|line| format!("- {line}"));
                return Some(more.chain(less).collect::<Vec<_>>().join("\n"));
            }
        }
    }
}

#[test]
fn up_that_dies_or_fails_at_any_step_leaves_nothing_and_the_next_one_works() {
    let host = Host::new();
    let up = Operation::new(&host, None, LAB, &["up", "-d"]);
    let tried = up.sweep(|_| true);
    assert!(tried > 60, "{tried} points");
    host.nsplay(&["up", "-d"]).ok();
    host.ipmitool(&["power", "status"]).ok();
}

#[test]
fn down_that_dies_at_any_step_is_finished_by_the_next_one() {
    let host = Host::new();
    let down = Operation::new(&host, Some(LAB), LAB, &["down"]);
    let tried = down.sweep(|_| true);
    assert!(tried > 15, "{tried} points");
}

/// Sends a command a signal while it is held up at `point`; returns its exit code.
fn signalled(host: &Host, arguments: &[&str], point: &str, signal: &str) -> Option<i32> {
    let mut command = host.bounded(env!("CARGO_BIN_EXE_nsplay"));
    let held_up = command
        .args(arguments)
        .env("NSPLAY_FAULT", format!("{point}:delay"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut held_up = held_up.spawn().unwrap();
    let mut said = BufReader::new(held_up.stderr.take().unwrap());
    let mut line = String::new();
    while line != format!("fault: held up {point}\n") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "{point}: not passed");
    }
    let command = host.processes(&format!("nsplay {}", arguments[0]));
    host.shell(&format!("kill -{signal} {}", command[0])).ok();
    std::io::copy(&mut said, &mut std::io::sink()).unwrap();
    held_up.wait().unwrap().code()
}

#[test]
fn a_signal_during_up_takes_back_what_was_made_and_down_finishes_first() {
    let host = Host::new();
    host.write("nsplay.toml", LAB);
    let before = host.inventory();
    for (point, signal, code) in [
        ("lab: lock taken", "INT", 130),
        ("up: control socket bound", "TERM", 143),
        ("up: supervisor asked", "HUP", 129),
    ] {
        let ended = signalled(&host, &["up"], point, signal);
        assert_eq!(ended, Some(code), "{point}: SIG{signal}");
        host.is_as_before(&before);
    }
    host.nsplay(&["up", "-d"]).ok();
    let ended = signalled(&host, &["down"], "down: supervisor asked", "INT");
    assert_eq!(ended, Some(130));
    host.is_as_before(&before);
}

#[test]
fn a_way_that_dies_or_fails_at_any_step_leaves_the_host_as_it_was() {
    let host = connected(Host::of_root());
    host.shell("sysctl -qw net.ipv4.ip_forward=1").ok();
    let alone = "node = false\ndhcp = false\nssh = false\n";
    let attached = format!("{alone}[network]\nattach = true\n");
    let is_way = |name: &str| name.starts_with("ways: ") || name.starts_with("nat: ");
    for nat in ["passt", "nft"] {
        let lab = format!("{alone}[network]\nnat = \"{nat}\"\n");
        let up = Operation::new(&host, None, &lab, &["up", "-d"]);
        let tried = up.sweep(is_way);
        assert!(tried > 3, "{nat}: {tried} points");
    }
    let attach = Operation::new(&host, Some(alone), alone, &["attach"]);
    let tried = attach.sweep(|_| true);
    assert!(tried > 5, "{tried} points");
    let detach = Operation::new(&host, Some(&attached), &attached, &["detach"]);
    let tried = detach.sweep(|_| true);
    assert!(tried > 1, "{tried} points");
}

#[test]
fn a_change_that_dies_or_fails_at_any_step_leaves_a_lab_that_can_be_changed_or_taken_down() {
    let host = Host::new();
    let two = format!("{LAB}[node.node2]\npower = \"off\"\nvnc = false\n");
    let other = LAB.replace("ssh = false", "web = false");
    let change = Operation::new(&host, Some(&two), &other, &["up", "-d"]);
    let tried = change.sweep(|_| true);
    assert!(tried > 30, "{tried} points");
}

#[test]
fn a_node_that_is_switched_while_something_dies_or_fails_leaves_nothing() {
    let host = Host::new();
    let on = Operation::new(&host, Some(LAB), LAB, &["power", "node1", "on"]);
    assert_eq!(on.sweep(|name| name.starts_with("power: ")), 2);
    let lab = LAB.replace("\"off\"", "\"on\"");
    let off = Operation::new(&host, Some(&lab), &lab, &["power", "node1", "off"]);
    assert_eq!(off.sweep(|name| name.starts_with("power: ")), 1);
}
