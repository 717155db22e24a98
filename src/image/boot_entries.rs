//! What a lab offers a node to boot: which of it this host has, and the iPXE script
//! that tells the menu so.
//!
//! The menu itself is the user's, `webroot/boot.ipxe`; it chains to `entries.ipxe`,
//! rendered here, for the variables that it asks about. Serving the files is the
//! web service's job.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::{INITRD, VMLINUZ, under};

/// The folder of the web root in which a lab serves what is named here.
pub const FOLDER: &str = "nsplay";

/// Something that can be booted, and the files that it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is called in URLs and variables, like `memtest`: `a-z`, `0-9`, `-`.
    pub name: String,
    /// What a person reads, like `Debian 12 installer`.
    pub title: String,
    /// The files: where below [`FOLDER`] each is served, like `memtest/memtest.bin`,
    /// and where it is on this host.
    pub files: Vec<(String, PathBuf)>,
}

/// Where distributions put memtest86+, for BIOS and for UEFI: Debian; Fedora; Arch
/// (memtest86+, memtest86+-efi); Alpine and others.
const MEMTEST: [(&str, &str, &[&str]); 2] = [
    (
        "memtest",
        "memtest.bin",
        &[
            "/boot/memtest86+x64.bin",
            "/usr/lib/memtest86+/memtest.bin",
            "/boot/memtest86+/memtest.bin",
            "/usr/share/memtest86+/memtest.bin",
            "/boot/memtest.bin",
        ],
    ),
    (
        "memtest-efi",
        "memtest.efi",
        &[
            "/boot/memtest86+x64.efi",
            "/usr/lib/memtest86+/memtest.efi",
            "/boot/memtest86+/memtest.efi",
            "/usr/share/memtest86+/memtest.efi",
            "/boot/memtest.efi",
        ],
    ),
];

/// Where Debian's packages `debian-installer-N-netboot-amd64` put the installers.
const DEBIAN_INSTALLERS: &str = "/usr/lib/debian-installer/images";

/// Lists what can be booted: the image in the folder `image`, if it has been built,
/// and what is installed on the system at `root`.
pub fn discover(image: Option<&Path>, root: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    entries.extend(image.and_then(built_image));
    for (name, served, places) in MEMTEST {
        let found = places.iter().map(|place| under(root, place));
        if let Some(file) = found.into_iter().find(|file| file.is_file()) {
            entries.push(Entry {
                name: name.to_owned(),
                title: "memtest86+".to_owned(),
                files: vec![(format!("{name}/{served}"), file)],
            });
        }
    }
    entries.extend(debian_installer(root));
    entries
}

/// Returns the image in `folder`; half of one is none.
fn built_image(folder: &Path) -> Option<Entry> {
    entry("image", "nsplay image", folder, &[VMLINUZ, INITRD])
}

/// Returns the newest installer, in text, which works on a serial console.
fn debian_installer(root: &Path) -> Option<Entry> {
    let images = under(root, DEBIAN_INSTALLERS);
    let mut releases: Vec<u32> = fs::read_dir(&images)
        .ok()?
        .flatten()
        .filter_map(|release| release.file_name().to_str()?.parse().ok())
        .collect();
    releases.sort_unstable();
    releases.into_iter().rev().find_map(|release| {
        let folder = images
            .join(release.to_string())
            .join("amd64/text/debian-installer/amd64");
        let title = format!("Debian {release} installer");
        entry("debian", &title, &folder, &["linux", "initrd.gz"])
    })
}

/// Returns an entry of these files in `folder`, if all of them are there.
fn entry(name: &str, title: &str, folder: &Path, files: &[&str]) -> Option<Entry> {
    let files: Vec<_> = files
        .iter()
        .map(|file| (format!("{name}/{file}"), folder.join(file)))
        .collect();
    files.iter().all(|(_, file)| file.is_file()).then(|| Entry {
        name: name.to_owned(),
        title: title.to_owned(),
        files,
    })
}

/// What `entries.ipxe` says; `Display` is the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script<'a> {
    /// The web server as a node reaches it, like `192.168.25.3` or `192.168.25.3:8080`.
    pub server: &'a str,
    /// What can be booted.
    pub entries: &'a [Entry],
    /// Which entry of the menu boots by itself, like `image` or `disk`; `None` leaves
    /// it to the menu.
    pub default: Option<&'a str>,
    /// How long the menu waits for a key in milliseconds, 0 not to show it at all;
    /// `None` leaves it to the menu.
    pub timeout_ms: Option<u32>,
    /// Whether nodes reach the Internet.
    pub internet: bool,
}

impl fmt::Display for Script<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            server, entries, ..
        } = self;
        writeln!(f, "#!ipxe")?;
        writeln!(
            f,
            "# What this lab offers. nsplay writes this file; the menu is boot.ipxe."
        )?;
        writeln!(f, "set nsplay-server {server}")?;
        for Entry { name, title, .. } in *entries {
            writeln!(f, "set nsplay-{name} http://{server}/{FOLDER}/{name}")?;
            writeln!(f, "set nsplay-{name}-title {title}")?;
        }
        if let Some(default) = self.default {
            writeln!(f, "set nsplay-default {default}")?;
        }
        if let Some(timeout) = self.timeout_ms {
            writeln!(f, "set nsplay-timeout {timeout}")?;
        }
        if self.internet {
            writeln!(f, "set nsplay-internet yes")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_names_what_is_there_and_nothing_else() {
        let entries = [Entry {
            name: "image".to_owned(),
            title: "nsplay image".to_owned(),
            files: Vec::new(),
        }];
        let script = Script {
            server: "192.168.25.3",
            entries: &entries,
            default: Some("image"),
            timeout_ms: Some(0),
            internet: false,
        };
        assert_eq!(
            script.to_string(),
            "#!ipxe\n\
             # What this lab offers. nsplay writes this file; the menu is boot.ipxe.\n\
             set nsplay-server 192.168.25.3\n\
             set nsplay-image http://192.168.25.3/nsplay/image\n\
             set nsplay-image-title nsplay image\n\
             set nsplay-default image\n\
             set nsplay-timeout 0\n"
        );
    }

    #[test]
    fn an_empty_system_offers_nothing() {
        assert_eq!(discover(None, Path::new("/nonexistent")), []);
    }
}
