//! The image's userland: a busybox of the distribution, static or with its libraries.

use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::programs::{libraries, pack_libraries, run};
use super::{ImageError, output, under};

/// Where distributions put it, the static one first: Debian, Arch, openSUSE; Fedora;
/// Alpine.
const PLACES: &[&str] = &[
    "/bin/busybox.static",
    "/bin/busybox-static",
    "/usr/bin/busybox-static",
    "/bin/busybox",
    "/usr/bin/busybox",
    "/sbin/busybox",
    "/usr/sbin/busybox",
];

/// What the scripts of the image call.
const NEEDED: &[&str] = &[
    "cat", "cpio", "dd", "gunzip", "init", "ip", "kill", "mkfifo", "modprobe", "mount", "poweroff",
    "reboot", "sh", "sync", "tr", "udhcpc", "umount", "usleep", "wget",
];

/// A busybox that can run the image.
#[derive(Debug)]
pub(super) struct Busybox {
    pub(super) path: PathBuf,
    /// As it says itself, like `1.35.0`.
    pub(super) version: String,
    applets: Vec<String>,
    /// Libraries and the program that loads them, at the paths that it asks for.
    libraries: Vec<PathBuf>,
}

impl Busybox {
    /// Opens `path`, or the first busybox that is installed under `root`.
    ///
    /// It is run to learn its version and applets, so it must suit this machine.
    ///
    /// # Errors
    ///
    /// [`ImageError::NoBusybox`], [`ImageError::Applets`], [`ImageError::Run`],
    /// [`ImageError::Read`].
    pub(super) fn find(path: Option<&Path>, root: &Path) -> Result<Self, ImageError> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => PLACES
                .iter()
                .map(|place| under(root, place))
                .find(|place| place.exists())
                .ok_or_else(|| ImageError::NoBusybox {
                    root: root.to_owned(),
                })?,
        };
        let applets: Vec<String> = run(&path, &["--list"])?
            .lines()
            .map(str::to_owned)
            .collect();
        let missing: Vec<_> = NEEDED
            .iter()
            .filter(|&&applet| !applets.iter().any(|have| have == applet))
            .map(|&applet| applet.to_owned())
            .collect();
        if !missing.is_empty() {
            return Err(ImageError::Applets {
                path,
                missing,
                root: root.to_owned(),
            });
        }
        let version = version(&run(&path, &["--help"])?);
        let libraries = libraries(&path)?;
        Ok(Self {
            path,
            version,
            applets,
            libraries,
        })
    }

    /// Puts the program, a link for each applet, and the libraries into the archive.
    ///
    /// # Errors
    ///
    /// [`ImageError::Read`].
    pub(super) fn pack(&self, archive: &mut Archive) -> Result<(), ImageError> {
        archive.file("bin/busybox", 0o755, output::read(&self.path)?);
        for applet in self.applets.iter().filter(|&applet| applet != "busybox") {
            archive.link(&format!("bin/{applet}"), "busybox");
        }
        pack_libraries(&self.libraries, archive)
    }
}

/// Returns `1.35.0` from `BusyBox v1.35.0 (Debian 1:1.35.0-4) multi-call binary.`
fn version(help: &str) -> String {
    let first = help.lines().next().unwrap_or_default();
    let word = first.split_whitespace().nth(1).unwrap_or("unknown");
    word.trim_start_matches('v').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_word_after_the_name() {
        let help = "BusyBox v1.36.1 (2024-06-10 07:11:47 UTC) multi-call binary.\n";
        assert_eq!(version(help), "1.36.1");
    }
}
