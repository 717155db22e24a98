//! The programs of a lab: how they are confined, and what happens when they end.

use std::fs;

use nsplay::event::What;

use crate::host::Host;

#[test]
fn a_child_that_dies_is_reported_and_started_again() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let qemu = host.process("qemu-system-x86_64");
    for (what, process) in [
        ("dnsmasq", "/usr/sbin/dnsmasq"),
        ("lighttpd", "/usr/sbin/lighttpd"),
        ("sshd", "/usr/sbin/sshd -D"),
        ("ipmi_sim", "/usr/bin/ipmi_sim"),
    ] {
        let pid = host.process(process);
        host.shell(&format!("kill -9 {pid}")).ok();
        host.until(&format!("{what} answers again"), || {
            let events = host.events("default");
            let exit = events.iter().position(|event| {
                matches!(&event.what, What::Exited { what: who, how, .. }
                    if who == what && how == "was killed by SIGKILL")
            });
            exit.is_some_and(|exit| {
                events[exit..].iter().any(
                    |event| matches!(&event.what, What::Ready { what: who, .. } if who == what),
                )
            })
        });
        assert_ne!(host.process(process), pid);
    }
    // The BMC's death did not cost the guest its power.
    assert_eq!(host.process("qemu-system-x86_64"), qemu);
    assert_eq!(
        host.ipmitool(&["power", "status"]).ok().out,
        "Chassis Power is on\n"
    );
    let ps = host.nsplay(&["ps"]).ok().out;
    assert!(
        ps.lines()
            .any(|row| row.starts_with("dhcp") && row.contains(" 1  ")),
        "{ps}"
    );
}

#[test]
fn a_child_that_hangs_is_noticed_and_started_again() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    let children = [
        ("dnsmasq", "/usr/sbin/dnsmasq"),
        ("lighttpd", "/usr/sbin/lighttpd"),
        ("ipmi_sim", "/usr/bin/ipmi_sim"),
    ];
    for (_, process) in children {
        let pid = host.process(process);
        host.shell(&format!("kill -STOP {pid}")).ok();
    }
    for (what, _) in children {
        host.until(&format!("{what} answers again"), || {
            let events = host.events("default");
            let hung = events.iter().position(|event| {
                matches!(&event.what, What::Exited { what: who, how, .. }
                    if who == what && how.starts_with("answered no more"))
            });
            hung.is_some_and(|hung| {
                events[hung..].iter().any(
                    |event| matches!(&event.what, What::Ready { what: who, .. } if who == what),
                )
            })
        });
    }
    host.ipmitool(&["power", "status"]).ok();
}

/// No capabilities.
const NONE: &str = "0000000000000000";

#[test]
fn children_have_no_privileges_and_nothing_inherited() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    // CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_NET_RAW are what dnsmasq insists on.
    for (process, capabilities) in [
        ("/usr/sbin/dnsmasq", "0000000000003400"),
        ("/usr/sbin/lighttpd", NONE),
        ("/usr/bin/ipmi_sim", NONE),
        ("qemu-system-x86_64", NONE),
        // CAP_CHOWN, _FOWNER, _KILL, _SETGID, _SETUID, _SYS_CHROOT and _AUDIT_WRITE: it changes
        // users, and gives them terminals.
        ("/usr/sbin/sshd -D", "00000000200400e9"),
    ] {
        let pid = host.process(process);
        let status = fs::read_to_string(host.at(&format!("/proc/{pid}/status"))).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_once(':').unwrap().1.trim().to_owned()
        };
        let expected = match host.user() {
            // A user's lab has one user, who is root in it.
            Some(uid) => uid.to_string(),
            None if process.contains("sshd") => "0".to_owned(),
            None => "606".to_owned(),
        };
        let user = field("Uid");
        assert!(user.starts_with(&expected), "{process}: {user}");
        // In a user's lab there is no other user for it to become.
        let is_alone = process.contains("sshd") && !host.is_root();
        let capabilities = if is_alone { NONE } else { capabilities };
        for set in ["CapEff", "CapPrm", "CapBnd"] {
            assert_eq!(field(set), capabilities, "{process}: {set}");
        }
        assert_eq!(field("NoNewPrivs"), "1", "{process}");
        if process.contains("qemu") {
            assert_eq!(field("Seccomp"), "2", "{process}");
        }
        // When memory ends the guest goes first.
        let goes = fs::read_to_string(host.at(&format!("/proc/{pid}/oom_score_adj"))).unwrap();
        let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
        let expected = if process.contains("qemu") {
            "500\n"
        } else {
            own.as_str()
        };
        assert_eq!(goes, expected, "{process}");
        let environment = fs::read_to_string(host.at(&format!("/proc/{pid}/environ"))).unwrap();
        // sshd writes its title over it.
        assert!(
            process.contains("sshd")
                || ["", "PATH=/usr/bin:/bin\0"].contains(&environment.as_str()),
            "{process}: {environment:?}"
        );
        let limits = fs::read_to_string(host.at(&format!("/proc/{pid}/limits"))).unwrap();
        let files = limits
            .lines()
            .find_map(|it| it.strip_prefix("Max open files"));
        let files: Vec<&str> = files.unwrap().split_whitespace().collect();
        assert!(
            files[0].parse::<u32>().unwrap() <= 1024,
            "{process}: {limits}"
        );
        // By a control group, where some can be made; else each member is a user of its own, but
        // in a user's lab.
        let group = fs::read_to_string(host.at(&format!("/proc/{pid}/cgroup"))).unwrap();
        let processes = limits
            .lines()
            .find_map(|it| it.strip_prefix("Max processes"));
        let most = processes.unwrap().split_whitespace().next().unwrap();
        assert!(
            group.contains("0::/") && group.contains("/nsplay-default-")
                || most == "2048"
                || !host.is_root(),
            "{process}: {group}{limits}"
        );
        let links = host.shell(&format!("readlink /proc/{pid}/fd/*")).ok().out;
        for kind in ["control", "nsplay-plan", "/lock", "log.jsonl"] {
            assert!(!links.contains(kind), "{process} holds {links}");
        }
    }
}

#[test]
fn secrets_are_in_no_command_line_and_in_no_file_that_others_can_read() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        "[node.node1.bmc]\npassword = \"canary-77\"\n",
    );
    host.nsplay(&["up", "-d"]).ok();
    let supervisor = host.process("nsplay supervise");
    let found = host.shell(&format!(
        "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -E 'ca[n]ary|PRIVATE KE[Y]'
         find /run /var/lib /proc/{supervisor}/root/run /proc/{supervisor}/root/etc \
             -type f -perm /044 ! -path '*/etc/ssl/*' -exec grep -lE 'ca[n]ary|PRIVATE KE[Y]' {{}} + 2>/dev/null"
    ));
    assert_eq!(found.out, "", "{}", found.err);
}

#[test]
fn what_the_environment_of_up_says_reaches_no_program() {
    let host = Host::new();
    host.write("bin/dnsmasq", "#!/bin/sh\ntouch was-run\n");
    host.write("evil.sh", "touch was-read\n");
    let up = format!(
        "chmod 755 bin/dnsmasq
         export BASH_ENV=$PWD/evil.sh ENV=$PWD/evil.sh CANARY=canary-78
         export LD_PRELOAD=canary-78.so LD_LIBRARY_PATH=$PWD IFS=a PATH=.:bin:$PATH
         exec {} up -d",
        host.spelled()
    );
    host.shell(&up).ok();
    let supervisor = host.process("nsplay supervise");
    let children = host.shell(&format!("pgrep -P {supervisor}")).ok().out;
    assert!(children.lines().count() >= 5, "{children}");
    for child in children.lines() {
        let environment = fs::read_to_string(host.at(&format!("/proc/{child}/environ")));
        let environment = environment.unwrap();
        assert!(!environment.contains("canary-78"), "{environment:?}");
        let maps = fs::read_to_string(host.at(&format!("/proc/{child}/maps"))).unwrap();
        assert!(!maps.contains("canary-78"), "{maps}");
    }
    for trace in ["was-run", "was-read"] {
        assert!(!host.folder().join(trace).exists(), "{trace}");
    }
}
