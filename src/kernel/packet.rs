//! Packet sockets: every frame that passes a link (packet(7)).
//!
//! The kernel writes frames into memory that both see, `TPACKET_V3` (its
//! Documentation/networking/packet_mmap.rst): `net.core.rmem_max` does not limit that, and its
//! default is too little for a guest that boots.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::libc;
use nix::net::if_::if_nametoindex;

/// The most bytes of a frame that are kept: one that waits to be segmented has up to 64 KiB.
pub const LONGEST: usize = 256 << 10;

/// When the kernel hands over a block that is not full: twice this long after the first of its frames.
pub const HANDS_OVER: Duration = Duration::from_millis(10);

/// The kernel hands frames over in blocks, each a whole number of pages and room for the longest.
const BLOCK: usize = LONGEST;
/// What is kept for a reader that is slow: 8 MiB.
const BLOCKS: usize = 32;
/// Frames are as long as they are; this is for the kernel's arithmetic only.
const FRAME: usize = 2048;

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
pub struct PacketSocket {
    fd: OwnedFd,
    ring: Ring,
    next: Cell<Place>,
}

/// Where the next frame is.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    block: usize,
    /// In the block; it counts where some are left there.
    offset: usize,
    left: u32,
}

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
        let ring = Ring::of(&fd)?;
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
        let next = Cell::default();
        Ok(Self { fd, ring, next })
    }

    /// Takes the next frame into `buffer`, which has [`LONGEST`] bytes; none when none has come.
    ///
    /// # Errors
    /// ENETDOWN when the link has gone down.
    pub fn next<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<Frame<'a>>> {
        let mut place = self.next.get();
        while place.left == 0 {
            let Some((offset, left)) = self.ring.handed_over(place.block) else {
                return self.broken().map(|()| None);
            };
            (place.offset, place.left) = (offset, left);
            if left == 0 {
                place = self.ring.after(place);
                self.next.set(place);
            }
        }
        // Room for a tag that the kernel has taken out, which belongs behind both MAC addresses.
        let (header, kept) = self.ring.frame(place, &mut buffer[TAG..]);
        place.left -= 1;
        place.offset += header.tp_next_offset as usize;
        if place.left == 0 {
            place = self.ring.after(place);
        }
        self.next.set(place);

        let at = Duration::new(header.tp_sec.into(), header.tp_nsec);
        let length = header.tp_len as usize;
        if header.tp_status & libc::TP_STATUS_VLAN_VALID == 0 || kept < MACS {
            let bytes = &buffer[TAG..TAG + kept];
            return Ok(Some(Frame { at, bytes, length }));
        }
        let [a, b] = header.hv1.tp_vlan_tpid.to_be_bytes();
        let [.., c, d] = header.hv1.tp_vlan_tci.to_be_bytes();
        buffer.copy_within(TAG..TAG + MACS, 0);
        buffer[MACS..MACS + TAG].copy_from_slice(&[a, b, c, d]);
        Ok(Some(Frame {
            at,
            bytes: &buffer[..TAG + kept],
            length: length + TAG,
        }))
    }

    /// What has happened to the link, of which poll(2) tells until it is asked for.
    fn broken(&self) -> io::Result<()> {
        let mut error: libc::c_int = 0;
        get(&self.fd, libc::SOL_SOCKET, libc::SO_ERROR, &mut error)?;
        match error {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// How many frames were lost because nobody took them in time, since the last time it was asked.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn lost(&self) -> io::Result<u32> {
        // `struct tpacket_stats_v3` of `<linux/if_packet.h>`: all, those lost of them, and how often
        // there was no room.
        let mut counts = [0_u32; 3];
        get(
            &self.fd,
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            &mut counts,
        )?;
        Ok(counts[1])
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Bytes of both MAC addresses of a frame.
const MACS: usize = 12;
/// Bytes of a VLAN tag (IEEE 802.1Q).
const TAG: usize = 4;

/// The memory that the kernel writes frames into.
#[derive(Debug)]
struct Ring(NonNull<u8>);

impl Ring {
    /// Has the kernel write what `fd` hears, from when it is bound on.
    ///
    /// # Errors
    /// ENOMEM.
    fn of(fd: &OwnedFd) -> io::Result<Self> {
        let number = |size: usize| libc::c_uint::try_from(size).map_err(io::Error::other);
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        set(fd, libc::SOL_PACKET, libc::PACKET_VERSION, &version)?;
        let request = libc::tpacket_req3 {
            tp_block_size: number(BLOCK)?,
            tp_block_nr: number(BLOCKS)?,
            tp_frame_size: number(FRAME)?,
            tp_frame_nr: number(BLOCK / FRAME * BLOCKS)?,
            tp_retire_blk_tov: HANDS_OVER.subsec_millis(),
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set(fd, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        let (none, size) = (std::ptr::null_mut(), BLOCK * BLOCKS);
        // SAFETY: a new mapping, of the size that the kernel has made.
        let memory = unsafe { libc::mmap(none, size, protection, flags, fd.as_raw_fd(), 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self(memory))
    }

    fn block(&self, block: usize) -> *mut u8 {
        assert!(block < BLOCKS);
        // SAFETY: that many blocks are mapped.
        unsafe { self.0.as_ptr().add(block * BLOCK) }
    }

    fn description(&self, block: usize) -> *mut libc::tpacket_block_desc {
        self.block(block).cast()
    }

    /// Who has a block: the kernel writes it while it is mapped.
    fn status(&self, block: usize) -> &AtomicU32 {
        // SAFETY: each block begins with its description, which is aligned as pages are; nobody
        // here reads or writes its status otherwise.
        unsafe {
            let status = &raw mut (*self.description(block)).hdr.bh1.block_status;
            AtomicU32::from_ptr(status)
        }
    }

    /// Where the first of a block's frames is, and how many there are, if the kernel has done with it.
    fn handed_over(&self, block: usize) -> Option<(usize, u32)> {
        let status = self.status(block).load(Ordering::Acquire);
        if status & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the kernel does not write to a block that it has handed over.
        let (first, count) = unsafe {
            let about = &raw const (*self.description(block)).hdr.bh1;
            ((*about).offset_to_first_pkt, (*about).num_pkts)
        };
        Some((first as usize, count))
    }

    /// Gives a block back to the kernel; returns where the next one begins.
    fn after(&self, place: Place) -> Place {
        let status = self.status(place.block);
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        Place {
            block: (place.block + 1) % BLOCKS,
            ..Place::default()
        }
    }

    /// Copies a frame into `buffer`; returns what the kernel says of it, and how many bytes were kept.
    fn frame(&self, place: Place, buffer: &mut [u8]) -> (libc::tpacket3_hdr, usize) {
        let block = self.block(place.block);
        let header_ends = place.offset + size_of::<libc::tpacket3_hdr>();
        assert!(header_ends <= BLOCK, "{place:?}");
        // SAFETY: the block is ours until it is given back, and what is read lies inside of it.
        unsafe {
            let header = block
                .add(place.offset)
                .cast::<libc::tpacket3_hdr>()
                .read_unaligned();
            let begins = place.offset + usize::from(header.tp_mac);
            let kept = (header.tp_snaplen as usize).min(buffer.len());
            assert!(begins + kept <= BLOCK, "{header:?}");
            let from = std::slice::from_raw_parts(block.add(begins), kept);
            buffer[..kept].copy_from_slice(from);
            (header, kept)
        }
    }
}

// SAFETY: the mapping belongs to its `Ring` alone, whichever thread has that.
unsafe impl Send for Ring {}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: nothing of the mapping is lent to anybody.
        unsafe { libc::munmap(self.0.as_ptr().cast(), BLOCK * BLOCKS) };
    }
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

fn get<T>(fd: &OwnedFd, level: libc::c_int, name: libc::c_int, value: &mut T) -> io::Result<()> {
    let mut size = size_of::<T>().try_into().map_err(io::Error::other)?;
    // SAFETY: getsockopt(2) writes at most as many bytes as `value` has, which is made of integers.
    let done = unsafe {
        let value = (value as *mut T).cast();
        libc::getsockopt(fd.as_raw_fd(), level, name, value, &raw mut size)
    };
    checked(done).map(drop)
}

fn checked(result: RawFd) -> io::Result<RawFd> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
