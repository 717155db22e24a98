//! What can go wrong while an image is built, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::under;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// No kernel is installed.
    #[error("cannot find a kernel in {} or {}", under(.root, "/boot").display(), under(.root, "/lib/modules").display())]
    NoKernel {
        /// The system that was searched.
        root: PathBuf,
    },
    /// The file is no x86 kernel in bzImage format.
    #[error("cannot find a kernel's version in {}: it is no x86 bzImage", .path.display())]
    NotAKernel {
        /// The file.
        path: PathBuf,
    },
    /// A kernel without its modules.
    #[error("cannot find the modules of kernel {}: there is no {}", .kernel.display(), .tree.join("modules.dep").display())]
    NoModules {
        /// The kernel's file.
        kernel: PathBuf,
        /// Where its modules should be.
        tree: PathBuf,
        /// The system that was searched.
        root: PathBuf,
    },
    /// A kernel that cannot drive any network card of a node.
    #[error("cannot use kernel {}: no driver of a node's network card is in {}", .kernel.display(), .tree.display())]
    NoNic {
        /// The kernel's file.
        kernel: PathBuf,
        /// Its modules.
        tree: PathBuf,
        /// The system that was searched.
        root: PathBuf,
    },
    /// A module that cannot be unpacked.
    #[error("cannot unpack module {}", .path.display())]
    Unpack {
        /// The module's file.
        path: PathBuf,
        /// What its decompressor said.
        source: io::Error,
    },
    /// No busybox is installed.
    #[error("cannot find busybox in {}", .root.display())]
    NoBusybox {
        /// The system that was searched.
        root: PathBuf,
    },
    /// A busybox that was built without something that the image needs.
    #[error("cannot use {}: it was built without {}", .path.display(), .missing.join(", "))]
    Applets {
        /// The program's file.
        path: PathBuf,
        /// The applets that it lacks.
        missing: Vec<String>,
        /// The system that was searched.
        root: PathBuf,
    },
    /// A program of the host, or the loader of its libraries, did not run, or failed.
    #[error("cannot run `{command}`")]
    Run {
        /// Program and arguments.
        command: String,
        /// Why, or what it said.
        source: io::Error,
    },
    /// A file that cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file or folder that cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl ImageError {
    /// Returns one sentence that can be acted on, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoKernel { root } => Some(format!("install one: {}", KERNEL.command(root))),
            Self::NoModules { root, .. } | Self::NoNic { root, .. } => Some(format!(
                "install a full kernel (not a cloud or virtual one) and its modules: {}",
                KERNEL.command(root)
            )),
            Self::NoBusybox { root } | Self::Applets { root, .. } => {
                Some(format!("install a full one: {}", BUSYBOX.command(root)))
            }
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("some distributions let only root read their kernels: use sudo".to_owned())
            }
            Self::NotAKernel { .. } => Some(
                "give the kernel as a distribution packages it, often called vmlinuz".to_owned(),
            ),
            Self::Unpack { .. } | Self::Run { .. } | Self::Read { .. } | Self::Write { .. } => None,
        }
    }
}

/// What a package is called by each package manager.
struct Package {
    apt: &'static str,
    dnf: &'static str,
    pacman: &'static str,
    apk: &'static str,
    zypper: &'static str,
}

const KERNEL: Package = Package {
    apt: "linux-image-amd64",
    dnf: "kernel",
    pacman: "linux",
    apk: "linux-lts",
    zypper: "kernel-default",
};

const BUSYBOX: Package = Package {
    apt: "busybox-static",
    dnf: "busybox",
    pacman: "busybox",
    apk: "busybox-static",
    zypper: "busybox-static",
};

impl Package {
    /// Returns the command that installs it on the system at `root`, or every
    /// command, where that system has no package manager that is known here.
    fn command(&self, root: &Path) -> String {
        let commands = [
            ("/usr/bin/apt-get", format!("apt install {}", self.apt)),
            ("/usr/bin/dnf", format!("dnf install {}", self.dnf)),
            ("/usr/bin/pacman", format!("pacman -S {}", self.pacman)),
            ("/sbin/apk", format!("apk add {}", self.apk)),
            ("/usr/bin/zypper", format!("zypper install {}", self.zypper)),
        ];
        match commands.iter().find(|(path, _)| under(root, path).exists()) {
            Some((_, command)) => command.clone(),
            None => commands.map(|(_, command)| command).join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_system_is_told_every_package_manager() {
        let error = ImageError::NoKernel {
            root: PathBuf::from("/nonexistent"),
        };
        assert_eq!(
            error.hint().unwrap(),
            "install one: apt install linux-image-amd64, dnf install kernel, \
             pacman -S linux, apk add linux-lts, zypper install kernel-default"
        );
    }
}
