//! Each system call of a whole lab fails, one after the other (strace(1), `--inject`): of each process the
//! first of its kind, then the second, and so on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;

use super::{number, tell};
use crate::host::{Host, ran};
use crate::sweep::LAB;

/// Calls that cannot fail so, or on which the standard library, nix or the C library rely: they end, or
/// wait for a child that they take for dead. Those of memory and of starting a program are no lab's.
const SPARED: [&str; 31] = [
    "arch_prctl",
    "brk",
    "clock_nanosleep",
    "close",
    "execve",
    "exit",
    "exit_group",
    "futex",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getppid",
    "getrandom",
    "gettid",
    "getuid",
    "madvise",
    "mmap",
    "mprotect",
    "munmap",
    "recvfrom",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigtimedwait",
    "sched_getaffinity",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "umask",
];

/// What a call fails with; most of them with EIO.
const ERRORS: [(&str, &str); 24] = [
    ("accept4", "EMFILE"),
    ("clone", "EAGAIN"),
    ("clone3", "EAGAIN"),
    ("connect", "ECONNREFUSED"),
    ("dup2", "EBADF"),
    ("epoll_create1", "EMFILE"),
    ("fcntl", "EMFILE"),
    ("flock", "ENOLCK"),
    ("mkdir", "ENOSPC"),
    ("mkdirat", "ENOSPC"),
    ("mount", "EPERM"),
    ("newfstatat", "EACCES"),
    ("openat", "EMFILE"),
    ("pipe2", "EMFILE"),
    ("poll", "ENOMEM"),
    ("rename", "ENOSPC"),
    ("sendto", "ENOBUFS"),
    ("setns", "EPERM"),
    ("socket", "EMFILE"),
    ("statx", "EACCES"),
    ("symlink", "ENOSPC"),
    ("symlinkat", "ENOSPC"),
    ("unshare", "ENOSPC"),
    ("write", "ENOSPC"),
];

/// How often the processes of nsplay that `trace` has make each call, at most.
fn calls(trace: &str) -> BTreeMap<String, usize> {
    let mut others = HashSet::new();
    let mut made = HashMap::new();
    let mut most = BTreeMap::new();
    for line in trace.lines() {
        let Some((pid, call)) = line.split_once(' ') else {
            continue;
        };
        let Some((name, rest)) = call.trim_start().split_once('(') else {
            continue;
        };
        let is_call = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !is_call || others.contains(pid) {
            continue;
        }
        if name == "execve" && !rest.contains("nsplay") && rest.ends_with(" = 0") {
            others.insert(pid);
        }
        let times: &mut usize = made.entry((pid, name)).or_default();
        *times += 1;
        let most: &mut usize = most.entry(name.to_owned()).or_default();
        *most = (*most).max(*times);
    }
    most
}

#[test]
#[ignore = "half an hour: scripts/soak"]
fn whichever_system_call_fails_the_lab_ends_whole_and_the_next_one_works() {
    let host = Host::new();
    host.write("nsplay.toml", LAB);
    let whole = |how: &[&str]| {
        let mut strace = host.bounded("strace");
        let strace = strace.args(["-f", "-qq", "-o", "trace"]).args(how);
        let words = host.words(env!("CARGO_BIN_EXE_nsplay"));
        ran(strace.args(words).args(["run", "--", "true"]))
    };
    whole(&[]).ok();
    let before = host.inventory();
    let trace = fs::read_to_string(host.folder().join("trace")).unwrap();
    let mut calls = calls(&trace);
    calls.retain(|name, _| !SPARED.contains(&name.as_str()));
    let (most, mut tried) = (number("NSPLAY_SOAK_CALLS", usize::MAX), 0);
    for (name, times) in &calls {
        let error = ERRORS.iter().find(|(call, _)| call == name);
        let error = error.map_or("EIO", |(_, error)| error);
        for time in 1..=*times.min(&most) {
            let inject = format!("--inject={name}:error={error}:when={time}");
            let run = whole(&["--seccomp-bpf", &format!("--trace={name}"), &inject]);
            let what = format!("{name} {time}: {} {}", run.code, run.err);
            // The C library says so of a program that it cannot load.
            assert!(matches!(run.code, 0..=2 | 127), "{what}");
            assert!(!run.err.contains("panicked"), "{what}");
            // What is told may itself be what cannot be written.
            let is_told = run.code == 0 || run.err.contains("error") || name == "write";
            assert!(is_told, "{what}");
            host.nsplay(&["down"]).ok();
            host.is_as_before(&before);
            tried += 1;
        }
        tell(&format!("{name}: {} times {error}", times.min(&most)));
        host.nsplay(&["run", "--", "true"]).ok();
    }
    tell(&format!(
        "{tried} system calls failed, of {} kinds",
        calls.len()
    ));
}
