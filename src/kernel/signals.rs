//! Signals that ask a command to stop: held back while it makes or removes a lab.

use std::io;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What terminals, users and CI systems send to a command that is to stop.
#[must_use]
pub fn stops() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect()
}

/// Those [`stops`], held back from this process until the value is dropped.
///
/// The process must have one thread: others would still be interrupted.
#[derive(Debug)]
pub struct Held {
    /// What was held back before.
    before: SigSet,
}

impl Held {
    /// Holds them back from here on.
    ///
    /// # Errors
    /// What pthread_sigmask(3) says.
    pub fn back() -> io::Result<Self> {
        let before = stops().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
        Ok(Self { before })
    }

    /// The first that has come meanwhile; it is not pending any more.
    #[must_use]
    pub fn came(&self) -> Option<Signal> {
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let queue = SignalFd::with_flags(&stops(), flags).ok()?;
        let came = queue.read_signal().ok().flatten()?;
        Signal::try_from(i32::try_from(came.ssi_signo).ok()?).ok()
    }

    /// Holds them back for good, for who waits for them.
    #[must_use]
    pub fn for_good(self) -> SigSet {
        std::mem::forget(self);
        stops()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let done: Result<(), Errno> = self.before.thread_set_mask();
        debug_assert!(done.is_ok(), "{done:?}");
    }
}

/// The exit code of a command that `signal` has ended, as shells have it.
#[must_use]
pub fn exit_code(signal: Signal) -> u8 {
    u8::try_from(i32::from(crate::error::SIGNALLED) + signal as i32).unwrap_or(u8::MAX)
}
