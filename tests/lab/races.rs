//! Several commands at once, and numbers of processes that are used again.

use std::fs;
use std::process::{Child, Command, Stdio};

use crate::host::Host;

fn start(mut command: Command) -> Child {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().unwrap()
}

fn nsplay(host: &Host, arguments: &[&str]) -> Child {
    let mut command = host.bounded(env!("CARGO_BIN_EXE_nsplay"));
    command.args(arguments);
    start(command)
}

/// Kills processes of nsplay, as many as there are right now.
fn kill(host: &Host, words: &[&str]) {
    let found = words.iter().flat_map(|words| host.processes(words));
    let pids: Vec<String> = found.map(|pid| pid.to_string()).collect();
    // One that has gone in the meantime is as good as killed.
    host.shell(&format!("kill -9 {} 2>/dev/null || true", pids.join(" ")));
}

/// What the processes of nsplay are called: the supervisor, and the rest.
const ALL: [&str; 2] = ["nsplay supervise", env!("CARGO_BIN_EXE_nsplay")];

#[test]
fn of_many_ups_at_once_one_makes_the_lab_and_the_others_find_it() {
    let host = Host::new();
    let before = host.inventory();
    let mut ups: Vec<Child> = (0..8).map(|_| nsplay(&host, &["up", "-d"])).collect();
    let code = |up: &mut Child| up.wait().unwrap().code();
    let codes: Vec<_> = ups.iter_mut().map(code).collect();
    assert_eq!(codes, [Some(0); 8]);
    host.process("nsplay supervise");
    host.process("ipmi_sim");
    host.ipmitool(&["power", "status"]).ok();
    host.nsplay(&["down"]).ok();
    host.is_as_before(&before);
}

#[test]
fn ups_and_downs_at_once_leave_a_lab_or_none() {
    let host = Host::new();
    let before = host.inventory();
    for _ in 0..6 {
        let orders = [&["up", "-d"][..], &["down"], &["up", "-d"], &["down"]];
        let mut all: Vec<Child> = orders.iter().map(|order| nsplay(&host, order)).collect();
        let codes: Vec<_> = all
            .iter_mut()
            .map(|one| one.wait().unwrap().code())
            .collect();
        // A `down` always succeeds; an `up` may find its lab taken down or another one there.
        assert_eq!([codes[1], codes[3]], [Some(0); 2]);
        for up in [codes[0], codes[2]] {
            assert!(matches!(up, Some(0..=2)), "{codes:?}");
        }
    }
    host.nsplay(&["down"]).ok();
    host.is_as_before(&before);
}

#[test]
fn a_lab_comes_up_again_at_once_and_often() {
    let host = Host::new();
    let before = host.inventory();
    for _ in 0..20 {
        host.nsplay(&["up", "-d"]).ok();
        host.nsplay(&["down"]).ok();
    }
    host.is_as_before(&before);
}

#[test]
fn a_process_that_has_a_dead_supervisors_number_is_left_alone() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let record = host.at("/run/nsplay/default/supervisor.json");
    let written = fs::read_to_string(&record).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    kill(&host, &ALL);
    host.until("all are gone", || {
        host.processes("nsplay supervise").is_empty()
    });

    let mut sleep = host.command("sleep");
    sleep.arg("4322");
    let mut canary = start(sleep);
    let pid = || host.processes("sleep 4322");
    host.until("the canary sleeps", || !pid().is_empty());
    let number = pid()[0];
    let stat = fs::read_to_string(host.at(&format!("/proc/{number}/stat"))).unwrap();
    let started: u64 = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .nth(19)
        .unwrap()
        .parse()
        .unwrap();
    for (start_time, boot_id) in [
        // The number was used again; or the machine was, and all that is left is the record.
        (written["start_time"].clone(), written["boot_id"].clone()),
        (
            started.into(),
            "00000000-0000-0000-0000-000000000000".into(),
        ),
    ] {
        let record_of_it = serde_json::json!({
            "pid": number, "start_time": start_time, "boot_id": boot_id,
        });
        fs::create_dir_all(record.parent().unwrap()).unwrap();
        fs::write(record.with_file_name("lock"), "").unwrap();
        fs::write(&record, record_of_it.to_string()).unwrap();
        host.give("/run/nsplay");
        host.nsplay(&["down"]).ok();
        assert!(pid().contains(&number), "the canary was killed");
        assert!(!record.exists());
    }
    canary.kill().unwrap();
    canary.wait().unwrap();
}

#[test]
fn down_from_elsewhere_ends_an_up_that_holds_its_lab() {
    let host = Host::new();
    let before = host.inventory();
    let mut up = nsplay(&host, &["up"]);
    host.until("the lab is up", || {
        host.nsplay(&["ps"]).out.contains("ipmi_sim  ready")
    });
    host.nsplay(&["down"]).ok();
    assert_eq!(up.wait().unwrap().code(), Some(1));
    host.is_as_before(&before);
}
