//! Bad input and hostile hosts: one report, exit code 2, nothing made.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::host::Host;

#[test]
fn a_user_without_folders_is_told_which_to_name_and_nothing_is_made() {
    let host = Host::new();
    let before = host.inventory();
    // The binary may be in a folder that others cannot enter.
    let nsplay = host.at("/run/nsplay-for-all");
    fs::copy(env!("CARGO_BIN_EXE_nsplay"), &nsplay).unwrap();
    let script =
        "cd / && exec setpriv --reuid 65534 --clear-groups env HOME=/root /run/nsplay-for-all up";
    host.shell(script)
        .fails(2, &["cannot make /root/.local", "XDG_STATE_HOME"]);
    fs::remove_file(nsplay).unwrap();
    assert_eq!(host.inventory(), before);
}

#[test]
fn all_missing_programs_are_named_at_once_with_the_packages_that_bring_them() {
    let host = Host::new();
    let before = host.inventory();
    let script = format!(
        "mkdir -p /run/bin && cp {} /run/bin/ && cd /run/bin && printf '#!/bin/sh\\n' > apt-get && chmod 755 apt-get &&
         exec unshare -m sh -c 'mount --bind /run/bin /usr/sbin && mount --bind /run/bin /usr/bin &&
             exec /run/bin/nsplay up'",
        env!("CARGO_BIN_EXE_nsplay")
    );
    host.shell(&script).fails(
        2,
        &[
            "dnsmasq",
            "sshd",
            "qemu-system-x86_64",
            "ipmi_sim",
            "apt-get install",
            "dnsmasq-base",
            "openipmi",
        ],
    );
    host.shell("rm -r /run/bin").ok();
    assert_eq!(host.inventory(), before);
}

#[test]
fn a_port_that_is_taken_is_refused_and_its_owner_named() {
    let host = Host::new();
    let taker = "import socket,time
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('127.0.0.1',623))
t=socket.socket(); t.bind(('0.0.0.0',5901)); t.listen(); print(flush=True); time.sleep(999)";
    let mut taken = host.callers("python3");
    let mut child = taken
        .args(["-c", taker])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    let before = host.inventory();
    host.nsplay(&["up", "-d"]).fails(
        2,
        &[
            "cannot publish `node1` on 127.0.0.1:623/udp: it belongs to python3 (pid ",
            "cannot publish `node1` on 127.0.0.1:5901/tcp: it belongs to python3 (pid ",
            "--port-offset 1000 makes this one 127.0.0.1:1623",
        ],
    );
    assert_eq!(host.inventory(), before);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_lab_file_that_cannot_be_is_refused_where_it_goes_wrong() {
    let host = Host::new();
    let before = host.inventory();
    host.write(
        "nsplay.toml",
        "[web]\nadress = \"192.168.25.3\"\n[ssh]\naddress = \"10.0.0.1\"\n",
    );
    host.nsplay(&["up"]).fails(
        2,
        &[
            "error: nsplay.toml:2:1: ",
            "`adress`",
            "`address`",
            "error: nsplay.toml:4:11: ",
        ],
    );
    host.nsplay(&["up", "-f", "none.toml"])
        .fails(2, &["cannot read lab file none.toml", "hint: "]);
    host.nsplay(&["-p", "../x", "up"]).fails(2, &["is no name"]);
    assert_eq!(host.inventory(), before);
}

#[test]
fn a_folder_that_cannot_be_served_is_refused() {
    let host = Host::new();
    let before = host.inventory();
    host.write("webroot/boot.ipxe", "#!ipxe");
    let webroot = host.folder().join("webroot");
    fs::set_permissions(&webroot, fs::Permissions::from_mode(0o700)).unwrap();
    host.write("nsplay.toml", "[dhcp]\ntftproot = \"nowhere\"\n");
    let told = host.nsplay(&["up"]).fails(
        2,
        &[
            "service `dhcp` cannot serve tftproot",
            "there is no such folder",
        ],
    );
    // The programs of a user's lab are that user's.
    if host.is_root() {
        told.fails(
            2,
            &["service `web` cannot serve root", "hint: chmod -R o+rX "],
        );
    }
    assert_eq!(host.inventory(), before);
}

/// Puts a program in front of the real one.
fn stub(host: &Host, name: &str, script: &str) -> String {
    host.write(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
    let path = host.folder().join("bin").join(name);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    format!(
        "PATH={}:$PATH exec {} up -d",
        host.folder().join("bin").display(),
        host.spelled()
    )
}

#[test]
fn a_program_that_ends_before_it_answers_fails_up_by_name_and_nothing_remains() {
    let host = Host::new();
    let before = host.inventory();
    let up = stub(&host, "lighttpd", "echo no such luck >&2; exit 3");
    host.shell(&up).fails(
        1,
        &[
            "error: `web`: lighttpd exited with status 3",
            "no such luck",
        ],
    );
    host.is_as_before(&before);
}

#[test]
fn a_program_that_is_too_old_is_named_with_the_version_that_does() {
    let host = Host::new();
    let before = host.inventory();
    let up = stub(
        &host,
        "dnsmasq",
        "test \"$1\" = --version && echo 'Dnsmasq version 2.66  Copyright' && exit
         echo 'dnsmasq: bad option at line 15' >&2; exit 1",
    );
    host.shell(&up).fails(
        1,
        &[
            "error: `dhcp`: dnsmasq exited with status 1",
            "bad option at line 15",
            "hint: dnsmasq is 2.66 here: only labs with dhcp = false run; that takes dnsmasq 2.67",
        ],
    );
    host.is_as_before(&before);
}

#[test]
fn what_apparmor_denies_is_told_from_the_kernels_log() {
    let host = Host::new();
    let now = host
        .shell("awk '{printf \"%.0f\", $1 * 1000000}' /proc/uptime")
        .ok();
    // A record as AppArmor's, for it is not in force here.
    let record = format!(
        "4,7,{},-;audit: type=1400 audit(1764150000.123:88): apparmor=\"DENIED\" operation=\"open\" \
         profile=\"lighttpd\" name=\"/run/lab/web/lighttpd.conf\" pid=7 comm=\"lighttpd\"\n",
        now.out
    );
    host.write("kmsg", &record);
    host.shell("mount --bind kmsg /dev/kmsg").ok();
    let up = stub(&host, "lighttpd", "echo cannot open it >&2; exit 3");
    host.shell(&up).fails(
        1,
        &[
            "error: `web`: lighttpd exited with status 3",
            "hint: AppArmor's profile lighttpd denies lighttpd open /run/lab/web/lighttpd.conf",
        ],
    );
}

#[test]
fn a_program_that_never_answers_fails_up_by_name_and_nothing_remains() {
    let host = Host::new();
    let before = host.inventory();
    let up = stub(&host, "lighttpd", "echo dreaming; exec sleep 1000");
    host.shell(&up).fails(
        1,
        &[
            "error: `web`: lighttpd did not answer HTTP on 192.168.25.3:80 within 15 s",
            "dreaming",
        ],
    );
    host.is_as_before(&before);
}
