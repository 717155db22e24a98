//! Waits for changes of a folder (inotify(7)).

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
        let events = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let of_names = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO;
        events.add_watch(folder, of_names)?;
        let descriptor = events.as_fd().try_clone_to_owned()?;
        // SAFETY: the descriptor is moved into the AsyncFd, which closes it after deregistering it.
        let ready = unsafe { AsyncFd::register(descriptor) }?;
        Ok(Self { events, ready })
    }

    /// Waits until a name has been added or removed since the last call.
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
