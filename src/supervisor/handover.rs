//! Handover: what `up` passes to the supervisor, through descriptors that it inherits.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::kernel::process::{adopt, let_inherit};
use crate::plan::Plan;
use crate::service::sshd_keys::Keys;

/// What the supervisor starts with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Handover {
    /// What it carries out.
    pub plan: Plan,
    /// The keys that are part of it, for when the plan becomes another one.
    pub keys: Keys,
    /// Who else than root may use the control socket.
    pub owner: u32,
    /// The listening control socket.
    pub control: RawFd,
    /// The lab's lock, which is held as long as the supervisor lives.
    pub lock: RawFd,
    /// The published sockets, in the plan's order.
    pub published: Vec<RawFd>,
    /// The host's network namespace.
    pub host: RawFd,
    /// The lab's control group, if it has one.
    pub group: Option<RawFd>,
    /// The outpost there, of a user's lab that has a way out.
    pub outpost: Option<[RawFd; 3]>,
}

impl Handover {
    /// Writes the handover to a file in memory and returns its descriptor,
    /// which the next execve(2) passes on together with those that it names.
    ///
    /// # Errors
    /// What memfd_create(2), write(2) or fcntl(2) says.
    pub fn pass(&self) -> io::Result<RawFd> {
        let mut file = File::from(memfd_create("nsplay-plan", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(&serde_json::to_vec(self)?)?;
        file.rewind()?;
        let inherited = self.published.iter().copied().chain(self.group);
        let inherited = inherited.chain(self.outpost.into_iter().flatten());
        for fd in inherited.chain([self.control, self.lock, self.host, file.as_raw_fd()]) {
            let_inherit(fd, true)?;
        }
        Ok(file.into_raw_fd())
    }

    /// Takes over what `fd` holds. Nothing started from here on inherits any of it.
    ///
    /// # Errors
    /// When it is no handover.
    pub fn take(fd: RawFd) -> io::Result<Self> {
        let mut text = Vec::new();
        File::from(adopt(fd)?).read_to_end(&mut text)?;
        let handover: Self = serde_json::from_slice(&text)?;
        let outpost = handover.outpost.iter().flatten();
        let inherited = handover.published.iter().chain(&handover.group);
        let others = [&handover.control, &handover.lock, &handover.host];
        for fd in inherited.chain(outpost).chain(others) {
            let_inherit(*fd, false)?;
        }
        Ok(handover)
    }
}
