//! Control groups, version 2 (cgroups(7)): made, limited, entered, and removed.
//!
//! Where they can be made is [`host::cgroups`](crate::host::cgroups)' to find out.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

use crate::files::by_descriptor;
use crate::lab::Limits;

/// What has been killed is gone within milliseconds; a process that sleeps in the kernel is not
/// waited for longer.
const EMPTY_WITHIN: Duration = Duration::from_secs(2);

/// A group that is not empty yet is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(5);

/// How long a period of `cpu.max` is, in microseconds: the kernel's own default.
const PERIOD: u64 = 100_000;

/// A control group, by a descriptor of its folder: that can be written to also where the lab's view
/// of the host is read-only.
#[derive(Debug)]
pub struct Cgroup(File);

/// What memory has cost a group and those below it (`memory.events`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Toll {
    /// How often a limit of theirs was reached and nothing could be freed.
    pub reached: u64,
    /// How many of their processes were killed for memory, by whatever limit.
    pub killed: u64,
}

impl Cgroup {
    /// The group at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// What mkdir(2) or open(2) says.
    pub fn make(path: &Path) -> io::Result<Self> {
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Self::open(path),
        }
    }

    fn open(path: &Path) -> io::Result<Self> {
        let folder = libc::O_DIRECTORY | libc::O_CLOEXEC;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(folder);
        options.open(path).map(Self)
    }

    /// The group whose folder `descriptor` is open on.
    #[must_use]
    pub fn of(descriptor: OwnedFd) -> Self {
        Self(descriptor.into())
    }

    /// Where its files are, for this process.
    fn at(&self, file: &str) -> PathBuf {
        by_descriptor(&self.0).join(file)
    }

    /// A group in this one, which is made if it is not there.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn child(&self, name: &str) -> io::Result<Self> {
        Self::make(&self.at(name))
    }

    /// Removes a group in this one, with all that runs in it.
    ///
    /// # Errors
    /// As [`remove`].
    pub fn remove_child(&self, name: &str) -> io::Result<()> {
        clear(&self.at(name), Instant::now() + EMPTY_WITHIN)
    }

    /// Lets those below it be limited by these controllers.
    ///
    /// # Errors
    /// EBUSY where processes are in the group itself, ENOENT for a controller that it has not.
    pub fn pass_on(&self, controllers: &[String]) -> io::Result<()> {
        let words: Vec<_> = controllers.iter().map(|word| format!("+{word}")).collect();
        fs::write(self.at("cgroup.subtree_control"), words.join(" "))
    }

    /// Limits what is in it; a limit whose controller is not there is left out. With `whole`, all of
    /// it is killed when memory ends, and not one process.
    ///
    /// # Errors
    /// What write(2) says.
    pub fn limit(&self, limits: &Limits, whole: bool) -> io::Result<()> {
        let or_max = |limit: Option<u64>| limit.map_or("max".to_owned(), |n| n.to_string());
        let memory = limits.memory_mib.map(|mib| mib << 20);
        // In thousandths of a processor, of a period in millionths of a second.
        let quota = limits.millicpus.map(|cpus| u64::from(cpus) * PERIOD / 1000);
        // A limit that sends what is too much to the swap would be none.
        let swap = memory.map(|_| 0);
        for (file, value) in [
            ("memory.max", or_max(memory)),
            ("memory.swap.max", or_max(swap)),
            ("memory.oom.group", u8::from(whole).to_string()),
            ("cpu.max", format!("{} {PERIOD}", or_max(quota))),
            ("pids.max", or_max(limits.pids.map(u64::from))),
        ] {
            match fs::write(self.at(file), value) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io::Error::new(error.kind(), format!("{file}: {error}")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The file through which a process enters, by writing `0` (cgroups(7), `cgroup.procs`).
    ///
    /// # Errors
    /// What open(2) says.
    pub fn door(&self) -> io::Result<File> {
        OpenOptions::new().write(true).open(self.at("cgroup.procs"))
    }

    /// Moves the process `pid` into it.
    ///
    /// # Errors
    /// EACCES where the caller may not write to a group that both places are in.
    pub fn take(&self, pid: i32) -> io::Result<()> {
        fs::write(self.at("cgroup.procs"), pid.to_string())
    }

    /// Kills all that is in it (Linux 5.14; before that nothing).
    pub fn kill(&self) {
        let _ = fs::write(self.at("cgroup.kill"), "1");
    }

    /// What memory has cost so far; nothing where memory is not counted.
    #[must_use]
    pub fn toll(&self) -> Toll {
        let text = fs::read_to_string(self.events()).unwrap_or_default();
        let count = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            let found = lines.find(|(known, _)| *known == key);
            found.and_then(|(_, n)| n.parse().ok()).unwrap_or(0)
        };
        Toll {
            reached: count("oom"),
            killed: count("oom_kill"),
        }
    }

    /// The file that changes whenever a process is killed for memory.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.at("memory.events")
    }
}

impl AsRawFd for Cgroup {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Kills all that is in the group at `path`, and removes it with those below it. One that is gone is
/// no error.
///
/// # Errors
/// InvalidInput for what is no control group; EBUSY when something does not die.
pub fn remove(path: &Path) -> io::Result<()> {
    match statfs(path) {
        Err(nix::errno::Errno::ENOENT) => return Ok(()),
        Ok(found) if found.filesystem_type() == CGROUP2_SUPER_MAGIC => {}
        Ok(_) => return Err(io::ErrorKind::InvalidInput.into()),
        Err(error) => return Err(error.into()),
    }
    clear(path, Instant::now() + EMPTY_WITHIN)
}

fn clear(path: &Path, until: Instant) -> io::Result<()> {
    // Linux 5.14; before that, processes have gone with their PID namespace all the same.
    let _ = fs::write(path.join("cgroup.kill"), "1");
    let below = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        below => below?,
    };
    for entry in below.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            clear(&entry.path(), until)?;
        }
    }
    loop {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < until => {
                thread::sleep(AGAIN_AFTER);
            }
            removed => return removed,
        }
    }
}
