//! A lab's places on the host: its run directory, its state directory, and its names for netns.
//!
//! ```text
//! /run/nsplay/LAB/lock             held (flock(2)) for the lab's life
//! /run/nsplay/LAB/control.sock     for `nsplay ps`, `logs`, `down`, …
//! /run/nsplay/LAB/supervisor.json  which process that is
//! /run/nsplay/LAB/cgroup           which control group has its processes
//! /run/nsplay/LAB/id_ed25519       the key for `ssh lab@…`
//! /run/nsplay/LAB/known_hosts      the key of the lab's sshd
//! /run/netns/nsplay-LAB-MEMBER     symbolic links for `ip netns exec`
//! /var/lib/nsplay/LAB/             disks, and the log of the last run
//! ```
//!
//! These are root's. A user's are [elsewhere](Places), and have their names for netns in the run
//! directory: `netns/MEMBER`.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::faultpoint::point;
use crate::files;
use crate::host::places::Places;
use crate::kernel::clone::{gone, pidfd_open};
use crate::lab::Name;

mod sweep;

/// Where iproute2 looks names of network namespaces up (ip-netns(8)).
pub const NETNS_NAMES: &str = "/run/netns";

/// Where the run directory of every lab of root's is.
pub const RUN: &str = "/run/nsplay";

/// Where the state directory of every lab of root's is.
pub const STATE: &str = "/var/lib/nsplay";

/// So often folders are made that others take away while they are empty.
const ATTEMPTS: u32 = 100;

/// The places of one lab.
#[derive(Clone, Debug)]
pub struct RunDir {
    lab: Name,
    run: PathBuf,
    places: Places,
}

/// A lab's lock (flock(2)): whoever holds it makes or removes the lab.
///
/// It is shared with processes that inherit it, and free when the last of them has gone.
pub type Lock = File;

/// The supervisor of a lab, as it was when it was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervisor {
    /// Its process.
    pub pid: i32,
    /// When it started, in clock ticks after boot (proc_pid_stat(5), field 22).
    pub start_time: u64,
    /// The boot that the two belong to (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
}

impl RunDir {
    /// The places of the lab that the caller means by `lab`; none is made.
    ///
    /// That is the caller's own, or one that root has made for the caller (sudo).
    #[must_use]
    pub fn new(lab: &Name) -> Self {
        let own = Self::own(lab);
        let Some(user) = own.places.user.filter(|_| !own.exists()) else {
            return own;
        };
        let of_root = Self::of(Places::system(), lab);
        match fs::symlink_metadata(of_root.control()) {
            Ok(found) if found.uid() == user => of_root,
            _ => own,
        }
    }

    /// The places of a lab that the caller makes; none is made.
    #[must_use]
    pub fn own(lab: &Name) -> Self {
        Self::of(Places::of_caller(), lab)
    }

    /// The places of `lab` among `places`; none is made.
    #[must_use]
    pub fn of(places: Places, lab: &Name) -> Self {
        Self {
            lab: lab.clone(),
            run: places.run.join(lab.as_str()),
            places,
        }
    }

    /// The places that it is among.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The lab.
    #[must_use]
    pub fn lab(&self) -> &Name {
        &self.lab
    }

    /// The run directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.run
    }

    /// The control socket.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.run.join("control.sock")
    }

    /// The private key of the lab's SSH user.
    #[must_use]
    pub fn ssh_key(&self) -> PathBuf {
        self.run.join("id_ed25519")
    }

    /// The host key of the lab's sshd, as ssh(1) looks it up.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.run.join("known_hosts")
    }

    /// The state directory, which outlives the lab.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.places.state.join(self.lab.as_str())
    }

    /// The events and log lines of the last run, one JSON object a line; older ones are
    /// [beside it](crate::journal).
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.state().join("log.jsonl")
    }

    /// What the supervisor itself had to say in the last run.
    #[must_use]
    pub fn supervisor_log(&self) -> PathBuf {
        self.state().join("supervisor.log")
    }

    /// Makes the directories.
    ///
    /// # Errors
    /// What mkdir(2) says; PermissionDenied when a place is taken by somebody
    /// else's file or by a symbolic link.
    fn make(&self) -> io::Result<()> {
        let mode = match self.places.user {
            None => 0o755,
            Some(_) => {
                self.make_above()?;
                0o700
            }
        };
        for path in [
            self.places.run.as_path(),
            self.run.as_path(),
            self.places.state.as_path(),
            self.state().as_path(),
            self.netns_names_folder().as_path(),
        ] {
            make_own(path, mode)?;
            point!("lab: {} made", path.display())?;
        }
        Ok(())
    }

    /// Makes the folders that the environment of a user names, where they are not there yet.
    fn make_above(&self) -> io::Result<()> {
        let above = [&self.places.state, &self.places.run].map(|path| path.parent());
        for path in above.into_iter().flatten().filter(|path| !path.exists()) {
            if let Some(parent) = path.parent() {
                let told = |error: io::Error| {
                    let message = format!("cannot make {}: {error}", parent.display());
                    io::Error::new(error.kind(), message)
                };
                let mut builder = DirBuilder::new();
                builder
                    .recursive(true)
                    .mode(0o700)
                    .create(parent)
                    .map_err(told)?;
            }
            make_own(path, 0o700)?;
        }
        Ok(())
    }

    /// Makes the directories and takes the lock; none when somebody has it: the lab is up.
    ///
    /// # Errors
    /// What mkdir(2), open(2) or flock(2) says.
    pub fn claim(&self) -> io::Result<Option<Lock>> {
        self.try_claim().inspect_err(|error| {
            // A folder of somebody else's is not for us to clear.
            if error.kind() != io::ErrorKind::PermissionDenied {
                self.sweep_if_dead();
            }
        })
    }

    /// Removes what is left of a lab whose lock nobody has, as far as that can be removed.
    fn sweep_if_dead(&self) {
        match self.lock() {
            Ok(Some(lock)) => {
                if lock.try_lock().is_ok() && self.is_current(&lock).unwrap_or(false) {
                    let _ = self.sweep();
                }
            }
            Ok(None) | Err(_) => self.remove_empty(),
        }
    }

    fn try_claim(&self) -> io::Result<Option<Lock>> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.make() {
                // Another lab's end takes empty folders with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempts < ATTEMPTS => {
                    continue;
                }
                made => made?,
            }
            // Somebody may have made the folder above it since it was looked for.
            let kept = self.places.are_kept();
            kept.map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))?;
            let lock = match self.open_lock(true) {
                // Whoever had it has just swept the directory.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            point!("lab: lock made")?;
            match lock.try_lock() {
                Ok(()) if self.is_current(&lock)? => {
                    point!("lab: lock taken")?;
                    return Ok(Some(lock));
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// The lock's file, not locked yet; none when nothing is left of the lab.
    ///
    /// # Errors
    /// What open(2) says.
    pub fn lock(&self) -> io::Result<Option<Lock>> {
        match self.open_lock(false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn open_lock(&self, create: bool) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(self.lock_file())
    }

    /// Whether `lock` is the file that has the lock's name now.
    ///
    /// # Errors
    /// What stat(2) says.
    pub fn is_current(&self, lock: &Lock) -> io::Result<bool> {
        match fs::symlink_metadata(self.lock_file()) {
            Ok(named) => Ok(named.ino() == lock.metadata()?.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the lab's run directory is there: it is up, or was ended without being swept.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.lock_file().exists()
    }

    /// Writes down which process is the supervisor.
    ///
    /// # Errors
    /// What the writing or the reading of `/proc` says.
    pub fn record(&self, pid: i32) -> io::Result<()> {
        let text = serde_json::to_string(&Supervisor::of(pid)?)?;
        files::write(&self.record_file(), 0o644, None, text.as_bytes())?;
        point!("watcher: supervisor recorded")
    }

    /// The supervisor, if it is still the process that was written down.
    #[must_use]
    pub fn supervisor(&self) -> Option<Supervisor> {
        let recorded = self.recorded()?;
        (Supervisor::of(recorded.pid).ok()? == recorded).then_some(recorded)
    }

    /// The supervisor that was written down, whether it is still there or not.
    fn recorded(&self) -> Option<Supervisor> {
        let text = fs::read_to_string(self.record_file()).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Writes down which control group is about to be the lab's.
    ///
    /// # Errors
    /// What write(2) says.
    pub fn record_group(&self, group: &Path) -> io::Result<()> {
        let text = group.as_os_str().as_encoded_bytes();
        files::write(&self.group_file(), 0o644, None, text)
    }

    /// The lab's control group; none where it has none.
    #[must_use]
    pub fn group(&self) -> Option<PathBuf> {
        let path = PathBuf::from(fs::read_to_string(self.group_file()).ok()?);
        let name = path.file_name()?.to_str()?;
        // Whatever else the file names is not to be touched.
        name.starts_with(&self.group_names()).then_some(path)
    }

    /// What the names of this lab's control groups start with.
    #[must_use]
    pub fn group_names(&self) -> String {
        format!("nsplay-{}-", self.lab)
    }

    fn group_file(&self) -> PathBuf {
        self.run.join("cgroup")
    }

    fn lock_file(&self) -> PathBuf {
        self.run.join("lock")
    }

    fn record_file(&self) -> PathBuf {
        self.run.join("supervisor.json")
    }

    /// The name for `ip netns exec` of a member.
    #[must_use]
    pub fn netns_name(&self, member: &Name) -> PathBuf {
        self.netns_names_folder()
            .join(format!("{}{member}", self.netns_names_start()))
    }

    /// The folder that names of namespaces are in.
    #[must_use]
    pub fn netns_names_folder(&self) -> PathBuf {
        match &self.places.netns {
            Some(folder) => folder.clone(),
            None => self.run.join("netns"),
        }
    }

    /// What the names of this lab's namespaces start with, in a folder that all labs share.
    fn netns_names_start(&self) -> String {
        match &self.places.netns {
            Some(_) => format!("nsplay-{}-", self.lab),
            None => String::new(),
        }
    }
}

impl Supervisor {
    /// The process `pid`, as it is now.
    ///
    /// # Errors
    /// NotFound when there is none; InvalidData when `/proc` reads otherwise than its man page says.
    pub fn of(pid: i32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(gone)?;
        // The second field, the name in parentheses, may itself hold spaces and parentheses.
        let start_time = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19))
            .and_then(|field| field.parse().ok())
            .ok_or(io::ErrorKind::InvalidData)?;
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        Ok(Self {
            pid,
            start_time,
            boot_id: boot_id.trim().to_owned(),
        })
    }

    /// Opens the process, and makes sure that the descriptor is the recorded one's.
    ///
    /// # Errors
    /// NotFound when it has gone; what pidfd_open(2) says.
    pub fn open(&self) -> io::Result<OwnedFd> {
        let pidfd = pidfd_open(self.pid)?;
        if Self::of(self.pid)? != *self {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(pidfd)
    }
}

/// Makes a directory that is ours, or accepts one that is there already and is ours.
fn make_own(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().recursive(false).mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(io::Error::new(
                error.kind(),
                format!("cannot make {}: {error}", path.display()),
            ));
        }
        // Whatever the umask says, who may use the lab comes this way.
        Ok(()) => return fs::set_permissions(path, Permissions::from_mode(mode)),
    }
    let found = fs::symlink_metadata(path)?;
    if found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "{} is there already and is not a folder of ours",
            path.display()
        ),
    ))
}
