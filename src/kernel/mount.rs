//! The lab's own view of the file system, inside its mount namespace.
//!
//! `/etc`, `/run`, `/tmp` and `/var` are the lab's own tmpfs, so no service
//! can read or write the host's, and all of it is gone with the lab.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::FsFlags;

use crate::faultpoint::point;
use crate::files::{self, by_descriptor};

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
/// With `read_only` nothing of the host can be written but what a bind says: where the lab's programs
/// have no users of their own, the files' owners and modes hold nobody back.
///
/// # Errors
/// The mount that failed, with what mount(2) says.
pub fn enter(binds: &[Bind], read_only: bool) -> Result<(), MountError> {
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
        .and_then(|()| point!("view: private"))
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
    if read_only {
        none_writable().map_err(fail("read-only", root))?;
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
        .and_then(|()| point!("view: {} made", path.display()))
        .map_err(fail("tmpfs", path))?;
    }
    for (source, bind) in sources {
        bind_mount(&source, &bind)
            .and_then(|()| point!("view: {} bound", bind.target.display()))
            .map_err(fail(&bind.source.display().to_string(), &bind.target))?;
    }
    furnish()
        .and_then(|()| point!("view: folders made"))
        .map_err(fail("folders", Path::new("/var")))?;
    proc()
        .and_then(|()| point!("view: /proc mounted"))
        .map_err(fail("proc", Path::new("/proc")))
}

/// Mounts what `source` is open on.
fn bind_mount(source: &File, bind: &Bind) -> io::Result<()> {
    let is_dir = source.metadata()?.is_dir();
    let place = place(&bind.target, is_dir)?;
    let (on, source) = (by_descriptor(&place), by_descriptor(source));
    let from = Some(source.as_path());
    match none_mount(&on, from, MsFlags::MS_BIND) {
        // In a user namespace what is mounted below a folder cannot be left out.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            none_mount(&on, from, MsFlags::MS_BIND | MsFlags::MS_REC)?;
        }
        bound => bound?,
    }
    // Now that is what is mounted there.
    make_read_only(&self::place(&bind.target, is_dir)?, bind.writable)
}

/// Opens what is to be mounted on, which is made if it is not there. In the lab's own folders no link
/// leads to it: programs may have put one there.
fn place(target: &Path, is_dir: bool) -> io::Result<File> {
    let mut own = OWN.iter().map(|(own, _)| Path::new(own));
    if let Some(own) = own.find(|own| target.starts_with(own)) {
        return files::place(own, target.strip_prefix(own).unwrap_or(target), is_dir);
    }
    match is_dir {
        true => fs::create_dir_all(target)?,
        false => {
            fs::create_dir_all(target.parent().unwrap_or(target))?;
            drop(File::create(target)?);
        }
    }
    open_path(target)
}

/// Makes a mount read-only unless it is `writable`.
fn make_read_only(mounted: &impl AsRawFd, writable: bool) -> io::Result<()> {
    let again = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let at = by_descriptor(mounted);
    let is_read_only = || -> io::Result<bool> {
        let found = nix::sys::statvfs::statvfs(&at)?;
        Ok(found.flags().contains(FsFlags::ST_RDONLY))
    };
    let again = match writable {
        false => again | MsFlags::MS_RDONLY,
        true if is_read_only()? => again,
        true => return Ok(()),
    };
    match none_mount(&at, None, again) {
        // Nor can it take `noexec` away.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            none_mount(&at, None, again | MsFlags::MS_NOEXEC)
        }
        mounted => mounted,
    }
}

/// Makes all that is mounted now read-only, for this mount namespace.
///
/// Devices and sockets can be written to all the same.
fn none_writable() -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: a system call with a path and a structure that outlive it; ENOSYS before Linux 5.12.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            c"/".as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    if done == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A mount of `source` that is nowhere yet (open_tree(2), Linux 5.2): it can be passed to a
/// process in another mount namespace, which [puts](put) it where it likes.
///
/// # Errors
/// What open_tree(2) says.
pub fn detached(source: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(source.as_os_str().as_bytes())?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just opened it for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Opens a path without opening what is there (`O_PATH`, open(2)).
///
/// # Errors
/// What open(2) says.
pub fn open_path(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_CLOEXEC)
        .open(path)
}

/// Puts a [detached] mount where `bind` says (move_mount(2)), or makes one of what `mount` is
/// open on, if it is seen here.
///
/// # Errors
/// What move_mount(2) or mount(2) says.
pub fn put(mount: &OwnedFd, bind: &Bind) -> io::Result<()> {
    /// `MOVE_MOUNT_F_EMPTY_PATH` and `MOVE_MOUNT_T_EMPTY_PATH` of `<linux/mount.h>`.
    const EMPTY_PATHS: libc::c_uint = 0x04 | 0x40;
    let place = place(&bind.target, fs::metadata(by_descriptor(mount))?.is_dir())?;
    let (from, to, nothing) = (mount.as_raw_fd(), place.as_raw_fd(), c"");
    // SAFETY: the path outlives the call.
    let moved = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            from,
            nothing.as_ptr(),
            to,
            nothing.as_ptr(),
            EMPTY_PATHS,
        )
    };
    if moved == -1 {
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINVAL) {
            return Err(error);
        }
        // It is no mount that is nowhere: a user without rights over the host could make none.
        return bind_mount(&open_path(&bind.source)?, bind);
    }
    make_read_only(mount, bind.writable)
}

/// Takes away what is mounted on `target`; who uses it still may go on.
///
/// # Errors
/// ENOTDIR where a program has put a link on the way, and what umount(2) says.
pub fn remove(target: &Path) -> io::Result<()> {
    let (folder, name) = match files::split(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        split => split?,
    };
    let target = folder.path().join(name);
    match umount2(&target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        // Nothing is mounted there.
        Err(Errno::EINVAL | Errno::ENOENT) | Ok(()) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Does what [`enter`] begins with, to see whether the system lets a user do it. The calling process
/// must be alone in its namespaces.
///
/// # Errors
/// What mount(2) or mount_setattr(2) says.
pub fn attempt() -> io::Result<()> {
    none_mount(Path::new("/"), None, MsFlags::MS_REC | MsFlags::MS_PRIVATE)?;
    none_writable()?;
    proc()
}

/// Mounts the PID namespace's own `/proc`.
fn proc() -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let proc = Path::new("/proc");
    Ok(mount(
        Some("proc"),
        proc,
        Some("proc"),
        flags,
        None::<&str>,
    )?)
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
