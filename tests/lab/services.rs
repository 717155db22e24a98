//! The services of a lab, asked by real clients.

use std::fs;

use crate::host::Host;

#[test]
fn up_returns_when_everything_answers_and_ps_says_so() {
    let host = Host::new();
    let up = host.nsplay(&["up", "-d"]).ok();
    assert!(up.err.contains("[+] lab"), "{}", up.err);
    assert!(up.err.contains("nodes run under"), "{}", up.err);
    let ps = host.nsplay(&["ps"]).ok();
    assert_eq!(ps.err, "");
    for row in [
        "dhcp   dnsmasq   ready",
        "web    lighttpd  ready",
        "ssh    sshd      ready",
        "node1  qemu      on",
        "node1  ipmi_sim  ready",
    ] {
        assert!(ps.out.contains(row), "{row:?} is not in\n{}", ps.out);
    }
    for published in ["127.0.0.1:2222", "127.0.0.1:5901", "127.0.0.1:623"] {
        assert!(
            ps.out.contains(published),
            "{published} is not in\n{}",
            ps.out
        );
    }
    // A second one changes nothing.
    let again = host.nsplay(&["up", "-d"]).ok();
    let said = "lab `default` is up, and is what its file says";
    assert!(again.err.contains(said), "{}", again.err);
    assert_eq!(host.nsplay(&["ps"]).ok().out.lines().count(), 6);
    host.nsplay(&["down"]).ok();
}

#[test]
fn clients_get_addresses_files_pages_and_a_shell() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();

    // DHCP, from a client in the fabric.
    let lease = host
        .shell(&format!(
            "{} exec fabric -- busybox udhcpc -i lab0 -n -q -f -s /bin/true 2>&1",
            host.spelled()
        ))
        .ok();
    assert!(lease.out.contains("lease of 192.168.25.1"), "{}", lease.out);

    // TFTP: the distribution's iPXE; HTTP: the built-in menu.
    let tftp = host
        .nsplay(&[
            "exec",
            "fabric",
            "--",
            "curl",
            "-s",
            "tftp://192.168.25.2/undionly.kpxe",
            "-o",
            "undionly.kpxe",
        ])
        .ok();
    assert_eq!(tftp.err, "");
    assert!(
        fs::metadata(host.folder().join("undionly.kpxe"))
            .unwrap()
            .len()
            > 50_000
    );
    let menu = host
        .nsplay(&[
            "exec",
            "dhcp",
            "--",
            "curl",
            "-s",
            "http://192.168.25.3/boot.ipxe",
        ])
        .ok();
    assert!(menu.out.starts_with("#!ipxe"), "{}", menu.out);
    let entries = host
        .nsplay(&[
            "exec",
            "dhcp",
            "--",
            "curl",
            "-s",
            "http://192.168.25.3/nsplay/entries.ipxe",
        ])
        .ok();
    assert!(
        entries
            .out
            .contains("set nsplay-image http://192.168.25.3/nsplay/image")
    );
    host.prints("web", "GET /boot.ipxe 200", 1);

    // SSH into the lab, and on to another member.
    let ssh = "ssh -p 2222 -i /run/nsplay/default/id_ed25519 -o BatchMode=yes \
               -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/run/nsplay/default/known_hosts";
    let inside = host
        .shell(&format!("{ssh} lab@127.0.0.1 'id -un; cat /etc/hosts'"))
        .ok();
    assert!(inside.out.starts_with("lab\n"), "{}", inside.out);
    assert!(inside.out.contains("192.168.25.3"), "{}", inside.out);
    let terminal = host.shell(&format!("{ssh} -tt lab@127.0.0.1 tty")).ok();
    assert!(terminal.out.contains("/dev/pts/"), "{}", terminal.out);
    let jump = host
        .shell(&format!(
            "printf 'HEAD / HTTP/1.0\\r\\n\\r\\n' | {ssh} -W 192.168.25.3:80 lab@127.0.0.1"
        ))
        .ok();
    assert!(jump.out.starts_with("HTTP/1."), "{}", jump.out);

    // VNC (RFC 6143, section 7.1.1).
    let vnc = host
        .run("bash", &["-c", "head -c 12 < /dev/tcp/127.0.0.1/5901"])
        .ok();
    assert_eq!(vnc.out, "RFB 003.008\n");

    // iproute2 finds the members of root's labs.
    if host.is_root() {
        let look = ["netns", "exec", "nsplay-default-dhcp", "ss", "-lnu"];
        let sockets = host.run("ip", &look).ok();
        assert!(sockets.out.contains(":67 "), "{}", sockets.out);
    }

    // The probes that found everything ready are in no log.
    let log = host.nsplay(&["logs"]).ok().out;
    assert!(!log.contains("/nsplay/ready"), "{log}");
    assert!(
        !log.contains(" port 1 ") && !log.contains("kex_exchange"),
        "{log}"
    );
}

#[test]
fn what_the_user_adds_while_the_lab_runs_is_served() {
    let host = Host::new();
    host.write("webroot/boot.ipxe", "#!ipxe\nshell\n");
    host.write("tftproot/first", "one");
    host.nsplay(&["up", "-d"]).ok();
    let get = |url: &str| host.nsplay(&["exec", "fabric", "--", "curl", "-sf", url]);
    assert_eq!(
        get("http://192.168.25.3/boot.ipxe").ok().out,
        "#!ipxe\nshell\n"
    );
    assert_eq!(get("tftp://192.168.25.2/first").ok().out, "one");
    // What the folder does not have comes from nsplay.
    get("http://192.168.25.3/nsplay/entries.ipxe").ok();

    assert_ne!(get("tftp://192.168.25.2/second").code, 0);
    assert_ne!(get("http://192.168.25.3/new/page").code, 0);
    host.write("tftproot/second", "two");
    host.write("webroot/new/page", "three");
    host.until("the new files are served", || {
        get("tftp://192.168.25.2/second").out == "two"
            && get("http://192.168.25.3/new/page").out == "three"
    });
    fs::remove_file(host.folder().join("tftproot/second")).unwrap();
    assert_ne!(get("tftp://192.168.25.2/second").code, 0);
}

#[test]
fn verbs_find_the_lab_that_the_current_folder_names() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        "name = \"mine\"\n[node.node1]\npower = \"off\"\n",
    );
    host.nsplay(&["up", "-d"]).ok();
    assert!(host.nsplay(&["ps"]).ok().out.contains("ipmi_sim  ready"));
    let log = host.nsplay(&["logs"]).ok().out;
    assert!(
        log.contains("[+] lab"),
        "what happened is in the log: {log}"
    );
    assert!(
        host.nsplay(&["down"])
            .ok()
            .err
            .contains("lab `mine` is down")
    );
}

#[test]
fn two_labs_with_one_subnet_do_not_see_each_other() {
    let host = Host::new();
    host.write("webroot/who", "first");
    host.nsplay(&["up", "-d"]).ok();
    host.write("other/nsplay.toml", "");
    host.write("other/webroot/who", "second");
    let second = ["-p", "two", "up", "-d", "-f", "other/nsplay.toml"];
    host.nsplay(&second).fails(
        2,
        &[
            "127.0.0.1:623/udp: it belongs to nsplay (pid ",
            "--port-offset",
        ],
    );
    host.nsplay(&[&second[..], &["--port-offset", "1000"]].concat())
        .ok();
    for (lab, page) in [("default", "first"), ("two", "second")] {
        let got = host
            .nsplay(&[
                "-p",
                lab,
                "exec",
                "fabric",
                "--",
                "curl",
                "-sf",
                "http://192.168.25.3/who",
            ])
            .ok();
        assert_eq!(got.out, page);
    }
    host.ipmitool(&["-p", "1623", "power", "off"]).ok();
    host.until("the second lab's node is off", || {
        host.nsplay(&["-p", "two", "power", "node1", "status"])
            .ok()
            .out
            == "node1: off\n"
    });
    assert_eq!(
        host.nsplay(&["power", "node1", "status"]).ok().out,
        "node1: on\n"
    );
    host.nsplay(&["-p", "two", "down"]).ok();
    host.nsplay(&["ps"]).ok();
}
