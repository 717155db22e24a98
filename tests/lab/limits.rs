//! Limits of labs and members, by control groups or by rlimits, as this machine has them.
//! `scripts/machine` tests those of control groups on a machine of its own.

use std::fs;

use nsplay::event::What;

use crate::host::Host;

#[test]
fn a_fork_bomb_and_a_hog_end_at_their_limits_and_the_others_go_on() {
    let host = Host::new();
    let before = host.inventory();
    host.write(
        "nsplay.toml",
        r#"
        dhcp = false
        ssh = false
        node = false
        [web]
        server = "busybox"
        publish = "127.0.0.1:8080"
        [service.bomb]
        command = ["sh", "-c", "for n in $(seq 500); do (sleep 4714 &); done"]
        restart = "never"
        limits.pids = 100
        [service.hog]
        command = ["sh", "-c", "echo small; x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo big; sleep 4715"]
        restart = "never"
        limits.memory = "64MiB"
        "#,
    );
    let up = host.nsplay(&["up", "-d"]).ok();
    let ended = |who: &str| {
        let is =
            |what: &What| matches!(what, What::Exited { member, .. } if member.as_str() == who);
        host.until(&format!("{who} has ended"), || {
            host.events("default").iter().any(|event| is(&event.what))
        });
    };
    ended("bomb");
    ended("hog");
    let left = host.processes("sleep 4714");
    let count = left.len();
    assert!(
        (20..=100).contains(&count),
        "{count}: {:#?}",
        host.lines("bomb")
    );
    // Either it is in a group, or who looks is told what that costs.
    let group = fs::read_to_string(host.at(&format!("/proc/{}/cgroup", left[0]))).unwrap();
    let has_group = group
        .lines()
        .any(|line| line.starts_with("0::") && line.ends_with("/bomb"));
    let notice = "a service's limit of memory is each of its processes' own: ";
    assert_ne!(up.err.contains(notice), has_group, "{}{group}", up.err);
    assert_eq!(host.lines("hog")[0], "small");
    assert!(!host.lines("hog").contains(&"big".to_owned()));
    // The others start programs and answer, and who looks is told.
    host.run("curl", &["-sf", "http://127.0.0.1:8080/boot.ipxe"])
        .ok();
    host.nsplay(&["exec", "bomb", "--", "true"]).ok();
    host.nsplay(&["restart", "web"]).ok();
    let told = host.nsplay(&["inspect", "bomb"]).ok().out;
    assert!(told.contains("Limits          100 processes"), "{told}");
    host.nsplay(&["down"]).ok();
    host.is_as_before(&before);
}
