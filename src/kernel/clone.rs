//! Starts a process in new namespaces (clone(2)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{ForkResult, Pid};

/// Which side of a [`clone`] goes on here.
#[derive(Debug)]
pub enum Side {
    /// The new process, PID 1 of its namespace.
    Child,
    /// The process that asked.
    Parent {
        /// The child's PID, as the parent sees it.
        pid: i32,
        /// A descriptor of the child (pidfd_open(2)).
        pidfd: OwnedFd,
    },
}

/// Whose namespaces a lab's are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Root's.
    Root,
    /// A user's: there is a user namespace too, in which nobody is known yet
    /// ([`map`](super::user::map)).
    User,
    /// A user's, which stays in the network until it [leaves](leave_network) that.
    UserOnHost,
}

/// Forks the calling process; the child has its own mount, PID, network, IPC and UTS namespaces, and
/// what `kind` says of others.
///
/// It must be called before there is a second thread: only the calling thread
/// goes on in the child, and a lock that another one held would stay locked.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN, ENOSPC where a limit of namespaces(7) is reached.
pub fn clone(kind: Kind) -> io::Result<Side> {
    let mut flags = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_PIDFD
        | libc::SIGCHLD;
    match kind {
        Kind::Root => {}
        Kind::User => flags |= libc::CLONE_NEWUSER,
        Kind::UserOnHost => flags = flags & !libc::CLONE_NEWNET | libc::CLONE_NEWUSER,
    }
    let mut pidfd: RawFd = -1;
    // clone(2) and not clone3(2): container runtimes filter the latter with ENOSYS.
    // SAFETY: with a null stack and no CLONE_VM this is fork(2); the kernel
    // writes one descriptor to `pidfd`, which outlives the call.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => Ok(Side::Parent {
            pid: i32::try_from(pid).map_err(io::Error::other)?,
            // SAFETY: the kernel has just opened `pidfd` for us alone.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// Moves the calling process, which must have one thread, into a network namespace of its own.
///
/// # Errors
/// ENOSPC where a limit of namespaces(7) is reached.
pub fn leave_network() -> io::Result<()> {
    Ok(unshare(CloneFlags::CLONE_NEWNET)?)
}

/// Forks the calling process (fork(2)), which must have only one thread.
///
/// # Errors
/// EAGAIN at a limit of processes, ENOMEM.
pub fn fork() -> io::Result<ForkResult> {
    // SAFETY: the caller has one thread, so the child may do whatever the parent may.
    unsafe { nix::unistd::fork() }.map_err(io::Error::from)
}

/// Forks the calling process, which must have only one thread and not be PID 1; the child is its
/// parent's (`CLONE_PARENT` of clone(2)).
///
/// # Errors
/// EAGAIN at a limit of processes, ENOMEM.
pub fn sibling() -> io::Result<ForkResult> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: with a null stack and no CLONE_VM this is fork(2), and the caller has one thread.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(ForkResult::Child),
        pid => Ok(ForkResult::Parent {
            child: Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?),
        }),
    }
}

/// Opens a descriptor of the process `pid` (pidfd_open(2), Linux 5.3).
///
/// # Errors
/// ESRCH, as NotFound, when there is no such process.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: a system call with integers; the descriptor that it returns is ours alone.
    match unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } {
        -1 => Err(gone(io::Error::last_os_error())),
        fd => Ok(unsafe {
            // SAFETY: as above.
            OwnedFd::from_raw_fd(RawFd::try_from(fd).map_err(io::Error::other)?)
        }),
    }
}

/// Sends `signal` to the process that `pidfd` is open on (pidfd_send_signal(2)).
///
/// # Errors
/// ESRCH, as NotFound, when it has gone; EPERM.
pub fn pidfd_send_signal(
    pidfd: BorrowedFd<'_>,
    signal: nix::sys::signal::Signal,
) -> io::Result<()> {
    let null = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a system call with integers and a null pointer, which stands for no information.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal as i32,
            null,
            0,
        )
    };
    if sent == 0 {
        return Ok(());
    }
    Err(gone(io::Error::last_os_error()))
}

/// The error, with ESRCH as NotFound: the one is of a process that has ended, the other of a file of
/// its in `/proc`, whose reading may end as either.
pub fn gone(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ESRCH) => io::ErrorKind::NotFound.into(),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_ends_while_it_is_looked_at_is_not_found() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let mut stat = File::open(format!("/proc/{}/stat", child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let error = stat.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(gone(error).kind(), io::ErrorKind::NotFound);
    }
}
