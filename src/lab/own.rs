//! Services of the user's own: any program, in a namespace of its own.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Awaited, Name, spelled};

/// A service that the lab file says all of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnService {
    /// The member's name.
    pub name: Name,
    /// The network that it is on.
    pub network: Name,
    /// Its address.
    pub address: Ipv4Addr,
    /// The program and its arguments; the program is a name, or a path that is absolute or
    /// relative to `folder`.
    pub command: Vec<String>,
    /// What its environment has beside a PATH and a HOME, in the order of the names.
    pub env: Vec<(String, String)>,
    /// A folder of the host, absolute, that it starts in and may only read.
    pub folder: Option<PathBuf>,
    /// The user of this host that it runs as, by name or number; none for one of its own.
    pub user: Option<String>,
    /// Where the host can reach it.
    pub publish: Vec<Published>,
    /// How it shows that it is ready.
    pub ready: Readiness,
    /// How long it may take until then.
    pub ready_within: Duration,
    /// What has come about before it is started.
    pub after: Vec<Awaited>,
    /// Whether it is started again when it has ended.
    pub restart: Restart,
}

impl OwnService {
    /// What `ps` calls its program: the name without folders.
    #[must_use]
    pub fn what(&self) -> String {
        let program = self.command.first().map_or("", String::as_str);
        let name = Path::new(program).file_name();
        name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Where its program is looked for on the host: a plain name, or an absolute path.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        let program = Path::new(self.command.first().map_or("", String::as_str));
        match &self.folder {
            Some(folder) if program.components().count() > 1 => folder.join(program),
            _ => program.to_owned(),
        }
    }
}

/// A port of a service that the host can reach, spelled `127.0.0.1:8080:80/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Where the host listens.
    pub host: SocketAddr,
    /// The service's port.
    pub port: u16,
    /// What it speaks there.
    pub transport: Transport,
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.port, self.transport)
    }
}

/// What a published port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// How a service shows that it is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// By having been started.
    Started,
    /// By accepting a connection on this TCP port.
    Tcp(u16),
    /// By a status from 200 to 399 for a GET (RFC 9110, section 15).
    Http {
        /// The TCP port.
        port: u16,
        /// The path, with its slash.
        path: String,
    },
    /// By printing a line that has this text in it.
    Log(String),
    /// By the success of this shell command, which runs beside it.
    Exec(String),
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("none"),
            Self::Tcp(port) => write!(f, "tcp:{port}"),
            Self::Http { port, path } => write!(f, "http:{port}{path}"),
            Self::Log(text) => write!(f, "log:{text}"),
            Self::Exec(command) => write!(f, "exec:{command}"),
        }
    }
}

/// Whether a service that has ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It is, whatever its status.
    Always,
    /// It stays ended.
    Never,
}

spelled!(Transport { Tcp => "tcp", Udp => "udp" });
spelled!(Restart { Always => "always", Never => "never" });
