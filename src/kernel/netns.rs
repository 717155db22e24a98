//! Network namespaces: making them with netns-rs, and running code in them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::PathBuf;
use std::thread;

use netns_rs::{Env, NetNs};
use nix::sched::{CloneFlags, setns};

use crate::lab::Name;
use crate::program::LAB_DIR;

/// Where the lab's namespaces are bound, inside its own mount namespace.
///
/// netns-rs' default is the host's `/run/netns`, on which a bind mount would
/// outlive the lab.
#[derive(Clone, Copy, Debug)]
struct LabEnv;

impl Env for LabEnv {
    fn persist_dir(&self) -> PathBuf {
        PathBuf::from(LAB_DIR).join("netns")
    }

    /// Nothing: the supervisor has made the folder, in a mount namespace that is private already.
    fn init(&self) -> netns_rs::Result<()> {
        Ok(())
    }
}

/// A member's network namespace, held by a descriptor.
#[derive(Debug)]
pub struct Netns {
    inner: NetNs<LabEnv>,
}

/// A network namespace that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} network namespace `{name}`")]
pub struct NetnsError {
    verb: &'static str,
    name: Name,
    source: netns_rs::Error,
}

impl Netns {
    /// Makes the folder that namespaces are bound in.
    ///
    /// # Errors
    /// What mkdir(2) says.
    pub fn prepare() -> io::Result<()> {
        std::fs::create_dir_all(LabEnv.persist_dir())
    }

    /// Makes a network namespace.
    ///
    /// # Errors
    /// [`NetnsError`] with the cause: ENOSPC where `user.max_net_namespaces`
    /// is used up, EPERM without CAP_SYS_ADMIN.
    pub fn add(name: &Name) -> Result<Self, NetnsError> {
        NetNs::new_with_env(name.as_str(), LabEnv)
            .map(|inner| Self { inner })
            .map_err(|source| NetnsError {
                verb: "make",
                name: name.clone(),
                source,
            })
    }

    /// Removes the name of a network namespace, which is gone with its last holder.
    ///
    /// # Errors
    /// [`NetnsError`] with the cause: ENOENT where there is none.
    pub fn remove(name: &Name) -> Result<(), NetnsError> {
        NetNs::get_from_env(name.as_str(), LabEnv)
            .and_then(NetNs::remove)
            .map_err(|source| NetnsError {
                verb: "remove",
                name: name.clone(),
                source,
            })
    }

    /// Runs `work` inside the namespace, on a thread that ends with it.
    ///
    /// Sockets and descriptors that `work` opens stay in the namespace.
    ///
    /// # Errors
    /// What setns(2) or `work` says.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        inside(self.as_fd(), work)
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.file().as_fd()
    }
}

impl AsRawFd for Netns {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.file().as_raw_fd()
    }
}

/// Runs `work` inside the network namespace `netns`, on a thread that ends with it.
///
/// A thread that has entered a namespace never comes back, so no worker of a
/// runtime is ever lost in one.
///
/// # Errors
/// What setns(2) or `work` says.
pub fn inside<T: Send>(
    netns: BorrowedFd<'_>,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    thread::scope(|scope| {
        let run = move || {
            setns(netns, CloneFlags::CLONE_NEWNET)?;
            work()
        };
        thread::Builder::new()
            .name("netns".to_owned())
            .stack_size(128 << 10)
            .spawn_scoped(scope, run)?
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
    })
}

/// Opens the network namespace that the calling thread is in.
///
/// # Errors
/// What open(2) says.
pub fn current() -> io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}
