//! Where on this host control groups can be made for a lab (cgroups(7), version 2).
//!
//! A group that has processes cannot pass controllers on to groups below it, so a lab's is made
//! beside the one that nsplay is in: in the nearest above that lets its own be limited. Nothing here
//! changes anything.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};
use serde::{Deserialize, Serialize};

/// The controllers that limit a lab.
pub const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

/// The first kernel that counts a user's processes in each user namespace by itself.
const COUNTS_BY_NAMESPACE: (u32, u32) = (5, 14);

/// Starts a command where its user may make groups; in front of it.
pub const DELEGATE: &str = "systemd-run --user --scope -p Delegate=yes";

/// What a lab's limits are enforced by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cgroups {
    /// By groups that are made in this one, with these controllers.
    In {
        /// The folder of the group.
        parent: PathBuf,
        /// Those of [`CONTROLLERS`] that it has.
        controllers: Vec<String>,
    },
    /// By rlimits, as no group can be made.
    Not {
        /// Why.
        why: String,
        /// Whether it is only that they are not this user's: systemd gives some away ([`DELEGATE`]).
        unowned: bool,
        /// Whether the kernel counts a user's processes in each user namespace by itself.
        counts: bool,
    },
}

impl Cgroups {
    /// Looks where groups can be made.
    #[must_use]
    pub fn find() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let mounts = read("/proc/self/mountinfo");
        let found = own(&read("/proc/self/cgroup"), &mounts).and_then(|(own, top)| {
            delegated(&own, &top, |path| {
                let flags = AccessFlags::W_OK;
                access(path, flags).is_ok()
            })
        });
        match found {
            Ok((parent, controllers)) => Self::In {
                parent,
                controllers,
            },
            Err(Lack { why, unowned }) => Self::Not {
                why,
                unowned,
                counts: Self::counts(),
            },
        }
    }

    /// Whether the kernel counts a user's processes in each user namespace by itself.
    #[must_use]
    pub fn counts() -> bool {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease");
        counts_by_namespace(&release.unwrap_or_default())
    }

    /// Whether `controller` limits what is in a lab's groups.
    #[must_use]
    pub fn has(&self, controller: &str) -> bool {
        match self {
            Self::In { controllers, .. } => controllers.iter().any(|has| has == controller),
            Self::Not { .. } => false,
        }
    }
}

/// Why no group can be made.
#[derive(Debug)]
struct Lack {
    why: String,
    unowned: bool,
}

impl Lack {
    fn of(why: impl Into<String>) -> Self {
        let (why, unowned) = (why.into(), false);
        Self { why, unowned }
    }
}

fn counts_by_namespace(release: &str) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|word| word.parse().ok());
    let version = (numbers.next().flatten(), numbers.next().flatten());
    matches!(version, (Some(major), Some(minor)) if (major, minor) >= COUNTS_BY_NAMESPACE)
}

/// The folder of the group that this process is in, and that of the highest group to be seen.
fn own(cgroup: &str, mountinfo: &str) -> Result<(PathBuf, PathBuf), Lack> {
    let own = cgroup.lines().find_map(|line| line.strip_prefix("0::"));
    let own = own.ok_or_else(|| Lack::of("the kernel has no cgroups of version 2"))?;
    let mount = |line: &str| {
        let (head, tail) = line.split_once(" - ")?;
        let mut fields = head.split(' ').skip(3);
        let (root, at) = (fields.next()?, fields.next()?);
        let is = tail.split(' ').next() == Some("cgroup2");
        let below = Path::new(own).strip_prefix(root).ok().filter(|_| is)?;
        // The kernel says so of a group that is outside of what this process may see.
        let inside = !own.split('/').any(|part| part == "..");
        inside.then(|| (Path::new(at).join(below), PathBuf::from(at)))
    };
    let found = mountinfo.lines().find_map(mount);
    found.ok_or_else(|| Lack::of("no cgroups of version 2 are mounted where they can be seen"))
}

/// The group that a lab's can be made in, and the controllers that it has for it.
fn delegated(
    own: &Path,
    top: &Path,
    may_write: impl Fn(&Path) -> bool,
) -> Result<(PathBuf, Vec<String>), Lack> {
    let words = |path: &Path, file: &str| -> Vec<String> {
        let text = fs::read_to_string(path.join(file)).unwrap_or_default();
        text.split_ascii_whitespace().map(str::to_owned).collect()
    };
    let ours = |of: Vec<String>| -> Vec<String> {
        let is_ours = |word: &String| CONTROLLERS.contains(&word.as_str());
        of.into_iter().filter(is_ours).collect()
    };
    if ours(words(top, "cgroup.controllers")).is_empty() {
        let top = top.display();
        return Err(Lack::of(format!(
            "{top} has none of the controllers memory, cpu and pids: those are of version 1 here"
        )));
    }
    // The kernel's own group may have both, processes and limited groups; it alone has no type.
    let is_root = |path: &Path| !path.join("cgroup.type").exists();
    let above = own.ancestors().take_while(|path| path.starts_with(top));
    let candidates = above.filter(|path| *path != own || is_root(path));
    let mut forbidden = None;
    for path in candidates {
        let files = ["", "cgroup.procs", "cgroup.subtree_control"];
        if !files.iter().all(|file| may_write(&path.join(file))) {
            forbidden.get_or_insert(path);
            continue;
        }
        let empty = is_root(path) || words(path, "cgroup.procs").is_empty();
        let controllers = match empty {
            true => ours(words(path, "cgroup.controllers")),
            false => ours(words(path, "cgroup.subtree_control")),
        };
        if !controllers.is_empty() {
            return Ok((path.to_owned(), controllers));
        }
    }
    Err(match forbidden {
        Some(path) if !geteuid().is_root() => Lack {
            why: format!("{} is not this user's", path.display()),
            unowned: true,
        },
        Some(path) => Lack::of(format!("{} cannot be written to", path.display())),
        None => Lack::of(format!(
            "{} has processes, and none above it is to be seen",
            own.display()
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of groups in a folder, which goes with it.
    struct Tree(PathBuf);

    impl Tree {
        /// Groups with the words of their `cgroup.controllers`, `cgroup.subtree_control` and
        /// `cgroup.procs`; the first is the kernel's own.
        fn of(name: &str, groups: &[(&str, [&str; 3])]) -> Self {
            let own = format!("nsplay-cgroups-{name}-{}", std::process::id());
            let root = std::env::temp_dir().join(own);
            for (n, (path, [has, passes, procs])) in groups.iter().enumerate() {
                let folder = root.join(path);
                fs::create_dir_all(&folder).unwrap();
                for (file, text) in [
                    ("cgroup.controllers", has),
                    ("cgroup.subtree_control", passes),
                    ("cgroup.procs", procs),
                ] {
                    fs::write(folder.join(file), text).unwrap();
                }
                if n > 0 {
                    fs::write(folder.join("cgroup.type"), "domain\n").unwrap();
                }
            }
            Self(root)
        }

        fn found(&self, own: &str, may_write: &str) -> Result<(String, String), String> {
            let own = self.0.join(own);
            let writes = self.0.join(may_write);
            let found = delegated(&own, &self.0, |path| path.starts_with(&writes));
            let (parent, controllers) = found.map_err(|lack| lack.why)?;
            let parent = parent.strip_prefix(&self.0).unwrap();
            Ok((parent.display().to_string(), controllers.join(" ")))
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    const ALL: &str = "cpuset cpu io memory pids";

    #[test]
    fn a_labs_group_is_beside_the_one_that_its_shell_is_in() {
        let tree = Tree::of(
            "systemd",
            &[
                ("", [ALL, "cpu memory pids", "2 3"]),
                ("user.slice", ["cpu memory pids", "memory pids", ""]),
                ("user.slice/user-0.slice", ["memory pids", "", ""]),
                (
                    "user.slice/user-0.slice/session.scope",
                    ["memory pids", "", "412"],
                ),
            ],
        );
        let session = "user.slice/user-0.slice/session.scope";
        let beside = ("user.slice/user-0.slice", "memory pids");
        let found = tree.found(session, "").unwrap();
        assert_eq!((found.0.as_str(), found.1.as_str()), beside);
        // A process in the kernel's own group has its labs there.
        let found = tree.found("", "").unwrap();
        assert_eq!(
            (found.0.as_str(), found.1.as_str()),
            ("", "cpu memory pids")
        );
        // Of a user's, only what the user may write to counts.
        let why = tree.found(session, session).unwrap_err();
        assert!(why.contains("user-0.slice"), "{why}");
    }

    #[test]
    fn a_group_with_processes_takes_none_unless_it_passes_controllers_on_already() {
        let groups = |passes| [("", [ALL, ALL, ""]), ("box", [ALL, passes, "1"])];
        let container = Tree::of("container", &groups(""));
        // What a container sees as the highest is not the kernel's own.
        let look = |tree: &Tree| {
            let top = tree.0.join("box");
            delegated(&top, &top, |_| true)
        };
        let why = look(&container).unwrap_err().why;
        assert!(why.contains("has processes"), "{why}");
    }

    #[test]
    fn where_controllers_are_of_version_1_it_is_said() {
        let tree = Tree::of("hybrid", &[("", ["", "", "1"])]);
        let why = tree.found("", "").unwrap_err();
        assert!(why.contains("of version 1"), "{why}");
    }

    #[test]
    fn ones_own_group_is_found_below_what_is_mounted() {
        let mounts = "24 1 0:22 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            25 1 0:23 /a /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup rw\n";
        let found = own("3:memory:/x\n0::/a/b\n", mounts).unwrap();
        assert_eq!(found.0, Path::new("/sys/fs/cgroup/b"));
        assert_eq!(found.1, Path::new("/sys/fs/cgroup"));
        assert!(own("3:memory:/x\n", mounts).is_err());
        assert!(own("0::/b\n", mounts).is_err(), "outside of it");
        assert!(own("0::/a/../../b\n", mounts).is_err());
    }

    #[test]
    fn the_kernels_version_is_a_number() {
        assert!(counts_by_namespace("6.1.0-56-amd64\n"));
        assert!(counts_by_namespace("5.14\n") && !counts_by_namespace("5.9.1"));
        assert!(!counts_by_namespace(""));
    }
}
