//! Waits for changes of a folder or a file (inotify(7)).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

/// A watch on what is in a folder, not on what is below it.
pub struct Watch {
    events: Inotify,
    ready: AsyncFd<OwnedFd>,
}

impl Watch {
    /// Watches `folder` from now on.
    ///
    /// # Errors
    /// What inotify_add_watch(2) says; ENOSPC at `fs.inotify.max_user_watches`.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let of_names = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO;
        Self::of(folder, of_names)
    }

    /// Watches what is in the file at `path`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn contents(path: &Path) -> io::Result<Self> {
        Self::of(path, AddWatchFlags::IN_MODIFY)
    }

    fn of(path: &Path, what: AddWatchFlags) -> io::Result<Self> {
        let events = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        events.add_watch(path, what)?;
        let descriptor = events.as_fd().try_clone_to_owned()?;
        // SAFETY: the descriptor is moved into the AsyncFd, which closes it after deregistering it.
        let ready = unsafe { AsyncFd::register(descriptor) }?;
        Ok(Self { events, ready })
    }

    /// Waits until something has changed since the last call.
    ///
    /// # Errors
    /// What epoll says.
    pub async fn changed(&self) -> io::Result<()> {
        let mut guard = self.ready.readable().await?;
        while self.events.read_events().is_ok() {}
        guard.clear_ready();
        Ok(())
    }
}
