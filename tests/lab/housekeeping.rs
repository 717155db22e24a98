//! The labs of a host: listed, pruned, watched, and what they cost.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::host::Host;
use crate::validator::check;

/// A lab without guests, which is up at once.
const SMALL: &str = "node = false\nssh = false\n[web]\nserver = \"busybox\"\n";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What runs on a terminal of the host, which types nothing, and its whole output. It is interrupted
/// once `text` is in the output so many times.
fn on_terminal(host: &Host, command: &str, text: &str, times: usize) -> String {
    // A shell of its own, so that a test that fails leaves nobody behind.
    let script = format!(
        "rm -f typescript; mkfifo -m 600 typed 2>/dev/null; sleep 60 > typed & held=$!
         script -qefc '{command}' typescript < typed > /dev/null & ran=$!
         for n in $(seq 600); do
             [ \"$(grep -ao '{text}' typescript 2>/dev/null | wc -l)\" -ge {times} ] && break
             kill -0 $ran 2>/dev/null || break
             sleep 0.1
         done
         kill $(pgrep -P $ran) $ran $held 2>/dev/null; wait $ran 2>/dev/null; cat typescript"
    );
    host.shell(&script).out
}

#[test]
fn labs_are_listed_pruned_watched_and_weighed() {
    let host = Host::new();
    let nsplay = host.spelled();
    let before = host.inventory();
    let none = json(&host.nsplay(&["ls", "--json"]).ok().out);
    assert_eq!(none["labs"], Value::Array(Vec::new()));
    assert!(host.nsplay(&["ls"]).ok().err.contains("there is no lab"));
    host.write("small.toml", SMALL);
    for lab in ["one", "dead", "ended"] {
        host.nsplay(&["-p", lab, "up", "-d", "-f", "small.toml"])
            .ok();
    }
    host.nsplay(&["-p", "ended", "down"]).ok();
    // The watcher first, or it would sweep.
    let of_dead = host.processes(concat!(env!("CARGO_BIN_EXE_nsplay"), " -p dead"));
    for pid in of_dead {
        host.shell(&format!("kill -9 {pid}"));
    }
    let record = "/run/nsplay/dead/supervisor.json";
    let pid = json(&host.run("cat", &[record]).ok().out)["pid"].to_string();
    host.shell(&format!("kill -9 {pid}")).ok();
    host.until("it is dead", || {
        host.shell(&format!("kill -0 {pid}")).code != 0
    });

    let labs = json(&host.nsplay(&["ls", "--json"]).ok().out)["labs"].take();
    let told: Vec<_> = labs
        .as_array()
        .unwrap()
        .iter()
        .map(|lab| {
            (
                lab["name"].as_str().unwrap(),
                lab["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("dead", "dead"), ("ended", "ended"), ("one", "up")]);
    assert_eq!(labs[2]["members"].as_array().unwrap().len(), 2);
    assert!(labs[2]["disk_bytes"].as_u64().unwrap() > 0, "its log");
    let table = host.nsplay(&["ls"]).ok().out;
    let line = table.lines().find(|line| line.starts_with("one ")).unwrap();
    assert!(line.contains("up") && line.contains(" ago  2 "), "{table}");

    let ps = json(&host.nsplay(&["-p", "one", "ps", "--json"]).ok().out)["members"].take();
    assert_eq!(
        (ps[0]["name"].as_str(), ps[0]["state"].as_str()),
        (Some("dhcp"), Some("ready"))
    );
    let costs = json(&host.nsplay(&["-p", "one", "top", "--json"]).ok().out)["programs"].take();
    let of = |name: &str, runs: &str| {
        let is = |cost: &&Value| cost["name"] == name && cost["runs"] == runs;
        costs
            .as_array()
            .unwrap()
            .iter()
            .find(is)
            .unwrap_or_else(|| panic!("{name}: {costs}"))
            .clone()
    };
    for cost in [
        of("dhcp", "dnsmasq"),
        of("web", "busybox"),
        of("lab", "nsplay"),
    ] {
        assert!(cost["memory_bytes"].as_u64().unwrap() > 0, "{cost}");
    }
    let table = host.nsplay(&["-p", "one", "top"]).ok().out;
    assert!(
        table.starts_with("NAME") && table.contains("\nall "),
        "{table}"
    );
    assert!(
        !table.contains('\u{1b}'),
        "once, and without a terminal's words: {table}"
    );

    // A live table begins by clearing the screen, and is written over itself.
    for verb in ["ps --watch", "top"] {
        let watched = on_terminal(&host, &format!("{nsplay} -p one {verb}"), "dnsmasq", 2);
        assert!(watched.contains("\u{1b}[2J\u{1b}[H"), "{watched:?}");
        assert!(
            watched.matches("\u{1b}[H\u{1b}[?7lNAME").count() >= 2,
            "{watched:?}"
        );
    }
    let graph = format!("{nsplay} -p one graph -f small.toml");
    let drawn = on_terminal(&host, &graph, "web", 1);
    assert!(drawn.contains("\u{1b}[32mdhcp\u{1b}[0m"), "{drawn:?}");
    let drawn = on_terminal(&host, &format!("env NO_COLOR=1 {graph}"), "web", 1);
    assert!(
        drawn.contains("dhcp") && !drawn.contains('\u{1b}'),
        "{drawn:?}"
    );

    let pruned = host.nsplay(&["prune"]).ok().out;
    assert_eq!(pruned, "removed /run/nsplay/dead, left by lab `dead`\n");
    let again = host.nsplay(&["prune"]).ok();
    assert_eq!(
        (again.out.as_str(), again.err.as_str()),
        (
            "",
            "nothing is left of labs that have ended but their disks and logs, which --disks removes\n"
        )
    );
    host.shell(
        "mkdir -p /run/netns
         ln -s /proc/4194304/fd/9 /run/netns/nsplay-gone-web; ln -s /nowhere /run/netns/mine",
    )
    .ok();
    let pruned = host.nsplay(&["prune", "--disks"]).ok().out;
    let names = ["removed /run/netns/nsplay-gone-web, which led nowhere"];
    let states = ["dead", "ended"].map(|lab| format!("removed /var/lib/nsplay/{lab} ("));
    // A user's names of namespaces are in no folder that labs share.
    let names = names.into_iter().filter(|_| host.is_root());
    let expected: Vec<&str> = names.chain(states.iter().map(String::as_str)).collect();
    let lines: Vec<&str> = pruned.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{pruned}");
    for (line, start) in lines.iter().zip(expected) {
        assert!(line.starts_with(start), "{pruned}");
    }
    host.shell("rm /run/netns/mine; rm -f /run/netns/nsplay-gone-web; rmdir --ignore-fail-on-non-empty /run/netns")
        .ok();
    host.nsplay(&["-p", "one", "ps"]).ok();
    // Who watches in a pipe hears of changes, and of the end.
    let mut watcher = host
        .bounded(env!("CARGO_BIN_EXE_nsplay"))
        .args(["-p", "one", "ps", "--watch", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(watcher.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let told = check("ps --watch --json", &line);
    assert_eq!(told[0]["members"][1]["name"], "web");
    host.nsplay(&["-p", "one", "down"]).ok();
    let watched = watcher.wait_with_output().unwrap();
    assert!(watched.status.success());
    let told = String::from_utf8(watched.stderr).unwrap();
    assert_eq!(told, "lab `one` has ended\n");
    host.is_as_before(&before);
}
