//! A mark that processes inherit: a variable of the environment, by which all that a command has
//! started is found, wherever it went.
//!
//! It may have forked, left its session and lost its parents: its environment stays. CI systems find
//! the processes of a job in this way. One that was given another environment is not found.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::clone::{pidfd_open, pidfd_send_signal};

/// What was asked to end (SIGTERM) has this long before it is killed.
const PATIENCE: Duration = Duration::from_secs(1);

/// A killed process is gone within milliseconds; one that sleeps in the kernel is left to it.
const KILLED_WITHIN: Duration = Duration::from_secs(2);

/// How often it is looked again whether one is left.
const AGAIN_AFTER: Duration = Duration::from_millis(2);

/// A mark that no other process has.
#[derive(Clone, Debug)]
pub struct Mark(String);

impl Mark {
    /// The variable.
    pub const NAME: &str = "NSPLAY_RUN";

    /// Makes one.
    ///
    /// # Errors
    /// What the reading of `/proc` says.
    pub fn new() -> io::Result<Self> {
        let unique = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        Ok(Self(unique.trim().to_owned()))
    }

    /// What the variable holds.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.0
    }

    /// Sends `signal` to all that have it but `except`, and tells how many those are.
    pub fn signal(&self, signal: Signal, except: Option<i32>) -> usize {
        let Ok(all) = fs::read_dir("/proc") else {
            return 0;
        };
        let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let others = pids.filter(|pid| Some(*pid) != except);
        let found = others.filter_map(|pid| self.find(pid));
        let sent = found.map(|process| pidfd_send_signal(process.as_fd(), signal));
        sent.filter(Result::is_ok).count()
    }

    /// Ends all that have it: asks them first, then kills them, and those that they start meanwhile.
    pub fn end(&self) {
        let began = Instant::now();
        let mut signal = Signal::SIGTERM;
        let mut asked = false;
        while began.elapsed() < PATIENCE + KILLED_WITHIN {
            if began.elapsed() >= PATIENCE {
                signal = Signal::SIGKILL;
            }
            // Asked once: who cleans up after a signal may take a second one for impatience.
            let left = match (signal, asked) {
                (Signal::SIGTERM, true) => self.count(),
                _ => self.signal(signal, None),
            };
            if left == 0 {
                return;
            }
            asked = true;
            thread::sleep(AGAIN_AFTER);
        }
    }

    fn count(&self) -> usize {
        let Ok(all) = fs::read_dir("/proc") else {
            return 0;
        };
        let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|pid| self.is_on(*pid)).count()
    }

    /// Opens the process `pid` if it has the mark. What has ended has none, though its parent may
    /// not have heard of it yet.
    fn find(&self, pid: i32) -> Option<OwnedFd> {
        if !self.is_on(pid) {
            return None;
        }
        let process = pidfd_open(pid).ok()?;
        // The number could have become somebody else's.
        self.is_on(pid).then_some(process)
    }

    fn is_on(&self, pid: i32) -> bool {
        let variable = format!("{}={}", Self::NAME, self.0);
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut all = environment.split(|byte| *byte == 0);
        all.any(|one| one == variable.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_has_a_mark_is_ended_and_what_has_another_is_not() {
        let (mine, other) = (Mark::new().unwrap(), Mark::new().unwrap());
        let sleeps = |mark: &Mark, script: &str| {
            let mut shell = Command::new("sh");
            shell
                .args(["-c", script])
                .env(Mark::NAME, mark.value())
                .stdout(Stdio::null());
            shell.spawn().unwrap()
        };
        // Deaf to what it is asked, its child in a session of its own.
        let mut deaf = sleeps(
            &mine,
            "trap '' TERM; setsid sleep 100 & sleep 100; sleep 100",
        );
        let mut bystander = sleeps(&other, "exec sleep 100");
        while mine.count() < 3 {
            thread::sleep(AGAIN_AFTER);
        }
        mine.end();
        assert_eq!(mine.count(), 0);
        assert!(!deaf.wait().unwrap().success());
        assert_eq!(bystander.try_wait().unwrap(), None);
        assert_eq!(other.signal(Signal::SIGKILL, None), 1);
        bystander.wait().unwrap();
    }
}
