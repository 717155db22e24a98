//! Cells: what a program of nsplay's sees of the file system.
//!
//! It sees what is installed on the system, the lab's own `/etc`, the devices that every program
//! expects, its own processes in `/proc`, an empty `/tmp`, and what its [`Cell`] names: the folder
//! that it serves, or the files that its guest is made of. Building one is
//! [`kernel::cell`](crate::kernel::cell)'s job.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a program sees beside the system, where the lab has it too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Files and folders that it reads.
    pub reads: Vec<PathBuf>,
    /// Files and folders that it writes to as well, as far as their owners and modes let it.
    pub writes: Vec<PathBuf>,
    /// Devices that it opens beside [`DEVICES`].
    pub devices: Vec<PathBuf>,
    /// Folders that have the name too that they have on the host, and what that leads to: links
    /// inside them may be spelled with it.
    pub names: Vec<(PathBuf, PathBuf)>,
    /// Whether it builds walls around itself by mounts of its own, which a Landlock domain forbids.
    pub mounts: bool,
}

/// Where distributions install programs: FHS's folders, Nix's and Guix's. Those that the host does
/// not have are left out, and those that are symbolic links stay ones.
pub const SYSTEM: [&str; 9] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
];

/// Where vendors install programs with all that is theirs (FHS 3.0, section 3.13): seen by a program
/// that is installed there.
pub const VENDORS: &str = "/opt";

/// The devices that every program expects.
pub const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

impl Cell {
    /// A cell in which `writes` can be written to.
    #[must_use]
    pub fn writing(writes: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            writes: writes.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Shows `path` to be read, unless it is seen already.
    pub fn read(&mut self, path: &Path) {
        if !self.shows(path) {
            self.reads.push(path.to_owned());
        }
    }

    /// Whether `path` is seen.
    #[must_use]
    pub fn shows(&self, path: &Path) -> bool {
        let named = self.reads.iter().chain(&self.writes);
        let system = SYSTEM.iter().map(Path::new);
        system
            .chain(named.map(PathBuf::as_path))
            .any(|seen| path.starts_with(seen))
    }
}

impl fmt::Display for Cell {
    /// One line, as a comment in a plan.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("# sees what is installed, the lab's /etc")?;
        for path in self.reads.iter().chain(&self.devices) {
            write!(f, ", {}", path.display())?;
        }
        for path in &self.writes {
            write!(f, ", {} (writable)", path.display())?;
        }
        for (name, is) in &self.names {
            write!(f, ", {} (which is {})", name.display(), is.display())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_already_is_not_shown_twice() {
        let mut cell = Cell::writing(["/run/lab/web".into()]);
        for path in [
            "/usr/lib/ipxe/undionly.kpxe",
            "/run/lab/web/root/index.html",
            "/boot/memtest",
            "/boot/memtest",
            "/usrs",
        ] {
            cell.read(Path::new(path));
        }
        assert_eq!(cell.reads, [Path::new("/boot/memtest"), Path::new("/usrs")]);
        assert_eq!(
            cell.to_string(),
            "# sees what is installed, the lab's /etc, /boot/memtest, /usrs, /run/lab/web (writable)"
        );
    }
}
