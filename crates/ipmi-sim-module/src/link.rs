//! The socket to the node, and how long it is waited for.
//!
//! ipmi_sim has one thread: while a question is open the whole BMC stands
//! still. So a node that does not answer costs its client a completion code
//! after [`ANSWER_WITHIN`], and nothing else.

use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::chassis::Answer;
use crate::ffi;
use crate::protocol::{self, Completion, Request};

/// How long the node may take for one answer.
///
/// It answers in well under a millisecond, slow work included, which it does
/// afterwards. ipmitool repeats a question after 1 s (lanplus) or 2 s (lan): a
/// client that is answered later than that has its command run twice.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Longer than any answer of the protocol.
const DATAGRAM_MAX: usize = 512;

/// The module's end of the socketpair.
#[derive(Debug)]
pub(crate) struct Link {
    // Stream, packet or datagram is the descriptor's own affair: std has no
    // type for SOCK_SEQPACKET, and this one adds nothing of its own to recv.
    socket: UnixDatagram,
    seq: u32,
    /// Told on stderr once, not for every client that asks while it lasts.
    silent: bool,
}

impl Link {
    pub(crate) fn new(socket: UnixDatagram) -> Self {
        Self {
            socket,
            seq: 0,
            silent: false,
        }
    }

    /// Puts a question to the node and returns the payload of its answer.
    pub(crate) fn ask(&mut self, request: Request<'_>) -> Answer {
        self.seq = self.seq.wrapping_add(1);
        let answer = self.exchange(&format!("{} {request}", self.seq));
        match answer {
            Ok(answer) => {
                self.silent = false;
                answer
            }
            Err(error) => {
                if !self.silent {
                    self.silent = true;
                    log(format_args!("cannot ask the node `{request}`: {error}"));
                }
                Err(match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => Completion::TIMEOUT,
                    _ => Completion::UNSPECIFIED,
                })
            }
        }
    }

    fn exchange(&self, question: &str) -> io::Result<Answer> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        ffi::send(&self.socket, question.as_bytes())?;
        let mut datagram = [0; DATAGRAM_MAX];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.socket.set_read_timeout(Some(left))?;
            let length = match self.socket.recv(&mut datagram) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let answer = protocol::answer(self.seq, datagram.get(..length).unwrap_or_default());
            if let Some(answer) = answer {
                return Ok(answer.map(str::to_owned));
            }
        }
    }
}

/// Writes a line to ipmi_sim's stderr, which belongs to nsplay's log.
///
/// Not `eprintln!`: that panics when stderr is closed, and a panic here is the
/// end of the BMC.
pub(crate) fn log(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "nsplay module: {line}");
}
