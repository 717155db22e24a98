//! sshd: the way into a lab, and the accounts that it needs in the lab's `/etc`.
//!
//! sshd starts as root and becomes [`USER`] itself. Beyond the lab's own files
//! it asks only for the privilege separation folder of its build, which is in
//! the lab's `/run` or `/var`. Of root's capabilities it needs CAP_SETUID,
//! CAP_SETGID, CAP_SYS_CHROOT, and for a terminal CAP_CHOWN, CAP_KILL and
//! CAP_AUDIT_WRITE (9.2: without the last it ends the session).
//!
//! [`home`] has to exist and belong to [`Account::uid`] before a login; a
//! [`Program`]'s folders are root's here, so whoever starts it makes that one.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

use super::names::Names;
use crate::lab::Ssh;
use crate::program::{Cap, Probe, Program, TextFile, User};

pub use super::sshd_keys::{KeyError, Keys};

/// The port that the lab's SSH server listens on.
pub const PORT: u16 = 22;

/// The only account that can log in.
pub const USER: &str = "lab";

/// The folders that a build of sshd wants empty, root's and there (rc 255 without).
const PRIVSEP: &[&str] = &[
    // Debian
    "/run/sshd",
    // Alpine, Arch once; Red Hat Enterprise Linux 8. Fedora's and Arch's is in /usr.
    "/var/empty/sshd",
    // openSUSE
    "/var/lib/empty",
];

/// The files that sshd logs a terminal's login to: it complains when one is missing (9.2).
const ACCOUNTING: &[&str] = &["/var/run/utmp", "/var/log/wtmp", "/var/log/lastlog"];

/// The account [`USER`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Account {
    /// Its user and group id.
    pub uid: u32,
    /// Its home, [`home`].
    pub home: PathBuf,
    /// Its login shell, one that the host has.
    pub shell: PathBuf,
}

/// Returns the home folder of [`USER`].
#[must_use]
pub fn home(ssh: &Ssh) -> PathBuf {
    Program::dir(&ssh.name).join("home")
}

/// Returns sshd as a program; `binary` is absolute, or sshd refuses to start.
#[must_use]
pub fn program(ssh: &Ssh, binary: &Path, keys: &Keys) -> Program {
    let dir = Program::dir(&ssh.name);
    let file = |name: &str, mode, text| TextFile {
        path: dir.join(name),
        mode,
        text,
    };
    let config = file("sshd_config", 0o644, config(ssh, &dir));
    let argv = [
        &binary.display().to_string(),
        "-D",
        "-e",
        "-f",
        &config.path.display().to_string(),
    ]
    .map(str::to_owned)
    .to_vec();
    let mut files = vec![
        config,
        file("host_key", 0o600, keys.host_private.clone()),
        file("authorized_keys", 0o644, format!("{}\n", keys.user_public)),
    ];
    files.extend(ACCOUNTING.iter().map(|path| TextFile {
        path: PathBuf::from(path),
        mode: 0o644,
        text: String::new(),
    }));
    let mut dirs: Vec<PathBuf> = PRIVSEP.iter().map(PathBuf::from).collect();
    dirs.extend([PathBuf::from("/var/log"), dir]);
    Program {
        member: ssh.name.clone(),
        what: "sshd".to_owned(),
        argv,
        env: vec![(
            "PATH".to_owned(),
            "/usr/bin:/bin:/usr/sbin:/sbin".to_owned(),
        )],
        user: User::Root,
        caps: vec![
            Cap::AuditWrite,
            Cap::Chown,
            Cap::Fowner,
            Cap::Kill,
            Cap::Setgid,
            Cap::Setuid,
            Cap::SysChroot,
        ],
        files,
        rereads: Vec::new(),
        dirs,
        // Who logs in is to find the host's programs and files.
        cell: None,
        own: None,
        ready: Probe::Ssh(SocketAddrV4::new(ssh.address, PORT)),
    }
}

/// Makes sshd what it can be where there is one user: it lets only that one in, and has nothing to
/// change.
#[must_use]
pub fn for_one_user(mut program: Program) -> Program {
    program.user = User::Member;
    program.caps = Vec::new();
    program
}

/// Returns the lab's accounts and names: all of `/etc` that a service reads.
///
/// `users` are the host's users that services run as. The group
/// `tty` is left out on purpose: sshd would give it a terminal, which fails in a user namespace
/// (EINVAL).
#[must_use]
pub fn etc_files(account: &Account, names: &Names, users: &BTreeMap<&str, u32>) -> Vec<TextFile> {
    let Account { uid, home, shell } = account;
    let (home, shell) = (home.display(), shell.display());
    let file = |name: &str, mode, text| TextFile {
        path: Path::new("/etc").join(name),
        mode,
        text,
    };
    let (mut logins, mut groups) = (String::new(), String::new());
    for (name, id) in users {
        logins += &format!("{name}:x:{id}:{id}:{name}:/nonexistent:/usr/sbin/nologin\n");
        groups += &format!("{name}:x:{id}:\n");
    }
    let hosts = match names.dns {
        Some(_) => "files dns",
        None => "files",
    };
    let resolver = names.resolver();
    let resolver = resolver.map(|text| file("resolv.conf", 0o644, text));
    let mut files = vec![
        file(
            "passwd",
            0o644,
            format!(
                "root:x:0:0:root:/root:/bin/sh\n\
                 {USER}:x:{uid}:{uid}:nsplay:{home}:{shell}\n\
                 sshd:x:65533:65533:sshd:/run/sshd:/usr/sbin/nologin\n\
                 nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
                 {logins}"
            ),
        ),
        file(
            "group",
            0o644,
            format!("root:x:0:\n{USER}:x:{uid}:\nsshd:x:65533:\nnogroup:x:65534:\n{groups}"),
        ),
        // `!` would lock the account for keys too (sshd without PAM, 9.2); `*` only has no password.
        file(
            "shadow",
            0o600,
            format!("root:!:::::::\n{USER}:*:::::::\nsshd:!:::::::\nnobody:!:::::::\n"),
        ),
        // systemd's module would answer for root and nobody by itself.
        file(
            "nsswitch.conf",
            0o644,
            format!("passwd: files\ngroup: files\nshadow: files\nhosts: {hosts}\n"),
        ),
        file("hosts", 0o644, names.hosts()),
    ];
    files.extend(resolver);
    files
}

/// Tells whether a line of sshd's log is about the connection from `peer`.
///
/// A readiness probe reads the banner and hangs up, which sshd logs like any
/// client's hanging up, but with the probe's own address and port. With `-e`
/// sshd ends its lines in CR LF (9.2); what follows the port is not looked at.
#[must_use]
pub fn is_probe(line: &str, peer: SocketAddrV4) -> bool {
    let end = format!("{} port {}", peer.ip(), peer.port());
    line.match_indices(&end).any(|(at, _)| {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        !digit(line[..at].chars().next_back()) && !digit(line[at + end.len()..].chars().next())
    })
}

fn config(ssh: &Ssh, dir: &Path) -> String {
    let dir = dir.display();
    // StrictModes no: only the supervisor writes these files, but in a rootless lab
    // they are not root's, and a folder above them is a tmpfs that all can write.
    // UsePAM is left at its default, no: a build without PAM does not know it.
    format!(
        "AddressFamily inet
ListenAddress {address}:{PORT}
HostKey {dir}/host_key
PidFile none
LogLevel INFO
LoginGraceTime 30
UseDNS no
StrictModes no
AllowUsers {USER}
PermitRootLogin no
AuthenticationMethods publickey
AuthorizedKeysFile {dir}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
AllowTcpForwarding yes
AllowAgentForwarding yes
PermitTunnel no
X11Forwarding no
Subsystem sftp internal-sftp
",
        address = ssh.address,
    )
}

/// A log line; none for one that only the probe from `peer` caused.
#[must_use]
pub fn tidy(line: &str, peer: SocketAddrV4) -> Option<String> {
    // This one names no client, and the line that does follows it.
    let anonymous = line.starts_with("kex_exchange_identification: ");
    // Nor may it write who logs in down, in a lab of a user's, and nobody looks there.
    let accounting = line.starts_with("Attempt to write login records by non-root user");
    (!anonymous && !accounting && !is_probe(line, peer)).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use insta::assert_snapshot;

    use super::{Account, Keys, Names, etc_files, home, is_probe, program};
    use crate::lab::{Name, Ssh};
    use crate::program::TextFile;

    fn ssh() -> Ssh {
        Ssh {
            name: Name::new("ssh").unwrap(),
            network: Name::new("main").unwrap(),
            address: "192.168.25.4".parse().unwrap(),
            publish: None,
        }
    }

    fn whole(files: &[TextFile]) -> String {
        files
            .iter()
            .map(|f| format!("--- {} {:o}\n{}", f.path.display(), f.mode, f.text))
            .collect()
    }

    #[test]
    fn sshd_is_told_everything() {
        let keys = Keys {
            host_private: "HOST PRIVATE\n".to_owned(),
            host_public: "ssh-ed25519 HOST".to_owned(),
            user_private: "USER PRIVATE\n".to_owned(),
            user_public: "ssh-ed25519 USER nsplay".to_owned(),
        };
        let program = program(&ssh(), Path::new("/usr/sbin/sshd"), &keys);
        assert_snapshot!(format!(
            "{}\n{:?}\n{}",
            program.argv.join(" "),
            program.dirs,
            whole(&program.files)
        ));
    }

    #[test]
    fn the_labs_etc_has_one_account_to_log_in_to() {
        let account = Account {
            uid: 60600,
            home: home(&ssh()),
            shell: PathBuf::from("/bin/bash"),
        };
        let names = Names {
            hosts: vec![("192.168.25.4".parse().unwrap(), "ssh".to_owned())],
            dns: None,
        };
        assert_snapshot!(whole(&etc_files(
            &account,
            &names,
            &BTreeMap::from([("games", 5)])
        )));
    }

    #[test]
    fn a_probe_is_told_by_its_own_address_and_port() {
        let peer = "192.168.25.1:4021".parse().unwrap();
        let closed = "Connection closed by 192.168.25.1 port 4021";
        assert!(is_probe(closed, peer));
        assert!(is_probe(
            "Connection from 192.168.25.1 port 4021 on 192.168.25.4 port 22 rdomain \"\"",
            peer
        ));
        assert!(!is_probe(
            "Connection closed by 192.168.25.1 port 40210",
            peer
        ));
        assert!(!is_probe(
            "Connection closed by 2.192.168.25.1 port 402",
            peer
        ));
    }
}
