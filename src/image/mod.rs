//! The image that nodes boot when they have nothing else: a kernel of this
//! distribution and a small initrd that brings a node up and says so.
//!
//! [`build`] makes `vmlinuz`, `initrd.img` and `manifest.json`. What a lab offers to
//! boot, this image among it, is [`boot_entries`]' job.

mod archive;
pub mod boot_entries;
mod busybox;
mod error;
mod kernel;
mod modules;
mod output;
mod programs;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use archive::Compression;
pub use error::ImageError;

use archive::Archive;
use busybox::Busybox;
use kernel::Kernel;
use modules::{Modules, Tree};
use programs::Programs;

/// What the image is made from, and where it goes.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder that receives the files; made if it does not exist.
    pub output: PathBuf,
    /// A kernel to use instead of the newest packaged one.
    pub kernel: Option<PathBuf>,
    /// The kernel's module tree, if it is not `/lib/modules/VERSION`.
    pub module_tree: Option<PathBuf>,
    /// A busybox to use instead of the one that the distribution installs.
    pub busybox: Option<PathBuf>,
    /// Modules to put in beside the usual ones, by name; one that the kernel does
    /// not have is listed in [`Built::missing`].
    pub extra_modules: Vec<String>,
    /// How the initrd is packed.
    pub compression: Compression,
    /// The system whose `/boot`, `/lib/modules` and `/bin` are searched: `/`, or an
    /// unpacked root of another distribution.
    pub root: PathBuf,
}

impl Options {
    /// Returns the options for an image of this host's kernel in `output`.
    pub fn new(output: impl Into<PathBuf>) -> Self {
        Self {
            output: output.into(),
            kernel: None,
            module_tree: None,
            busybox: None,
            extra_modules: Vec::new(),
            compression: Compression::default(),
            root: PathBuf::from("/"),
        }
    }
}

/// What [`build`] has just done, for a person who waits; `Display` is the sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A kernel was chosen.
    Kernel {
        /// The kernel's file.
        path: PathBuf,
        /// What `uname -r` will say.
        version: String,
    },
    /// The modules were chosen, their dependencies with them.
    Modules {
        /// How many go into the image.
        packed: usize,
        /// How many the kernel does not have.
        missing: usize,
    },
    /// A busybox was chosen.
    Busybox {
        /// The program's file.
        path: PathBuf,
        /// As it says itself, like `1.35.0`.
        version: String,
    },
    /// The programs beside busybox were looked for.
    Programs {
        /// Those that go into the image, by name.
        packed: Vec<String>,
        /// Those that this host does not have.
        missing: Vec<String>,
    },
    /// So many modules are read, of so many.
    Unpacked {
        /// How many.
        modules: usize,
        /// Of how many.
        of: usize,
    },
    /// So many bytes of an archive are packed, of so many.
    Packed {
        /// How many.
        bytes: u64,
        /// Of how many.
        of: u64,
    },
    /// A file of the image is in its place.
    Wrote {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        bytes: u64,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { path, version } => {
                write!(f, "kernel {version} from {}", path.display())
            }
            Self::Modules { packed, missing: 0 } => write!(f, "{packed} modules"),
            Self::Modules { packed, missing } => {
                write!(f, "{packed} modules, {missing} that this kernel lacks")
            }
            Self::Busybox { path, version } => {
                write!(f, "busybox {version} from {}", path.display())
            }
            Self::Programs { packed, missing } => {
                let names = |names: &[String]| names.join(", ");
                match (packed.as_slice(), missing.as_slice()) {
                    ([], []) => f.write_str("no other programs"),
                    (packed, []) => f.write_str(&names(packed)),
                    ([], missing) => write!(f, "no {}: not on this host", names(missing)),
                    (packed, missing) => write!(
                        f,
                        "{}; no {}: not on this host",
                        names(packed),
                        names(missing)
                    ),
                }
            }
            Self::Unpacked { modules, of } => write!(f, "{modules} of {of} modules are read"),
            Self::Packed { bytes, of } => write!(f, "{bytes} of {of} bytes are packed"),
            Self::Wrote { path, bytes } => write!(f, "{} ({bytes} bytes)", path.display()),
        }
    }
}

/// The image, and what is in it. It is written beside the image as `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Built {
    /// What `uname -r` says on a node.
    pub kernel: String,
    /// The modules in the initrd by name, sorted.
    pub modules: Vec<String>,
    /// The wanted modules that are part of the kernel itself.
    pub builtin: Vec<String>,
    /// The wanted modules that this kernel does not have.
    pub missing: Vec<String>,
    /// The version of busybox, like `1.35.0`.
    pub busybox: String,
    /// The programs beside busybox, by name.
    pub programs: Vec<String>,
    /// The wanted programs that the host does not have.
    pub missing_programs: Vec<String>,
    /// The size of `vmlinuz` in bytes.
    pub vmlinuz_bytes: u64,
    /// The size of `initrd.img` in bytes.
    pub initrd_bytes: u64,
    /// The folder of the files. Not in the manifest, which moves with them.
    #[serde(skip)]
    pub output: PathBuf,
}

impl Built {
    /// Returns the path of the kernel.
    pub fn vmlinuz(&self) -> PathBuf {
        self.output.join(VMLINUZ)
    }

    /// Returns the path of the initrd.
    pub fn initrd(&self) -> PathBuf {
        self.output.join(INITRD)
    }

    /// Returns the path of the description, this struct in JSON.
    pub fn manifest(&self) -> PathBuf {
        self.output.join(MANIFEST)
    }
}

/// The names of the three files; the first two are also in `boot.ipxe`.
pub(crate) const VMLINUZ: &str = "vmlinuz";
pub(crate) const INITRD: &str = "initrd.img";
const MANIFEST: &str = "manifest.json";

/// Builds the image and replaces what an earlier build left in the folder.
///
/// The same inputs give the same bytes. Nothing is written before everything has
/// been found and read, and each file is replaced in one step, so that a lab that is
/// serving the old image never serves half of a new one. The kernel is replaced
/// first: for an instant a node may get a new kernel with the old initrd.
///
/// # Errors
///
/// [`ImageError`] says what is missing, and its [`hint`](ImageError::hint) how to get it.
pub fn build(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Built, ImageError> {
    let (kernel, tree) = choose_kernel(options)?;
    progress(Progress::Kernel {
        path: kernel.path.clone(),
        version: kernel.version.clone(),
    });

    let modules = tree.select(&options.extra_modules);
    progress(Progress::Modules {
        packed: modules.files.len(),
        missing: modules.missing.len(),
    });

    let busybox = Busybox::find(options.busybox.as_deref(), &options.root)?;
    progress(Progress::Busybox {
        path: busybox.path.clone(),
        version: busybox.version.clone(),
    });

    let programs = Programs::find(&options.root)?;
    progress(Progress::Programs {
        packed: programs.names(),
        missing: programs.missing.clone(),
    });

    let vmlinuz = output::read(&kernel.path)?;
    let mut archive = pack(&kernel, &tree, &modules, &busybox, progress)?;
    programs.pack(&mut archive, progress)?;
    let initrd = archive.finish(options.compression, progress);
    let built = Built {
        kernel: kernel.version,
        modules: modules.files.into_keys().collect(),
        builtin: modules.builtin,
        missing: modules.missing,
        busybox: busybox.version,
        programs: programs.names(),
        missing_programs: programs.missing,
        vmlinuz_bytes: vmlinuz.len() as u64,
        initrd_bytes: initrd.len() as u64,
        output: options.output.clone(),
    };
    let manifest = manifest(&built);

    output::make_folder(&options.output)?;
    for (name, bytes) in [
        (VMLINUZ, &vmlinuz),
        (INITRD, &initrd),
        (MANIFEST, &manifest),
    ] {
        let path = options.output.join(name);
        output::replace(&path, bytes)?;
        progress(Progress::Wrote {
            path,
            bytes: bytes.len() as u64,
        });
    }
    Ok(built)
}

/// Picks the kernel and opens its modules; a kernel without any of a node's NIC
/// drivers is refused, because nothing that it boots could be reached.
fn choose_kernel(options: &Options) -> Result<(Kernel, Tree), ImageError> {
    let Some(path) = &options.kernel else {
        return kernel::newest(&options.root, options.module_tree.as_deref());
    };
    let kernel = Kernel::open(path)?;
    let tree = kernel.tree(&options.root, options.module_tree.as_deref())?;
    if !tree.has_a_nic() {
        return Err(ImageError::NoNic {
            kernel: kernel.path,
            tree: tree.folder,
            root: options.root.clone(),
        });
    }
    Ok((kernel, tree))
}

/// Lays out the initrd: busybox, the modules, and the four scripts.
fn pack(
    kernel: &Kernel,
    tree: &Tree,
    modules: &Modules,
    busybox: &Busybox,
    progress: &mut dyn FnMut(Progress),
) -> Result<Archive, ImageError> {
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "run", "tmp", "root", "mnt", "etc"] {
        archive.folder(folder);
    }
    busybox.pack(&mut archive)?;
    tree.pack(modules, &kernel.version, &mut archive, progress)?;

    let program = 0o755;
    archive.file("init", program, include_bytes!("init.sh"));
    archive.file("etc/nsplay/dhcp", program, include_bytes!("dhcp.sh"));
    archive.file(
        "etc/nsplay/power-button",
        program,
        include_bytes!("power-button.sh"),
    );
    for name in ["poweroff", "reboot", "halt"] {
        archive.file(&format!("sbin/{name}"), program, include_bytes!("down.sh"));
    }
    archive.file("etc/modprobe.conf", 0o644, include_bytes!("modprobe.conf"));
    archive.file("etc/profile", 0o644, include_bytes!("profile.sh"));
    archive.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n");
    archive.file("etc/group", 0o644, b"root:x:0:\n");
    Ok(archive)
}

/// Says what the image in `folder` was made of; none where there is no image.
#[must_use]
pub fn contents(folder: &Path) -> Option<String> {
    let text = std::fs::read(folder.join(MANIFEST)).ok()?;
    let manifest: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let of = |key: &str| manifest[key].as_str().map(ToOwned::to_owned);
    Some(format!(
        "kernel {}, busybox {}",
        of("kernel")?,
        of("busybox")?
    ))
}

/// Returns the text of the manifest.
fn manifest(built: &Built) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(built).expect("a struct of strings and numbers");
    text.push(b'\n');
    text
}

/// Returns `path`, which is absolute, as it is called inside `root`.
fn under(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}
