//! The labs of this host: those that run, and what others have left.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use nix::sys::statfs::{NSFS_MAGIC, statfs};
use schemars::JsonSchema;
use serde::Serialize;

use crate::client::Client;
use crate::host::places::Places;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Member, Request};

/// A supervisor that works answers within milliseconds; a stopped one must not stop the list.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// A lab, as far as this host knows it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Found {
    /// Its name.
    pub name: Name,
    /// What it is up to.
    pub state: LabState,
    /// Since when, in milliseconds after 1970-01-01 UTC, where that is known.
    #[serde(with = "crate::json::time::maybe")]
    #[schemars(with = "Option<crate::json::time::Time>")]
    pub since: Option<u64>,
    /// Its members, if it runs and this user may ask it.
    pub members: Option<Vec<Member>>,
    /// What its state directory has on the disk.
    #[serde(rename = "disk_bytes")]
    pub disk: u64,
}

/// What a lab is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LabState {
    /// It runs.
    Up,
    /// It ended without being swept: names of it are left.
    Dead,
    /// It has ended, and left its disks and its log.
    Ended,
}

impl std::fmt::Display for LabState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Dead => "dead",
            Self::Ended => "ended",
        })
    }
}

/// All labs of the caller, those that root has made for the caller too, in the order of their names.
#[must_use]
pub fn all() -> Vec<Found> {
    let Places { run, state, .. } = Places::of_caller();
    let of_root = names_in(&Places::system().run).into_iter();
    let of_root = of_root.filter(|name| RunDir::new(name).places().user.is_none());
    let own = [run, state]
        .into_iter()
        .flat_map(|folder| names_in(&folder));
    let names: BTreeSet<Name> = own.chain(of_root).collect();
    names.into_iter().map(|name| look(&name)).collect()
}

/// The names of labs that have a folder in `folder`.
fn names_in(folder: &Path) -> Vec<Name> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let name = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let is_folder = entry.file_type().ok()?.is_dir();
        Name::new(entry.file_name().to_str()?)
            .ok()
            .filter(|_| is_folder)
    };
    let mut names: Vec<Name> = entries.filter_map(name).collect();
    names.sort();
    names
}

fn look(name: &Name) -> Found {
    let dir = RunDir::new(name);
    let supervisor = dir.supervisor();
    let state = match (&supervisor, dir.path().exists()) {
        (Some(_), _) => LabState::Up,
        // One that is only just being made has no supervisor yet, but somebody has its lock.
        (None, true) if is_held(&dir) => LabState::Up,
        (None, true) => LabState::Dead,
        (None, false) => LabState::Ended,
    };
    let since = match &supervisor {
        Some(supervisor) => started(supervisor.start_time),
        None => modified(&dir.log()),
    };
    Found {
        name: name.clone(),
        state,
        since,
        members: supervisor.and_then(|_| members(&dir)),
        disk: usage(&dir.state()),
    }
}

fn is_held(dir: &RunDir) -> bool {
    let Ok(Some(lock)) = dir.lock() else {
        return false;
    };
    matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock))
}

/// When a process started that did so this many clock ticks after boot.
fn started(ticks: u64) -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    let boot: u64 = boot.trim().parse().ok()?;
    Some((boot * 1000).saturating_add(ticks * 1000 / crate::host::usage::ticks_per_second()))
}

fn modified(path: &Path) -> Option<u64> {
    let since = fs::metadata(path)
        .ok()?
        .modified()
        .ok()?
        .duration_since(UNIX_EPOCH)
        .ok()?;
    u64::try_from(since.as_millis()).ok()
}

fn members(dir: &RunDir) -> Option<Vec<Member>> {
    let client = Client::ask(dir, &Request::Ps).ok()?;
    client
        .socket()
        .ok()?
        .set_read_timeout(Some(ANSWERS_WITHIN))
        .ok()?;
    client.members().ok()
}

/// The bytes that a folder has on the disk, links not followed. Disks of nodes have holes.
fn usage(path: &Path) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else {
        return 0;
    };
    let inside = match found.is_dir() {
        true => fs::read_dir(path).ok(),
        false => None,
    };
    let entries = inside
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    found.blocks() * 512 + entries.map(|entry| usage(&entry)).sum::<u64>()
}

/// Removes what labs that are dead have left; with `disks` also what those have on the disk that
/// do not run. Tells `removed` of each thing. A lab that runs is left alone.
///
/// # Errors
/// What could not be removed first; the rest has been tried.
pub fn prune(disks: bool, mut removed: impl FnMut(String)) -> io::Result<()> {
    let places = Places::of_caller();
    let mut first = Ok(());
    let mut note = |done: io::Result<()>| {
        if first.is_ok() {
            first = done;
        }
    };
    for name in names_in(&places.run) {
        note(sweep(&RunDir::own(&name), &mut removed));
    }
    for path in places.netns.iter().flat_map(|folder| dangling(folder)) {
        match fs::remove_file(&path) {
            Ok(()) => removed(format!("{}, which led nowhere", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => note(Err(named(&path, &error))),
        }
    }
    if disks {
        for name in names_in(&places.state) {
            note(forget(&RunDir::own(&name), &mut removed));
        }
    }
    first
}

/// Removes the run directory of a lab that nobody holds.
fn sweep(dir: &RunDir, removed: &mut impl FnMut(String)) -> io::Result<()> {
    let shown = dir.path().display();
    let swept = match dir.lock().map_err(|error| named(dir.path(), &error))? {
        Some(lock) => match lock.try_lock() {
            Ok(()) if dir.is_current(&lock)? => dir.sweep().map(|()| true),
            Ok(()) | Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(error)) => Err(error),
        },
        // Whoever is about to make a lab makes the folder first: an empty one costs nothing.
        None => match fs::remove_dir(dir.path()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(error) => Err(error),
        },
    };
    if swept.map_err(|error| named(dir.path(), &error))? {
        removed(format!("{shown}, left by lab `{}`", dir.lab()));
    }
    Ok(())
}

/// Names for netns of labs whose processes have gone.
fn dangling(names: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(names) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let ours = name.starts_with("nsplay-");
            let leads = fs::read_link(path)
                .ok()
                .filter(|to| to.starts_with("/proc"));
            // The number of a process that has gone may be another's by now. The name of what it
            // leads to says nothing: a namespace that was mounted somewhere is called after that.
            let live =
                |to: PathBuf| statfs(&to).is_ok_and(|found| found.filesystem_type() == NSFS_MAGIC);
            ours && leads.is_some_and(|to| !live(to))
        })
        .collect();
    found.sort();
    found
}

/// Removes the state directory of a lab that does not run.
fn forget(dir: &RunDir, removed: &mut impl FnMut(String)) -> io::Result<()> {
    let state = dir.state();
    // With the lock nobody can begin to run it meanwhile.
    let Some(_lock) = dir.claim()? else {
        return Ok(());
    };
    let bytes = usage(&state);
    let gone = fs::remove_dir_all(&state).map_err(|error| named(&state, &error));
    dir.sweep()?;
    gone?;
    removed(format!(
        "{} ({})",
        state.display(),
        crate::ui::bytes_of(bytes)
    ));
    // The common folder goes with the last lab; what else is there keeps it.
    let _ = fs::remove_dir(&dir.places().state);
    Ok(())
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
