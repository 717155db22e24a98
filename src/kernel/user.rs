//! User namespaces: how somebody who is not root makes and enters a lab (user_namespaces(7)).
//!
//! One user is known inside, by the number that it has outside. Its processes begin with all
//! capabilities over the lab's namespaces, and with none over the host's.

use std::fs::{self, File};
use std::io::{self, PipeReader, Read, Write};
use std::ops::RangeInclusive;

use nix::libc;
use nix::sched::{CloneFlags, setns};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getegid, geteuid};

use super::clone::{Kind, Side, clone};
use super::mount;

/// `_LINUX_CAPABILITY_VERSION_3` of `<linux/capability.h>`: two 32-bit halves of each set.
const VERSION: u32 = 0x2008_0522;

/// `CAP_NET_BIND_SERVICE` of `<linux/capability.h>`.
pub const NET_BIND_SERVICE: u32 = 10;

/// A step of becoming a lab that a system can forbid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To make the namespaces (clone(2)).
    Namespaces,
    /// To say who is known inside.
    Map,
    /// To keep the capabilities over execve(2).
    Capabilities,
    /// To make the lab's view of the file system.
    View,
}

const STEPS: [Step; 4] = [Step::Namespaces, Step::Map, Step::Capabilities, Step::View];

/// What a system forbids a user.
#[derive(Debug)]
pub struct Forbidden {
    /// At which step.
    pub step: Step,
    /// What the kernel said.
    pub error: io::Error,
}

/// Makes the calling process, which is alone in a new user namespace, its own user again.
///
/// The group has the user's number inside, whatever it is outside, so that one number is enough.
///
/// # Errors
/// EPERM or EACCES where a security module restricts user namespaces.
pub fn map(uid: u32, gid: u32) -> io::Result<()> {
    // Groups of the user could be dropped otherwise, and with them what they are denied.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{uid} {gid} 1"))
}

/// Keeps all capabilities of the calling process over execve(2), which otherwise takes them from
/// everybody but root.
///
/// # Errors
/// What capset(2) or prctl(2) says.
pub fn keep_capabilities() -> io::Result<()> {
    let header: [u32; 2] = [VERSION, 0];
    let mut sets: [u32; 6] = [0; 6];
    // SAFETY: system calls with structures that outlive them, of the size that VERSION has.
    unsafe {
        checked(libc::syscall(
            libc::SYS_capget,
            header.as_ptr(),
            sets.as_mut_ptr(),
        ))?;
        // Effective, permitted, inheritable; and the same for the capabilities from 32 on.
        (sets[2], sets[5]) = (sets[1], sets[4]);
        checked(libc::syscall(
            libc::SYS_capset,
            header.as_ptr(),
            sets.as_ptr(),
        ))?;
        for number in 0..64_u32 {
            let half = if number < 32 { sets[1] } else { sets[4] };
            if half & (1 << (number % 32)) != 0 {
                let (raise, number) = (libc::PR_CAP_AMBIENT_RAISE, libc::c_ulong::from(number));
                checked(libc::prctl(libc::PR_CAP_AMBIENT, raise, number, 0, 0).into())?;
            }
        }
    }
    Ok(())
}

fn checked(result: libc::c_long) -> io::Result<()> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether the calling process has a capability now; false where `/proc` does not say.
#[must_use]
pub fn has(capability: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let sets = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
    sets.unwrap_or_default() & (1 << capability) != 0
}

/// Whether the calling process's user namespace knows all of some users and groups
/// (user_namespaces(7)); false where `/proc` does not say.
#[must_use]
pub fn knows(numbers: &RangeInclusive<u32>) -> bool {
    ["uid_map", "gid_map"].iter().all(|map| {
        let map = fs::read_to_string(format!("/proc/self/{map}")).unwrap_or_default();
        covers(&map, numbers)
    })
}

/// Whether a map, of lines that say the first number inside, outside, and how many, has all of some
/// numbers inside.
fn covers(map: &str, numbers: &RangeInclusive<u32>) -> bool {
    let ranges: Vec<(u32, u32)> = map
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let first: u32 = words.next()?.parse().ok()?;
            let count: u32 = words.nth(1)?.parse().ok()?;
            Some((first, first.checked_add(count.checked_sub(1)?)?))
        })
        .collect();
    let mut next = *numbers.start();
    while let Some((_, last)) = ranges
        .iter()
        .find(|(first, last)| (*first..=*last).contains(&next))
    {
        if last >= numbers.end() {
            return true;
        }
        next = last + 1;
    }
    false
}

/// Moves the calling process, which must have one thread, into a user namespace of its own user's,
/// with all capabilities there, also for what it executes.
///
/// # Errors
/// EPERM when the namespace is somebody else's.
pub fn join(user: &File) -> io::Result<()> {
    setns(user, CloneFlags::CLONE_NEWUSER)?;
    keep_capabilities()
}

/// Does in a process of its own what a lab of this user begins with. The caller must have one thread.
///
/// # Errors
/// What the system forbids.
pub fn attempt() -> Result<(), Forbidden> {
    let at = |step| move |error| Forbidden { step, error };
    let (told, mut tell) = io::pipe().map_err(at(Step::Namespaces))?;
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    match clone(Kind::User).map_err(at(Step::Namespaces))? {
        Side::Parent { pid, .. } => {
            drop(tell);
            let said = hear(told);
            let _ = waitpid(Pid::from_raw(pid), None);
            said
        }
        Side::Child => {
            let tried = map(uid, gid)
                .map_err(at(Step::Map))
                .and_then(|()| keep_capabilities().map_err(at(Step::Capabilities)))
                .and_then(|()| mount::attempt().map_err(at(Step::View)));
            if let Err(Forbidden { step, error }) = tried {
                let place = STEPS.iter().position(|known| *known == step);
                let place = u8::try_from(place.unwrap_or_default()).unwrap_or_default();
                let errno = error.raw_os_error().unwrap_or(libc::EIO).to_ne_bytes();
                let _ = tell.write_all(&[&[place], errno.as_slice()].concat());
            }
            // SAFETY: ends this process at once: what the caller has open is the caller's to close.
            unsafe { libc::_exit(0) }
        }
    }
}

/// What the trying process says: nothing when all went well.
fn hear(mut told: PipeReader) -> Result<(), Forbidden> {
    let mut said = Vec::new();
    let _ = told.read_to_end(&mut said);
    match said.as_slice() {
        [place, errno @ ..] => {
            let errno = <[u8; 4]>::try_from(errno).map_or(libc::EIO, i32::from_ne_bytes);
            let step = STEPS.get(usize::from(*place)).copied();
            Err(Forbidden {
                step: step.unwrap_or(Step::Namespaces),
                error: io::Error::from_raw_os_error(errno),
            })
        }
        [] => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_covers_what_its_lines_cover_together() {
        let host = "         0          0 4294967295\n";
        let one = "         0       1000          1\n";
        let container = "0 1000 1\n1 100000 65536\n";
        let pieces = "9 0 3\n5 100 2\n7 50 2\n";
        for (map, numbers, whether) in [
            (host, 60600..=61183, true),
            (one, 60600..=61183, false),
            (one, 0..=0, true),
            (container, 60600..=61183, true),
            (container, 60600..=65537, false),
            (pieces, 5..=11, true),
            (pieces, 5..=12, false),
            (pieces, 4..=11, false),
            ("0 0 0\nno map\n", 0..=0, false),
            ("", 0..=0, false),
        ] {
            assert_eq!(covers(map, &numbers), whether, "{map:?} {numbers:?}");
        }
    }
}
