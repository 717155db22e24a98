//! What a system keeps from who runs nsplay: what root may lack in a container, and a user anywhere.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::PermissionsExt;

use nix::libc;

use crate::error::Problem;
use crate::host::tools::Tools;
use crate::kernel::user::{self, Forbidden, Step};
use crate::lab::Lab;
use crate::plan::USERS;

/// The device that a TAP is made with.
const TUN: &str = "/dev/net/tun";

/// What labs of root are made with, and what their programs have of it (capabilities(7)).
const NEEDED: [(u32, &str); 12] = [
    (0, "CAP_CHOWN"),
    (1, "CAP_DAC_OVERRIDE"),
    (3, "CAP_FOWNER"),
    (5, "CAP_KILL"),
    (6, "CAP_SETGID"),
    (7, "CAP_SETUID"),
    (user::NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE"),
    (12, "CAP_NET_ADMIN"),
    (13, "CAP_NET_RAW"),
    (18, "CAP_SYS_CHROOT"),
    (21, "CAP_SYS_ADMIN"),
    (29, "CAP_AUDIT_WRITE"),
];

/// What root lacks.
pub fn of_root() -> Option<Problem> {
    let lacks = NEEDED.iter().filter(|(number, _)| !user::has(*number));
    let lacks: Vec<&str> = lacks.map(|(_, name)| *name).collect();
    if !lacks.is_empty() {
        return Some(Problem {
            message: format!(
                "this root lacks {}, which a lab needs of it",
                lacks.join(", ")
            ),
            hint: Some(
                "run it outside of the container, in a privileged one, or as an ordinary user"
                    .to_owned(),
            ),
        });
    }
    (!user::knows(&USERS)).then(|| Problem {
        message: format!(
            "a lab's programs run as users from {} to {}, and this root's user namespace does not \
             have them (/proc/self/uid_map)",
            USERS.start(),
            USERS.end()
        ),
        hint: Some("run nsplay outside of it, as the user itself: a lab needs no root".to_owned()),
    })
}

/// What the system forbids a user.
pub fn of_user() -> Option<Problem> {
    let forbidden = user::attempt().err()?;
    let setting = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
        text.trim().parse().ok()
    };
    Some(explain(&forbidden, setting, is_filtered()))
}

/// Whether a seccomp filter is on this process (proc_pid_status(5)).
fn is_filtered() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("Seccomp:") && line.ends_with('2'))
}

/// Why, in a sentence, and what to do. `setting` reads a number below `/proc/sys`.
fn explain(
    forbidden: &Forbidden,
    setting: impl Fn(&str) -> Option<u64>,
    is_filtered: bool,
) -> Problem {
    let Forbidden { step, error } = forbidden;
    let set =
        |name: &str, value: u32| format!("sudo sysctl -w {name}={value}, or run nsplay with sudo");
    let none = "nsplay needs a user namespace to make a lab without root";
    let errno = error.raw_os_error();
    let (why, hint) = if setting("kernel/unprivileged_userns_clone") == Some(0) {
        let name = "kernel.unprivileged_userns_clone";
        (format!("{name} is 0 here"), set(name, 1))
    } else if setting("user/max_user_namespaces") == Some(0) {
        let name = "user.max_user_namespaces";
        (format!("{name} is 0 here"), set(name, 15000))
    } else if setting("kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        let name = "kernel.apparmor_restrict_unprivileged_userns";
        let why = "AppArmor takes all capabilities from it".to_owned();
        (format!("{why} ({name} is 1)"), set(name, 0))
    } else if errno == Some(libc::ENOSPC) {
        let why = "a limit of namespaces is reached (/proc/sys/user)".to_owned();
        (
            why,
            "end what holds namespaces, `lsns` lists them, or raise the limit".to_owned(),
        )
    } else {
        match step {
            Step::Namespaces if errno == Some(libc::EINVAL) => (
                "this kernel has none (CONFIG_USER_NS)".to_owned(),
                "run nsplay with sudo".to_owned(),
            ),
            Step::Namespaces if is_filtered => (
                format!("a seccomp filter, a container's most likely, forbids it ({error})"),
                "run the container with --security-opt seccomp=unconfined, or nsplay outside of it"
                    .to_owned(),
            ),
            Step::View if errno == Some(libc::ENOSYS) => (
                "this kernel cannot make all mounts read-only in it, which Linux 5.12 can"
                    .to_owned(),
                "run nsplay with sudo".to_owned(),
            ),
            Step::View => (
                format!("the lab's own /proc cannot be mounted in it ({error}), as where a container hides parts of /proc"),
                "run the container with --security-opt systempaths=unconfined, or nsplay outside of it".to_owned(),
            ),
            Step::Namespaces | Step::Map | Step::Capabilities => (
                format!("this system forbids it ({error})"),
                "run nsplay with sudo".to_owned(),
            ),
        }
    };
    Problem {
        message: format!("{none}: {why}"),
        hint: Some(hint),
    }
}

/// Why the network cards of nodes cannot be made.
pub fn tun() -> Option<Problem> {
    let card = "which a node's network card needs";
    let opened = OpenOptions::new().read(true).write(true).open(TUN);
    let (message, hint) = match opened.err()?.kind() {
        io::ErrorKind::NotFound => (
            format!("there is no {TUN}, {card}"),
            "modprobe tun".to_owned(),
        ),
        io::ErrorKind::PermissionDenied => {
            let mode = fs::metadata(TUN).map(|tun| tun.permissions().mode() & 0o777);
            let mode = mode.unwrap_or_default();
            (
                format!("you may not open {TUN} (its mode is {mode:04o}), {card}"),
                format!(
                    "sudo chmod 0666 {TUN}, as udev does; it gives nobody power over the host's network"
                ),
            )
        }
        // A module that is not loaded yet shows up so.
        _ => (
            format!("{TUN} does not open, {card}"),
            "modprobe tun".to_owned(),
        ),
    };
    Some(Problem {
        message,
        hint: Some(hint),
    })
}

/// What a lab asks for that only root can do.
pub fn beyond(lab: &Lab, tools: &Tools) -> Vec<Problem> {
    let sudo = "leave it out, or run nsplay with sudo";
    let mut problems = Vec::new();
    for own in &lab.own {
        if let (Some(user), Some(id)) = (&own.user, tools.users.get(&own.name))
            && tools.places.user != Some(*id)
        {
            problems.push(Problem {
                message: format!(
                    "service `{}`: only root can run it as another user, `{user}`",
                    own.name
                ),
                hint: Some(sudo.to_owned()),
            });
        }
    }
    for network in lab.networks().filter(|network| network.attach) {
        problems.push(Problem {
            message: format!(
                "network `{}`: attach = true changes the host's network, which only root may",
                network.name
            ),
            hint: Some(sudo.to_owned()),
        });
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(step: Step, errno: i32, set: &[(&str, u64)], filtered: bool) -> String {
        let forbidden = Forbidden {
            step,
            error: io::Error::from_raw_os_error(errno),
        };
        let setting = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| *value)
        };
        let Problem { message, hint } = explain(&forbidden, setting, filtered);
        format!("{message}; {}", hint.unwrap())
    }

    /// Where it ended, with what, the settings, whether there is a filter; why, and the remedy.
    type Case<'a> = (Step, i32, &'a [(&'a str, u64)], bool, &'a str, &'a str);

    #[test]
    fn what_a_system_forbids_is_named_with_the_remedy() {
        let cases: [Case<'_>; 7] = [
            (
                Step::Namespaces,
                libc::EPERM,
                &[("kernel/unprivileged_userns_clone", 0)],
                false,
                "kernel.unprivileged_userns_clone is 0",
                "kernel.unprivileged_userns_clone=1",
            ),
            (
                Step::Namespaces,
                libc::ENOSPC,
                &[("user/max_user_namespaces", 0)],
                false,
                "user.max_user_namespaces is 0",
                "user.max_user_namespaces=15000",
            ),
            (
                Step::Map,
                libc::EACCES,
                &[("kernel/apparmor_restrict_unprivileged_userns", 1)],
                false,
                "AppArmor",
                "kernel.apparmor_restrict_unprivileged_userns=0",
            ),
            (
                Step::Namespaces,
                libc::EPERM,
                &[],
                true,
                "seccomp",
                "seccomp=unconfined",
            ),
            (
                Step::Namespaces,
                libc::ENOSYS,
                &[],
                true,
                "seccomp",
                "seccomp=unconfined",
            ),
            (
                Step::View,
                libc::EPERM,
                &[],
                false,
                "/proc",
                "systempaths=unconfined",
            ),
            (Step::View, libc::ENOSYS, &[], false, "Linux 5.12", "sudo"),
        ];
        for (step, errno, set, filtered, why, remedy) in cases {
            let said = said(step, errno, set, filtered);
            assert!(said.contains(why) && said.contains(remedy), "{said}");
        }
    }
}
