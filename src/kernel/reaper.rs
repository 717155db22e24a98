//! Reaps all processes of the lab, as PID 1 must, and tells who waits for one how it ended.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Status(i32),
    /// A signal killed it.
    Signal(Signal),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exited with status {status}"),
            Self::Signal(signal) => write!(f, "was killed by {signal}"),
        }
    }
}

/// The reaper; clones are the same reaper.
#[derive(Clone, Default)]
pub struct Reaper(Rc<RefCell<HashMap<i32, oneshot::Sender<Exit>>>>);

/// A child that has been started, until it has been reaped.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    exit: oneshot::Receiver<Exit>,
}

impl Reaper {
    /// Waits for `pid`, a child that the caller has started since it last awaited anything.
    ///
    /// Reaping happens between awaits, so a child can't be missed: one that
    /// has ended already stays a zombie until then.
    #[must_use]
    pub fn expect(&self, pid: i32) -> Child {
        let (tell, exit) = oneshot::channel();
        self.0.borrow_mut().insert(pid, tell);
        Child {
            pid: Pid::from_raw(pid),
            exit,
        }
    }

    /// Reaps, for ever.
    ///
    /// # Errors
    /// When the signal handler cannot be installed.
    pub async fn run(self) -> io::Result<()> {
        let mut died = signal(SignalKind::child())?;
        loop {
            self.reap();
            died.recv().await;
        }
    }

    fn reap(&self) {
        loop {
            let (pid, exit) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) => (pid, Exit::Status(status)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Exit::Signal(signal)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(error) => {
                    tracing::error!(%error, "cannot reap");
                    return;
                }
            };
            if let Some(tell) = self.0.borrow_mut().remove(&pid.as_raw()) {
                let _ = tell.send(exit);
            }
        }
    }
}

impl Child {
    /// The process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Waits until it has ended.
    pub async fn wait(&mut self) -> Exit {
        // The reaper lives as long as the runtime.
        (&mut self.exit).await.unwrap_or(Exit::Status(0))
    }

    /// Sends a signal to all of its session's first process group, as far as there are any left.
    ///
    /// The group's number is not given to another process while one of the group is there.
    pub fn signal_group(&self, signal: Signal) {
        let _ = killpg(self.pid, signal);
    }

    /// Sends it a signal. It has not been reaped yet, so its PID is its own.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(self.pid, signal);
    }
}
