//! Builds [cells](crate::cell): a mount namespace of a program's own, whose root is a tmpfs with
//! what the program is to see bound into it (mount_namespaces(7), pivot_root(2)).
//!
//! All that needs memory is done before the fork, in [`Walls::plan`]; [`Walls::build`] makes system
//! calls only, since it runs where another thread may have held the allocator's lock.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

use nix::errno::Errno;
use nix::libc;

use crate::cell::{Cell, DEVICES, SYSTEM, VENDORS};

/// Where a cell's root is mounted, in its own mount namespace only. No member has a name with a dot.
pub const ROOT: &str = "/run/lab/.cell";

/// What is done to build a cell, in order.
#[derive(Debug)]
pub struct Walls(Vec<Step>);

/// One step, and what it is called where it fails.
#[derive(Debug)]
struct Step {
    call: Call,
    at: CString,
}

/// What is done at a path.
#[derive(Debug)]
enum Call {
    /// Makes a folder.
    Folder,
    /// Makes an empty file, to be mounted on.
    File,
    /// Makes a symbolic link to this.
    Link(CString),
    /// Mounts a file system of this type with these options.
    Mount(&'static CStr, libc::c_ulong, &'static CStr),
    /// Binds this, with all that is mounted below it, with these attributes (mount_setattr(2)).
    Bind(CString, u64),
    /// Makes it the root, for reading only, and lets go of what was the root.
    Enter,
}

/// A step that failed: its place among the [`Walls`], and why.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// Which step.
    pub step: u16,
    /// What the kernel said.
    pub errno: Errno,
}

const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const WRITABLE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
/// A device can be written to all the same.
const DEVICE: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;

const NOSUID_NODEV: libc::c_ulong = libc::MS_NOSUID | libc::MS_NODEV;

impl Walls {
    /// What building `cell` takes for a program of which this is the binary.
    ///
    /// # Errors
    /// When something that the cell shows is not there, by its name.
    pub fn plan(cell: &Cell, binary: &Path) -> io::Result<Self> {
        let mut plan = Planner::default();
        plan.mount("", c"tmpfs", NOSUID_NODEV, c"mode=755")?;
        for path in SYSTEM.map(Path::new) {
            plan.system(path)?;
        }
        let real = fs::canonicalize(binary)?;
        for path in [binary, real.as_path()] {
            if path.starts_with(VENDORS) {
                plan.system(Path::new(VENDORS))?;
            }
        }
        plan.bind(Path::new("/etc"), READ_ONLY)?;
        plan.folder(Path::new("/proc"))?;
        plan.bound.push("/proc".into());
        // Of processes only those that it may trace: not another member's (proc(5), Linux 5.8).
        let flags = NOSUID_NODEV | libc::MS_NOEXEC;
        plan.mount("/proc", c"proc", flags, c"hidepid=2,subset=pid")?;
        let more = cell.devices.iter().map(PathBuf::as_path);
        for device in DEVICES.iter().map(Path::new).chain(more) {
            plan.bind(device, DEVICE)?;
        }
        let descriptors = "/proc/self/fd";
        plan.link(descriptors, "/dev/fd")?;
        for (n, name) in ["stdin", "stdout", "stderr"].iter().enumerate() {
            plan.link(&format!("{descriptors}/{n}"), &format!("/dev/{name}"))?;
        }
        plan.folder(Path::new("/tmp"))?;
        plan.mount("/tmp", c"tmpfs", flags, c"mode=1777")?;
        plan.folder(Path::new("/var"))?;
        plan.link("/tmp", "/var/tmp")?;
        let reads = cell.reads.iter().map(PathBuf::as_path);
        for path in reads.chain([binary, real.as_path()]) {
            plan.show(path)?;
        }
        for path in &cell.writes {
            plan.bind(path, WRITABLE)?;
        }
        for (name, is) in &cell.names {
            plan.name(name, is)?;
        }
        plan.push(Call::Enter, Path::new(""))?;
        Ok(Self(plan.steps))
    }

    /// Builds the cell around the calling process, and enters it.
    ///
    /// # Errors
    /// The first step that failed.
    pub fn build(&self) -> Result<(), Failed> {
        let at = |step: usize| {
            move |errno| Failed {
                step: u16::try_from(step).unwrap_or(u16::MAX),
                errno,
            }
        };
        // SAFETY: system calls with integers.
        let (before, alone) = unsafe { (libc::umask(0), libc::unshare(libc::CLONE_NEWNS)) };
        checked(alone).map_err(at(0))?;
        for (n, step) in self.0.iter().enumerate() {
            step.take().map_err(at(n))?;
        }
        // SAFETY: the same.
        unsafe { libc::umask(before) };
        Ok(())
    }

    /// What a step would have done.
    #[must_use]
    pub fn name(&self, step: u16) -> String {
        let Some(step) = self.0.get(usize::from(step)) else {
            return "be shut up".to_owned();
        };
        let inside = step.at.to_string_lossy();
        let inside = inside.strip_prefix(ROOT).unwrap_or(&inside).to_owned();
        match step.call {
            Call::Enter => "enter its view of the files".to_owned(),
            Call::Mount(..) if inside.is_empty() => "make its view of the files".to_owned(),
            Call::Folder | Call::File | Call::Link(_) | Call::Mount(..) | Call::Bind(..) => {
                format!("see {inside}")
            }
        }
    }
}

impl Step {
    fn take(&self) -> Result<(), Errno> {
        let at = self.at.as_ptr();
        let nothing = ptr::null();
        // SAFETY: system calls with strings that outlive them.
        unsafe {
            match &self.call {
                Call::Folder => checked(libc::mkdir(at, 0o755)),
                Call::File => checked(libc::mknod(at, libc::S_IFREG | 0o444, 0)),
                Call::Link(to) => checked(libc::symlink(to.as_ptr(), at)),
                Call::Mount(kind, flags, options) => checked(libc::mount(
                    c"nsplay".as_ptr(),
                    at,
                    kind.as_ptr(),
                    *flags,
                    options.as_ptr().cast(),
                )),
                Call::Bind(from, attributes) => {
                    let flags = libc::MS_BIND | libc::MS_REC;
                    checked(libc::mount(from.as_ptr(), at, nothing, flags, ptr::null()))?;
                    set(&self.at, *attributes)
                }
                Call::Enter => {
                    let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY | NOSUID_NODEV;
                    checked(libc::mount(nothing, at, nothing, flags, ptr::null()))?;
                    checked(libc::chdir(at))?;
                    // Both on one place: what was the root is then on top of the new one.
                    let here = c".".as_ptr();
                    Errno::result(libc::syscall(libc::SYS_pivot_root, here, here))?;
                    checked(libc::umount2(here, libc::MNT_DETACH))?;
                    checked(libc::chdir(c"/".as_ptr()))
                }
            }
        }
    }
}

fn checked(result: libc::c_int) -> Result<(), Errno> {
    Errno::result(result).map(drop)
}

/// Gives what is bound at `at`, and all below it, these attributes.
fn set(at: &CStr, attributes: u64) -> Result<(), Errno> {
    let wanted = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: a system call with a path and a structure that outlive it.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            at.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const wanted,
            size_of_val(&wanted),
        )
    };
    match Errno::result(done) {
        Err(Errno::ENOSYS) => set_as_of_old(at, attributes),
        done => done.map(drop),
    }
}

/// The same before Linux 5.12, without what is mounted below. Labs of users need 5.12; root's have
/// programs that own nothing there.
fn set_as_of_old(at: &CStr, attributes: u64) -> Result<(), Errno> {
    let mut flags = libc::MS_REMOUNT | libc::MS_BIND;
    for (attribute, flag) in [
        (libc::MOUNT_ATTR_RDONLY, libc::MS_RDONLY),
        (libc::MOUNT_ATTR_NOSUID, libc::MS_NOSUID),
        (libc::MOUNT_ATTR_NODEV, libc::MS_NODEV),
        (libc::MOUNT_ATTR_NOEXEC, libc::MS_NOEXEC),
    ] {
        if attributes & attribute != 0 {
            flags |= flag;
        }
    }
    // SAFETY: a system call with a path that outlives it.
    let done = unsafe { libc::mount(ptr::null(), at.as_ptr(), ptr::null(), flags, ptr::null()) };
    checked(done)
}

/// Steps, and what is there after them.
#[derive(Default)]
struct Planner {
    steps: Vec<Step>,
    made: BTreeSet<PathBuf>,
    bound: Vec<PathBuf>,
}

impl Planner {
    fn push(&mut self, call: Call, inside: &Path) -> io::Result<()> {
        let at = [ROOT.as_bytes(), inside.as_os_str().as_bytes()].concat();
        let at = CString::new(at)?;
        self.steps.push(Step { call, at });
        Ok(())
    }

    fn mount(
        &mut self,
        at: &str,
        kind: &'static CStr,
        flags: libc::c_ulong,
        options: &'static CStr,
    ) -> io::Result<()> {
        self.push(Call::Mount(kind, flags, options), Path::new(at))
    }

    fn link(&mut self, to: &str, at: &str) -> io::Result<()> {
        self.push(Call::Link(CString::new(to)?), Path::new(at))
    }

    /// Makes a folder and those that it is in.
    fn folder(&mut self, path: &Path) -> io::Result<()> {
        if path == Path::new("/") || self.shows(path) || !self.made.insert(path.to_owned()) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.folder(parent)?;
        }
        match path.file_name() {
            Some(_) => self.push(Call::Folder, path),
            // What ends in `..` is there as soon as what it leads out of is.
            None => Ok(()),
        }
    }

    fn shows(&self, path: &Path) -> bool {
        self.bound.iter().any(|bound| path.starts_with(bound))
    }

    /// Shows a folder of the system, if it is there, or the link that is in its place.
    fn system(&mut self, path: &Path) -> io::Result<()> {
        let Ok(found) = fs::symlink_metadata(path) else {
            return Ok(());
        };
        if !found.is_symlink() {
            return self.show(path);
        }
        let to = fs::read_link(path)?;
        self.bound.push(path.to_owned());
        self.push(Call::Link(CString::new(to.as_os_str().as_bytes())?), path)
    }

    /// Shows something to be read, unless it is seen already.
    fn show(&mut self, path: &Path) -> io::Result<()> {
        match self.shows(path) {
            true => Ok(()),
            false => self.bind(path, READ_ONLY),
        }
    }

    /// Gives `is` another name, where there is nothing of that name.
    fn name(&mut self, name: &Path, is: &Path) -> io::Result<()> {
        let Some(parent) = name.parent() else {
            return Ok(());
        };
        if self.shows(name) || self.made.contains(name) {
            return Ok(());
        }
        self.folder(parent)?;
        let is = CString::new(is.as_os_str().as_bytes())?;
        self.push(Call::Link(is), name)
    }

    fn bind(&mut self, path: &Path, attributes: u64) -> io::Result<()> {
        let found = fs::metadata(path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        if found.is_dir() {
            self.folder(path)?;
        } else if !self.shows(path) {
            if let Some(parent) = path.parent() {
                self.folder(parent)?;
            }
            self.push(Call::File, path)?;
        }
        let from = CString::new(path.as_os_str().as_bytes())?;
        self.push(Call::Bind(from, attributes), path)?;
        self.bound.push(path.to_owned());
        Ok(())
    }
}
