//! Finding programs: PATH, and the folders that sudo and cron cut from it.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where system programs are, whatever PATH says.
///
/// sudo's secure_path and cron leave some of these out, Debian's user PATH all
/// of the sbin ones.
const SYSTEM: &[&str] = &[
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
];

/// What is looked at on a host: its programs and its data files.
pub trait Host {
    /// Returns the absolute path of the program `name`.
    fn program(&self, name: &str) -> Option<PathBuf>;

    /// Tells whether there is a file at `path`.
    fn has_file(&self, path: &Path) -> bool;
}

/// This host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finder {
    folders: Vec<PathBuf>,
}

impl Finder {
    /// Looks in the folders of `path`, a PATH, and then in the system's.
    ///
    /// A relative folder of PATH is left out: what runs as root is not taken
    /// from the folder that somebody happens to be in.
    #[must_use]
    pub fn new(path: Option<&OsStr>) -> Self {
        let mut folders: Vec<PathBuf> = Vec::new();
        let ours = path.into_iter().flat_map(std::env::split_paths);
        for folder in ours.chain(SYSTEM.iter().map(PathBuf::from)) {
            if folder.is_absolute() && !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        Self { folders }
    }

    /// Looks in this process's PATH and then in the system's folders.
    #[must_use]
    pub fn from_env() -> Self {
        Self::new(std::env::var_os("PATH").as_deref())
    }

    /// Returns the absolute path of the first executable file called `name`.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        self.folders
            .iter()
            .map(|folder| folder.join(name))
            .find(|path| is_executable(path))
    }
}

impl Host for Finder {
    fn program(&self, name: &str) -> Option<PathBuf> {
        Self::program(self, name)
    }

    fn has_file(&self, path: &Path) -> bool {
        path.is_file()
    }
}

/// Tells whether `path` is a file that somebody may execute.
#[must_use]
pub fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::PathBuf;

    use super::Finder;

    #[test]
    fn a_trimmed_path_still_finds_the_system() {
        for path in [None, Some(OsStr::new("")), Some(OsStr::new("/nowhere"))] {
            let found = Finder::new(path).program("sh").unwrap();
            assert!(found.is_absolute() && found.ends_with("sh"), "{found:?}");
        }
    }

    #[test]
    fn relative_folders_and_repeated_ones_are_left_out() {
        let finder = Finder::new(Some(OsStr::new(".:bin::/opt/bin:/usr/bin:/opt/bin")));
        let folders: Vec<_> = finder.folders.iter().map(|f| f.to_str().unwrap()).collect();
        assert_eq!(
            folders,
            [
                "/opt/bin",
                "/usr/bin",
                "/usr/local/sbin",
                "/usr/sbin",
                "/sbin",
                "/usr/local/bin",
                "/bin"
            ]
        );
    }

    #[test]
    fn only_an_executable_file_is_a_program() {
        let finder = Finder {
            folders: vec![PathBuf::from("/etc"), PathBuf::from("/")],
        };
        assert_eq!(finder.program("passwd"), None);
        assert_eq!(finder.program("usr"), None);
    }
}
