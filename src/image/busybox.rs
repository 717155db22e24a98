//! The image's userland: a busybox of the distribution, static or with its libraries.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::archive::Archive;
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
    "cat", "dd", "init", "ip", "kill", "mkfifo", "modprobe", "mount", "poweroff", "reboot", "sh",
    "sync", "tr", "udhcpc", "umount", "usleep", "wget",
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
        let libraries = match is_dynamic(&output::read(&path)?) {
            true => libraries(&run(Path::new("ldd"), &[&path.to_string_lossy()])?),
            false => Vec::new(),
        };
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
        for library in &self.libraries {
            // The name as asked for, the contents of what it leads to.
            let name = library.to_string_lossy();
            archive.file(name.trim_start_matches('/'), 0o755, output::read(library)?);
        }
        Ok(())
    }
}

/// Runs a program of the host and returns what it prints.
fn run(program: &Path, arguments: &[&str]) -> Result<String, ImageError> {
    let failed = |source| ImageError::Run {
        command: format!("{} {}", program.display(), arguments.join(" ")),
        source,
    };
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .output()
        .map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = format!("{}: {}", output.status, said.trim());
        return Err(failed(io::Error::other(said)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns `1.35.0` from `BusyBox v1.35.0 (Debian 1:1.35.0-4) multi-call binary.`
fn version(help: &str) -> String {
    let first = help.lines().next().unwrap_or_default();
    let word = first.split_whitespace().nth(1).unwrap_or("unknown");
    word.trim_start_matches('v').to_owned()
}

/// Says whether a program names another that loads its libraries: an ELF header of 64
/// bits with a PT_INTERP entry (`elf(5)`). What is no such file counts as static.
fn is_dynamic(program: &[u8]) -> bool {
    const PT_INTERP: u64 = 3;
    let number = |at: usize, len: usize| -> Option<u64> {
        let bytes = program.get(at..at.checked_add(len)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
        )
    };
    let entries = || -> Option<(usize, usize, usize)> {
        let at = |at, len| usize::try_from(number(at, len)?).ok();
        Some((at(0x20, 8)?, at(0x36, 2)?, at(0x38, 2)?))
    };
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return false;
    }
    let Some((start, size, count)) = entries() else {
        return false;
    };
    (0..count).any(|index| {
        let at = start.saturating_add(index * size);
        number(at, 4) == Some(PT_INTERP)
    })
}

/// Returns the paths in the output of ldd, glibc's or musl's:
/// `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn libraries(ldd: &str) -> Vec<PathBuf> {
    ldd.lines()
        .flat_map(|line| line.split_whitespace())
        .filter(|word| word.starts_with('/'))
        .map(|word| PathBuf::from(word.trim_end_matches(':')))
        .filter(|path| fs::metadata(path).is_ok_and(|meta| meta.is_file()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_word_after_the_name() {
        let help = "BusyBox v1.36.1 (2024-06-10 07:11:47 UTC) multi-call binary.\n";
        assert_eq!(version(help), "1.36.1");
    }

    #[test]
    fn this_test_is_dynamic_and_a_script_is_not() {
        let this = std::fs::read("/proc/self/exe").unwrap();
        assert!(is_dynamic(&this));
        assert!(!is_dynamic(b"#!/bin/sh\n"));
        assert!(!is_dynamic(b"\x7fELF\x02\x01"));
    }

    #[test]
    fn libraries_are_the_paths_that_ldd_prints() {
        let this = std::env::current_exe().unwrap();
        let ldd = run(Path::new("ldd"), &[&this.to_string_lossy()]).unwrap();
        let found = libraries(&ldd);
        assert!(
            found
                .iter()
                .any(|path| path.to_string_lossy().contains("libc"))
        );
    }
}
