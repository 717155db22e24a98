//! The lab's own view of the file system, inside its mount namespace.
//!
//! `/etc`, `/run`, `/tmp` and `/var` are the lab's own tmpfs, so no service
//! can read or write the host's, and all of it is gone with the lab.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A file or folder of the host that the lab sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Where it is on the host.
    pub source: PathBuf,
    /// Where the lab sees it.
    pub target: PathBuf,
    /// Whether the lab may write to it.
    pub writable: bool,
}

/// A mount that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot mount {what} on {}", .target.display())]
pub struct MountError {
    what: String,
    target: PathBuf,
    source: io::Error,
}

/// What programs need of the host's `/etc`: the linker's cache, Debian's alternatives, certificates
/// and the time zone. None of it is the configuration of a service.
const OF_ETC: [&str; 7] = [
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/ssl",
    "/etc/pki",
    "/etc/localtime",
    "/etc/terminfo",
    "/etc/mime.types",
];

/// The folders that are the lab's own, and their permission bits.
const OWN: [(&str, u32); 4] = [
    ("/etc", 0o755),
    ("/run", 0o755),
    ("/tmp", 0o1777),
    ("/var", 0o755),
];

/// Whether the lab has a place of its own where `path` is, so that the host's is not seen.
#[must_use]
pub fn hides(path: &Path) -> bool {
    OWN.iter().any(|(own, _)| path.starts_with(own))
}

/// Gives the calling process, which must be alone in its mount namespace, the lab's view.
///
/// # Errors
/// The mount that failed, with what mount(2) says.
pub fn enter(binds: &[Bind]) -> Result<(), MountError> {
    let fail = |what: &str, target: &Path| {
        let (what, target) = (what.to_owned(), target.to_owned());
        move |source: io::Error| MountError {
            what,
            target,
            source,
        }
    };
    let root = Path::new("/");
    none_mount(root, None, MsFlags::MS_REC | MsFlags::MS_PRIVATE)
        .map_err(fail("privately", root))?;

    // Sources are opened first: the tmpfs below hide many of them.
    let of_etc = OF_ETC.iter().filter(|path| Path::new(path).exists());
    let mut sources = Vec::new();
    for bind in of_etc
        .map(|path| Bind {
            source: path.into(),
            target: path.into(),
            writable: false,
        })
        .chain(binds.iter().cloned())
    {
        let source = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_CLOEXEC)
            .open(&bind.source)
            .map_err(fail(&bind.source.display().to_string(), &bind.target))?;
        sources.push((source, bind));
    }
    for (path, mode) in OWN {
        let path = Path::new(path);
        let options = format!("mode={mode:o}");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(
            Some("nsplay"),
            path,
            Some("tmpfs"),
            flags,
            Some(options.as_str()),
        )
        .map_err(io::Error::from)
        .map_err(fail("tmpfs", path))?;
    }
    for (source, bind) in sources {
        bind_mount(&source, &bind)
            .map_err(fail(&bind.source.display().to_string(), &bind.target))?;
    }
    furnish().map_err(fail("folders", Path::new("/var")))?;
    let proc = Path::new("/proc");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), proc, Some("proc"), flags, None::<&str>)
        .map_err(io::Error::from)
        .map_err(fail("proc", proc))
}

/// Mounts what `source` is open on.
fn bind_mount(source: &File, bind: &Bind) -> io::Result<()> {
    if source.metadata()?.is_dir() {
        fs::create_dir_all(&bind.target)?;
    } else {
        if let Some(folder) = bind.target.parent() {
            fs::create_dir_all(folder)?;
        }
        File::create(&bind.target)?;
    }
    let source = format!("/proc/self/fd/{}", source.as_raw_fd());
    none_mount(&bind.target, Some(Path::new(&source)), MsFlags::MS_BIND)?;
    if !bind.writable {
        let again = MsFlags::MS_BIND
            | MsFlags::MS_REMOUNT
            | MsFlags::MS_RDONLY
            | MsFlags::MS_NOSUID
            | MsFlags::MS_NODEV;
        none_mount(&bind.target, None, again)?;
    }
    Ok(())
}

/// Takes away what is mounted on `target`; who uses it still may go on.
///
/// # Errors
/// What umount(2) says.
pub fn remove(target: &Path) -> io::Result<()> {
    match umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        // Nothing is mounted there.
        Err(Errno::EINVAL | Errno::ENOENT) | Ok(()) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Makes the folders and links that programs expect in `/var` and `/run`.
fn furnish() -> io::Result<()> {
    for folder in ["/var/empty", "/var/lib", "/var/log", "/run/lab"] {
        fs::create_dir_all(folder)?;
    }
    fs::create_dir_all("/var/tmp")?;
    fs::set_permissions("/var/tmp", fs::Permissions::from_mode(0o1777))?;
    std::os::unix::fs::symlink("/run", "/var/run")
}

fn none_mount(target: &Path, source: Option<&Path>, flags: MsFlags) -> io::Result<()> {
    mount(source, target, None::<&str>, flags, None::<&str>).map_err(io::Error::from)
}
