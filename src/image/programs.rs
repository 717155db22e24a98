//! Programs of the host that the image carries besides busybox, and the libraries that they load.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::archive::{Archive, Compression};
use super::{ImageError, Progress, output, under};

/// What the image carries where the host has it: how a node talks to its BMC, and what
/// its firmware says of it.
const WANTED: &[&str] = &["ipmitool", "dmidecode"];

/// Where distributions put programs.
const FOLDERS: &[&str] = &["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/// IANA's list of manufacturers, without which ipmitool 1.8.19 does nothing.
const ENTERPRISES: &str = "/usr/share/misc/enterprise-numbers.txt";

/// Those of its 60000 entries that a node may meet: the reserved one, and MontaVista's,
/// whose number ipmi_sim has. The whole list has 4.7 MB.
const ENTRIES: &[&str] = &["0", "4753"];

/// A list for a host that has none.
const RESERVED_ONLY: &str = "0\n  Reserved\n    -\n      -\n";

/// The archive of the programs, inside the image.
const PACKED: &str = "usr/lib/programs.cpio.gz";

/// Which of the wanted programs the host has.
#[derive(Debug, Default)]
pub(super) struct Programs {
    found: Vec<PathBuf>,
    /// The libraries of all of them, at the paths where they are looked for.
    libraries: Vec<PathBuf>,
    /// The list of manufacturers, cut down.
    enterprises: String,
    /// Those that the host lacks, by name.
    pub(super) missing: Vec<String>,
}

impl Programs {
    /// Looks for the wanted programs under `root`; what is not there is no error.
    ///
    /// # Errors
    ///
    /// [`ImageError::Read`], and [`ImageError::Run`] for one whose libraries are not there.
    pub(super) fn find(root: &Path) -> Result<Self, ImageError> {
        let mut programs = Self::default();
        for name in WANTED {
            let mut places = FOLDERS.iter().map(|folder| under(root, folder).join(name));
            match places.find(|place| place.exists()) {
                Some(path) => {
                    programs.libraries.extend(libraries(&path)?);
                    programs.found.push(path);
                }
                None => programs.missing.push((*name).to_owned()),
            }
        }
        let list = under(root, ENTERPRISES);
        programs.enterprises = match list.exists() {
            true => entries(&output::read_text(&list)?),
            false => RESERVED_ONLY.to_owned(),
        };
        Ok(programs)
    }

    /// The names of those that were found.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |path: &PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
        self.found.iter().filter_map(name).collect()
    }

    /// Puts the programs and their libraries into the archive, as one of their own that is
    /// unpacked at the first use: 16 MB otherwise, which cost each boot 0.3 s.
    ///
    /// # Errors
    ///
    /// [`ImageError::Read`].
    pub(super) fn pack(
        &self,
        archive: &mut Archive,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), ImageError> {
        if self.found.is_empty() {
            return Ok(());
        }
        let mut packed = Archive::default();
        for (path, name) in self.found.iter().zip(self.names()) {
            packed.file(&format!("usr/bin/{name}"), 0o755, output::read(path)?);
            archive.file(&format!("bin/{name}"), 0o755, include_bytes!("program.sh"));
        }
        pack_libraries(&self.libraries, &mut packed)?;
        let path = ENTERPRISES.trim_start_matches('/');
        packed.file(path, 0o644, self.enterprises.as_str());
        archive.file(PACKED, 0o644, packed.finish(Compression::Gzip, progress));
        Ok(())
    }
}

/// Cuts a list of manufacturers down to [`ENTRIES`]: a number at the beginning of a line, and
/// the indented lines below it.
fn entries(list: &str) -> String {
    let mut kept = String::new();
    let mut keep = false;
    for line in list.lines() {
        if !line.starts_with(' ') {
            keep = ENTRIES.contains(&line);
        }
        if keep {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Puts libraries into the archive: the names as asked for, the contents of what they lead to.
///
/// # Errors
///
/// [`ImageError::Read`].
pub(super) fn pack_libraries(
    libraries: &[PathBuf],
    archive: &mut Archive,
) -> Result<(), ImageError> {
    for library in libraries {
        let name = library.to_string_lossy();
        archive.file(name.trim_start_matches('/'), 0o755, output::read(library)?);
    }
    Ok(())
}

/// Returns the libraries of a program and what loads them, none for one that is static.
///
/// The program's own loader lists them, as ldd(1) has it do without a shell; glibc's and
/// musl's both take `--list`.
///
/// # Errors
///
/// [`ImageError::Read`], [`ImageError::Run`].
pub(super) fn libraries(program: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let Some(loader) = interpreter(&output::read(program)?) else {
        return Ok(Vec::new());
    };
    let listed = run(&loader, &["--list", &program.to_string_lossy()])?;
    let mut libraries = listed_paths(&listed);
    libraries.push(loader);
    Ok(libraries)
}

/// Runs a program of the host and returns what it prints.
///
/// # Errors
///
/// [`ImageError::Run`], also for one that fails.
pub(super) fn run(program: &Path, arguments: &[&str]) -> Result<String, ImageError> {
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

/// Returns the program that loads a program's libraries: the PT_INTERP entry of an ELF
/// header of 64 bits (`elf(5)`). What is no such file counts as static.
fn interpreter(program: &[u8]) -> Option<PathBuf> {
    const PT_INTERP: usize = 3;
    let number = |at: usize, len: usize| -> Option<usize> {
        let bytes = program.get(at..at.checked_add(len)?)?;
        let value = bytes
            .iter()
            .rev()
            .fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
        usize::try_from(value).ok()
    };
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (start, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    let entry = (0..count)
        .map(|index| start.saturating_add(index * size))
        .find(|&at| number(at, 4) == Some(PT_INTERP))?;
    let (at, length) = (
        number(entry.checked_add(8)?, 8)?,
        number(entry.checked_add(32)?, 8)?,
    );
    let name = program.get(at..at.checked_add(length)?)?;
    let name = std::str::from_utf8(name).ok()?.trim_end_matches('\0');
    Some(PathBuf::from(name))
}

/// Returns the paths in a loader's list, glibc's or musl's:
/// `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn listed_paths(listed: &str) -> Vec<PathBuf> {
    listed
        .lines()
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
    fn this_test_is_dynamic_and_a_script_is_not() {
        let this = fs::read("/proc/self/exe").unwrap();
        assert!(interpreter(&this).is_some_and(|loader| loader.exists()));
        assert_eq!(interpreter(b"#!/bin/sh\n"), None);
        assert_eq!(interpreter(b"\x7fELF\x02\x01"), None);
    }

    #[test]
    fn the_libraries_of_a_program_and_their_loader_are_listed() {
        let this = std::env::current_exe().unwrap();
        let found = libraries(&this).unwrap();
        let has = |name: &str| {
            found
                .iter()
                .any(|path| path.to_string_lossy().contains(name))
        };
        assert!(has("libc") && has("ld-"), "{found:?}");
    }

    #[test]
    fn a_list_of_manufacturers_keeps_the_entries_that_a_node_may_meet() {
        let list = "Decimal\n| Organization\n0\n  Reserved\n    I\n1\n  N\n4753\n  M\n\nEnd\n";
        assert_eq!(entries(list), "0\n  Reserved\n    I\n4753\n  M\n");
    }

    #[test]
    fn a_host_without_the_programs_is_no_error() {
        let programs = Programs::find(Path::new("/nonexistent")).unwrap();
        assert_eq!(programs.missing, WANTED);
        assert_eq!(programs.names(), Vec::<String>::new());
    }
}
