//! Passes descriptors to another process over a UNIX socket (unix(7), SCM_RIGHTS).

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// How many can come with one byte (unix(7), SCM_MAX_FD).
const SCM_MAX_FD: usize = 253;

/// How many go with one byte.
const AT_ONCE: usize = 128;

/// Sends descriptors, with a byte for each `AT_ONCE` of them: a line end, which QEMU's monitor
/// passes over.
///
/// # Errors
/// What sendmsg(2) says.
pub fn send(to: impl AsFd, descriptors: &[OwnedFd]) -> io::Result<()> {
    for some in descriptors.chunks(AT_ONCE) {
        let numbers: Vec<RawFd> = some.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        let byte = [IoSlice::new(b"\n")];
        let fd = to.as_fd().as_raw_fd();
        sendmsg::<()>(fd, &byte, &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    }
    Ok(())
}

/// Receives the descriptors that come with one byte.
///
/// # Errors
/// What recvmsg(2) says; UnexpectedEof when the other end has gone.
pub fn receive(from: impl AsFd) -> io::Result<Vec<OwnedFd>> {
    let mut byte = [0];
    // What does not fit would be open here, and nobody would know.
    let mut room = nix::cmsg_space!([RawFd; SCM_MAX_FD]);
    let fd = from.as_fd().as_raw_fd();
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(fd, &mut bytes, Some(&mut room), flags)?;
    if message.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut descriptors = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = part {
            // SAFETY: the kernel has just opened them for this process, which knows them from here.
            descriptors.extend(
                numbers
                    .into_iter()
                    .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
            );
        }
    }
    Ok(descriptors)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn more_descriptors_than_go_at_once_arrive_in_their_order() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let pipes: Vec<_> = (0..300).map(|_| io::pipe().unwrap()).collect();
        let (reading, writing): (Vec<_>, Vec<_>) = pipes.into_iter().unzip();
        let writing: Vec<OwnedFd> = writing.into_iter().map(OwnedFd::from).collect();
        send(&ours, &writing).unwrap();
        drop(writing);
        let mut received = Vec::new();
        while received.len() < 300 {
            received.extend(receive(&theirs).unwrap());
        }
        for (n, end) in received.into_iter().enumerate() {
            io::Write::write_all(&mut File::from(end), n.to_string().as_bytes()).unwrap();
        }
        for (n, mut end) in reading.into_iter().enumerate() {
            let mut text = String::new();
            end.read_to_string(&mut text).unwrap();
            assert_eq!(text, n.to_string());
        }
        drop(ours);
        let error = receive(&theirs).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
