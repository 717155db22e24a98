//! The outpost: a process of a user's lab that stays in the host's network, and starts a program there.
//!
//! Who is not root may leave the host's network, and cannot enter it again (setns(2) asks for
//! capabilities over it). So a lab that needs a program there leaves a process behind, in all of its
//! other namespaces: the kernel ends it with the lab.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::libc;
use nix::unistd::ForkResult;

use super::clone::sibling;
use super::netlink::{Addresses, Socket};
use super::passing;
use super::process::{Confine, Spawn, Spawned, adopt, close_but, execute};
use crate::cell::Cell;

/// It answers in less than a millisecond; one that has been stopped does not answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The lab's ends: the outpost, and sockets of the host's network.
#[derive(Debug)]
pub struct Outpost {
    line: UnixStream,
    addresses: OwnedFd,
    routes: Socket,
}

impl Outpost {
    /// Opens both ends while the caller is in the host's network; the second is for [`stay`].
    ///
    /// # Errors
    /// What socket(2) says.
    pub fn open() -> io::Result<(Self, UnixStream)> {
        let (line, theirs) = UnixStream::pair()?;
        let (addresses, routes) = (Addresses::open()?, Socket::route()?);
        let ours = Self {
            line,
            addresses,
            routes,
        };
        Ok((ours, theirs))
    }

    /// The numbers of its descriptors, by which what is executed next [finds](Self::found) it.
    #[must_use]
    pub fn numbers(&self) -> [RawFd; 3] {
        let Self {
            line,
            addresses,
            routes,
        } = self;
        [line.as_raw_fd(), addresses.as_raw_fd(), routes.as_raw_fd()]
    }

    /// The outpost whose descriptors have been inherited.
    ///
    /// # Errors
    /// EBADF when they are not open.
    pub fn found([line, addresses, routes]: [RawFd; 3]) -> io::Result<Self> {
        let line = UnixStream::from(adopt(line)?);
        line.set_read_timeout(Some(ANSWERS_WITHIN))?;
        Ok(Self {
            line,
            addresses: adopt(addresses)?,
            routes: Socket::from(adopt(routes)?),
        })
    }

    /// A socket that hears of the host's addresses, for [`Addresses::watch`].
    ///
    /// # Errors
    /// EMFILE.
    pub fn addresses(&self) -> io::Result<OwnedFd> {
        self.addresses.try_clone()
    }

    /// A socket that can be asked for the host's routes.
    #[must_use]
    pub fn routes(&self) -> &Socket {
        &self.routes
    }

    /// Has the program started, with `line` as its line to the lab; it is the caller's child.
    ///
    /// # Errors
    /// What clone(2) says; EPIPE or EAGAIN when the outpost itself is gone or hangs.
    pub fn start(&self, line: UnixStream) -> io::Result<Spawned> {
        let (stdout, its_stdout) = io::pipe()?;
        let (stderr, its_stderr) = io::pipe()?;
        // Nothing is read from it.
        let (_, stdin) = io::pipe()?;
        passing::send(
            &self.line,
            &[line.into(), its_stdout.into(), its_stderr.into()],
        )?;
        let mut answer = [0; size_of::<i32>()];
        (&self.line).read_exact(&mut answer)?;
        match i32::from_ne_bytes(answer) {
            errno @ ..0 => Err(io::Error::from_raw_os_error(-errno)),
            pid => Ok(Spawned {
                pid,
                stdin: stdin.into(),
                stdout: stdout.into(),
                stderr: stderr.into(),
            }),
        }
    }
}

/// Becomes the outpost, which starts a program as `user` in `cell` whenever it is asked by `line`;
/// `argv` gets the number of the descriptor by which the program speaks to the lab.
///
/// The calling process must have one thread. It keeps its capabilities over the lab's namespaces, so
/// that the lab's programs, which lack them, cannot make it do anything else (ptrace(2)).
///
/// # Errors
/// When the lab has gone.
pub fn stay(
    line: &UnixStream,
    argv: impl Fn(RawFd) -> Vec<String>,
    user: u32,
    cell: &Cell,
) -> io::Result<Infallible> {
    // Published ports, the lab's lock and what else the lab holds are not for here.
    close_but(line.as_fd());
    loop {
        let descriptors = passing::receive(line)?;
        let Ok([stream, stdout, stderr]) = <[OwnedFd; 3]>::try_from(descriptors) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let answer = match sibling() {
            Ok(ForkResult::Parent { child }) => child.as_raw(),
            Ok(ForkResult::Child) => {
                let fd = stream.as_raw_fd();
                let spec = Spawn {
                    argv: &argv(fd),
                    env: &[],
                    folder: Path::new("/"),
                    netns: None,
                    user: Some(user),
                    groups: &[],
                    caps: &[],
                    inherit: &[fd],
                    cell: Some(cell),
                    confine: &Confine::default(),
                };
                return Err(execute(&spec, stdout, stderr));
            }
            Err(error) => -error.raw_os_error().unwrap_or(libc::EIO),
        };
        let mut told = line;
        told.write_all(&answer.to_ne_bytes())?;
    }
}

/// Ends the calling process at once, without letting go of what others hold too.
pub fn end(error: &io::Error) -> ! {
    // SAFETY: a system call that does not return.
    unsafe { libc::_exit(error.raw_os_error().unwrap_or(1)) }
}
