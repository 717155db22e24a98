//! HTTP servers: which one serves, what it is started with, what it logs.
//!
//! One file per server holds its whole configuration; finding binaries on the
//! host is [`host::programs`](crate::host::programs)' job.
//!
//! Every server runs in the foreground as the member's own user, serves
//! [`root`], follows symbolic links, lists folders and answers ranges of files
//! of any size. busybox lacks some of that: see [`busybox`].
//!
//! # Access lines
//!
//! One line per finished request on stderr, at once:
//!
//! ```text
//! GET /boot.ipxe 200 1234 192.168.25.150
//! ```
//!
//! Method, path, status, bytes of the body as sent, client. The path is as the
//! client sent it, except in Apache, which logs it decoded, so that it can hold
//! a space: read the last three fields from the right. Control characters are
//! escaped by the server. busybox has lines of its own.
//!
//! # The log is opened by name
//!
//! nginx, Apache and lighttpd's log writer open `/dev/stderr` once more instead
//! of using the descriptor. The kernel then checks the pipe's owner, so whoever
//! starts the program gives it a pipe that belongs to the member's user
//! (fchown(2), as runc does); else they end with EACCES.

mod apache;
pub mod busybox;
mod lighttpd;
mod nginx;

use std::fmt;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

use crate::cell::Cell;
use crate::lab::{HttpServer, Web};
use crate::program::{Probe, Program, TextFile, User};

/// The port that the lab's HTTP server listens on.
pub const PORT: u16 = 80;

/// The path that readiness is asked with.
///
/// It needs not exist: 404 and 401 are answers. [`is_probe`] knows its access lines.
pub const READY_PATH: &str = "/nsplay/ready";

/// A program that can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// lighttpd(8).
    Lighttpd,
    /// nginx(8).
    Nginx,
    /// apache2(8), httpd(8) elsewhere.
    Apache,
    /// The httpd applet of busybox(1).
    Busybox,
}

impl Kind {
    /// All of them, in the order in which they are looked for.
    pub const ALL: [Self; 4] = [Self::Lighttpd, Self::Nginx, Self::Apache, Self::Busybox];

    /// Returns the names of its binary, the likelier one first.
    #[must_use]
    pub fn binaries(self) -> &'static [&'static str] {
        match self {
            Self::Lighttpd => &["lighttpd"],
            Self::Nginx => &["nginx"],
            // apache2 is Debian's name, httpd everybody else's.
            Self::Apache => &["apache2", "httpd"],
            // Alpine's busybox has no httpd; its busybox-extras has.
            Self::Busybox => &["busybox-extras", "busybox"],
        }
    }

    /// Returns those that `choice` leaves, in the order in which they are looked for.
    #[must_use]
    pub fn chosen(choice: HttpServer) -> &'static [Self] {
        match choice {
            HttpServer::Auto => &Self::ALL,
            HttpServer::Lighttpd => &[Self::Lighttpd],
            HttpServer::Nginx => &[Self::Nginx],
            HttpServer::Apache => &[Self::Apache],
            HttpServer::Busybox => &[Self::Busybox],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lighttpd => "lighttpd",
            Self::Nginx => "nginx",
            Self::Apache => "apache",
            Self::Busybox => "busybox",
        })
    }
}

/// A server that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which one it is.
    pub kind: Kind,
    /// Its binary, absolute.
    pub binary: PathBuf,
}

/// No server that the lab accepts is installed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot find {}", binaries(*.choice))]
pub struct NotFound {
    /// What the lab asks for.
    pub choice: HttpServer,
}

/// Returns the first installed server that `choice` accepts.
///
/// `program` looks a name up on the host and returns its absolute path.
///
/// # Errors
///
/// When none of them is installed.
pub fn find(
    choice: HttpServer,
    program: impl Fn(&str) -> Option<PathBuf>,
) -> Result<Found, NotFound> {
    Kind::chosen(choice)
        .iter()
        .find_map(|&kind| {
            let binary = kind.binaries().iter().find_map(|name| program(name))?;
            Some(Found { kind, binary })
        })
        .ok_or(NotFound { choice })
}

/// Returns the folder that is served; whoever starts the program fills it.
#[must_use]
pub fn root(web: &Web) -> PathBuf {
    Program::served(&web.name).join("root")
}

/// Returns the server as a program, its configuration and argv whole.
#[must_use]
pub fn program(web: &Web, found: &Found) -> Program {
    let site = Site::new(web);
    let (config, argv) = match found.kind {
        Kind::Lighttpd => lighttpd::render(&site, &found.binary),
        Kind::Nginx => nginx::render(&site, &found.binary),
        Kind::Apache => apache::render(&site, &found.binary),
        Kind::Busybox => busybox::render(&site, &found.binary),
    };
    Program {
        member: web.name.clone(),
        what: found.kind.to_string(),
        argv,
        // lighttpd's log writer is a shell command.
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        user: User::Member,
        caps: Vec::new(),
        files: vec![config],
        rereads: Vec::new(),
        cell: Some(Cell::writing([site.dir.clone()])),
        dirs: vec![site.dir],
        own: None,
        ready: Probe::Http(SocketAddrV4::new(web.address, PORT)),
    }
}

/// Tells whether an access line comes from a readiness probe.
///
/// busybox's second line of a request names no path, but only the probe's path
/// asks for a password there, so that `response:401` is the probe's.
#[must_use]
pub fn is_probe(line: &str) -> bool {
    line.split(' ').nth(1) == Some(READY_PATH) || busybox::is_probe(line)
}

/// What every server is told.
struct Site {
    dir: PathBuf,
    root: PathBuf,
    listen: SocketAddrV4,
}

impl Site {
    fn new(web: &Web) -> Self {
        Self {
            dir: Program::dir(&web.name),
            root: root(web),
            listen: SocketAddrV4::new(web.address, PORT),
        }
    }

    fn config(&self, name: &str, text: String) -> TextFile {
        TextFile {
            path: self.dir.join(name),
            mode: 0o644,
            text,
        }
    }
}

/// The type of a file whose extension is none of [`TYPES`]: kernels, initrds, images.
const OTHER_TYPE: &str = "application/octet-stream";

/// Media types and their extensions: there is no `/etc/mime.types` in a lab.
///
/// What a person reads in a browser while debugging a boot is text.
const TYPES: &[(&str, &[&str])] = &[
    ("text/html", &["html", "htm"]),
    (
        "text/plain",
        &[
            "txt", "ipxe", "ks", "cfg", "conf", "ini", "log", "preseed", "seed", "sh", "toml",
            "yaml", "yml", "md",
        ],
    ),
    ("text/css", &["css"]),
    ("text/javascript", &["js"]),
    ("application/json", &["json", "ign"]),
    ("application/xml", &["xml"]),
    ("image/png", &["png"]),
    ("image/svg+xml", &["svg"]),
];

fn argv(binary: &Path, arguments: &[&str]) -> Vec<String> {
    std::iter::once(binary.display().to_string())
        .chain(arguments.iter().map(|&a| a.to_owned()))
        .collect()
}

/// Returns the names of the binaries that `choice` leaves, as a list to read.
pub(crate) fn binaries(choice: HttpServer) -> String {
    let names: Vec<_> = Kind::chosen(choice)
        .iter()
        .flat_map(|kind| kind.binaries())
        .copied()
        .collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests;
