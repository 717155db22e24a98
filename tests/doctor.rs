//! `nsplay doctor` on this host: what it says is one for people and programs, with and without root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

#[path = "json/validator.rs"]
mod validator;

fn doctor() -> Command {
    let mut nsplay = Command::new(env!("CARGO_BIN_EXE_nsplay"));
    nsplay.arg("doctor").stdin(Stdio::null());
    nsplay
}

fn told(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut documents = validator::check("nsplay doctor --json", &text);
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

fn finding<'v>(told: &'v Value, what: &str) -> &'v Value {
    let findings = told["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["what"] == what);
    found.unwrap_or_else(|| panic!("no {what} in {told:#}"))
}

fn level<'v>(told: &'v Value, what: &str) -> &'v str {
    finding(told, what)["level"].as_str().unwrap()
}

/// A shell in namespaces of its own, which all ends with; `nsplay` is the program that is tested,
/// where everybody may run it.
fn apart(script: &str) -> Output {
    let script = format!(
        "set -e
         ip link set lo up
         mount -t tmpfs none /run
         cp {} /run/nsplay-tested; chmod 755 /run/nsplay-tested
         nsplay() {{ /run/nsplay-tested \"$@\"; }}
         as_nobody() {{ setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"; }}
         {script}",
        env!("CARGO_BIN_EXE_nsplay")
    );
    Command::new("unshare")
        .args(["-m", "-n", "-p", "--fork", "--kill-child", "--mount-proc"])
        .args(["sh", "-c", &script])
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn a_host_on_which_labs_run_is_told_so() {
    let output = doctor().arg("--json").output().unwrap();
    let told = told(&output);
    assert_eq!(told["labs_run"], true, "{told:#}");
    assert_eq!(output.status.code(), Some(0));
    for what in [
        "kernel",
        "privileges",
        "namespaces",
        "bridge",
        "veth",
        "/dev/net/tun",
    ] {
        assert_eq!(
            level(&told, what),
            "ok",
            "{what}: the tests run here, as root"
        );
    }
    let findings = told["findings"].as_array().unwrap();
    for finding in findings.iter().filter(|finding| finding["level"] != "ok") {
        assert!(finding["cost"].is_string(), "{finding}");
    }
    let table = doctor().output().unwrap();
    let text = String::from_utf8(table.stdout).unwrap();
    assert_eq!(
        text.lines().filter(|line| !line.starts_with(' ')).count(),
        findings.len()
    );
    assert!(text.starts_with("ok        kernel "), "{text}");
    assert!(
        !text.contains('\u{1b}'),
        "no colour goes into a pipe: {text}"
    );
}

/// Nobody may look at a host, too.
#[test]
fn it_needs_no_root() {
    // The folder of the build may be nobody's business.
    let folder = std::env::temp_dir().join(format!("nsplay-doctor-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let binary: PathBuf = folder.join("nsplay");
    fs::copy(env!("CARGO_BIN_EXE_nsplay"), &binary).unwrap();
    let output = Command::new(&binary)
        .args(["doctor", "--json"])
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let told = told(&output);
    assert_eq!(level(&told, "privileges"), "degraded");
    assert_eq!(level(&told, "kernel"), "ok");
}

/// In a mount namespace of its own the state directory is empty, so that there is something to mend.
#[test]
fn nothing_is_run_unasked() {
    let nsplay = env!("CARGO_BIN_EXE_nsplay");
    let script = format!(
        "mount -t tmpfs none /var/lib
         {nsplay} doctor --json > /var/lib/told; echo \"status $?\" >&2
         {nsplay} doctor --fix < /dev/null > /dev/null; echo \"status $?\" >&2
         (sleep 3; echo n) | script -qec '{nsplay} doctor --fix' /var/lib/typed > /dev/null
         ls -A /var/lib/nsplay >&2; cat /var/lib/told"
    );
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = told(&output);
    assert_eq!(level(&told, "image"), "degraded");
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.starts_with("status 0\n"),
        "it is no reason for no lab to run: {err}"
    );
    assert!(err.contains("    nsplay image build\n"), "{err}");
    assert!(err.contains("nobody is there to be asked"), "{err}");
    assert!(
        err.contains("\nhint: nsplay doctor --fix --yes runs them unasked\nstatus 2\n"),
        "{err}"
    );
    assert!(!err.contains("$ "), "a command was run: {err}");
    assert!(err.contains("No such file"), "nothing was made: {err}");
}

/// A host on which much is wrong at once: programs that are hidden, too old or too new, firmware
/// that is away, a port that is taken, folders without room or that can only be read.
#[test]
fn each_lack_of_a_host_is_found_and_its_way_out_named() {
    let output = apart(
        "mkdir /run/old
         for said in 'qemu-system-x86_64 QEMU emulator version 5.2.0 (Debian)' \
                     'dnsmasq Dnsmasq version 2.48  Copyright' \
                     'sshd OpenSSH_5.3p1, OpenSSL 1.0' \
                     'ipmi_sim IPMI Simulator version 1.1.0'; do
             printf '#!/bin/sh\necho \"%s\"\n' \"${said#* }\" >\"/run/old/${said%% *}\"
         done
         chmod 755 /run/old/*
         for hidden in swtpm qemu-img passt; do
             for file in /usr/bin/$hidden /bin/$hidden; do
                 [ ! -e $file ] || mount --bind /dev/null $file
             done
         done
         mount -t tmpfs none /usr/share/OVMF
         mount -t tmpfs -o size=8m none /var/lib
         dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root \
                 --port=623 --listen-address=127.0.0.1 --bind-interfaces 2>/dev/null &
         for try in 1 2 3 4 5 6 7 8 9 10; do
             ! ss -Hlun | grep -q :623 || break
             sleep 0.1
         done
         PATH=/run/old:$PATH nsplay doctor --json",
    );
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told = told(&output);
    assert_eq!(told["labs_run"], false);
    let says = |what: &str, how: &str, found: &str, cost: &str| {
        let finding = finding(&told, what);
        assert_eq!(finding["level"], how, "{finding}");
        let says = |key: &str, text: &str| finding[key].as_str().unwrap().contains(text);
        assert!(says("found", found) && says("cost", cost), "{finding}");
        finding["mend"]["command"].as_str().map(str::to_owned)
    };
    let installs = |command: Option<String>, package: &str| {
        // On a host of another distribution it is another one's name.
        let command = command.unwrap_or_default();
        assert!(
            !command.starts_with("apt-get ") || command.ends_with(&format!(" {package}")),
            "{command}"
        );
        assert!(!command.is_empty(), "{package}");
    };
    let qemu = says("qemu-system-x86_64", "missing", "5.2.0", "takes QEMU 6.0");
    installs(qemu, "qemu-system-x86");
    let dnsmasq = says("dnsmasq", "missing", "2.48", "takes dnsmasq 2.67");
    installs(dnsmasq, "dnsmasq-base");
    let sshd = says("sshd", "missing", "OpenSSH_5.3p1", "takes OpenSSH 6.5");
    installs(sshd, "openssh-server");
    let newer = says(
        "ipmi_sim",
        "missing",
        "1.1.0",
        "takes 1.0.13, of OpenIPMI 2.0.33",
    );
    assert_eq!(newer, None, "no newer package mends it");
    for (hidden, package, cost) in [
        ("swtpm", "swtpm", "tpm = true"),
        ("qemu-img", "qemu-utils", "over an image"),
        ("passt", "passt", "`nat`"),
        (
            "OVMF with keys for Secure Boot",
            "ovmf",
            "secure_boot = true",
        ),
        ("OVMF_CODE.fd and OVMF_VARS.fd", "ovmf", "\"uefi\""),
    ] {
        installs(says(hidden, "degraded", "not found", cost), package);
    }
    let port = says("port 127.0.0.1:623/udp", "degraded", "dnsmasq", "publish");
    assert_eq!(port.as_deref(), Some("nsplay up --port-offset 1000"));
    let room = says("room in /var/lib", "missing", "8.0 MiB free", "no room");
    assert_eq!(room.as_deref(), Some("nsplay prune --disks"));
}

/// Devices that are there but not for everybody, and a system that forbids users' namespaces.
#[test]
fn a_user_is_told_what_is_kept_from_users_and_how_to_get_it() {
    let output = apart(
        "mount -t tmpfs -o mode=755 none /dev
         mkdir /dev/net
         mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9
         mknod -m 600 /dev/net/tun c 10 200; mknod -m 660 /dev/kvm c 10 232
         as_nobody /run/nsplay-tested doctor --json",
    );
    let told_by_devices = told(&output);
    let mend = |told: &Value, what: &str| {
        let finding = finding(told, what);
        assert_ne!(finding["level"], "ok", "{finding}");
        finding["mend"].clone()
    };
    let kvm = mend(&told_by_devices, "/dev/kvm");
    assert_eq!(kvm["command"], "sudo usermod -aG kvm \"$USER\"");
    assert_eq!(kvm["automatic"], false, "it gives away power");
    let tun = mend(&told_by_devices, "/dev/net/tun");
    assert_eq!(tun["command"], "sudo chmod 0666 /dev/net/tun");
    let privileges = finding(&told_by_devices, "privileges");
    assert_eq!(privileges["level"], "degraded", "{privileges}");
    // The kernel keeps low ports for root: the BMC's is another one then.
    finding(&told_by_devices, "port 127.0.0.1:6230/udp");
    let passt = told_by_devices["findings"].as_array().unwrap();
    let passt = passt.iter().find(|finding| finding["what"] == "passt");
    assert_eq!(passt, None, "a user's lab has no use for it");

    // The setting is of the user namespace in which it is written.
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .arg(format!(
            "echo 0 > /proc/sys/user/max_user_namespaces; exec {} doctor --json",
            env!("CARGO_BIN_EXE_nsplay")
        ))
        .output()
        .unwrap();
    let told = told(&output);
    assert_eq!(
        mend(&told, "user namespaces")["command"],
        "sysctl -w user.max_user_namespaces=15000"
    );
}

/// Packages that are made here and come from a folder: apt-get and dpkg install them as any other,
/// into a host that is laid over this one. One brings a server, as Debian's packages of servers do.
#[test]
#[expect(clippy::print_stderr, reason = "a skip is printed")]
fn fix_installs_a_package_and_starts_no_server_of_it() {
    if !Command::new("sh")
        .args(["-c", "command -v apt-get dpkg-deb invoke-rc.d update-rc.d"])
        .output()
        .unwrap()
        .status
        .success()
    {
        eprintln!("skipped: this host has no packages of Debian's");
        return;
    }
    let output = apart(&format!(
        "mkdir /run/upper /run/work /run/root
         mount -t overlay overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work /run/root
         mount -t proc proc /run/root/proc; mount --bind /dev /run/root/dev
         mount -t tmpfs none /run/root/run; mount -t tmpfs none /run/root/tmp
         cp /run/nsplay-tested /run/root/run/
         rm -f /run/root/usr/sbin/policy-rc.d /run/root/usr/bin/swtpm
         # No chroot: Debian starts no servers in one anyway.
         exec 3<{}
         cd /run/root; pivot_root . mnt
         exec chroot . sh -s <&3 2>&1",
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doctor/installs.sh")
    ));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let after = |mark: &str| {
        let (_, rest) = text.split_once(mark).unwrap_or_else(|| panic!("{text}"));
        rest.lines().next().unwrap().trim().to_owned()
    };
    let fixed = text.split("installed: ").next().unwrap();
    assert!(
        fixed.contains("servers in these packages are neither started nor enabled"),
        "{text}"
    );
    assert!(
        fixed.contains("$ apt-get install -y --no-install-recommends swtpm"),
        "{text}"
    );
    assert_eq!(after("installed: "), "9999");
    assert_eq!(after("started: "), "no");
    assert_eq!(after("enabled: "), "");
    assert_eq!(after("policy: "), "no");
    // Without the policy it would have been.
    assert_eq!(after("by hand: "), "yes");
}
