//! Who runs nsplay on a host of the tests.

use std::fs;
use std::path::Path;

/// Who runs nsplay on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Root.
    Root,
    /// This user, in places that are the user's own.
    User(u32),
    /// This user, in root's places and with root's ports: so that tests which name them hold for
    /// both.
    InRootsPlace(u32),
}

impl Caller {
    /// Who runs the tests that do not say: root, or with `NSPLAY_TEST_AS=user` a user.
    pub fn from_env() -> Self {
        match std::env::var("NSPLAY_TEST_AS").as_deref() {
            Ok("user") => Self::InRootsPlace(ordinary_user()),
            Ok("root") | Err(_) => Self::Root,
            Ok(other) => panic!("NSPLAY_TEST_AS={other}: it is `root` or `user`"),
        }
    }

    /// The runtime and the state folder.
    pub fn folders(self) -> (String, String) {
        match self {
            Self::Root | Self::InRootsPlace(_) => ("/run".to_owned(), "/var/lib".to_owned()),
            Self::User(uid) => (
                format!("/run/user/{uid}"),
                "/var/lib/home/.local/state".to_owned(),
            ),
        }
    }

    /// What stands before nsplay in a command line.
    pub fn prefix(self) -> Vec<String> {
        let (Self::User(uid) | Self::InRootsPlace(uid)) = self else {
            return Vec::new();
        };
        let (run, state) = self.folders();
        let ids = format!(
            "/usr/bin/setpriv --reuid {uid} --regid {uid} --clear-groups /usr/bin/env HOME=/var/lib/home"
        );
        let places = match self {
            Self::Root | Self::User(_) => format!("XDG_RUNTIME_DIR={run} -u XDG_STATE_HOME"),
            Self::InRootsPlace(_) => format!("XDG_RUNTIME_DIR={run} XDG_STATE_HOME={state}"),
        };
        let words = format!("{ids} {places}");
        // `env` takes its options first.
        let (options, rest): (Vec<&str>, Vec<&str>) = match words.split_once(" -u ") {
            Some((words, name)) => (vec!["-u", name], words.split(' ').collect()),
            None => (Vec::new(), words.split(' ').collect()),
        };
        let env = rest.iter().position(|word| word.ends_with("/env")).unwrap() + 1;
        let all = rest[..env].iter().chain(&options).chain(&rest[env..]);
        all.map(ToString::to_string).collect()
    }

    /// Gives the caller a file or a folder.
    pub fn owns(self, path: &Path) {
        if let Self::User(uid) | Self::InRootsPlace(uid) = self {
            std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
        }
    }

    /// What makes the host fit for the caller.
    pub fn furnish(self) -> String {
        let (Self::User(uid) | Self::InRootsPlace(uid)) = self else {
            return String::new();
        };
        let places = match self {
            Self::Root | Self::User(_) => {
                format!("mkdir -p /run/user/{uid}; chown {uid} /run/user/{uid}")
            }
            Self::InRootsPlace(_) => format!(
                "chown {uid} /run /var/lib /var/lib/nsplay
                 sysctl -qw net.ipv4.ip_unprivileged_port_start=0"
            ),
        };
        // As udev has it.
        format!(
            "mkdir /var/lib/home; chown {uid} /var/lib/home
             mount -t tmpfs -o mode=755 tmpfs /dev/net
             mknod -m 666 /dev/net/tun c 10 200
             {places}"
        )
    }
}

/// A user who may read what was built.
pub fn ordinary_user() -> u32 {
    use std::os::unix::fs::MetadataExt;
    let owner = fs::metadata(env!("CARGO_MANIFEST_DIR")).unwrap().uid();
    if owner == 0 { 1000 } else { owner }
}
