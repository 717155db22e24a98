//! Packet sockets: every frame that passes a link (packet(7)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::libc;
use nix::net::if_::if_nametoindex;

/// The most bytes of a frame that are kept: one that waits to be segmented has up to 64 KiB.
pub const LONGEST: usize = 256 << 10;

/// What the kernel keeps for a reader that is slow.
const BUFFER: libc::c_int = 8 << 20;

/// An instruction of the kernel's packet filter (`struct sock_filter` of `<linux/filter.h>`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How far it jumps if true.
    pub jt: u8,
    /// How far it jumps if false.
    pub jf: u8,
    /// Its operand.
    pub k: u32,
}

/// A frame that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When, after 1970-01-01 UTC.
    pub at: Duration,
    /// What was kept of it.
    pub bytes: &'a [u8],
    /// How many bytes it had on the link.
    pub length: usize,
}

/// A socket that hears one link.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Listens to `link` of the calling thread's network namespace, from now on, to what `filter`
    /// lets through; an empty one lets all through.
    ///
    /// # Errors
    /// ENODEV without such a link, EPERM without CAP_NET_RAW, EINVAL for a filter that is none.
    pub fn open(link: &str, filter: &[Instruction]) -> io::Result<Self> {
        let index = if_nametoindex(link)?;
        // Of no protocol, so that nothing comes before the filter is there.
        // SAFETY: a system call with integers; the descriptor that it returns is ours alone.
        let fd = unsafe {
            let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
            let fd = checked(libc::socket(libc::AF_PACKET, flags, 0))?;
            OwnedFd::from_raw_fd(fd)
        };
        let on: libc::c_int = 1;
        set(&fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &on)?;
        set(&fd, libc::SOL_PACKET, libc::PACKET_AUXDATA, &on)?;
        // More than the host's limit is CAP_NET_ADMIN's alone; less will do.
        let _ = set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &BUFFER);
        if !filter.is_empty() {
            attach(&fd, filter)?;
        }
        // A bridge shows what passes it to a promiscuous listener only.
        let all = libc::packet_mreq {
            mr_ifindex: index.cast_signed(),
            mr_type: libc::PACKET_MR_PROMISC
                .try_into()
                .map_err(io::Error::other)?,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set(&fd, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &all)?;
        bind(&fd, index)?;
        Ok(Self(fd))
    }

    /// Takes the next frame into `buffer`, which has [`LONGEST`] bytes; none when none has come.
    ///
    /// # Errors
    /// ENETDOWN when the link has gone down.
    pub fn next<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<Frame<'a>>> {
        // Room for a tag that the kernel has taken out, which belongs behind both MAC addresses.
        let room = buffer.len() - TAG;
        let mut vector = libc::iovec {
            iov_base: buffer[TAG..].as_mut_ptr().cast(),
            iov_len: room,
        };
        let mut control = Control([0; 128]);
        // SAFETY: `msghdr` is plain data, for which zero is a value.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len();
        // SAFETY: the kernel writes to `buffer` and `control`, within the lengths given.
        let read = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut message, libc::MSG_TRUNC) };
        let Ok(length) = usize::try_from(read) else {
            return match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                error => Err(error),
            };
        };
        let (at, tag) = said(&message);
        let kept = length.min(room);
        let Some(tag) = tag.filter(|_| kept >= MACS) else {
            let bytes = &buffer[TAG..TAG + kept];
            return Ok(Some(Frame { at, bytes, length }));
        };
        buffer.copy_within(TAG..TAG + MACS, 0);
        buffer[MACS..MACS + TAG].copy_from_slice(&tag);
        Ok(Some(Frame {
            at,
            bytes: &buffer[..TAG + kept],
            length: length + TAG,
        }))
    }

    /// How many frames were lost because nobody took them in time, since the last time it was asked.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn lost(&self) -> io::Result<u32> {
        // `struct tpacket_stats` of `<linux/if_packet.h>`: all, of which lost.
        let mut counts = [0_u32; 2];
        let mut size = libc::socklen_t::try_from(size_of_val(&counts)).map_err(io::Error::other)?;
        // SAFETY: the kernel writes as many bytes as `size` says, which `counts` has.
        let got = unsafe {
            let to = counts.as_mut_ptr().cast();
            let (level, name) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
            libc::getsockopt(self.0.as_raw_fd(), level, name, to, &raw mut size)
        };
        checked(got)?;
        Ok(counts[1])
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Bytes of both MAC addresses of a frame.
const MACS: usize = 12;
/// Bytes of a VLAN tag (IEEE 802.1Q).
const TAG: usize = 4;

/// Control messages, aligned as the kernel writes them.
#[repr(align(8))]
struct Control([u8; 128]);

/// `struct tpacket_auxdata` of `<linux/if_packet.h>`.
#[repr(C)]
#[derive(Clone, Copy)]
struct AuxData {
    status: u32,
    _length: u32,
    _kept: u32,
    _mac: u16,
    _net: u16,
    tag: u16,
    kind: u16,
}

/// `TP_STATUS_VLAN_VALID` of `<linux/if_packet.h>`.
const TAGGED: u32 = 1 << 4;

/// When a frame came, and the tag that the kernel took out of it.
fn said(message: &libc::msghdr) -> (Duration, Option<[u8; TAG]>) {
    let (mut at, mut tag) = (Duration::ZERO, None);
    // SAFETY: the kernel has filled `message` in, and what it points to is still there; each
    // control message is as long as its type says.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(message);
        while let Some(header) = control.as_ref() {
            let data = libc::CMSG_DATA(control);
            match (header.cmsg_level, header.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time = data.cast::<libc::timespec>().read_unaligned();
                    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
                    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
                    at = Duration::new(seconds, nanos);
                }
                (libc::SOL_PACKET, libc::PACKET_AUXDATA) => {
                    let about = data.cast::<AuxData>().read_unaligned();
                    if about.status & TAGGED != 0 {
                        let [a, b] = about.kind.to_be_bytes();
                        let [c, d] = about.tag.to_be_bytes();
                        tag = Some([a, b, c, d]);
                    }
                }
                _ => {}
            }
            control = libc::CMSG_NXTHDR(message, control);
        }
    }
    (at, tag)
}

fn attach(fd: &OwnedFd, filter: &[Instruction]) -> io::Result<()> {
    let mut program: Vec<libc::sock_filter> = filter
        .iter()
        .map(|one| libc::sock_filter {
            code: one.code,
            jt: one.jt,
            jf: one.jf,
            k: one.k,
        })
        .collect();
    let program = libc::sock_fprog {
        len: program.len().try_into().map_err(io::Error::other)?,
        filter: program.as_mut_ptr(),
    };
    set(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

fn bind(fd: &OwnedFd, index: u32) -> io::Result<()> {
    let size = size_of::<libc::sockaddr_ll>();
    // SAFETY: `sockaddr_ll` is plain data, for which zero is a value; bind(2) reads one of it.
    unsafe {
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = libc::AF_PACKET.try_into().map_err(io::Error::other)?;
        let all = u16::try_from(libc::ETH_P_ALL).map_err(io::Error::other)?;
        address.sll_protocol = all.to_be();
        address.sll_ifindex = index.cast_signed();
        let size = size.try_into().map_err(io::Error::other)?;
        let address = (&raw const address).cast();
        checked(libc::bind(fd.as_raw_fd(), address, size))?;
    }
    Ok(())
}

fn set<T>(fd: &OwnedFd, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let size = size_of::<T>().try_into().map_err(io::Error::other)?;
    // SAFETY: setsockopt(2) reads as many bytes as `value` has, and keeps no pointer to it.
    let done = unsafe {
        let value = (value as *const T).cast();
        libc::setsockopt(fd.as_raw_fd(), level, name, value, size)
    };
    checked(done).map(drop)
}

fn checked(result: RawFd) -> io::Result<RawFd> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
