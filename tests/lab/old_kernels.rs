//! Kernels that do not know a system call, and filters that forbid one (strace(1) plays both).

use std::fs;

use crate::host::{Host, ran};

/// What labs are made with, much of which container runtimes forbid, and what came with Linux 5.9;
/// each with an error, and with what `up` says then.
const CALLS: [(&str, &str, &str); 9] = [
    (
        "bind",
        "EPERM",
        "its links on the host (Operation not permitted",
    ),
    (
        "clone",
        "ENOSYS",
        "cannot start the supervisor: Function not implemented",
    ),
    (
        "close_range",
        "ENOSYS",
        "`web`: cannot start lighttpd: Function not",
    ),
    (
        "close_range",
        "EPERM",
        "`web`: cannot start lighttpd: Operation not",
    ),
    ("memfd_create", "ENOSYS", "cannot start the supervisor"),
    (
        "mount",
        "EPERM",
        "cannot mount privately on /: Operation not permitted",
    ),
    (
        "pivot_root",
        "EPERM",
        "`web`: cannot start lighttpd: it cannot enter its view of the files: Operation not",
    ),
    ("setns", "EPERM", "Operation not permitted"),
    ("unshare", "ENOSYS", "Function not implemented"),
];

#[test]
fn a_system_call_that_is_missing_or_forbidden_is_told_and_nothing_is_left() {
    let host = Host::new();
    // Nothing here needs a guest, and each program is one more to follow.
    host.write(
        "nsplay.toml",
        "dhcp = false\nssh = false\n[node.node1]\npower = \"off\"\n",
    );
    let before = host.inventory();
    for (name, error, says) in CALLS {
        let mut up = host.bounded("strace");
        let up = up
            .args(["-f", "-qq", "--seccomp-bpf", "-o", "trace"])
            .arg(format!("--trace={name}"))
            .arg(format!("--inject={name}:error={error}"))
            .args(host.words(env!("CARGO_BIN_EXE_nsplay")))
            .arg("up");
        let up = match host.is_root() {
            true => ran(up).fails(1, &["error: ", says]),
            // A user's lab is made in another way, and may end elsewhere.
            false => ran(up),
        };
        assert!(up.code == 1 || up.code == 2, "{name}: {}", up.code);
        assert!(up.err.contains("error: "), "{name}: {}", up.err);
        let trace = fs::read_to_string(host.folder().join("trace")).unwrap();
        assert!(trace.contains("(INJECTED)"), "{name}: {}{trace}", up.err);
        // What is forbidden to `up` is forbidden to whoever clears up after it, too.
        host.nsplay(&["down"]).ok();
        host.is_as_before(&before);
    }
    host.nsplay(&["up", "-d"]).ok();
}
