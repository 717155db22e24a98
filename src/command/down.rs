//! `nsplay down`.

use std::fs::TryLockError;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::client::Client;
use crate::error::Failure;
use crate::faultpoint::{moment, point};
use crate::json::Down;
use crate::kernel::clone::pidfd_send_signal;
use crate::kernel::signals::{Held, exit_code};
use crate::lab::Name;
use crate::rundir::{RunDir, Supervisor};
use crate::supervisor::protocol::Request;
use crate::ui;

/// A supervisor that was told to end has ended within 0.3 s; one that is stopped or stuck never has.
const GENTLY: Duration = Duration::from_secs(3);

/// A killed PID namespace is gone within milliseconds; the kernel may be busy.
const AT_ONCE: Duration = Duration::from_secs(10);

/// An `up` that begins listens within milliseconds of taking the lock, and a watcher sweeps as
/// quickly; a stopped one does neither.
pub(super) const LET_GO: Duration = Duration::from_secs(30);

/// How long to leave whoever has the lock alone before asking again.
pub(super) const AGAIN: Duration = Duration::from_millis(1);

/// Takes a lab down, whatever state it is in; a lab that is not there is down. A signal that comes
/// meanwhile ends the command afterwards.
pub fn run(json: bool, lab: &Name) -> Result<u8, Failure> {
    let held = Held::back().map_err(|error| Failure::io("hold signals back", &error))?;
    let dir = RunDir::new(lab);
    let (began, was_up) = (Instant::now(), dir.exists());
    match was_up {
        true => end(&dir)?,
        false => dir.remove_empty(),
    }
    let took_ms = began.elapsed().as_millis() as u64;
    if json {
        let lab = lab.clone();
        ui::json(&Down {
            lab,
            was_up,
            took_ms,
        })?;
    } else {
        ui::status(&match was_up {
            true => format!("lab `{lab}` is down ({took_ms} ms)"),
            false => format!("lab `{lab}` is not up"),
        });
    }
    Ok(held.came().map_or(0, exit_code))
}

/// Ends a lab's supervisor, gently if it listens, and waits until nothing is left.
///
/// An `up` that has only just begun has the lock but listens not yet: it is asked again until
/// it does.
///
/// # Errors
/// What remains.
pub fn end(dir: &RunDir) -> Result<(), Failure> {
    let fail =
        |error: std::io::Error| Failure::io(format_args!("take lab `{}` down", dir.lab()), &error);
    let Some(lock) = dir.lock().map_err(fail)? else {
        return Ok(());
    };
    point!("down: begun").map_err(fail)?;
    let until = Instant::now() + LET_GO;
    loop {
        // Whoever has the lock sweeps; if nobody did, it is for us to do.
        match lock.try_lock() {
            // A lab that was made since then is not the one that was to end.
            Ok(()) if dir.is_current(&lock).map_err(fail)? => return dir.sweep().map_err(fail),
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(fail(error)),
            Err(TryLockError::WouldBlock) if Instant::now() > until => {
                return Err(held(dir));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        // One that does not listen has only just begun, is ending already, or is dead.
        let by = "nsplay down".to_owned();
        let _ = Client::ask(dir, &Request::Down { by });
        moment!("down: supervisor asked");
        if let Some(supervisor) = dir.supervisor() {
            end_supervisor(dir, &supervisor)?;
        }
        // It may have ended before it was looked for.
        moment!("down: supervisor has ended");
        std::thread::sleep(AGAIN);
    }
}

/// Nobody answers for a lab, and somebody has its lock.
pub(super) fn held(dir: &RunDir) -> Failure {
    Failure::failed(format!(
        "lab `{}` is still held: `fuser {}` tells by which process",
        dir.lab(),
        dir.path().join("lock").display()
    ))
}

/// Ends the process that a lab is, gently if it listens.
fn end_supervisor(dir: &RunDir, supervisor: &Supervisor) -> Result<(), Failure> {
    let fail =
        |error: std::io::Error| Failure::io(format_args!("take lab `{}` down", dir.lab()), &error);
    // Through a descriptor: a PID could be somebody else's by now.
    let pidfd = match supervisor.open() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(fail)?,
    };
    if ended(&pidfd, GENTLY) {
        return Ok(());
    }
    ui::status("the supervisor does not answer: killing it");
    match pidfd_send_signal(pidfd.as_fd(), Signal::SIGKILL) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    if ended(&pidfd, AT_ONCE) {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "the supervisor of lab `{}` (pid {}) does not end",
        dir.lab(),
        supervisor.pid
    )))
}

/// Waits until a process has ended.
fn ended(pidfd: &impl AsFd, within: Duration) -> bool {
    let until = Instant::now() + within;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, left) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}
