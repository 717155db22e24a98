//! Landlock domains (landlock(7)): a program in one can neither trace, nor look into, nor signal
//! processes that are not, though they have its user.
//!
//! In a lab of a user's all programs have one user: without a domain, one that has been broken into
//! would find its way out by `/proc/PID/root` of another. Where the kernel has no Landlock, programs
//! are kept apart by their users alone, and there not at all.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::libc;

/// `struct landlock_ruleset_attr` of `<linux/landlock.h>`.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `LANDLOCK_ACCESS_FS_MAKE_BLOCK`: a domain has to deny something, and nobody makes block devices.
const MAKE_BLOCK: u64 = 1 << 11;
/// `LANDLOCK_SCOPE_SIGNAL`, Linux 6.12.
const SIGNAL: u64 = 1 << 1;
/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION: u32 = 1;
/// The first version that knows [`SIGNAL`].
const SCOPES: i64 = 6;

/// What makes a domain; none where the kernel has no Landlock (it came with Linux 5.13, and can be
/// switched off), or a filter of system calls forbids it.
#[must_use]
pub fn rules() -> Option<OwnedFd> {
    let mut wanted = Attributes {
        handled_access_fs: MAKE_BLOCK,
        ..Attributes::default()
    };
    // SAFETY: system calls with integers and with a structure that outlives them; the kernel takes a
    // longer one than it knows as long as the rest is zero. The descriptor is ours alone.
    unsafe {
        let null = std::ptr::null::<Attributes>();
        let version = libc::syscall(libc::SYS_landlock_create_ruleset, null, 0, VERSION);
        if version >= SCOPES {
            wanted.scoped = SIGNAL;
        }
        let size = size_of_val(&wanted);
        let fd = libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const wanted,
            size,
            0,
        );
        let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0)?;
        Some(OwnedFd::from_raw_fd(fd))
    }
}

/// Puts the calling process, which gains no privileges any more, into a domain of its own.
///
/// # Errors
/// What landlock_restrict_self(2) says.
pub fn enter(rules: RawFd) -> io::Result<()> {
    // SAFETY: a system call with integers.
    match unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
