//! `nsplay console`.

use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::cli;
use crate::client::Client;
use crate::error::{Failure, SIGNALLED};
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};
use crate::ui;

/// Keys that wait for a guest which does not read them, in bytes; more are lost, as on any
/// terminal. A pipe waits instead.
const TYPE_AHEAD: usize = 4096;

/// What `~?` shows.
const HELP: &str = "\r
Escapes, at the beginning of a line:\r
 ~.  end this console\r
 ~?  show this\r
 ~~  send ~\r
";

/// Attaches the terminal to a node's console.
pub fn run(options: &cli::Console, lab: &Name) -> Result<u8, Failure> {
    let node = options.node.clone();
    let request = Request::Console {
        node: node.clone(),
        past: false,
    };
    let mut client = Client::to_lab(&RunDir::new(lab), &request)?;
    let reply = client
        .reply()
        .map_err(|error| Failure::io("hear of the lab", &error))?;
    let node = match reply {
        Some(Reply::Console { node }) => node,
        Some(Reply::Nodes { nodes }) => return Err(super::which_node(lab, node.as_ref(), &nodes)),
        Some(Reply::Refused { message }) => return Err(Failure::failed(message)),
        Some(_) | None => return Err(Failure::failed("the lab ended")),
    };
    let io = |error: io::Error| Failure::io(format_args!("use the console of `{node}`"), &error);
    // What ends a process must not leave its terminal raw.
    let signals = [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
    ];
    let signals = SigSet::from_iter(signals);
    signals.thread_block().map_err(|error| io(error.into()))?;
    let signals =
        SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC).map_err(|error| io(error.into()))?;
    let (past, line) = client.into_stream().map_err(io)?;
    let terminal = io::stdin().is_terminal();
    if terminal {
        ui::status(&format!("console of {node}: ~. ends it, ~? lists escapes"));
    }
    let raw = terminal.then(Raw::enter).transpose().map_err(io)?;
    let mut session = Session {
        line,
        signals,
        terminal,
        escapes: Escapes::default(),
        unsent: Vec::new(),
        reads: true,
    };
    let ended = ui::bytes(&past).and_then(|()| session.run());
    drop(raw);
    match ended {
        Ok(Ended::Escaped) => {
            ui::status("\nconsole ended");
            Ok(0)
        }
        Ok(Ended::Lab) => Err(Failure::failed("the lab ended")),
        Ok(Ended::Signal(number)) => {
            Ok(u8::try_from(u32::from(SIGNALLED) + number).unwrap_or(u8::MAX))
        }
        // Whoever reads has seen enough: `nsplay console | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        Err(error) => Err(io(error)),
    }
}

/// A terminal in raw mode, until it is dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that has gone has no mode to restore.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

/// Why a session ended.
enum Ended {
    /// The user typed `~.`.
    Escaped,
    /// The supervisor closed the connection.
    Lab,
    /// A signal of this number came.
    Signal(u32),
}

/// A console and whoever sits at it.
struct Session {
    line: UnixStream,
    signals: SignalFd,
    /// Whether standard input is a terminal.
    terminal: bool,
    escapes: Escapes,
    /// Typed, but not sent yet.
    unsent: Vec<u8>,
    /// Whether standard input may have more.
    reads: bool,
}

impl Session {
    fn run(&mut self) -> io::Result<Ended> {
        self.line.set_nonblocking(true)?;
        loop {
            let (heard, typed, signalled) = self.wait()?;
            if let Some(signal) = signalled
                .then(|| self.signals.read_signal())
                .transpose()?
                .flatten()
            {
                return Ok(Ended::Signal(signal.ssi_signo));
            }
            if heard {
                let mut buffer = [0; 16 << 10];
                match self.line.read(&mut buffer) {
                    Ok(0) => return Ok(Ended::Lab),
                    Ok(read) => ui::bytes(&buffer[..read])?,
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                        return Ok(Ended::Lab);
                    }
                    Err(error) => passing(error)?,
                }
            }
            if typed && self.take_keys()? {
                return Ok(Ended::Escaped);
            }
            self.send()?;
        }
    }

    /// Waits until the console has something to show, somebody types, or a signal comes.
    fn wait(&self) -> io::Result<(bool, bool, bool)> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let mut on_line = PollFlags::POLLIN;
        on_line.set(PollFlags::POLLOUT, !self.unsent.is_empty());
        let mut fds = vec![
            PollFd::new(self.line.as_fd(), on_line),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(stdout.as_fd(), PollFlags::empty()),
        ];
        if self.reads && (self.terminal || self.unsent.is_empty()) {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let happens = |index: usize, flags: PollFlags| {
            let events = fds.get(index).and_then(PollFd::revents);
            events.is_some_and(|events| events.intersects(flags))
        };
        // Whoever reads has gone, and a guest that prints nothing would never let it show.
        if happens(2, PollFlags::POLLERR) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let readable = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
        Ok((
            happens(0, readable),
            happens(3, readable),
            happens(1, readable),
        ))
    }

    /// Takes what is typed; tells whether the user wants to end.
    fn take_keys(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 1024];
        let read = match nix::unistd::read(io::stdin(), &mut buffer) {
            Ok(0) | Err(Errno::EIO) => {
                self.reads = false;
                return Ok(false);
            }
            Ok(read) => read,
            Err(error) => {
                passing(error.into())?;
                return Ok(false);
            }
        };
        if !self.terminal {
            self.unsent.extend(&buffer[..read]);
            return Ok(false);
        }
        for key in &buffer[..read] {
            match self.escapes.pass(*key) {
                Typed::Keys(keys) => self.unsent.extend(keys),
                Typed::Help => ui::bytes(HELP.as_bytes())?,
                Typed::End => return Ok(true),
            }
        }
        self.unsent.truncate(TYPE_AHEAD);
        Ok(false)
    }

    fn send(&mut self) -> io::Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        match self.line.write(&self.unsent) {
            Ok(sent) => {
                self.unsent.drain(..sent);
                Ok(())
            }
            // Reading tells that the lab has ended, after what it still had to say.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.unsent.clear();
                Ok(())
            }
            Err(error) => passing(error),
        }
    }
}

/// An error, unless it passes by itself.
fn passing(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

/// Finds escapes in what is typed, as ssh(1) does.
#[derive(Debug)]
struct Escapes {
    /// Whether the next key is the first of a line.
    begins: bool,
    /// Whether a `~` waits for the key after it.
    tilde: bool,
}

/// What a key comes to.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    /// Keys for the guest.
    Keys(Vec<u8>),
    /// The list of escapes.
    Help,
    /// The end.
    End,
}

impl Default for Escapes {
    fn default() -> Self {
        Self {
            begins: true,
            tilde: false,
        }
    }
}

impl Escapes {
    fn pass(&mut self, key: u8) -> Typed {
        let escaped = std::mem::take(&mut self.tilde);
        match key {
            b'~' if self.begins && !escaped => {
                self.tilde = true;
                return Typed::Keys(Vec::new());
            }
            b'.' if escaped => return Typed::End,
            b'?' if escaped => return Typed::Help,
            _ => {}
        }
        self.begins = matches!(key, b'\r' | b'\n');
        Typed::Keys(match key {
            b'~' => vec![key],
            _ if escaped => vec![b'~', key],
            _ => vec![key],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> (Vec<u8>, Option<Typed>) {
        let (mut escapes, mut sent) = (Escapes::default(), Vec::new());
        for key in keys {
            match escapes.pass(*key) {
                Typed::Keys(keys) => sent.extend(keys),
                other => return (sent, Some(other)),
            }
        }
        (sent, None)
    }

    #[test]
    fn an_escape_counts_at_the_beginning_of_a_line_only() {
        assert_eq!(typed(b"~."), (vec![], Some(Typed::End)));
        assert_eq!(typed(b"a\r~."), (b"a\r".to_vec(), Some(Typed::End)));
        assert_eq!(typed(b"a\r~?"), (b"a\r".to_vec(), Some(Typed::Help)));
        for (keys, sent) in [
            (&b"a~.b"[..], &b"a~.b"[..]),
            (b"\r~~.", b"\r~."),
            (b"~a~.", b"~a~."),
            (b"~\r~~", b"~\r~"),
            (b"\x03\x04", b"\x03\x04"),
        ] {
            assert_eq!(typed(keys), (sent.to_vec(), None), "{keys:?}");
        }
    }

    #[test]
    fn help_leaves_the_line_at_its_beginning() {
        let mut escapes = Escapes::default();
        for key in b"~?~" {
            escapes.pass(*key);
        }
        assert_eq!(escapes.pass(b'.'), Typed::End);
    }
}
