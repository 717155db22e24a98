//! Launches a supervisor, and a watcher that clears up after it.
//!
//! ```text
//! nsplay up ─fork─ watcher ─clone─ supervisor, PID 1 of the lab
//! ```
//!
//! The watcher sleeps until the supervisor has ended, however that came
//! about, and removes the few names that a lab has on the host. It holds the
//! lab's lock until then, so that whoever waits for the lock finds nothing left.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, getegid, geteuid, setsid};

use super::handover::Handover;
use crate::host::places::Places;
use crate::kernel::clone::{Side, clone, fork, pidfd_send_signal};
use crate::kernel::user;
use crate::plan::Plan;
use crate::rundir::{Lock, RunDir};
use crate::service::sshd_keys::Keys;

/// What the caller has made for the supervisor.
pub struct Launch {
    /// What it is to do.
    pub plan: Plan,
    /// The keys that are part of it.
    pub keys: Keys,
    /// Who else than root may use the control socket.
    pub owner: u32,
    /// The listening control socket.
    pub control: OwnedFd,
    /// The published sockets, in the plan's order.
    pub published: Vec<OwnedFd>,
    /// The lab's lock.
    pub lock: Lock,
}

/// The subcommand that the supervisor is executed with; its argument is a descriptor.
pub const SUBCOMMAND: &str = "supervise";

/// Starts the watcher, which starts the supervisor. The caller must have one thread.
///
/// # Errors
/// When the watcher cannot be started. What goes wrong after that is in the
/// supervisor's log, and its control socket closes.
pub fn launch(launch: Launch, dir: &RunDir) -> io::Result<()> {
    let log = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(dir.supervisor_log())?;
    match fork()? {
        ForkResult::Parent { .. } => Ok(()),
        ForkResult::Child => {
            let status = match watch(launch, dir, log.into()) {
                Ok(()) => 0,
                Err(error) => {
                    tracing::error!(%error, "cannot start the supervisor");
                    1
                }
            };
            std::process::exit(status);
        }
    }
}

fn watch(launch: Launch, dir: &RunDir, log: OwnedFd) -> io::Result<()> {
    setsid()?;
    // A terminal that closes must not leave the lab without who clears up.
    for ignored in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        crate::kernel::process::ignore(ignored)?;
    }
    let host = crate::kernel::netns::current()?;
    let handover = Handover {
        plan: launch.plan,
        keys: launch.keys,
        owner: launch.owner,
        control: launch.control.as_raw_fd(),
        lock: launch.lock.as_raw_fd(),
        published: launch.published.iter().map(AsRawFd::as_raw_fd).collect(),
        host: host.as_raw_fd(),
    };
    let fd = handover.pass()?;
    let places = dir.places();
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let (pid, pidfd) = match clone(places.user.is_some())? {
        Side::Child => {
            if places.user.is_some() {
                user::map(uid, gid)?;
                user::keep_capabilities()?;
            }
            return Err(execute(fd, log, places));
        }
        Side::Parent { pid, pidfd } => (pid, pidfd),
    };
    let recorded = dir.record(pid);
    if recorded.is_err() {
        // A lab that `down` could not end must not run.
        pidfd_send_signal(pidfd.as_fd(), Signal::SIGKILL)?;
    }
    // Nothing but the lock is the watcher's: a port that it held would stay taken.
    drop((launch.control, launch.published, host, handover));
    detach(&log)?;
    let _ = waitpid(Pid::from_raw(pid), None);
    recorded?;
    let swept = dir.sweep();
    drop(launch.lock);
    swept
}

/// Becomes the supervisor; returns only when that fails.
fn execute(handover: RawFd, log: OwnedFd, places: &Places) -> io::Error {
    let log = Stdio::from(log);
    Command::new("/proc/self/exe")
        .arg0("nsplay")
        .args([SUBCOMMAND, &handover.to_string()])
        .envs(places.variables())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .exec()
}

/// Lets go of the terminal: what the watcher has to say goes where the supervisor's words go.
fn detach(log: &OwnedFd) -> io::Result<()> {
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(log)?;
    nix::unistd::chdir("/")?;
    Ok(())
}
