//! Kernels: where distributions put them, which one to take, and what they say of
//! themselves. Their modules are [`modules`](super::modules)' job.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::modules::Tree;
use super::{ImageError, under};

/// A kernel that a node can boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kernel {
    pub(super) path: PathBuf,
    /// What `uname -r` says under it, which is also the name of its module folder.
    pub(super) version: String,
}

impl Kernel {
    /// Reads the version out of the kernel itself, because its file's name is a
    /// matter of taste: `vmlinuz-6.1.0-56-amd64`, `vmlinuz-linux`, `vmlinuz-lts`.
    ///
    /// # Errors
    ///
    /// [`ImageError::Read`], and [`ImageError::NotAKernel`] for any other file.
    pub(super) fn open(path: &Path) -> Result<Self, ImageError> {
        let head = read_head(path).map_err(|source| ImageError::Read {
            path: path.to_owned(),
            source,
        })?;
        let version = version(&head).ok_or_else(|| ImageError::NotAKernel {
            path: path.to_owned(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            version,
        })
    }

    /// Opens this kernel's modules: those in `folder` if it is given, else those that
    /// are installed under `root`.
    ///
    /// # Errors
    ///
    /// [`ImageError::NoModules`], and [`ImageError::Read`] for a broken tree.
    pub(super) fn tree(&self, root: &Path, folder: Option<&Path>) -> Result<Tree, ImageError> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => under(root, "/lib/modules").join(&self.version),
        };
        if !folder.join("modules.dep").exists() {
            return Err(ImageError::NoModules {
                kernel: self.path.clone(),
                tree: folder,
                root: root.to_owned(),
            });
        }
        Tree::open(&folder)
    }
}

/// Returns the best kernel that is installed under `root`, with its modules: one that
/// drives an e1000e card before one that does not (a lab's cards are e1000e unless it
/// says otherwise, and cloud kernels lack it), then the newest.
///
/// # Errors
///
/// [`ImageError::NoKernel`]; where there are kernels but none that would do, what is
/// wrong with the newest.
pub(super) fn newest(
    root: &Path,
    module_tree: Option<&Path>,
) -> Result<(Kernel, Tree), ImageError> {
    let mut refused = None;
    let mut best: Option<(Kernel, Tree)> = None;
    for kernel in installed(root) {
        let tree = match kernel.tree(root, module_tree) {
            Ok(tree) if tree.has_a_nic() => tree,
            Ok(tree) => {
                refused.get_or_insert(ImageError::NoNic {
                    kernel: kernel.path,
                    tree: tree.folder,
                    root: root.to_owned(),
                });
                continue;
            }
            Err(error) => {
                refused.get_or_insert(error);
                continue;
            }
        };
        // They come newest first, so a later one has to be better, not as good.
        if best
            .as_ref()
            .is_none_or(|(_, kept)| tree.drives_e1000e() && !kept.drives_e1000e())
        {
            best = Some((kernel, tree));
        }
    }
    let none = || ImageError::NoKernel {
        root: root.to_owned(),
    };
    best.ok_or_else(|| refused.unwrap_or_else(none))
}

/// Lists the kernels in `/boot` (Debian, Fedora, Arch, Alpine) and `/lib/modules`
/// (Fedora, Arch, openSUSE), newest first, one for each version.
///
/// What cannot be read or is no kernel is passed over: `/boot` holds other files.
fn installed(root: &Path) -> Vec<Kernel> {
    let in_boot = entries(&under(root, "/boot"))
        .into_iter()
        .filter(|path| file_name(path).starts_with("vmlinuz"));
    let in_modules = entries(&under(root, "/lib/modules"))
        .into_iter()
        .map(|folder| folder.join("vmlinuz"));
    let mut found = BTreeMap::new();
    for kernel in in_boot
        .chain(in_modules)
        .filter_map(|path| Kernel::open(&path).ok())
    {
        found.entry(kernel.version.clone()).or_insert(kernel);
    }
    let mut kernels: Vec<_> = found.into_values().collect();
    kernels.sort_by(|a, b| by_version(&b.version, &a.version));
    kernels
}

/// Lists a folder, sorted; one that is not there is empty.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// Enough of a kernel for its header and the version string, which the kernel's own
/// setup code keeps in its first 32 KiB (setup_sects is at most 64).
const HEAD: u64 = 34 * 1024;

fn read_head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// Returns the version in a bzImage, after the x86 boot protocol (kernel
/// documentation, `x86/boot.rst`): `HdrS` at 0x202, and at 0x20e the place of the
/// version string, counted from 0x200. The string goes on with who built it and when.
fn version(head: &[u8]) -> Option<String> {
    if head.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let place = u16::from_le_bytes([*head.get(0x20e)?, *head.get(0x20f)?]);
    let text = head.get(usize::from(place) + 0x200..)?;
    let end = text.iter().position(|byte| matches!(byte, 0 | b' '))?;
    let version = std::str::from_utf8(&text[..end]).ok()?;
    (!version.is_empty()).then(|| version.to_owned())
}

/// Compares versions by their numbers: 6.1.0-9 is older than 6.1.0-56.
fn by_version(a: &str, b: &str) -> Ordering {
    numbers(a).cmp(&numbers(b)).then_with(|| a.cmp(b))
}

/// Returns the numbers in `version`, in their order; overlong ones count as the largest.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap_or(u64::MAX))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(
            by_version("6.1.0-9-amd64", "6.1.0-56-amd64"),
            Ordering::Less
        );
        assert_eq!(
            by_version("6.12.1-200.fc41", "6.6.60-0-lts"),
            Ordering::Greater
        );
        assert_eq!(
            by_version("6.1.0-56-amd64", "6.1.0-56-amd64"),
            Ordering::Equal
        );
    }

    #[test]
    fn a_version_is_read_from_the_kernel_itself() {
        let mut head = vec![0; 0x400];
        head[0x202..0x206].copy_from_slice(b"HdrS");
        head[0x20e..0x210].copy_from_slice(&0x100u16.to_le_bytes());
        head[0x300..0x31b].copy_from_slice(b"6.6.60-0-lts (buildozer) #1");
        assert_eq!(version(&head).as_deref(), Some("6.6.60-0-lts"));
    }

    #[test]
    fn a_file_that_is_no_kernel_has_no_version() {
        assert_eq!(version(b"#!/bin/sh\n"), None);
        assert_eq!(version(&[0; 0x400]), None);
    }
}
