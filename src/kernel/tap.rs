//! TAP devices, over `/dev/net/tun` (the kernel's Documentation/networking/tuntap.rst).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::libc::{self, IFF_NO_PI, IFF_TAP, IFF_VNET_HDR};

use crate::lab::LinkName;

/// `TUNSETIFF` of `<linux/if_tun.h>`.
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
/// `TUNSETPERSIST` of `<linux/if_tun.h>`.
const TUNSETPERSIST: libc::c_ulong = 0x4004_54cb;

/// Opens a queue of the TAP `link` of the calling thread's network namespace, making the device
/// when it is not there.
///
/// A device that is not [persistent](keep) goes with its last descriptor.
///
/// # Errors
/// ENOENT without `/dev/net/tun`, EPERM without CAP_NET_ADMIN, EBUSY when the
/// only queue is taken.
pub fn open(link: &LinkName) -> io::Result<File> {
    let tun = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    // SAFETY: `ifreq` is plain data, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(link.as_str().bytes()) {
        *to = from.cast_signed();
    }
    // The virtio header lets QEMU take checksum and segmentation offload as they come.
    #[allow(clippy::cast_possible_truncation)]
    let flags = (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR) as libc::c_short;
    request.ifr_ifru.ifru_flags = flags;
    // SAFETY: TUNSETIFF reads and writes one `ifreq`, which outlives the call.
    let done = unsafe { libc::ioctl(tun.as_raw_fd(), TUNSETIFF, &raw mut request) };
    if done == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(tun)
}

/// Makes a device outlive its descriptors; without one it has no carrier.
///
/// # Errors
/// What ioctl(2) says.
pub fn keep(tap: &File) -> io::Result<()> {
    // SAFETY: TUNSETPERSIST takes an integer, and `tap` is open.
    let done = unsafe { libc::ioctl(tap.as_raw_fd(), TUNSETPERSIST, 1_i32) };
    if done == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
