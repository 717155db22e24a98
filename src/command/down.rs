//! `nsplay down`.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::client::Client;
use crate::error::Failure;
use crate::kernel::clone::pidfd_send_signal;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::Request;
use crate::ui;

/// A supervisor that was told to end has ended within 0.3 s; one that is stopped or stuck never has.
const GENTLY: Duration = Duration::from_secs(3);

/// A killed PID namespace is gone within milliseconds; the kernel may be busy.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Takes a lab down, whatever state it is in; a lab that is not there is down.
pub fn run(lab: &Name) -> Result<u8, Failure> {
    let dir = RunDir::new(lab);
    if !dir.exists() {
        ui::status(&format!("lab `{lab}` is not up"));
        return Ok(0);
    }
    let began = Instant::now();
    end(&dir)?;
    let took = began.elapsed().as_secs_f64() * 1000.0;
    ui::status(&format!("lab `{lab}` is down ({took:.0} ms)"));
    Ok(0)
}

/// Ends a lab's supervisor, gently if it listens, and waits until nothing is left.
///
/// # Errors
/// What remains.
pub fn end(dir: &RunDir) -> Result<(), Failure> {
    let fail =
        |error: std::io::Error| Failure::io(format_args!("take lab `{}` down", dir.lab()), &error);
    // One that listens no more may be ending already, or is dead.
    let by = "nsplay down".to_owned();
    let _ = Client::ask(dir, &Request::Down { by });
    if let Some(supervisor) = dir.supervisor() {
        // Through a descriptor: a PID could be somebody else's by now.
        match supervisor.open() {
            Ok(pidfd) => {
                if !ended(&pidfd, GENTLY) {
                    ui::status("the supervisor does not answer: killing it");
                    match pidfd_send_signal(pidfd.as_fd(), Signal::SIGKILL) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            return Err(fail(error));
                        }
                        _ => {}
                    }
                    if !ended(&pidfd, AT_ONCE) {
                        return Err(Failure::failed(format!(
                            "the supervisor of lab `{}` (pid {}) does not end",
                            dir.lab(),
                            supervisor.pid
                        )));
                    }
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
        }
    }
    // Whoever has the lock sweeps; if nobody did, it is for us to do.
    if let Some(_lock) = dir.wait().map_err(fail)? {
        dir.sweep().map_err(fail)?;
    }
    Ok(())
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
