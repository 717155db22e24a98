//! Starts a program of the lab in its namespace, as its user, with nothing inherited.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::setsid;

use super::cell::Walls;
use super::domain;
use crate::cell::Cell;
use crate::program::Cap;

/// How many descriptors a program has unless it asks for more: some close, or keep a table of, all
/// that they could have.
const DESCRIPTORS: u64 = 1024;

/// How a program is started.
#[derive(Debug)]
pub struct Spawn<'a> {
    /// The program, absolute, and its arguments.
    pub argv: &'a [String],
    /// Its whole environment.
    pub env: &'a [(String, String)],
    /// The folder that it starts in, inside the lab.
    pub folder: &'a Path,
    /// The network namespace that it runs in; none for the caller's.
    pub netns: Option<BorrowedFd<'a>>,
    /// The user and group that it runs as; none for root.
    pub user: Option<u32>,
    /// Groups that it has beside, for a device such as `/dev/kvm`.
    pub groups: &'a [u32],
    /// The capabilities that it keeps.
    pub caps: &'a [Cap],
    /// The descriptors that it inherits, under the numbers that they have here.
    pub inherit: &'a [RawFd],
    /// What it sees of the files; none for all that the lab has.
    pub cell: Option<&'a Cell>,
    /// What it may take of the host.
    pub confine: &'a Confine,
}

/// What keeps a program, and all that it starts, within limits.
#[derive(Debug, Default)]
pub struct Confine {
    /// The [door](super::cgroup::Cgroup::door) of the control group that it runs in.
    pub door: Option<File>,
    /// How many processes and threads its user may have when it starts another (RLIMIT_NPROC).
    pub processes: Option<u64>,
    /// How many bytes of memory each of its processes may have by itself (RLIMIT_DATA).
    pub data: Option<u64>,
}

/// A program that runs, and its pipes.
#[derive(Debug)]
pub struct Spawned {
    /// Its process, as the supervisor sees it.
    pub pid: i32,
    /// Its end is the program's end of input.
    pub stdin: OwnedFd,
    /// What it prints.
    pub stdout: OwnedFd,
    /// What it complains.
    pub stderr: OwnedFd,
}

impl Cap {
    /// The number of `<linux/capability.h>`.
    const fn number(self) -> u32 {
        match self {
            Self::AuditWrite => 29,
            Self::Chown => 0,
            Self::Fowner => 3,
            Self::Kill => 5,
            Self::Setgid => 6,
            Self::Setuid => 7,
            Self::SysChroot => 18,
            Self::NetBindService => 10,
            Self::NetAdmin => 12,
            Self::NetRaw => 13,
        }
    }
}

/// Starts a program.
///
/// It has a session of its own, only the descriptors it is given, and no
/// capability but those named, also not by way of a set-user-ID program
/// (PR_SET_NO_NEW_PRIVS).
///
/// # Errors
/// What fork(2), execve(2) or a step between them says.
pub fn spawn(spec: &Spawn<'_>) -> io::Result<Spawned> {
    let mut prepared = prepare(spec)?;
    prepared
        .command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = match prepared.command.spawn() {
        Ok(child) => child,
        Err(error) => return Err(prepared.explain(error)),
    };
    let pipe = || io::Error::other("a child without its pipes");
    Ok(Spawned {
        pid: i32::try_from(child.id()).map_err(io::Error::other)?,
        stdin: child.stdin.take().ok_or_else(pipe)?.into(),
        stdout: child.stdout.take().ok_or_else(pipe)?.into(),
        stderr: child.stderr.take().ok_or_else(pipe)?.into(),
    })
}

/// Becomes a program, which has what [`spawn`] gives one; returns only when that fails.
pub fn execute(spec: &Spawn<'_>, stdout: OwnedFd, stderr: OwnedFd) -> io::Error {
    let mut prepared = match prepare(spec) {
        Ok(prepared) => prepared,
        Err(error) => return error,
    };
    let error = prepared
        .command
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .exec();
    prepared.explain(error)
}

/// A program that is to be started, and who hears how far it came.
struct Prepared {
    command: Command,
    told: io::PipeReader,
    walls: Option<Arc<Walls>>,
}

impl Prepared {
    /// Says of an error which step it was.
    fn explain(self, error: io::Error) -> io::Error {
        let Self {
            command,
            mut told,
            walls,
        } = self;
        // With it goes the end of the pipe that is told.
        drop(command);
        let mut step = [0; 2];
        match walls {
            Some(walls) if told.read_exact(&mut step).is_ok() => {
                let step = walls.name(u16::from_ne_bytes(step));
                io::Error::new(error.kind(), format!("it cannot {step}: {error}"))
            }
            Some(_) | None => error,
        }
    }
}

/// Leaves the session of who started this: its terminal, its session keyring, which every program of a
/// lab would possess (session-keyring(7)), and its umask, which the files of a lab do not depend on.
///
/// # Errors
/// EPERM when this process leads a group already; EDQUOT when its user has too many keys.
pub fn leave_session() -> io::Result<()> {
    setsid()?;
    // SAFETY: takes no pointer but the null one, which asks for a keyring without a name.
    let joined = unsafe {
        let none = std::ptr::null::<libc::c_char>();
        libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, none)
    };
    match checked(joined) {
        // Without keys in the kernel, or where a filter keeps them away, there is nothing to leave.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {}
        joined => joined?,
    }
    umask(Mode::from_bits_truncate(0o022));
    Ok(())
}

/// A program that becomes what `spec` says just before execve(2).
fn prepare(spec: &Spawn<'_>) -> io::Result<Prepared> {
    let (program, arguments) = spec
        .argv
        .split_first()
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(spec.env.iter().map(|(key, value)| (key, value)))
        .current_dir(spec.folder);
    let netns = spec.netns.map(|netns| netns.try_clone_to_owned());
    let netns = netns.transpose()?;
    let (user, groups) = (spec.user, spec.groups.to_vec());
    let (caps, inherit) = (spec.caps.to_vec(), spec.inherit.to_vec());
    let walls = spec.cell.map(|cell| Walls::plan(cell, Path::new(program)));
    let walls = walls.transpose()?.map(Arc::new);
    let rules = spec
        .cell
        .filter(|cell| !cell.mounts)
        .and_then(|_| domain::rules());
    let (told, tell) = io::pipe()?;
    let own = walls.clone();
    let door = spec.confine.door.as_ref().map(AsRawFd::as_raw_fd);
    let (processes, data) = (spec.confine.processes, spec.confine.data);
    let jail = move || {
        setsid()?;
        if let Some(door) = door {
            enter(door)?;
        }
        if let Some(netns) = &netns {
            setns(netns, CloneFlags::CLONE_NEWNET)?;
        }
        if let Some(Err(failed)) = own.as_ref().map(|walls| walls.build()) {
            let _ = (&tell).write_all(&failed.step.to_ne_bytes());
            return Err(failed.errno.into());
        }
        if let Some(user) = user {
            // Servers open /dev/stderr again, which asks who owns the pipe.
            nix::unistd::fchown(io::stdout(), Some(user.into()), None)?;
            nix::unistd::fchown(io::stderr(), Some(user.into()), None)?;
        }
        drop_to(user, &groups, &caps)?;
        limit_descriptors(|most| most.min(DESCRIPTORS))?;
        for (resource, limit) in [
            (Resource::RLIMIT_NPROC, processes),
            (Resource::RLIMIT_DATA, data),
        ] {
            if let Some(limit) = limit {
                lower(resource, limit)?;
            }
        }
        if let Some(rules) = &rules {
            domain::enter(rules.as_raw_fd())?;
        }
        keep_only(&inherit)
    };
    // SAFETY: `jail` makes system calls and allocates nothing: its vectors are made before the fork.
    unsafe { command.pre_exec(jail) };
    Ok(Prepared {
        command,
        told,
        walls,
    })
}

/// Lets this process have as many descriptors as it may: each client of a published port costs some.
///
/// # Errors
/// EPERM where a security module forbids it.
pub fn allow_all_descriptors() -> io::Result<()> {
    limit_descriptors(|most| most)
}

/// Sets how many descriptors this process has, of the most that it may have (getrlimit(2)).
fn limit_descriptors(of: impl FnOnce(u64) -> u64) -> io::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, of(most), most)?)
}

/// Lowers a limit of this process for good; one that is lower already stays.
fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let (_, most) = getrlimit(resource)?;
    let limit = limit.min(most);
    Ok(setrlimit(resource, limit, limit)?)
}

/// Moves this process through the door of a control group.
fn enter(door: RawFd) -> io::Result<()> {
    // SAFETY: writes one byte to a descriptor that the parent holds open. `0` is who writes.
    checked(unsafe { libc::write(door, c"0".as_ptr().cast(), 1) } as libc::c_long)
}

fn checked(result: libc::c_long) -> io::Result<()> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Marks all descriptors but standard ones and `inherit` to be closed by execve(2).
fn keep_only(inherit: &[RawFd]) -> io::Result<()> {
    // SAFETY: these calls change flags of our own descriptors only.
    unsafe {
        let flags = libc::CLOSE_RANGE_CLOEXEC;
        checked(libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            flags,
        ))?;
        for fd in inherit {
            checked(libc::fcntl(*fd, libc::F_SETFD, 0).into())?;
        }
    }
    Ok(())
}

/// Becomes `user`, or stays root, with `caps` as its permitted, inheritable and ambient
/// capabilities.
fn drop_to(user: Option<u32>, groups: &[u32], caps: &[Cap]) -> io::Result<()> {
    let mask: u32 = caps.iter().map(|cap| 1 << cap.number()).sum();
    // SAFETY: system calls with integers and with structures that outlive them.
    unsafe {
        for cap in 0..=63_u32 {
            // The kernel refuses the first number that it does not know (EINVAL).
            if (cap > 31 || mask & (1 << cap) == 0)
                && libc::prctl(libc::PR_CAPBSET_DROP, cap, 0, 0, 0) == -1
            {
                break;
            }
        }
        checked(libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0).into())?;
        // In a lab of a user's nobody may change groups, and all have the user's.
        if libc::geteuid() == 0 {
            checked(libc::syscall(
                libc::SYS_setgroups,
                groups.len(),
                groups.as_ptr(),
            ))?;
        }
        if let Some(user) = user {
            checked(libc::syscall(libc::SYS_setresgid, user, user, user))?;
            checked(libc::syscall(libc::SYS_setresuid, user, user, user))?;
        }
        // `_LINUX_CAPABILITY_VERSION_3` of `<linux/capability.h>`: two 32-bit halves of each set.
        let header: [u32; 2] = [0x2008_0522, 0];
        let sets: [u32; 6] = [mask, mask, mask, 0, 0, 0];
        checked(libc::syscall(
            libc::SYS_capset,
            header.as_ptr(),
            sets.as_ptr(),
        ))?;
        for cap in caps {
            let (raise, number) = (
                libc::PR_CAP_AMBIENT_RAISE,
                libc::c_ulong::from(cap.number()),
            );
            checked(libc::prctl(libc::PR_CAP_AMBIENT, raise, number, 0, 0).into())?;
        }
        checked(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())
    }
}

/// Says whether the next execve(2) passes a descriptor on.
///
/// # Errors
/// EBADF when it is not open.
pub fn let_inherit(fd: RawFd, inherit: bool) -> io::Result<()> {
    let flags = if inherit { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: changes a flag of the descriptor only.
    checked(unsafe { libc::fcntl(fd, libc::F_SETFD, flags) }.into())
}

/// Takes a descriptor over that this process inherited, by the number it was told.
///
/// # Errors
/// EBADF when it is not open.
pub fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    let_inherit(fd, false)?;
    // SAFETY: it is open, and whoever passed it on has told its number once, here.
    Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) })
}

/// Ends all processes of the PID namespace but the caller, which is its PID 1 (kill(2)).
pub fn kill_all() {
    // SAFETY: a system call with integers. ESRCH, for a namespace that is empty, is as well.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}

/// Sets what a signal does to this process (signal(2)).
///
/// # Errors
/// EINVAL for a signal that cannot be handled.
pub fn ignore(signal: nix::sys::signal::Signal) -> io::Result<()> {
    use nix::sys::signal::{SigHandler, signal as set};
    // SAFETY: no handler of ours runs, so none can do what a handler may not.
    unsafe { set(signal, SigHandler::SigIgn) }?;
    Ok(())
}

/// Runs `command` to its end in a network and a PID namespace, which belong to the user namespace
/// `user` if any.
///
/// The calling process itself moves its children-to-be into the PID namespace
/// (setns(2)), so it should start nothing else afterwards.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN; what execve(2) says.
pub fn in_namespaces(
    user: Option<std::fs::File>,
    net: std::fs::File,
    pid: std::fs::File,
    command: &mut Command,
) -> io::Result<std::process::ExitStatus> {
    if let Some(user) = user {
        super::user::join(&user)?;
    }
    setns(pid, CloneFlags::CLONE_NEWPID)?;
    let enter = move || setns(&net, CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
    // SAFETY: one system call, which allocates nothing.
    unsafe { command.pre_exec(enter) };
    command.status()
}

/// Has a command killed when the thread that starts it ends, be it by SIGKILL.
pub fn dies_with_us(command: &mut Command) -> &mut Command {
    let die = || {
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).map_err(io::Error::from)
    };
    // SAFETY: one system call, which allocates nothing.
    unsafe { command.pre_exec(die) }
}

/// Wipes out this process's environment, also where others read it (proc_pid_environ(5)).
///
/// CI systems end all that has a certain variable at the end of a job. Nothing reads the
/// environment at the same time: the caller is the only thread.
///
/// # Errors
/// What `/proc` says.
pub fn forget_environment() -> io::Result<()> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Fields 50 and 51 (proc_pid_stat(5)); the second, a name in parentheses, may hold spaces.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest);
    let field = |number: usize| -> Option<u64> {
        let mut fields = fields?.split_ascii_whitespace();
        fields.nth(number - 3)?.parse().ok()
    };
    let (Some(start), Some(end)) = (field(50), field(51)) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let length = usize::try_from(end.saturating_sub(start)).map_err(io::Error::other)?;
    let memory = std::fs::File::options()
        .write(true)
        .open("/proc/self/mem")?;
    std::os::unix::fs::FileExt::write_all_at(&memory, &vec![0; length], start)
}

/// Closes all descriptors that this process inherited but the standard ones.
///
/// The caller must not have opened any yet.
pub fn close_inherited() {
    // SAFETY: nothing here owns a descriptor so far. Without close_range(2), Linux 5.9, they stay.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// Ends this process at once, as SIGKILL does: PID 1 of a namespace cannot send that to itself.
#[cfg(feature = "fault-points")]
pub fn die() -> ! {
    use nix::sys::signal::{Signal, raise};
    let _ = raise(Signal::SIGKILL);
    // SAFETY: nothing of this process runs afterwards, and the kernel closes what it has open.
    unsafe { libc::_exit(137) }
}

/// Closes all descriptors of this process but the standard ones and `kept`.
///
/// It must use none of them any more, nor end by dropping what holds them.
pub fn close_but(kept: BorrowedFd<'_>) {
    let kept = libc::c_uint::try_from(kept.as_raw_fd()).unwrap_or_default();
    // SAFETY: who calls this goes on with `kept` alone.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, kept - 1, 0);
        libc::syscall(libc::SYS_close_range, kept + 1, libc::c_uint::MAX, 0);
    }
}
