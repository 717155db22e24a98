//! Files in folders that the programs of a lab may change, and do when they are broken into.
//!
//! A path below [`LAB_DIR`] is walked descriptor by descriptor, and no symbolic link on it is followed; of
//! any other path the last part is not. So whoever has a folder can lead this process nowhere else.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::fchown;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};

use crate::program::{LAB_DIR, TextFile};

/// A folder, held by a descriptor.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// Opens a folder that is where it should be, as far as whoever wrote its path is trusted.
    ///
    /// # Errors
    /// What open(2) says.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(nix::fcntl::open(path, FOLDER, Mode::empty())?))
    }

    /// The folder `path` below this one; no symbolic link is followed.
    ///
    /// # Errors
    /// ENOTDIR where a link or a file is in the way, EINVAL for a path that leads up, and what openat(2)
    /// says.
    pub fn below(self, path: &Path) -> io::Result<Self> {
        path.components()
            .try_fold(self, |folder, part| folder.enter(normal(part)?))
    }

    /// The same; those that are missing are made.
    fn made_below(self, path: &Path) -> io::Result<Self> {
        path.components().try_fold(self, |folder, part| {
            let name = normal(part)?;
            folder.make(name)?;
            folder.enter(name)
        })
    }

    fn make(&self, name: &OsStr) -> io::Result<()> {
        match mkdirat(&self.0, name, Mode::from_bits_truncate(0o755)) {
            Err(Errno::EEXIST) => Ok(()),
            made => Ok(made?),
        }
    }

    fn enter(&self, name: &OsStr) -> io::Result<Self> {
        let flags = FOLDER | OFlag::O_NOFOLLOW;
        let entered = openat(&self.0, name, flags, Mode::empty());
        Ok(Self(entered.map_err(|error| named(name, error))?))
    }

    /// Reads a file, if it is one and has no more than `most` bytes.
    ///
    /// # Errors
    /// InvalidData when it is something else or larger, ELOOP when it is a symbolic link, and what
    /// openat(2) says.
    pub fn read(&self, name: &OsStr, most: u64) -> io::Result<Vec<u8>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.0, name, flags, Mode::empty())?);
        let mut bytes = Vec::new();
        if file.metadata()?.is_file() {
            file.take(most + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 <= most {
                return Ok(bytes);
            }
        }
        let message = format!("{} is no file, or larger than {most} bytes", name.display());
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }

    /// Others may write the same file at once: one of them is whole, and all succeed.
    fn write(&self, name: &OsStr, mode: u32, owner: Option<u32>, bytes: &[u8]) -> io::Result<()> {
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}", std::process::id()));
        let temporary = temporary.as_os_str();
        self.remove(temporary)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(mode);
        let mut file = File::from(openat(&self.0, temporary, flags, mode)?);
        let written = file
            .write_all(bytes)
            // Only now it is another's.
            .and_then(|()| own(&file, owner))
            .and_then(|()| Ok(renameat(&self.0, temporary, &self.0, name)?));
        written.inspect_err(|_| {
            let _ = self.remove(temporary);
        })
    }

    fn remove(&self, name: &OsStr) -> io::Result<()> {
        match unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::ENOENT) => Ok(()),
            removed => Ok(removed?),
        }
    }

    /// Where this process finds the folder whatever happens to its path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        by_descriptor(&self.0)
    }
}

const FOLDER: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

/// Where this process finds what `fd` is open on, whatever happens to its path (proc_pid_fd(5)).
#[must_use]
pub fn by_descriptor(fd: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn normal(part: Component<'_>) -> io::Result<&OsStr> {
    match part {
        Component::Normal(name) => Ok(name),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn named(name: &OsStr, error: Errno) -> io::Error {
    let error = io::Error::from(error);
    io::Error::new(error.kind(), format!("{}: {error}", name.display()))
}

fn own(file: &File, owner: Option<u32>) -> io::Result<()> {
    match owner {
        Some(owner) => fchown(file, Some(owner), Some(owner)),
        None => Ok(()),
    }
}

/// The folder that `path` is in, and its name there.
///
/// # Errors
/// As [`Folder::below`].
pub fn split(path: &Path) -> io::Result<(Folder, &OsStr)> {
    let (parent, name) = parts(path)?;
    let folder = match parent.strip_prefix(LAB_DIR) {
        Ok(rest) => Folder::open(Path::new(LAB_DIR))?.below(rest)?,
        Err(_) => Folder::open(parent)?,
    };
    Ok((folder, name))
}

/// The same; the folder is made where it is missing.
fn split_made(path: &Path) -> io::Result<(Folder, &OsStr)> {
    let (parent, name) = parts(path)?;
    let folder = match parent.strip_prefix(LAB_DIR) {
        Ok(rest) => Folder::open(Path::new(LAB_DIR))?.made_below(rest)?,
        Err(_) => {
            fs::create_dir_all(parent)?;
            Folder::open(parent)?
        }
    };
    Ok((folder, name))
}

fn parts(path: &Path) -> io::Result<(&Path, &OsStr)> {
    let parts = path.parent().zip(path.file_name());
    parts.ok_or_else(|| Errno::EINVAL.into())
}

/// Makes a folder and those above it, and gives it to `owner`; one that is there is given away too.
///
/// # Errors
/// ENOTDIR where a link or a file is in the way, and what mkdir(2) or fchown(2) says.
pub fn make(path: &Path, owner: Option<u32>) -> io::Result<()> {
    let (folder, name) = split_made(path)?;
    folder.make(name)?;
    own(&File::from(folder.enter(name)?.0), owner)
}

/// Writes a file with these permission bits for `owner`, in place of one that is there; makes its folder.
///
/// # Errors
/// What mkdir(2), open(2), write(2) or fchown(2) says.
pub fn write(path: &Path, mode: u32, owner: Option<u32>, bytes: &[u8]) -> io::Result<()> {
    let (folder, name) = split_made(path)?;
    folder.write(name, mode, owner, bytes)
}

/// Writes a text where it belongs, with its permission bits.
///
/// # Errors
/// As [`write()`].
pub fn write_text(file: &TextFile, owner: Option<u32>) -> io::Result<()> {
    write(&file.path, file.mode, owner, file.text.as_bytes())
}

/// The same with many.
///
/// # Errors
/// As [`write()`]; those before it are written.
pub fn write_texts(files: &[TextFile], owner: Option<u32>) -> io::Result<()> {
    files.iter().try_for_each(|file| write_text(file, owner))
}

/// Makes a symbolic link, in place of what is there but a folder; makes its folder.
///
/// # Errors
/// What mkdir(2), unlink(2) or symlink(2) says.
pub fn link(path: &Path, to: &Path) -> io::Result<()> {
    let (folder, name) = split_made(path)?;
    if readlinkat(&folder.0, name).is_ok_and(|is| is == to.as_os_str()) {
        return Ok(());
    }
    folder.remove(name)?;
    Ok(symlinkat(to, &folder.0, name)?)
}

/// Makes a symbolic link where nothing is.
///
/// # Errors
/// AlreadyExists, and what else symlink(2) says.
pub fn add_link(path: &Path, to: &Path) -> io::Result<()> {
    let (folder, name) = split(path)?;
    Ok(symlinkat(to, &folder.0, name)?)
}

/// Opens the folder or the file `path` below `tree`, which is made if it is not there, with those above it.
///
/// # Errors
/// ENOTDIR or ELOOP where a link is in the way, and what mkdir(2) or open(2) says.
pub fn place(tree: &Path, path: &Path, is_dir: bool) -> io::Result<File> {
    let folder = Folder::open(tree)?;
    if is_dir {
        return Ok(folder.made_below(path)?.0.into());
    }
    let (above, name) = parts(path)?;
    let folder = folder.made_below(above)?;
    let flags = OFlag::O_RDONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mode = Mode::from_bits_truncate(0o644);
    Ok(openat(&folder.0, name, flags | OFlag::O_CLOEXEC, mode)?.into())
}

/// Removes a file or a link; one that is not there is removed.
///
/// # Errors
/// What unlink(2) says.
pub fn remove(path: &Path) -> io::Result<()> {
    let (folder, name) = split(path)?;
    folder.remove(name)
}

/// Reads a file of at most `most` bytes.
///
/// # Errors
/// As [`Folder::read`].
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (folder, name) = split(path)?;
    folder.read(name, most)
}

/// The symbolic links in a folder, with where they lead.
///
/// # Errors
/// What open(2) or readdir(3) says.
pub fn links(path: &Path) -> io::Result<Vec<(OsString, PathBuf)>> {
    let (folder, name) = split(path)?;
    let folder = folder.enter(name)?;
    let mut links = Vec::new();
    for entry in fs::read_dir(folder.path())? {
        let name = entry?.file_name();
        if let Ok(to) = readlinkat(&folder.0, name.as_os_str()) {
            links.push((name, to.into()));
        }
    }
    Ok(links)
}

/// Connects to a socket that is at `path`, and not to one that a link there leads to.
///
/// # Errors
/// ECONNREFUSED when it is no socket, and what open(2) or connect(2) says.
pub async fn connect(path: &Path) -> io::Result<tokio::net::UnixStream> {
    let (folder, name) = split(path)?;
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let socket = Folder(openat(&folder.0, name, flags, Mode::empty())?);
    tokio::net::UnixStream::connect(socket.path()).await
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder of a test's own, with an empty folder `ours` and one `theirs` with a file in it.
    struct Folders(PathBuf);

    impl Folders {
        fn new(test: &str) -> (Self, PathBuf, PathBuf) {
            let name = format!("nsplay-files-{test}-{}", std::process::id());
            let all = Self(std::env::temp_dir().join(name));
            let [ours, theirs] = ["ours", "theirs"].map(|name| all.0.join(name));
            fs::create_dir_all(&ours).unwrap();
            fs::create_dir_all(&theirs).unwrap();
            fs::write(theirs.join("file"), "theirs").unwrap();
            (all, ours, theirs)
        }
    }

    impl Drop for Folders {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_link_in_place_of_a_folder_or_a_file_leads_nowhere() {
        let (_all, ours, theirs) = Folders::new("links");
        symlink(&theirs, ours.join("folder")).unwrap();
        symlink(theirs.join("file"), ours.join("file")).unwrap();
        let open = || Folder::open(&ours).unwrap();
        assert!(open().below(Path::new("folder")).is_err());
        assert!(open().below(Path::new("../theirs")).is_err());
        assert!(open().made_below(Path::new("folder/new")).is_err());
        assert!(make(&ours.join("folder"), None).is_err());
        assert!(read(&ours.join("file"), 100).is_err());
        write(&ours.join("file"), 0o600, None, b"ours").unwrap();
        assert_eq!(read(&ours.join("file"), 4).unwrap(), b"ours");
        assert_eq!(fs::read(theirs.join("file")).unwrap(), b"theirs");
        assert_eq!(fs::read_dir(&theirs).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_or_too_large_is_not_read() {
        let (_all, ours, _) = Folders::new("read");
        nix::unistd::mkfifo(&ours.join("fifo"), Mode::S_IRWXU).unwrap();
        fs::write(ours.join("large"), "12345").unwrap();
        fs::create_dir(ours.join("folder")).unwrap();
        for (name, most) in [("fifo", 100), ("folder", 100), ("large", 4)] {
            let error = read(&ours.join(name), most).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[tokio::test]
    async fn a_link_to_a_socket_is_not_connected_to() {
        let (_all, ours, theirs) = Folders::new("socket");
        let socket = theirs.join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        symlink(&socket, ours.join("socket")).unwrap();
        connect(&socket).await.unwrap();
        assert!(connect(&ours.join("socket")).await.is_err());
    }
}
