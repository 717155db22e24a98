//! Several commands at once.

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

#[test]
fn of_many_ups_at_once_one_wins() {
    let host = Host::new();
    let before = host.inventory();
    let mut ups: Vec<Child> = (0..8).map(|_| nsplay(&host, &["up", "-d"])).collect();
    let code = |up: &mut Child| up.wait().unwrap().code();
    let mut codes: Vec<_> = ups.iter_mut().map(code).collect();
    codes.sort_unstable();
    let refused = [Some(2); 7];
    assert_eq!(codes, [&[Some(0)][..], &refused].concat());
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
