//! Talks to a lab's supervisor over its control socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use crate::error::{Cause, Failure};
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Member, Reply, Request};

/// A connection with one request on it.
pub struct Client {
    replies: BufReader<UnixStream>,
}

impl Client {
    /// Sends a request to the lab of `dir`.
    ///
    /// # Errors
    /// NotFound when no lab of this name is up; what connect(2) says.
    pub fn ask(dir: &RunDir, request: &Request) -> io::Result<Self> {
        let mut stream = UnixStream::connect(dir.control()).map_err(|error| {
            // A socket that nobody listens on is what a killed lab leaves behind.
            match error.kind() {
                io::ErrorKind::ConnectionRefused => io::ErrorKind::NotFound.into(),
                _ => error,
            }
        })?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        Ok(Self {
            replies: BufReader::new(stream),
        })
    }

    /// The same, with an error for people.
    ///
    /// # Errors
    /// When no lab of this name is up, or it belongs to somebody else.
    pub fn to_lab(dir: &RunDir, request: &Request) -> Result<Self, Failure> {
        Self::ask(dir, request).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => not_up(dir),
            _ => Failure::io(format_args!("reach lab `{}`", dir.lab()), &error),
        })
    }

    /// The next reply; none when the supervisor has closed the connection.
    ///
    /// # Errors
    /// What read(2) says, or that the reply is none.
    pub fn reply(&mut self) -> io::Result<Option<Reply>> {
        let mut line = String::new();
        match self.replies.read_line(&mut line) {
            Ok(0) => return Ok(None),
            // It ended before it had read the request.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            read => read?,
        };
        Ok(Some(serde_json::from_str(&line)?))
    }

    /// Passes the replies to `take` until the last one.
    ///
    /// # Errors
    /// When the lab refuses, or the connection breaks.
    pub fn replies(mut self, mut take: impl FnMut(Reply)) -> Result<(), Failure> {
        loop {
            let reply = self
                .reply()
                .map_err(|error| Failure::io("hear of the lab", &error))?;
            match reply {
                Some(Reply::Refused { message }) => return Err(Failure::failed(message)),
                Some(Reply::Unknown { message }) => return Err(Failure::unknown(message)),
                Some(Reply::Done) => return Ok(()),
                Some(reply) => take(reply),
                None => return Err(Failure::failed("the lab ended")),
            }
        }
    }

    /// The members of the lab, which [`Request::Ps`] asks for.
    ///
    /// # Errors
    /// When the lab refuses, or the connection breaks.
    pub fn members(self) -> Result<Vec<Member>, Failure> {
        let mut found = Vec::new();
        self.replies(|reply| {
            if let Reply::Members { members } = reply {
                found = members;
            }
        })?;
        Ok(found)
    }

    /// The connection itself, for what follows the last reply, and what of that has come already.
    ///
    /// # Errors
    /// What dup(2) says.
    pub fn into_stream(self) -> io::Result<(Vec<u8>, UnixStream)> {
        let come = self.replies.buffer().to_owned();
        Ok((come, self.replies.into_inner()))
    }

    /// The socket, to be shut down from elsewhere.
    ///
    /// # Errors
    /// What dup(2) says.
    pub fn socket(&self) -> io::Result<UnixStream> {
        self.replies.get_ref().try_clone()
    }
}

/// What to say when a lab is not there.
#[must_use]
pub fn not_up(dir: &RunDir) -> Failure {
    let failure = Failure::refused(format!("lab `{}` is not up", dir.lab()), {
        let sudo = match dir.places().user {
            None => "sudo ",
            Some(_) => "",
        };
        match dir.lab().as_str() {
            "default" => format!("{sudo}nsplay up -d"),
            name => format!("{sudo}nsplay -p {name} up -d"),
        }
    });
    failure.because(Cause::NotUp)
}
