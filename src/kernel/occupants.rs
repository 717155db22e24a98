//! The processes of a member, and their end.
//!
//! A network namespace lives as long as somebody is in it. Whatever a member has started is found by where
//! it is, not by whom it descends from: it may have forked, and it may have left its session. One that has
//! left the namespace too, which takes no more than a user namespace of its own, is found by its user.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::fs::MetadataExt;
use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use nix::sys::stat::fstat;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, timeout_at};

use super::clone::{pidfd_open, pidfd_send_signal};
use super::netns::Netns;

/// A killed process is gone within milliseconds; one that sleeps in the kernel is told of.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// A process that cannot be waited for is looked for again.
const AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Who is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Those that the lab itself has started.
    Own,
    /// Those that came in from outside too, such as `nsplay exec`'s.
    All,
}

/// Ends the processes in `netns`, and those of `user` where there is one that nobody else has: asks them
/// (SIGTERM) as long as `patience`, then kills them, and those that they start meanwhile.
///
/// # Errors
/// How many are left, though they have been killed.
pub async fn end(netns: &Netns, user: Option<u32>, who: Who, patience: Duration) -> io::Result<()> {
    let (began, mut signal) = (Instant::now(), Signal::SIGTERM);
    loop {
        let found = find(netns, user, who)?;
        if found.is_empty() {
            return Ok(());
        }
        if began.elapsed() >= patience {
            signal = Signal::SIGKILL;
        }
        if began.elapsed() >= patience + KILLED_WITHIN {
            let left = found.len();
            let message = format!("{left} processes are still there though they have been killed");
            return Err(io::Error::other(message));
        }
        let until = began
            + patience
            + if signal == Signal::SIGKILL {
                KILLED_WITHIN
            } else {
                Duration::ZERO
            };
        for process in &found {
            // It may have ended in between.
            let _ = pidfd_send_signal(process.as_fd(), signal);
        }
        let gone = join_all(found.into_iter().map(ended));
        let _ = timeout_at(until, gone).await;
    }
}

/// Waits until a process has ended (pidfd_open(2): it is readable then).
async fn ended(process: OwnedFd) {
    // SAFETY: the descriptor is the value's own, and open until the value is dropped.
    let watched = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) };
    match watched {
        Ok(process) => {
            let _ = process.readable().await;
        }
        Err(_) => sleep(AGAIN_AFTER).await,
    }
}

/// Descriptors of the processes in `netns` or of `user`, the caller aside.
fn find(netns: &Netns, user: Option<u32>, who: Who) -> io::Result<Vec<OwnedFd>> {
    let netns = fstat(netns.as_fd())?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if pid == 1 {
            continue;
        }
        // Opened first: what is read of this number afterwards is this process's, or nobody's.
        let Ok(process) = pidfd_open(pid) else {
            continue;
        };
        let Ok(at) = fs::metadata(format!("/proc/{pid}/ns/net")) else {
            continue;
        };
        let is_here = at.st_ino() == netns.st_ino && at.st_dev() == netns.st_dev;
        let is_theirs = is_here || user.is_some_and(|user| is_of(pid, user));
        if is_theirs && (who == Who::All || is_own(pid)) {
            found.push(process);
        }
    }
    Ok(found)
}

/// Whether a process has a user among its user ids (proc_pid_status(5), `Uid`).
fn is_of(pid: i32, user: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    ids.is_some_and(|ids| {
        ids.split_ascii_whitespace()
            .any(|id| id.parse() == Ok(user))
    })
}

/// Whether a process descends from PID 1; the parent of one that came in from outside has no
/// number here (pid_namespaces(7)).
fn is_own(mut pid: i32) -> bool {
    while pid > 1 {
        let Some(parent) = parent(pid) else {
            return true;
        };
        pid = parent;
    }
    pid == 1
}

/// The parent of a process (proc_pid_stat(5), field 4).
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}
