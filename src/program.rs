//! Programs: the processes of a lab as data, before anything is started.
//!
//! A service or a node turns its part of the [`Lab`](crate::lab::Lab) into a
//! [`Program`]; starting it is the supervisor's job.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::lab::Name;
use crate::lab::own::Restart;

/// Where a lab's own files are, inside its mount namespace only.
///
/// The lab has its own `/run`, `/tmp`, `/var` and `/etc`: tmpfs that die with
/// it. This folder is in that `/run`, so no host file is ever in the way.
pub const LAB_DIR: &str = "/run/lab";

/// One process of the lab: what it is called with, and how it is known to be ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The member in whose namespace it runs; its log lines carry the name.
    pub member: Name,
    /// What it is, in a word: `dnsmasq`, `lighttpd`, `ipmi_sim`.
    pub what: String,
    /// The program, absolute, and its arguments.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// Whom it runs as.
    pub user: User,
    /// The capabilities that it keeps as that user (capabilities(7)).
    pub caps: Vec<Cap>,
    /// What is written before it starts.
    pub files: Vec<TextFile>,
    /// Those of the files that it reads again when it is sent SIGHUP.
    pub rereads: Vec<PathBuf>,
    /// Folders that are made, with [`TextFile`]'s owner, before the files are written.
    pub dirs: Vec<PathBuf>,
    /// What it sees of the files; none for all that the lab has.
    pub cell: Option<Cell>,
    /// How it shows that it is ready.
    pub ready: Probe,
    /// What a service of the user's own asks for; none for nsplay's programs.
    pub own: Option<Manners>,
}

impl Program {
    /// The folder that a member's files are in: `/run/lab/MEMBER`.
    #[must_use]
    pub fn dir(member: &Name) -> PathBuf {
        Path::new(LAB_DIR).join(member.as_str())
    }

    /// The folder that what a member serves is in: `/run/lab/.served/MEMBER`. No program writes there.
    #[must_use]
    pub fn served(member: &Name) -> PathBuf {
        Path::new(LAB_DIR).join(".served").join(member.as_str())
    }

    /// The folder that it starts in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.own
            .as_ref()
            .map_or(Path::new("/"), |own| own.folder.as_path())
    }
}

/// What a service of the user's own asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manners {
    /// The folder that it starts in.
    pub folder: PathBuf,
    /// How long it may take until it is ready.
    pub ready_within: Duration,
    /// Whether it is started again when it has ended.
    pub restart: Restart,
}

/// Whom a program runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum User {
    /// Root: only for a program that changes its user itself.
    Root,
    /// A user and group of its own, the member's.
    Member,
    /// This user of the host, and the group of its number.
    Host(u32),
}

/// The capabilities that a program can keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cap {
    /// `CAP_NET_BIND_SERVICE`: dnsmasq insists on it, whether its port is privileged or not.
    NetBindService,
    /// `CAP_NET_ADMIN`: dnsmasq puts a client into the ARP table before it has an address.
    NetAdmin,
    /// `CAP_NET_RAW`: dnsmasq sends router advertisements.
    NetRaw,
    /// `CAP_AUDIT_WRITE`: sshd logs who gets a terminal, or refuses it.
    AuditWrite,
    /// `CAP_CHOWN`: sshd gives a terminal to who logs in.
    Chown,
    /// `CAP_FOWNER`: sshd sets the permissions of that terminal.
    Fowner,
    /// `CAP_KILL`: sshd ends sessions, which are other users' processes.
    Kill,
    /// `CAP_SETGID`: sshd becomes who logs in.
    Setgid,
    /// `CAP_SETUID`: the same.
    Setuid,
    /// `CAP_SYS_CHROOT`: sshd shuts its network half up in an empty folder.
    SysChroot,
}

/// A file that is written before a program starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextFile {
    /// Where, absolute, below [`LAB_DIR`] or in the lab's own `/etc`, `/run` or `/var`.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// Its text.
    pub text: String,
}

/// How a program shows that it is ready: it answers its own protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Probe {
    /// An offer to a DHCPDISCOVER that `relay` forwards (RFC 2131, section 4.1).
    Dhcp {
        /// The server.
        server: Ipv4Addr,
        /// The relay agent's address, on which the offer arrives.
        relay: Ipv4Addr,
    },
    /// Any status line to a request for [`READY_PATH`](crate::service::httpd::READY_PATH)
    /// (RFC 9112, section 4).
    Http(SocketAddrV4),
    /// A banner that starts with `SSH-` (RFC 4253, section 4.2).
    Ssh(SocketAddrV4),
    /// A pong to an RMCP presence ping (ASF 2.0, section 3.2.4.2).
    Rmcp(SocketAddrV4),
    /// The capabilities of a TPM, asked over its control socket (swtpm_ioctls(3)).
    Tpm(PathBuf),
    /// Nothing: it is ready when it has been started.
    Started,
    /// A TCP connection that is accepted.
    Tcp(SocketAddrV4),
    /// A status from 200 to 399 for a GET of this path (RFC 9110, section 15).
    Get(SocketAddrV4, String),
    /// A line of its output that has this text in it.
    Log(String),
    /// The success of a shell command that runs beside it, as the same user.
    Exec(String),
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dhcp { server, .. } => write!(f, "offer an address on {server}"),
            Self::Http(at) => write!(f, "answer HTTP on {at}"),
            Self::Ssh(at) => write!(f, "show an SSH banner on {at}"),
            Self::Rmcp(at) => write!(f, "answer an RMCP ping on {at}"),
            Self::Tpm(at) => write!(f, "tell its capabilities on {}", at.display()),
            Self::Started => f.write_str("start"),
            Self::Tcp(at) => write!(f, "accept a connection on {at}"),
            Self::Get(at, path) => write!(f, "answer a GET of http://{at}{path} with 200 to 399"),
            Self::Log(text) => write!(f, "print a line with \"{text}\""),
            Self::Exec(command) => write!(f, "make `{command}` succeed"),
        }
    }
}
