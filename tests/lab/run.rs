//! `nsplay run`: a lab for as long as a command takes.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::host::Host;
use crate::why::picture;

#[test]
fn a_red_job_is_understood_from_its_artifacts() {
    let host = Host::new();
    let before = host.inventory();
    host.write("webroot/boot.ipxe", "#!ipxe\nchain /menu.ipx || shell\n");
    host.write("webroot/menu.ipxe", "#!ipxe\n");
    host.write(
        "nsplay.toml",
        "[node.node1.bmc]\npassword = \"not-for-all\"\n",
    );
    let script = "echo $NSPLAY_LAB $NSPLAY_NODES $NSPLAY_NODE1_BMC_HOST:$NSPLAY_NODE1_BMC_PORT; \
                  test -r $NSPLAY_SSH_KEY && curl -s 127.0.0.1:1 ; exit 7";
    let ran = host.nsplay(&[
        "run",
        "--wait",
        "healthy",
        "--wait",
        "node1:http",
        "--wait",
        "log=menu.ipx 404",
        "--timeout",
        "60",
        "--artifacts",
        "out",
        "--junit",
        "out/junit.xml",
        "--",
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(ran.out, "default node1 127.0.0.1:623\n", "{}", ran.err);
    let ran = ran.fails(7, &["lab"]);
    assert!(!ran.err.contains("cannot write"), "{}", ran.err);
    host.is_as_before(&before);
    let read = |name: &str| {
        let path = host.folder().join("out").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    for (name, has) in [
        ("events.jsonl", "\"stage\":\"http\""),
        ("lab.toml", "[node.node1]"),
        ("lab.toml", "password = \"***\""),
        ("command.log", "default node1 127.0.0.1:623"),
        ("versions.txt", "nsplay: 0."),
        ("versions.txt", "kernel: Linux version "),
        ("versions.txt", "system: "),
        ("versions.txt", "image: kernel "),
        ("versions.txt", "dnsmasq: Dnsmasq version 2"),
        ("versions.txt", "lighttpd: lighttpd/1"),
        ("versions.txt", "sshd: OpenSSH_"),
        ("versions.txt", "qemu-system-x86_64: QEMU emulator"),
        ("versions.txt", "ipmi_sim: IPMI Simulator version 1"),
        ("versions.txt", "ipmitool: ipmitool version 1"),
        ("versions.txt", "bios-256k.bin: sha256 "),
        ("versions.txt", "undionly.kpxe: sha256 "),
        ("versions.txt", "efi-e1000e.rom: sha256 "),
        ("why/node1.txt", "The nearest that is there is\n/menu.ipxe"),
        ("timelines/node1.txt", "discover"),
        ("logs/web.log", "GET /menu.ipx 404"),
        ("logs/node1.log", "iPXE"),
        ("leases/dhcp.txt", "00:aa:bb:cc:dd:ee"),
        ("sel/node1.txt", "|"),
        ("screens/node1.txt", "iPXE"),
    ] {
        let text = read(name);
        // Where a paragraph is broken does not matter.
        let flat = |text: &str| text.replace('\n', " ");
        assert!(flat(&text).contains(&flat(has)), "{name}: {text}");
    }
    picture(&host, "out/screens/node1.png");
    let serial = std::fs::read(host.folder().join("out/serial/node1.bin")).unwrap();
    let has = |bytes: &[u8]| serial.windows(bytes.len()).any(|window| window == bytes);
    // As the guest sent it: the log has neither of these.
    assert!(has(b"iPXE") && has(b"\x1b[") && has(b"\r\n"));
    let secret = host.shell("grep -r not-for-all out");
    assert_eq!((secret.code, secret.out.as_str()), (1, ""));
    let packets = host
        .run("tshark", &["-r", "out/network.pcapng", "-Y", "dhcp"])
        .ok();
    assert!(packets.out.contains("DHCP Discover"), "{}", packets.out);

    let xml = std::fs::read(host.folder().join("out/junit.xml")).unwrap();
    let report = quick_junit::Report::deserialize_from_str(&String::from_utf8(xml).unwrap());
    let report = report.unwrap();
    assert_eq!((report.tests, report.failures), (5, 1));
    let names = report.test_suites[0].test_cases.iter();
    let names: Vec<_> = names.map(|case| case.name.as_str().to_owned()).collect();
    assert_eq!(names[..3], ["up", "wait healthy", "wait node1:http"]);
}

#[test]
fn what_is_not_reached_in_time_fails_with_why() {
    let host = Host::new();
    let before = host.inventory();
    host.write(
        "nsplay.toml",
        "[node.node1]\nboot = [\"disk\"]\ndisk = \"16MiB\"\n",
    );
    host.nsplay(&[
        "run",
        "--wait",
        "discover",
        "--timeout",
        "12",
        "--junit",
        "junit.xml",
        "--",
        "touch",
        "ran",
    ])
    .fails(1, &["no `discover` within 12 s", "It boots from disk only"]);
    assert!(!host.folder().join("ran").exists());
    let xml = std::fs::read_to_string(host.folder().join("junit.xml")).unwrap();
    assert!(
        xml.contains("failures=\"1\"") && xml.contains("boots from disk only"),
        "{xml}"
    );
    host.nsplay(&["run", "--", "no-such-program"])
        .fails(2, &["cannot run `no-such-program`", "is ./SCRIPT"]);
    host.nsplay(&["run", "--", "./nsplay.toml"])
        .fails(2, &["it is not executable", "hint: chmod +x ./nsplay.toml"]);
    for options in [
        &["--junit", "nsplay.toml/junit.xml"][..],
        &["--artifacts", "nsplay.toml"],
    ] {
        host.nsplay(&[&["run"], options, &["--", "true"]].concat())
            .fails(2, &["cannot make the folder nsplay.toml", "hint: "]);
    }
    host.nsplay(&["run", "--junit", ".", "--", "true"])
        .fails(2, &["cannot write .: ", "hint: --junit names a file"]);
    host.nsplay(&["run", "--wait", "upp", "--", "true"])
        .fails(2, &["`upp` cannot be waited for"]);
    host.nsplay(&["run", "--wait", "node9:userland", "--", "true"])
        .fails(2, &["no node `node9`; the lab has: node1"]);
    host.nsplay(&["run", "--", "sh", "-c", "kill -9 $$"])
        .fails(137, &[]);
    host.is_as_before(&before);
}

/// How CI systems end a job, `$1` being the process that they started.
const KILLERS: [(&str, &str, Option<i32>); 6] = [
    ("a request", "kill -TERM $1", Some(143)),
    ("a kill", "kill -KILL $1", None),
    // As GitHub's runner ends what a job has left.
    (
        "a variable",
        "cd /proc; kill -KILL $(grep -lzsx RUNNER_TRACKING_ID=job [0-9]*/environ | cut -d/ -f1)",
        None,
    ),
    ("the process group", "env kill -KILL -- -$1", None),
    ("the session", "pkill -KILL -s $1", None),
    (
        "the descent",
        "tree() { echo $1; for child in $(pgrep -P $1); do tree $child; done; }
         kill -KILL $(tree $1)",
        None,
    ),
];

#[test]
fn a_run_that_is_cancelled_or_killed_leaves_nothing() {
    let host = Host::new();
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    let before = host.inventory();
    let command = "setsid sleep 1001 & sleep 1002 & echo $PPID; sleep 1000; exit 1";
    for (by, killer, code) in KILLERS {
        let mut run = host.command("setsid");
        run.arg("--wait")
            .args(host.words(env!("CARGO_BIN_EXE_nsplay")))
            .args(["run", "--", "sh", "-c", command])
            .env("RUNNER_TRACKING_ID", "job");
        let mut run = run
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = run.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let pid = line.trim();
        let all = "pgrep -cfx 'sleep 100[0-2]'";
        host.until("all of the command runs", || {
            host.shell(all).out.trim() == "3"
        });
        // What it fails to kill may have ended before: whether all is gone is seen below.
        host.run("sh", &["-c", killer, "killer", pid]);
        let status = run.wait().unwrap();
        if code.is_some() {
            assert_eq!(status.code(), code, "{by}");
        }
        host.until(&format!("the command is gone, ended by {by}"), || {
            host.shell(all).out.trim() == "0"
        });
        host.is_as_before(&before);
    }
}

#[test]
fn what_a_command_leaves_behind_ends_with_it_and_the_lab_that_it_takes_down_does_not_end_it() {
    let host = Host::new();
    let before = host.inventory();
    host.write("nsplay.toml", "node = false\nssh = false\n");
    let command = format!(
        "setsid sleep 1003 >/dev/null 2>&1 & {} down && echo down && exit 5",
        env!("CARGO_BIN_EXE_nsplay")
    );
    let ran = host.nsplay(&["run", "--", "sh", "-c", &command]);
    assert_eq!((ran.code, ran.out.as_str()), (5, "down\n"), "{}", ran.err);
    assert_eq!(host.shell("pgrep -fx 'sleep 1003'").code, 1);
    host.is_as_before(&before);
}
