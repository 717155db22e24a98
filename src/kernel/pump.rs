//! Carries frames between a TAP device and a stream on which each has its length before it, as
//! passt(1) and QEMU's `-netdev stream` speak.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The virtio header before each frame of a TAP device, all zero here: no frame waits to be
/// segmented or checked (`struct virtio_net_hdr` of `<linux/virtio_net.h>`).
const HEADER: [u8; 10] = [0; 10];

/// Bytes of a length.
const LENGTH: usize = 4;

/// How much is carried at once.
const ROOM: usize = 256 << 10;

/// The longest frame of either side.
const FRAME: usize = 66 << 10;

/// Carries frames both ways until the stream ends.
///
/// A frame for which there is no room is lost, as on any network; so neither side waits for the
/// other.
///
/// # Errors
/// What read(2), write(2) or poll(2) says.
pub fn pump(mut tap: &File, mut stream: UnixStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let mut frame = vec![0; FRAME];
    let (mut out, mut back) = (Vec::with_capacity(ROOM), Vec::with_capacity(ROOM));
    loop {
        let writes = match out.is_empty() {
            true => PollFlags::empty(),
            false => PollFlags::POLLOUT,
        };
        // While the stream is full, frames wait in the device's own queue.
        let reads = match out.is_empty() {
            true => PollFlags::POLLIN,
            false => PollFlags::empty(),
        };
        let mut fds = [
            PollFd::new(tap.as_fd(), reads),
            PollFd::new(stream.as_fd(), PollFlags::POLLIN | writes),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let has = |n: usize, flag| fds[n].revents().is_some_and(|got| got.intersects(flag));
        let ended = PollFlags::POLLHUP | PollFlags::POLLERR;
        let (from_tap, from_stream) =
            (has(0, PollFlags::POLLIN), has(1, PollFlags::POLLIN | ended));
        if from_stream && !take(&mut stream, &mut back, &mut tap)? {
            return Ok(());
        }
        if from_tap {
            gather(&mut tap, &mut frame, &mut out)?;
        }
        match stream.write(&out) {
            Ok(written) => drop(out.drain(..written)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Appends what the device has to `out`, as far as there is room.
fn gather(tap: &mut &File, frame: &mut [u8], out: &mut Vec<u8>) -> io::Result<()> {
    while out.len() + FRAME <= ROOM {
        let read = match tap.read(frame) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let bytes = frame.get(HEADER.len()..read).unwrap_or_default();
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        out.extend(length.to_be_bytes());
        out.extend(bytes);
    }
    Ok(())
}

/// Gives what the stream has to the device; false at the stream's end.
fn take(stream: &mut UnixStream, back: &mut Vec<u8>, tap: &mut &File) -> io::Result<bool> {
    let had = back.len();
    back.resize(had + ROOM, 0);
    let read = match stream.read(&mut back[had..]) {
        Ok(0) => return Ok(false),
        Ok(read) => read,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
        Err(error) => return Err(error),
    };
    back.truncate(had + read);
    let mut rest = back.as_slice();
    let mut frame = Vec::with_capacity(FRAME);
    while let Some((length, after)) = rest.split_first_chunk::<LENGTH>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(io::Error::other)?;
        if length > FRAME {
            return Err(ErrorKind::InvalidData.into());
        }
        let Some((bytes, after)) = after.split_at_checked(length) else {
            break;
        };
        frame.clear();
        frame.extend(HEADER);
        frame.extend(bytes);
        // A device that is down or full loses it.
        let _ = tap.write(&frame);
        rest = after;
    }
    let left = rest.len();
    let begun = back.len() - left;
    back.drain(..begun);
    Ok(true)
}
