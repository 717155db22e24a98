//! Launches a supervisor, and a watcher that clears up after it.
//!
//! ```text
//! nsplay up ─fork─ watcher ─clone─ supervisor, PID 1 of the lab
//! ```
//!
//! The watcher sleeps until the supervisor has ended, however that came
//! about, and removes the few names that a lab has on the host. It holds the
//! lab's lock until then, so that whoever waits for the lock finds nothing left.
//!
//! It is nobody's child, in a session of its own, and has no environment: what ends all processes of
//! a CI job, by whichever of these it finds them, ends the supervisor and leaves who clears up.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, getegid, geteuid};

use super::handover::Handover;
use crate::confine;
use crate::faultpoint::{moment, point};
use crate::host::cgroups::Cgroups;
use crate::host::places::Places;
use crate::journal;
use crate::kernel::cgroup::{self, Cgroup};
use crate::kernel::clone::{Kind, Side, clone, fork, leave_network, pidfd_send_signal};
use crate::kernel::mark::Mark;
use crate::kernel::outpost::{self, Outpost};
use crate::kernel::signals::stops;
use crate::kernel::{process, user};
use crate::plan::{Plan, limits};
use crate::rundir::{Lock, RunDir};
use crate::service::sshd_keys::Keys;
use crate::ways::{By, WayOut};

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
    /// What marks the command that is run beside the lab, if one is.
    pub mark: Option<Mark>,
}

/// The command that is run beside a lab, as who runs it has it: all of it ends with this process, be
/// it by SIGKILL.
pub struct Leash {
    mark: Mark,
    /// The watcher has the other end.
    line: UnixStream,
}

impl Leash {
    /// What marks the command.
    #[must_use]
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Ends what the command has left behind.
    pub fn end(mut self) {
        self.mark.end();
        // A watcher that was killed needs not be told.
        let _ = self.line.write_all(b".");
    }
}

/// The same as the watcher has it.
struct Held {
    mark: Mark,
    line: UnixStream,
}

impl Held {
    /// Waits until the command is over, and ends it where who ran it has been killed; tells whether
    /// it is over.
    fn is_over(&mut self, within: PollTimeout) -> bool {
        let mut fds = [PollFd::new(self.line.as_fd(), PollFlags::POLLIN)];
        if !matches!(poll(&mut fds, within), Ok(1..)) {
            return false;
        }
        if !matches!(self.line.read(&mut [0]), Ok(1..)) {
            self.mark.end();
        }
        true
    }
}

/// The subcommand that the supervisor is executed with; its argument is a descriptor.
pub const SUBCOMMAND: &str = "supervise";

/// Starts the watcher, which starts the supervisor. The caller must have one thread, and may hold
/// signals back.
///
/// # Errors
/// When the watcher cannot be started. What goes wrong after that is in the
/// supervisor's log, and its control socket closes.
pub fn launch(launch: Launch, dir: &RunDir) -> io::Result<Option<Leash>> {
    let log = journal::create(&dir.supervisor_log(), launch.owner)?;
    point!("up: supervisor's log opened")?;
    let line = launch.mark.is_some().then(UnixStream::pair).transpose()?;
    let (ours, its) = line.unzip();
    let mark = launch.mark.clone();
    match fork()? {
        ForkResult::Parent { child } => {
            let _ = waitpid(child, None);
            let leash = |(mark, line)| Leash { mark, line };
            Ok(mark.zip(ours).map(leash))
        }
        ForkResult::Child => {
            drop(ours);
            let held = mark.zip(its).map(|(mark, line)| Held { mark, line });
            // Whoever asks waits for the end of the control socket, and then reads the log.
            let watched = match fork() {
                Ok(ForkResult::Parent { .. }) => Ok(()),
                Ok(ForkResult::Child) => begin(launch, held, dir, &log),
                Err(error) => give_up(&error, dir, &log),
            };
            std::process::exit(watched.map_or(1, |()| 0));
        }
    }
}

/// Starts the supervisor, and clears up after it.
fn begin(launch: Launch, held: Option<Held>, dir: &RunDir, log: &File) -> io::Result<()> {
    match start(&launch, dir, log) {
        Ok(pid) => {
            // Nothing but the lock is the watcher's: a port that it held would stay taken.
            let Launch {
                lock,
                control,
                published,
                ..
            } = launch;
            drop((control, published));
            watch(pid, lock, held, dir, log)
        }
        Err(error) => give_up(&error, dir, log),
    }
}

/// Tells why there is no supervisor, and leaves nothing.
fn give_up(error: &io::Error, dir: &RunDir, mut log: &File) -> io::Result<()> {
    let _ = writeln!(log, "error: cannot start the supervisor: {error}");
    dir.sweep()
}

/// Starts the supervisor, whose process it returns.
fn start(launch: &Launch, dir: &RunDir, log: &File) -> io::Result<i32> {
    process::leave_session()?;
    point!("watcher: begun")?;
    // A terminal that closes must not leave the lab without who clears up.
    let ignored = stops();
    for ignored in &ignored {
        process::ignore(ignored)?;
    }
    ignored.thread_unblock()?;
    let host = crate::kernel::netns::current()?;
    let mut plan = launch.plan.clone();
    let group = make_group(&mut plan, dir);
    let places = dir.places();
    let (out, one_user) = (launch.plan.out.clone(), places.user.is_some());
    let out = out.filter(|out| one_user && matches!(out.by, By::Passt(_)));
    let outpost = out.map(|out| Ok::<_, io::Error>((out, Outpost::open()?)));
    let outpost = outpost.transpose()?;
    let handover = Handover {
        plan,
        keys: launch.keys.clone(),
        owner: launch.owner,
        control: launch.control.as_raw_fd(),
        lock: launch.lock.as_raw_fd(),
        published: launch.published.iter().map(AsRawFd::as_raw_fd).collect(),
        host: host.as_raw_fd(),
        group: group.as_ref().map(|(lab, _)| lab.as_raw_fd()),
        outpost: outpost.as_ref().map(|(_, (ours, _))| ours.numbers()),
    };
    let fd = handover.pass()?;
    point!("watcher: plan written")?;
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let kind = match (one_user, &outpost) {
        (false, _) => Kind::Root,
        (true, None) => Kind::User,
        (true, Some(_)) => Kind::UserOnHost,
    };
    let (pid, pidfd) = match clone(kind)? {
        Side::Child => {
            if one_user {
                user::map(uid, gid)?;
                user::keep_capabilities()?;
            }
            point!("supervisor: cloned")?;
            if let Some((out, (_, line))) = &outpost {
                leave_outpost(out, line, log)?;
            }
            return Err(execute(fd, log.try_clone()?.into(), places));
        }
        Side::Parent { pid, pidfd } => (pid, pidfd),
    };
    if let Some((_, supervisor)) = &group
        && let Err(error) = supervisor.take(pid)
    {
        tracing::warn!(%error, "the supervisor is not in the lab's control group");
    }
    moment!("watcher: supervisor cloned");
    dir.record(pid).inspect_err(|_| {
        // A lab that `down` could not end must not run.
        let _ = pidfd_send_signal(pidfd.as_fd(), Signal::SIGKILL);
        let _ = waitpid(Pid::from_raw(pid), None);
    })?;
    Ok(pid)
}

/// Waits until the supervisor has ended, and sweeps.
fn watch(
    supervisor: i32,
    lock: Lock,
    mut held: Option<Held>,
    dir: &RunDir,
    mut log: &File,
) -> io::Result<()> {
    // One that stays on a terminal still watches.
    let _ = detach(log);
    if let Err(error) = process::forget_environment() {
        let _ = writeln!(log, "warning: the environment can be read: {error}");
    }
    moment!("watcher: watches");
    let _ = waitpid(Pid::from_raw(supervisor), None);
    moment!("watcher: supervisor ended");
    let is_over = |held: &mut Held| held.is_over(PollTimeout::ZERO);
    let over = held.as_mut().is_none_or(is_over);
    let swept = dir.sweep();
    if let Err(error) = &swept {
        let _ = writeln!(log, "error: cannot clear up after the lab: {error}");
    }
    drop(lock);
    // A command may outlive the lab that it took down itself.
    if let Some(held) = held.as_mut().filter(|_| !over) {
        held.is_over(PollTimeout::NONE);
    }
    swept
}

/// Makes the lab's control group, and the supervisor's in it, as the plan says; where that fails, the
/// plan is to do without.
fn make_group(plan: &mut Plan, dir: &RunDir) -> Option<(Cgroup, Cgroup)> {
    let Cgroups::In {
        parent,
        controllers,
    } = &plan.cgroups
    else {
        return None;
    };
    // Two labs of one name can be in one group: each has its own run directory.
    let name = format!("{}{:x}", dir.group_names(), std::process::id());
    let path = parent.join(name);
    let make = || {
        // What is about to be made is written down first.
        dir.record_group(&path)?;
        cgroup::remove(&path)?;
        let parent = Cgroup::make(parent)?;
        parent.pass_on(controllers)?;
        let lab = Cgroup::make(&path)?;
        lab.pass_on(controllers)?;
        lab.limit(&plan.lab.limits.lab, false)?;
        let supervisor = lab.child(confine::SUPERVISOR)?;
        Ok((lab, supervisor))
    };
    let made: io::Result<_> = make();
    if let Err(error) = &made {
        let why = format!("cannot make the control group {}: {error}", path.display());
        let _ = cgroup::remove(&path);
        plan.cgroups = Cgroups::Not {
            why,
            unowned: false,
            counts: Cgroups::counts(),
        };
        let one_user = dir.places().user.is_some();
        let without = limits::unenforced(&plan.lab, &plan.cgroups, one_user);
        plan.notes.extend(without);
    }
    made.ok()
}

/// Leaves the host's network, and a process there that starts passt when it is asked by `line`.
fn leave_outpost(out: &WayOut, line: &UnixStream, log: &File) -> io::Result<()> {
    match fork()? {
        ForkResult::Parent { .. } => leave_network(),
        ForkResult::Child => {
            detach(log)?;
            let Err(error) = outpost::stay(line, |fd| out.argv(fd), out.user, &WayOut::cell());
            // The lab has gone, or what was to be passt could not be executed.
            outpost::end(&error)
        }
    }
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
fn detach(log: &File) -> io::Result<()> {
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
