//! However a lab ends, nothing of it remains.

use std::process::{Child, Stdio};

use crate::host::Host;

fn foreground(host: &Host) -> Child {
    let up = host
        .command(env!("CARGO_BIN_EXE_nsplay"))
        .arg("up")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    host.until("the lab is up", || {
        host.nsplay(&["ps"]).out.contains("ipmi_sim  ready")
    });
    up
}

#[test]
fn down_leaves_the_host_as_it_was_and_can_be_said_twice() {
    let host = Host::new();
    let before = host.inventory();
    host.nsplay(&["down"]).ok();
    host.nsplay(&["up", "-d"]).ok();
    assert_ne!(host.inventory(), before);
    host.nsplay(&["down"]).ok();
    assert!(host.processes("qemu-system").is_empty());
    host.is_as_before(&before);
    host.nsplay(&["down"]).ok();
    // The log of the run is still there.
    let logs = host.nsplay(&["logs"]).ok();
    assert!(logs.out.contains("dhcp  | started"), "{}", logs.out);
    assert!(logs.err.contains("the log of its last run"), "{}", logs.err);
    host.nsplay(&["ps"])
        .fails(2, &["error: lab `default` is not up", " nsplay up"]);
}

#[test]
fn killing_the_supervisor_leaves_the_host_as_it_was() {
    let host = Host::new();
    let before = host.inventory();
    host.nsplay(&["up", "-d"]).ok();
    let supervisor = host.process("nsplay supervise");
    host.shell(&format!("kill -9 {supervisor}")).ok();
    host.is_as_before(&before);
    host.nsplay(&["up", "-d"]).ok();
}

#[test]
fn killing_the_supervisor_and_its_watcher_costs_names_that_the_next_command_removes() {
    let host = Host::new();
    let before = host.inventory();
    for next in [&["down"][..], &["up", "-d"]] {
        host.nsplay(&["up", "-d"]).ok();
        let all = host.processes(env!("CARGO_BIN_EXE_nsplay"));
        let supervisor = host.process("nsplay supervise");
        for pid in all.iter().chain([&supervisor]) {
            host.shell(&format!("kill -9 {pid}"));
        }
        host.until("the guest is gone", || {
            host.processes("qemu-system").is_empty()
        });
        host.nsplay(next).ok();
        host.nsplay(&["down"]).ok();
        host.is_as_before(&before);
    }
}

#[test]
fn a_supervisor_that_hangs_is_taken_down_all_the_same() {
    let host = Host::new();
    let before = host.inventory();
    host.nsplay(&["up", "-d"]).ok();
    let supervisor = host.process("nsplay supervise");
    host.shell(&format!("kill -STOP {supervisor}")).ok();
    let down = host.nsplay(&["down"]).ok();
    assert!(
        down.err.contains("does not answer: killing it"),
        "{}",
        down.err
    );
    host.is_as_before(&before);
}

#[test]
fn a_signal_to_up_takes_the_lab_down_with_it() {
    let host = Host::new();
    let before = host.inventory();
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut up = foreground(&host);
        let client = host.processes("nsplay up");
        // nsenter and the watcher have its words too: the client is the oldest but nsenter.
        host.shell(&format!("kill -{signal} {}", client[0])).ok();
        assert_eq!(up.wait().unwrap().code(), Some(code), "SIG{signal}");
        host.is_as_before(&before);
    }
}

#[test]
fn a_terminal_that_dies_takes_the_lab_with_it() {
    let host = Host::new();
    let before = host.inventory();
    let mut up = foreground(&host);
    let client = host.processes("nsplay up");
    host.shell(&format!("kill -9 {}", client[0])).ok();
    up.wait().unwrap();
    host.is_as_before(&before);
}

#[test]
fn what_exec_runs_ends_with_the_lab() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let mut sleeper = host
        .command(env!("CARGO_BIN_EXE_nsplay"))
        .args(["exec", "web", "--", "sleep", "4321"])
        .spawn()
        .unwrap();
    host.until("it sleeps", || {
        host.run("pgrep", &["-fx", "sleep 4321"]).code == 0
    });
    host.nsplay(&["down"]).ok();
    assert_eq!(sleeper.wait().unwrap().code(), Some(137));
    host.nsplay(&["up", "-d"]).ok();
    let code = host
        .nsplay(&["exec", "web", "--", "sh", "-c", "exit 7"])
        .code;
    assert_eq!(code, 7);
    host.nsplay(&["exec", "nobody", "--", "true"])
        .fails(2, &["no member `nobody` in lab `default`"]);
}
