//! Where labs are on the host, which depends on who runs them.
//!
//! Root's are the host's. A user's are the user's own, as the XDG Base Directory Specification has
//! it: `$XDG_RUNTIME_DIR/nsplay` and `$XDG_STATE_HOME/nsplay`.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};

use crate::rundir::{NETNS_NAMES, RUN, STATE};

/// The folders that the labs of somebody are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Each lab's run directory is in here.
    pub run: PathBuf,
    /// Each lab's state directory is in here, and the image.
    pub state: PathBuf,
    /// Where iproute2 finds the members' namespaces; none for a user, who may not name any there.
    pub netns: Option<PathBuf>,
    /// The user whose labs they are; none for root.
    pub user: Option<u32>,
}

/// A folder that others can change.
#[derive(Debug, thiserror::Error)]
#[error("{} is not yours alone: others could put in there what nsplay takes for your labs", .0.display())]
pub struct NotKept(PathBuf);

impl Places {
    /// Root's.
    #[must_use]
    pub fn system() -> Self {
        Self {
            run: PathBuf::from(RUN),
            state: PathBuf::from(STATE),
            netns: Some(PathBuf::from(NETNS_NAMES)),
            user: None,
        }
    }

    /// Those of who runs this process.
    #[must_use]
    pub fn of_caller() -> Self {
        let uid = geteuid();
        if uid.is_root() {
            return Self::system();
        }
        let home = || User::from_uid(uid).ok().flatten().map(|user| user.dir);
        Self::of_user(uid.as_raw(), |name| std::env::var_os(name), home)
    }

    /// Those of the user `uid`, whose environment has `variable`.
    fn of_user(
        uid: u32,
        variable: impl Fn(&str) -> Option<OsString>,
        home: impl FnOnce() -> Option<PathBuf>,
    ) -> Self {
        // The specification has relative paths ignored.
        let folder = |name| {
            variable(name)
                .map(PathBuf::from)
                .filter(|it| it.is_absolute())
        };
        let run = folder("XDG_RUNTIME_DIR").unwrap_or_else(|| runtime(uid));
        let state = folder("XDG_STATE_HOME").or_else(|| {
            let home = folder("HOME").or_else(home)?;
            Some(home.join(".local/state"))
        });
        Self {
            state: state.unwrap_or_else(|| run.join("state")).join("nsplay"),
            run: run.join("nsplay"),
            netns: None,
            user: Some(uid),
        }
    }

    /// Whether nobody but the user and root can put anything into a user's run directory, or another in
    /// its place.
    ///
    /// Root's is in a folder that is root's.
    ///
    /// # Errors
    /// [`NotKept`], the folder where somebody can.
    pub fn are_kept(&self) -> Result<(), NotKept> {
        let Some(user) = self.user else {
            return Ok(());
        };
        let above = self.run.parent().into_iter().map(|folder| (folder, true));
        for (folder, is_above) in above.chain([(self.run.as_path(), false)]) {
            // What is not there yet is made for the user alone.
            let Ok(mut found) = fs::symlink_metadata(folder) else {
                continue;
            };
            let is_theirs =
                |found: &Metadata| found.uid() == user || (is_above && found.uid() == 0);
            if is_above && found.is_symlink() && is_theirs(&found) {
                found = fs::metadata(folder).map_err(|_| NotKept(folder.to_owned()))?;
            }
            let others = found.mode() & 0o022 != 0;
            // In a sticky folder nobody moves what is another's.
            let is_kept = !others || (is_above && found.mode() & 0o1000 != 0);
            if !(found.is_dir() && is_theirs(&found) && is_kept) {
                return Err(NotKept(folder.to_owned()));
            }
        }
        Ok(())
    }

    /// The environment in which [`of_caller`](Self::of_caller) finds the same places again, when the
    /// folders of the host are not to be seen any more.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, PathBuf)> {
        let parent = |path: &Path| path.parent().unwrap_or(path).to_owned();
        match self.user {
            None => Vec::new(),
            Some(_) => vec![
                ("XDG_RUNTIME_DIR", parent(&self.run)),
                ("XDG_STATE_HOME", parent(&self.state)),
            ],
        }
    }
}

/// Without XDG_RUNTIME_DIR, as under `su` and cron: the folder that logind makes, else one in `/tmp`.
fn runtime(uid: u32) -> PathBuf {
    let logind = PathBuf::from(format!("/run/user/{uid}"));
    match logind.is_dir() {
        true => logind,
        false => PathBuf::from(format!("/tmp/nsplay-{uid}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(variables: &[(&str, &str)]) -> Places {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Places::of_user(4_000_001, find, || Some(PathBuf::from("/home/of-passwd")))
    }

    #[test]
    fn a_users_labs_are_where_the_environment_says() {
        let found = places(&[
            ("XDG_RUNTIME_DIR", "/run/user/7"),
            ("XDG_STATE_HOME", "/home/u/state"),
        ]);
        assert_eq!(found.run, Path::new("/run/user/7/nsplay"));
        assert_eq!(found.state, Path::new("/home/u/state/nsplay"));
        assert_eq!(found.netns, None);
    }

    #[test]
    fn without_the_environment_they_are_in_the_home_folder_and_in_tmp() {
        let found = places(&[("HOME", "/home/u")]);
        assert_eq!(found.run, Path::new("/tmp/nsplay-4000001/nsplay"));
        assert_eq!(found.state, Path::new("/home/u/.local/state/nsplay"));
        let found = places(&[]);
        assert_eq!(
            found.state,
            Path::new("/home/of-passwd/.local/state/nsplay")
        );
    }

    #[test]
    fn a_relative_path_is_ignored() {
        let found = places(&[("XDG_STATE_HOME", "state"), ("XDG_RUNTIME_DIR", "")]);
        assert_eq!(found.run, Path::new("/tmp/nsplay-4000001/nsplay"));
        assert_eq!(
            found.state,
            Path::new("/home/of-passwd/.local/state/nsplay")
        );
    }

    #[test]
    fn a_supervisor_finds_the_same_places() {
        let before = places(&[("HOME", "/home/u")]);
        let variables = before.variables();
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone().into_os_string())
        };
        assert_eq!(Places::of_user(4_000_001, find, || None), before);
    }
}
