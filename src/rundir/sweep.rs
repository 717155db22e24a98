//! Removing what a lab leaves that has ended.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::RunDir;
use crate::faultpoint::moment;
use crate::kernel::{cgroup, hostlink};
use crate::ways;

impl RunDir {
    /// Removes everything of a lab that has ended but its state directory.
    ///
    /// The caller holds the lock, which goes too, unless something else remains: while it is there, the
    /// next `down` finds the rest. What is gone already is no error.
    ///
    /// # Errors
    /// What remains, and why.
    pub fn sweep(&self) -> io::Result<()> {
        let mut remains = Remains::default();
        self.clear_into(&mut remains);
        self.remove_others(&mut remains);
        if remains.0.is_empty() {
            remains.remove(&self.lock_file());
        }
        self.remove_empty();
        remains.result()
    }

    /// Removes the lab's folders and those that labs share, if nothing is in them: an `up` that was
    /// killed before it had the lock leaves no more.
    pub fn remove_empty(&self) {
        // The common folders go with the last lab; what others put there keeps them.
        let names = self.netns_names_folder();
        // A user's names of namespaces are in the run directory.
        for folder in [&names, &self.run, &self.places.run] {
            let _ = fs::remove_dir(folder);
            moment!("sweep: {} not empty, or gone", folder.display());
        }
    }

    /// Removes what a lab has left that ended without being swept, but keeps the lock.
    ///
    /// # Errors
    /// What remains, and why.
    pub fn clear(&self) -> io::Result<()> {
        let mut remains = Remains::default();
        self.clear_into(&mut remains);
        remains.result()
    }

    fn clear_into(&self, remains: &mut Remains) {
        // They have gone with the lab, but where something still holds its namespace.
        if self.places.user.is_none() {
            let links = hostlink::remove_group(ways::group(&self.lab));
            moment!("sweep: links on the host removed");
            remains.note(Path::new("its links on the host"), links);
        }
        // What is in there has gone with the lab, but where the kernel was not let.
        if let Some(group) = self.group() {
            remains.note(&group, cgroup::remove(&group));
            moment!("sweep: control group removed");
        }
        // The record says which names are dead.
        for path in remains.listed(&self.netns_names_folder()) {
            match self.is_dead_netns_name(&path) {
                Ok(true) => remains.remove(&path),
                Ok(false) => {}
                Err(error) => remains.note(&path, Err(error)),
            }
        }
        let files = [
            self.control(),
            self.record_file(),
            self.group_file(),
            self.ssh_key(),
            self.known_hosts(),
        ];
        for path in files {
            remains.remove(&path);
        }
    }

    /// Removes whatever else is in the run directory, but the lock.
    fn remove_others(&self, remains: &mut Remains) {
        let lock = self.lock_file();
        for path in remains.listed(&self.run) {
            match fs::symlink_metadata(&path) {
                _ if path == lock => {}
                Ok(found) if found.is_dir() => {
                    remains.note(&path, fs::remove_dir_all(&path));
                    moment!("sweep: {} removed", path.display());
                }
                Ok(_) => remains.remove(&path),
                Err(error) => remains.note(&path, Err(error)),
            }
        }
    }

    /// Whether this is the name of a namespace of this lab, which has ended: it leads to a descriptor of
    /// its supervisor, or, where nobody has written down which that was, nowhere.
    ///
    /// # Errors
    /// What readlink(2) says, but EINVAL: what is no link is not ours.
    fn is_dead_netns_name(&self, path: &Path) -> io::Result<bool> {
        let name = path.file_name().and_then(OsStr::to_str);
        let is_ours = name.is_some_and(|name| name.starts_with(&self.netns_names_start()));
        if !is_ours {
            return Ok(false);
        }
        let to = match fs::read_link(path) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(false),
            to => to?,
        };
        let to = to.to_string_lossy();
        let leads = self
            .recorded()
            .is_some_and(|supervisor| to.starts_with(&format!("/proc/{}/fd/", supervisor.pid)));
        Ok(leads || (to.starts_with("/proc/") && !path.exists()))
    }
}

/// What could not be removed.
#[derive(Default)]
struct Remains(Vec<String>);

impl Remains {
    fn note(&mut self, path: &Path, removed: io::Result<()>) {
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.0.push(format!("{} ({error})", path.display()));
            }
            _ => {}
        }
    }

    fn remove(&mut self, path: &Path) {
        self.note(path, fs::remove_file(path));
        moment!("sweep: {} removed", path.display());
    }

    /// What is in a folder, as far as it can be read.
    fn listed(&mut self, folder: &Path) -> Vec<PathBuf> {
        let listed = fs::read_dir(folder).and_then(|entries| {
            let paths = entries.map(|entry| Ok(entry?.path()));
            paths.collect::<io::Result<Vec<_>>>()
        });
        listed.unwrap_or_else(|error| {
            self.note(folder, Err(error));
            Vec::new()
        })
    }

    fn result(self) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(io::Error::other(format!("remain: {}", self.0.join(", "))))
    }
}
