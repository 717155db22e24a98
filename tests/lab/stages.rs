//! How nodes boot, as nsplay follows it, and waiting for it.

use nsplay::event::What;
use nsplay::lab::Stage;

use crate::host::Host;

#[test]
fn a_boot_is_followed_to_a_system_that_ssh_answers_on() {
    let host = Host::new();
    // The image has no sshd; one that says its banner is enough.
    host.write(
        "webroot/boot.ipxe",
        "#!ipxe
chain --autofree nsplay/entries.ipxe
kernel ${nsplay-image}/vmlinuz initrd=initrd.img console=ttyS0,115200 quiet nsplay.server=${nsplay-server} nsplay.node=${hostname} nsplay.run=sshd || shell
initrd ${nsplay-image}/initrd.img || shell
boot || shell
",
    );
    host.write(
        "webroot/sshd",
        // As an installer says that it is done; each step waits until it is let. Nothing is printed:
        // a prompt is one as long as nothing follows it.
        ". /run/nsplay.env
exec 2>/dev/null
until_there() { until wget -q -O /dev/null http://$server/$1; do usleep 200000; done; }
until_there may-install
wget -q -O /dev/null http://$server/nsplay/installed
until_there may-answer
while :; do echo SSH-2.0-test | busybox nc -l -p 22; done
",
    );
    host.nsplay(&["up", "-d"]).ok();
    host.nsplay(&["wait", "node1", "--for", "login", "--timeout", "120"])
        .ok();
    host.write("webroot/may-install", "");
    host.nsplay(&["wait", "node1", "--for", "installed", "--timeout", "60"])
        .ok();
    let why = host.nsplay(&["why", "node1"]).ok().out;
    assert!(
        why.contains("node1 has been installed, says its installer"),
        "{why}"
    );
    host.write("webroot/may-answer", "");
    host.nsplay(&["wait", "node1", "--for", "up", "--timeout", "120"])
        .ok();
    host.nsplay(&["wait", "--for", "healthy"]).ok();
    host.nsplay(&["wait", "--for", "tcp=node1:22", "--timeout", "20"])
        .ok();
    let seen: Vec<Stage> = host
        .events("default")
        .into_iter()
        .filter_map(|event| match event.what {
            What::Stage { stage, .. } => Some(stage),
            _ => None,
        })
        .collect();
    let mut rest = seen.iter();
    for stage in [
        Stage::Powered,
        Stage::Firmware,
        Stage::Discover,
        Stage::Offer,
        Stage::Ack,
        Stage::Ipxe,
        Stage::Http,
        Stage::Kernel,
        Stage::Userland,
        Stage::Login,
        Stage::Installed,
        Stage::Up,
    ] {
        assert!(rest.any(|seen| *seen == stage), "no {stage} in {seen:?}");
    }
    let ps = host.nsplay(&["ps"]).ok().out;
    assert!(ps.contains(" up "), "{ps}");
    let inspected = host.nsplay(&["inspect", "node1", "--json"]).ok().out;
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["stage"], "up");
    let inspected = host.nsplay(&["inspect", "node1"]).ok().out;
    assert!(inspected.contains("Boot stage      up\n"), "{inspected}");
    let timeline = host.nsplay(&["timeline", "node1"]).ok().out;
    for row in ["discover", "http ", "/boot.ipxe", "kernel", "SSH-2.0-test"] {
        assert!(timeline.contains(row), "{row} is not in:\n{timeline}");
    }

    // A new boot starts over, and so does what is waited for.
    host.nsplay(&["power", "node1", "reset"]).ok();
    host.nsplay(&["wait", "--for", "userland", "--timeout", "0.01"])
        .fails(1, &["no `userland` within 0.01 s: node1 stands at "]);
    host.nsplay(&["wait", "--for", "discover"]).ok();
    host.nsplay(&["power", "node1", "off"]).ok();
    host.nsplay(&["wait", "--for", "off"]).ok();
    // Where it had come to counts no more.
    host.nsplay(&["wait", "--for", "discover", "--timeout", "0.01"])
        .fails(1, &["no `discover` within 0.01 s: node1 stands at off"]);
    host.nsplay(&["down"]).ok();
    // What was seen stays in the log of the run.
    let last = host.nsplay(&["timeline", "node1"]).ok().out;
    assert!(last.starts_with("node1, boot 2 of 2\n"), "{last}");
    let json = host
        .nsplay(&["timeline", "node1", "--all", "--json"])
        .ok()
        .out;
    let timeline: serde_json::Value = serde_json::from_str(&json).unwrap();
    let boots = timeline["boots"].as_array().unwrap();
    assert_eq!(boots.len(), 2, "{json}");
    assert_eq!(
        boots[1]["stages"].as_array().unwrap().last().unwrap()["stage"],
        "off"
    );
}

#[test]
fn what_is_waited_for_is_asked_from_inside_the_lab() {
    let host = Host::new();
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    host.write("webroot/page", "here");
    host.nsplay(&["up", "-d"]).ok();
    for goal in [
        "healthy",
        "off",
        "http=http://web/page",
        "http=192.168.25.3/page",
        "tcp=ssh:22",
        "log=^DHCP, IP range 192",
    ] {
        host.nsplay(&["wait", "--for", goal, "--timeout", "20"])
            .ok();
    }
    for (arguments, code, words) in [
        (
            &["--for", "http=web/none", "--timeout", "0.3"][..],
            1,
            "error: no http=http://web:80/none within 0.3 s: it answers 404",
        ),
        (
            &["--for", "tcp=web:81", "--timeout", "0.3"],
            1,
            "no tcp=web:81 within 0.3 s: Connection refused",
        ),
        (
            &["--for", "tcp=node1:22", "--timeout", "0.3"],
            1,
            "s: node1 has no address yet\nnode1 has not been switched on",
        ),
        (
            &["--for", "userland", "--timeout", "0.3"],
            1,
            "no `userland` within 0.3 s: node1 stands at off\nnode1 has not been switched on",
        ),
        (
            &["node1", "--for", "screen=login", "--timeout", "0.3"],
            1,
            "no screen=login within 0.3 s\nnode1 has not been switched on",
        ),
        (
            &["--for", "log=nobody says so", "--timeout", "0.3"],
            1,
            "no log=nobody says so within 0.3 s\nnode1 has not been switched on",
        ),
        (
            &["--for", "log=ab(c"],
            2,
            "`ab(c` is no regular expression: unclosed group, at character 3",
        ),
        (
            &["--for", "screen=[z-a]"],
            2,
            "invalid character class range",
        ),
        (
            &["--for", "http=web:port/"],
            2,
            "`web:port/` is no URL; http=http://web/boot.ipxe names one",
        ),
        (&["--for", "tcp=web"], 2, "`web` is no HOST:PORT"),
        (
            &["node1", "--for", "healthy", "--timeout", "0.3"],
            1,
            "node1 (qemu) is off",
        ),
        (
            &["--for", "tcp=webb:80"],
            2,
            "nobody in the lab; it has: dhcp, web, ssh, node1",
        ),
        (&["node9", "--for", "up"], 2, "no node `node9`"),
        (
            &["--for", "upp"],
            2,
            "`upp` cannot be waited for: expected a boot stage",
        ),
        (
            &["--for", "up", "--timeout", "soon"],
            2,
            "expected a time such as 90s",
        ),
    ] {
        let arguments = [&["wait"], arguments].concat();
        host.nsplay(&arguments).fails(code, &[words]);
    }
    host.nsplay(&["timeline", "node1"])
        .fails(2, &["no boot of `node1`", "hint: "]);
}
