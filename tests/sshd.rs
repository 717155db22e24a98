//! sshd and ssh as they are installed, in an environment like a lab's.

mod sandbox;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nsplay::lab::{Name, Ssh};
use nsplay::program::Program;
use nsplay::service::names::Names;
use nsplay::service::sshd::{self, Account, Keys};
use sandbox::{MEMBER, Sandbox, Stage, installed};

const ADDRESS: &str = "192.168.25.4";

/// A lab's server and a client's files, all in one sandbox.
struct Lab {
    server: Sandbox,
    _stage: Stage,
}

/// Where the client's files are.
const CLIENT: &str = "/run/client";

fn start(name: &str) -> Lab {
    let ssh = Ssh {
        name: Name::new("ssh").unwrap(),
        network: Name::new("main").unwrap(),
        address: ADDRESS.parse().unwrap(),
        publish: None,
    };
    installed("ssh", "openssh-client");
    let keys = Keys::generate().unwrap();
    let program = sshd::program(&ssh, &installed("sshd", "openssh-server"), &keys);
    let account = Account {
        uid: MEMBER,
        home: sshd::home(&ssh),
        shell: PathBuf::from("/bin/sh"),
    };
    let stage = Stage::new(name);
    stage.program(&program);
    stage.files(&sshd::etc_files(
        &account,
        &Names {
            hosts: vec![(ssh.address, ssh.name.to_string())],
            dns: None,
        },
        &BTreeMap::new(),
    ));
    stage.dir(&account.home, account.uid);
    let client = Path::new(CLIENT);
    stage.file(&client.join("key"), 0o600, 0, &keys.user_private);
    stage.file(
        &client.join("wrong"),
        0o600,
        0,
        &Keys::generate().unwrap().user_private,
    );
    let at = format!("{ADDRESS}:22").parse().unwrap();
    stage.file(
        &client.join("known_hosts"),
        0o644,
        0,
        &format!("{}\n", keys.known_host(at)),
    );
    let batch = format!("put {CLIENT}/known_hosts by-sftp\nls -1\n");
    stage.file(&client.join("batch"), 0o644, 0, &batch);
    Lab::new(&program, stage)
}

impl Lab {
    fn new(program: &Program, stage: Stage) -> Self {
        let mut server = Sandbox::start(program, &stage, ADDRESS);
        server.until_ready(|server| {
            let mut probe = server.inside("ssh-keyscan");
            probe.args(["-T", "1", "-t", "ed25519", ADDRESS]);
            probe
        });
        server.until_line("of the listener", |l| l.starts_with("Server listening on"));
        Self {
            server,
            _stage: stage,
        }
    }

    /// A client that trusts known_hosts alone and asks nobody anything.
    fn client(&self, program: &str, key: &str) -> Command {
        let mut command = self.server.inside(program);
        command.args(["-F", "none", "-i", &format!("{CLIENT}/{key}")]);
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=yes",
            &format!("UserKnownHostsFile={CLIENT}/known_hosts"),
            "GlobalKnownHostsFile=/dev/null",
        ] {
            command.args(["-o", option]);
        }
        command
    }

    fn login(&self, key: &str, user: &str, command: &str) -> Output {
        let to = format!("{user}@{ADDRESS}");
        self.client("ssh", key)
            .args([&to, command])
            .output()
            .unwrap()
    }
}

fn text(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_labs_key_logs_in_as_lab() {
    let mut lab = start("sshd-login");
    let said = text(&lab.login("key", "lab", "id -un; pwd; cat /etc/hosts; hostname"));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..2], ["lab", "/run/lab/ssh/home"]);
    assert!(lines.contains(&"192.168.25.4 ssh"), "{said}");
    assert_eq!(lines.last().copied(), Some(host.trim()));

    let line = lab.server.until_line("of the login", |l| {
        l.starts_with("Accepted publickey for lab")
    });
    assert!(line.contains("ED25519"), "{line}");
    lab.server.terminate();
}

#[test]
fn a_login_with_a_terminal_logs_no_complaint() {
    let lab = start("sshd-terminal");
    let to = format!("lab@{ADDRESS}");
    let output = lab
        .client("ssh", "key")
        .args(["-tt", &to, "tty && stty size"])
        .output()
        .unwrap();
    assert!(text(&output).starts_with("/dev/pts/"), "{output:?}");
    lab.server.until_line("of the disconnect", |l| {
        l.starts_with("Disconnected from user lab")
    });
    let usual = [
        "Server listening on ",
        "Accepted publickey for lab ",
        "Received disconnect from ",
        "Disconnected from user lab ",
        // ssh-keyscan, which this test waits with.
        "Connection closed by ",
        "Unable to negotiate with ",
    ];
    for line in lab.server.lines() {
        assert!(
            usual.iter().any(|u| line.starts_with(u)),
            "unexpected in sshd's log: {line}"
        );
    }
}

#[test]
fn a_wrong_key_another_user_and_a_password_are_refused() {
    let lab = start("sshd-refused");
    for (key, user) in [
        ("wrong", "lab"),
        ("key", "root"),
        ("key", "nobody"),
        ("key", "absent"),
    ] {
        let output = lab.login(key, user, "id -un");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{user} with {key}: {said}");
        assert!(
            said.contains("Permission denied (publickey)"),
            "{user} with {key}: {said}"
        );
        assert!(output.stdout.is_empty());
    }
    lab.server.until_line("of the refusal", |l| {
        l.starts_with("Connection closed by authenticating user lab ")
    });
}

#[test]
fn files_go_both_ways_by_scp_and_sftp() {
    let lab = start("sshd-files");
    // The client's side is root's, in the sandbox's own /tmp; scp speaks SFTP since 9.0.
    let remote = format!("lab@{ADDRESS}:note");
    let there = lab
        .client("scp", "key")
        .args([&format!("{CLIENT}/known_hosts"), &remote])
        .output()
        .unwrap();
    text(&there);
    let back = lab
        .client("scp", "key")
        .args([&remote, "/tmp/note"])
        .output()
        .unwrap();
    text(&back);
    let note = text(&lab.server.inside("cat").arg("/tmp/note").output().unwrap());
    assert!(note.starts_with(ADDRESS), "{note}");
    assert_eq!(text(&lab.login("key", "lab", "stat -c %U note")), "lab\n");

    let batch = format!("{CLIENT}/batch");
    let to = format!("lab@{ADDRESS}");
    let sftp = lab
        .client("sftp", "key")
        .args(["-b", &batch, &to])
        .output()
        .unwrap();
    let said = text(&sftp);
    assert!(
        said.lines().any(|line| line.trim_end() == "by-sftp"),
        "{said}"
    );
}

#[test]
fn it_is_a_jump_host() {
    let lab = start("sshd-jump");
    // -W has sshd connect: here to its own banner, in a lab to any node.
    let target = format!("{ADDRESS}:22");
    let to = format!("lab@{ADDRESS}");
    let output = lab
        .client("ssh", "key")
        .args(["-W", &target, &to])
        .output()
        .unwrap();
    assert!(text(&output).starts_with("SSH-2.0-"), "{output:?}");
}

#[test]
fn a_probes_lines_are_told_from_a_clients() {
    let lab = start("sshd-probe");
    let peer = format!("{ADDRESS}:45678").parse().unwrap();
    // Reads the banner, says nothing, hangs up.
    let mut probe = lab.server.inside("curl");
    probe.args(["-s", "--local-port", "45678", "-m", "1"]);
    let banner = probe
        .arg(format!("telnet://{ADDRESS}:22"))
        .output()
        .unwrap();
    assert!(banner.stdout.starts_with(b"SSH-2.0-"), "{banner:?}");
    lab.server
        .until_line("of the probe", |l| sshd::is_probe(l, peer));
    let rest = lab.server.lines();
    let mut rest = rest.iter().filter(|l| !sshd::is_probe(l, peer));
    assert!(
        rest.all(|l| !l.contains("45678")),
        "{:#?}",
        lab.server.lines()
    );
}
