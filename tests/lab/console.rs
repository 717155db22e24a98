//! The console of a node: over SOL with ipmitool and ipmiconsole, and with `nsplay console`.

use std::process::Stdio;
use std::time::Duration;

use crate::host::{Host, Ran};
use crate::typist::Typist;

const IPMITOOL: &str = "exec ipmitool -I lanplus -C 3 -H 127.0.0.1 -U admin -P admin sol activate";
const FIRST_LINE: &str = "SeaBIOS (version";
const LAST_LINE: &str = "nsplay: node1 is up: 192.168.25.1";
const PROMPT: &str = "node1:/# ";

fn sol(host: &Host, verb: &str) -> Ran {
    host.ipmitool(&["-I", "lanplus", "-C", "3", "sol", verb])
}

fn console(host: &Host) -> String {
    format!("exec {} console", host.spelled())
}

/// The pid of the program of this name that a test has started in a terminal.
#[track_caller]
fn client(host: &Host, name: &str) -> u32 {
    let mut all = host.processes(name);
    all.retain(|pid| {
        let name = std::fs::read_to_string(host.at(&format!("/proc/{pid}/comm")));
        name.is_ok_and(|name| ["ipmitool\n", "nsplay\n"].contains(&name.as_str()))
    });
    assert_eq!(all.len(), 1, "clients called {name}");
    all[0]
}

#[test]
fn sol_shows_the_whole_boot_takes_keys_and_outlives_power_cycles() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let mut sol = Typist::at(&host, IPMITOOL);
    sol.sees(FIRST_LINE);
    sol.sees(LAST_LINE);
    sol.sees(PROMPT);
    sol.asks(6, 7);
    host.ipmitool(&["power", "cycle"]).ok();
    sol.sees_times(FIRST_LINE, 2);
    sol.sees_times(LAST_LINE, 2);
    sol.sees_times(PROMPT, 3);
    sol.asks(6, 8);

    // Every byte, and all of them once: as the console has them.
    let watched = host.run(
        "sh",
        &["-c", &format!("timeout 2 {}", &console(&host)[5..])],
    );
    let begun = sol.seen().find("\u{1b}c").unwrap();
    assert_eq!(sol.seen()[begun..], watched.out);
}

#[test]
fn sol_is_one_clients_until_it_deactivates_or_is_gone() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let mut first = Typist::at(&host, IPMITOOL);
    first.sees(PROMPT);
    first.asks(6, 7);
    let second = sol(&host, "activate");
    assert_eq!(second.code, 1);
    let said = "SOL payload already active on another session";
    assert!(second.out.contains(said) || second.err.contains(said));

    // It leaves by itself; a later one is shown what was before.
    first.types("\r~.");
    first.ends();
    let mut second = Typist::at(&host, IPMITOOL);
    second.sees(FIRST_LINE);
    second.sees("\n42\r\n");
    // Each session has its first keys heard, whatever the last one has typed.
    second.asks(6, 8);
    sol(&host, "deactivate").ok();
    for number in 0..3 {
        let mut next = Typist::at(&host, IPMITOOL);
        next.sees("\n48\r\n");
        next.types(&format!("echo 10$(({number}+0))\r"));
        next.sees(&format!("\n10{number}\r\n"));
        sol(&host, "deactivate").ok();
    }

    // One that is killed does not hold it for ever.
    let killed = Typist::at(&host, IPMITOOL);
    killed.sees("\n102\r\n");
    drop((second, killed));
    for pid in host.processes("sol activate") {
        // Its terminal may have ended with it.
        host.shell(&format!("kill -9 {pid} || true")).ok();
    }
    host.until("SOL can be activated again", || {
        let mut again = Typist::at(&host, IPMITOOL);
        while !again.seen().contains("\n102\r\n") {
            if again.child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        again.asks(6, 9);
        true
    });
}

#[test]
fn ipmiconsole_works_as_it_comes() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let command = "exec ipmiconsole -h 127.0.0.1 -u admin -p admin";
    for _ in 0..2 {
        let mut console = Typist::at(&host, command);
        console.sees("SOL established");
        console.sees(FIRST_LINE);
        console.sees(PROMPT);
        console.asks(6, 7);
        console.types("&.");
        console.sees("[closing the connection]");
        console.ends();
    }
    // ipmi_sim has not been started again.
    assert!(
        !host
            .lines("node1")
            .iter()
            .any(|line| line.contains("restart"))
    );
    let ps = host.nsplay(&["ps"]).ok().out;
    let bmc = ps.lines().find(|line| line.contains("ipmi_sim")).unwrap();
    assert_eq!(bmc.split_whitespace().nth(4), Some("0"), "{ps}");
}

#[test]
fn sol_is_back_when_ipmi_sim_has_been_killed() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    host.prints("node1", LAST_LINE, 1);
    let pid = host.process("/ipmi_sim ");
    host.shell(&format!("kill -9 {pid}")).ok();
    host.until("ipmi_sim is back", || {
        host.ipmitool(&["power", "status"]).code == 0
    });
    let mut sol = Typist::at(&host, IPMITOOL);
    sol.sees(FIRST_LINE);
    sol.sees(PROMPT);
    sol.asks(6, 7);
}

#[test]
fn any_number_of_consoles_show_the_same_and_all_type() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let mut all: Vec<_> = [IPMITOOL, &console(&host), &console(&host)]
        .map(|command| Typist::at(&host, command))
        .into();
    all.iter().for_each(|one| one.sees(PROMPT));
    for number in 0..3 {
        all[number].types(&format!("echo 10$(({number}+0))\r"));
        for one in &all {
            one.sees(&format!("\n10{number}\r\n"));
        }
    }
    // One that reads nothing at all does not keep the others waiting.
    let mut deaf = host.bounded(env!("CARGO_BIN_EXE_nsplay"));
    let mut deaf = deaf.arg("console").stdout(Stdio::piped()).spawn().unwrap();
    all[1].types("seq 200000\r");
    all[2].sees("\n200000\r\n");
    all[1].sees("\n200000\r\n");
    deaf.kill().unwrap();
    deaf.wait().unwrap();
}

#[test]
fn escapes_end_the_console_and_the_terminal_is_as_it_was() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let console = console(&host);
    let console = &console[5..];
    let script = format!("stty -a; {console} node1; echo \"code $?\"; stty -a; echo done");
    let mut typist = Typist::at(&host, &script);
    typist.sees(PROMPT);
    // Ctrl-C is the guest's. One process answers and sleeps: a shell that is about to start
    // sleep(1) loses the signal now and then.
    typist.types("sh -c 'echo $((6*9)); exec sleep 1000'\r");
    typist.sees("\n54\r\n");
    typist.types("\x03");
    typist.asks(6, 7);
    typist.types("~~ is home\x03\r~?");
    typist.sees(" ~.  end this console");
    typist.sees("~ is home");
    assert!(!typist.seen().contains("~~ is home"));
    typist.types("~.");
    typist.sees("code 0");
    typist.sees("done");
    assert_eq!(typist.ends(), 0);
    same_terminal(&typist.seen());

    // So it is when a signal ends it.
    let mut typist = Typist::at(&host, &script);
    typist.sees(PROMPT);
    let pid = client(&host, "nsplay console");
    host.shell(&format!("kill -TERM {pid}")).ok();
    typist.sees("code 143");
    typist.sees("done");
    assert_eq!(typist.ends(), 0);
    same_terminal(&typist.seen());
}

/// Asserts that stty(1) has said the same twice.
#[track_caller]
fn same_terminal(seen: &str) {
    let modes = |text: &str| {
        let from = text.find("intr = ").unwrap();
        let to = text[from..].find("-echoprt").unwrap();
        text[from..from + to].to_owned()
    };
    let (before, after) = seen.split_once("code ").unwrap();
    assert_eq!(modes(before), modes(after));
}

#[test]
fn a_console_is_a_pipe_too_and_goes_on_after_the_end_of_its_input() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    host.prints("node1", LAST_LINE, 1);
    let mut watched = Typist::at(&host, &console(&host));
    watched.sees(PROMPT);
    watched.asks(1, 1);
    let mut pipe = host.bounded(env!("CARGO_BIN_EXE_nsplay"));
    let mut pipe = Typist::of(pipe.arg("console"));
    // Without a terminal there are no escapes.
    pipe.types("echo $((6*7)) #~.\r");
    pipe.sees("\n42\r\n");
    drop(pipe.child.stdin.take());
    watched.asks(6, 8);
    pipe.sees("\n48\r\n");
    let head = format!("{} | head -c 5", &console(&host)[5..]);
    assert_eq!(host.shell(&head).ok().out.len(), 5);

    host.nsplay(&["down"]).ok();
    assert_eq!(pipe.ends(), 1);
    assert_eq!(watched.ends(), 1);
}

#[test]
fn a_console_that_cannot_be_is_refused() {
    let host = Host::new();
    host.nsplay(&["console"])
        .fails(2, &["lab `default` is not up", " nsplay up -d"]);
    let two = "[node.node1]\npower = \"off\"\n[node.node2]\npower = \"off\"\n";
    host.write("nsplay.toml", two);
    host.nsplay(&["up", "-d"]).ok();
    let names = "hint: name one of: node1, node2";
    host.nsplay(&["console", "node3"])
        .fails(2, &["no node `node3`; the lab has: node1, node2"]);
    host.nsplay(&["console"])
        .fails(2, &["lab `default` has more than one node", names]);
}

#[test]
fn a_guest_that_floods_its_console_harms_nobody() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let mut console = Typist::at(&host, &console(&host));
    console.sees(PROMPT);
    let sol_client = Typist::at(&host, IPMITOOL);
    sol_client.sees(PROMPT);
    let supervisor = host.process("nsplay supervise");
    let memory = || {
        let status = std::fs::read_to_string(host.at(&format!("/proc/{supervisor}/status")));
        let status = status.unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap();
        let kib = line.split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap()
    };
    let before = memory();
    console.types("yes > /dev/ttyS0\r");
    console.sees_times("\ny\r", 50_000);
    // The BMC answers all the while.
    for _ in 0..20 {
        host.ipmitool(&["power", "status"]).ok();
    }
    host.until("the log says what it has left out", || {
        host.lines("node1")
            .iter()
            .any(|line| line.ends_with("lines came too fast for the log"))
            || {
                // It says so when a line has passed again: one second later.
                std::thread::sleep(Duration::from_millis(500));
                false
            }
    });
    // A client that is killed meanwhile leaves SOL to the next one.
    let killed = client(&host, "ipmitool");
    host.shell(&format!("kill -9 {killed}")).ok();
    std::thread::sleep(Duration::from_secs(8));
    sol(&host, "deactivate").ok();
    let mut next = Typist::at(&host, IPMITOOL);
    next.sees_times("\ny\r", 1000);
    next.types("\x03");
    next.sees(PROMPT);
    next.asks(6, 7);
    console.sees("\n42\r\n");
    assert!(
        memory() < before + 8 * 1024,
        "{before} KiB, then {} KiB",
        memory()
    );
    let log = host.at("/var/lib/nsplay/default/log.jsonl");
    assert!(std::fs::metadata(log).unwrap().len() < 4 << 20);
}
