//! `nsplay up` on a lab that runs, with another file: what is the same goes on.

use std::process::Stdio;

use crate::host::Host;

/// A lab without a guest that runs, and a service.
const LAB: &str = r#"
ssh = false
[service.echo]
command = ["busybox", "nc", "-ll", "-p", "7", "-e", "busybox", "cat"]
publish = "127.0.0.1:7007:7/tcp"
ready = "tcp:7"
address = "192.168.25.20"
[node.node1]
power = "off"
memory = "128MiB"
"#;

/// What is added to it.
const MORE: &str = r#"
[service.sink]
command = ["sh", "-c", "cat here; exec sleep 4721"]
folder = "sink"
ready = "log:seen"
address = "192.168.25.21"
[node.node2]
power = "off"
memory = "128MiB"
vnc = "127.0.0.1:5902"
bmc = { publish = "127.0.0.1:6230" }
"#;

/// The processes whose numbers must not change.
fn watched(host: &Host) -> Vec<u32> {
    [
        "dnsmasq -k",
        "dnsmasq --keep",
        "lighttpd",
        "nc -ll",
        "supervise",
    ]
    .iter()
    .flat_map(|name| host.processes(name))
    .collect()
}

/// Kills a command that a test has started.
fn kill(host: &Host, name: &str) {
    for pid in host.processes(name) {
        // One that has gone in the meantime is as good as killed.
        host.shell(&format!("kill -9 {pid} 2>/dev/null || true"))
            .ok();
    }
}

/// The links of the fabric.
fn links(host: &Host) -> String {
    let fabric = ["exec", "fabric", "--", "ip", "-o", "link"];
    host.nsplay(&fabric).ok().out
}

/// What the lab has of itself, inside: its files and its namespaces.
fn inside(host: &Host) -> String {
    let pid = host.process("nsplay supervise");
    host.shell(&format!(
        "find /proc/{pid}/root/run/lab -maxdepth 1 -printf '%f\\n' | sort; ls /run/netns; \
         wc -l < /proc/{pid}/mountinfo; ls /proc/{pid}/fd | wc -l"
    ))
    .ok()
    .out
}

#[test]
fn members_come_and_go_and_the_others_notice_nothing() {
    let host = Host::new();
    host.write("nsplay.toml", LAB);
    host.write("sink/here", "seen\n");
    host.nsplay(&["up", "-d"]).ok();
    let (pids, links_before) = (watched(&host), links(&host));
    assert!(pids.len() >= 4, "{pids:?}");
    let inside_before = inside(&host);
    // Somebody looks at the console of the node that stays.
    let mut console = host.command(env!("CARGO_BIN_EXE_nsplay"));
    console.args(["console", "node1"]).stdin(Stdio::piped());
    console.stdout(Stdio::null()).stderr(Stdio::null());
    let mut console = console.spawn().unwrap();

    host.write("nsplay.toml", &format!("{LAB}{MORE}"));
    let diff = host.nsplay(&["plan", "--diff"]).ok().out;
    assert_eq!(
        diff,
        "~ service dhcp: the nodes that it knows (it goes on)\n\
         + service sink\n+ node node2\n"
    );
    let json = host.nsplay(&["plan", "--diff", "--json"]).ok().out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["changes"][2]["member"], "node2");
    assert_eq!(json["changes"][2]["change"], "add");
    assert_eq!(links(&host), links_before);
    // It returns, though nobody said -d: the lab is not its own.
    let up = host.nsplay(&["up"]).ok();
    assert!(up.err.contains("+ node node2"), "{}", up.err);
    assert_eq!(watched(&host), pids);
    let ps = host.nsplay(&["ps"]).ok().out;
    for row in [
        "sink   sh        ready",
        "node2  qemu      off",
        "node2  ipmi_sim  ready",
    ] {
        assert!(ps.contains(row), "{row}: {ps}");
    }
    assert_eq!(host.processes("sleep 4721").len(), 1);
    let bmc = [
        "-H",
        "127.0.0.1",
        "-p",
        "6230",
        "-U",
        "admin",
        "-P",
        "admin",
    ];
    let status = host.run("ipmitool", &[&bmc[..], &["power", "status"]].concat());
    assert_eq!(status.ok().out, "Chassis Power is off\n");
    if host.is_root() {
        let enter = "ip netns exec nsplay-default-node2 true";
        let words: Vec<&str> = ["exec", "echo", "--"]
            .into_iter()
            .chain(enter.split(' '))
            .collect();
        host.nsplay(&words).ok();
    }
    host.prints("dhcp", "read /run/lab/dhcp/hosts", 2);
    // Nothing is another: it says so.
    host.nsplay(&["up", "-d"]).ok();
    assert!(
        host.nsplay(&["up"])
            .ok()
            .err
            .contains("is what its file says")
    );
    let nothing = host.nsplay(&["plan", "--diff"]).ok();
    assert_eq!(
        (
            nothing.out.as_str(),
            nothing.err.contains("nothing would change")
        ),
        ("", true)
    );

    host.write("nsplay.toml", LAB);
    let up = host.nsplay(&["up"]).ok();
    assert!(
        up.err.contains("- service sink\n- node node2\n"),
        "{}",
        up.err
    );
    assert_eq!(watched(&host), pids);
    assert_eq!(links(&host), links_before);
    assert!(host.processes("sleep 4721").is_empty());
    assert_eq!(host.processes("ipmi_sim").len(), 1);
    host.run(
        "ipmitool",
        &[&bmc[..], &["-R", "1", "-N", "1", "power", "status"]].concat(),
    )
    .fails(1, &[]);
    assert!(!host.nsplay(&["ps"]).ok().out.contains("node2"));

    assert!(console.try_wait().unwrap().is_none());
    kill(&host, "nsplay console node1");
    console.wait().unwrap();
    host.until("the lab is as it was", || inside(&host) == inside_before);
}

#[test]
fn a_changed_node_is_restarted_alone_and_its_power_is_as_it_was() {
    let host = Host::new();
    let two = |memory: &str| {
        format!(
            "dhcp = false\nweb = false\nssh = false\n[node.node1]\nmemory = \"{memory}\"\n\
             [node.node2]\nmemory = \"64MiB\"\npower = \"off\"\n"
        )
    };
    host.write("nsplay.toml", &two("128MiB"));
    host.nsplay(&["up", "-d"]).ok();
    host.nsplay(&["power", "node2", "on"]).ok();
    let qemus = || host.processes("qemu-system");
    let (first, bmcs) = (qemus(), host.processes("ipmi_sim"));
    assert_eq!(first.len(), 2);

    host.write("nsplay.toml", &two("192MiB"));
    let diff = "~ node node1: memory 128MiB → 192MiB (restarts it)\n";
    assert_eq!(host.nsplay(&["plan", "--diff"]).ok().out, diff);
    host.nsplay(&["up", "-d"]).ok();
    let (second, new_bmcs) = (qemus(), host.processes("ipmi_sim"));
    assert_eq!(second.len(), 2);
    let kept = |old: &[u32], new: &[u32]| old.iter().filter(|pid| new.contains(pid)).count();
    assert_eq!((kept(&first, &second), kept(&bmcs, &new_bmcs)), (1, 1));
    host.ipmitool(&["power", "status"]).ok();

    // What is off stays off, and what only meets the network goes on.
    host.nsplay(&["power", "node1", "off"]).ok();
    let published = two("256MiB").replace("off\"", "off\"\nvnc = \"127.0.0.1:5909\"");
    host.write("nsplay.toml", &published);
    host.nsplay(&["up", "-d"]).ok();
    assert_eq!(kept(&second, &qemus()), 1);
    assert_eq!(qemus().len(), 1);
    let rfb = "exec 3<>/dev/tcp/127.0.0.1/5909; head -c 3 <&3";
    assert_eq!(host.run("bash", &["-c", rfb]).ok().out, "RFB");
    // The file has the say about power when it says something new of it.
    host.write(
        "nsplay.toml",
        &published.replace("power = \"off\"", "power = \"on\""),
    );
    assert_eq!(
        host.nsplay(&["plan", "--diff"]).ok().out,
        "~ node node2: power off → on (it goes on)\n"
    );
    host.nsplay(&["power", "node2", "off"]).ok();
    host.nsplay(&["up", "-d"]).ok();
    assert_eq!(qemus().len(), 1);

    // Another node is met at the address of one that is gone.
    host.write(
        "nsplay.toml",
        &two("256MiB").replace("node.node2", "node.other"),
    );
    host.nsplay(&["up", "-d"]).ok();
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_touched() {
    let host = Host::new();
    host.write("nsplay.toml", LAB);
    host.nsplay(&["up", "-d"]).ok();
    let (pids, before) = (watched(&host), inside(&host));
    let refused = |file: String, words: &[&str]| {
        host.write("nsplay.toml", &file);
        host.nsplay(&["up", "-d"]).fails(2, words);
        assert_eq!(watched(&host), pids);
        assert_eq!(inside(&host), before);
    };
    let moved = LAB.replace("192.168.25.20", "10.7.0.20");
    refused(
        format!("{moved}[network]\nsubnet = \"10.7.0.0/24\"\n"),
        &[
            "cannot change while lab `default` runs: network `main`",
            "subnet 192.168.25.0/24 → 10.7.0.0/24",
            "`nsplay -p default down` takes it down",
        ],
    );
    refused(format!("{LAB}memry = 1\n"), &["nsplay.toml:", "`memory`"]);
    refused(
        format!("{LAB}[service.gone]\ncommand = [\"no-such-program\"]\n"),
        &["service `gone`: cannot find the program no-such-program"],
    );
    let mut taker = host.callers("python3");
    let script = "import socket,time\ns=socket.socket(); s.bind(('127.0.0.1',5902)); s.listen(); \
                  print(flush=True); time.sleep(999)";
    let mut taker = taker
        .args(["-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read(taker.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    host.write("sink/here", "seen\n");
    refused(
        format!("{LAB}{MORE}"),
        &["cannot publish `node2` on 127.0.0.1:5902/tcp: it belongs to python3"],
    );
    kill(&host, "socket,time");
    taker.wait().unwrap();
    host.nsplay(&["up", "-d"]).ok();
}

#[test]
fn what_does_not_come_up_is_told_and_tried_again_and_the_rest_is_done() {
    let host = Host::new();
    host.write("nsplay.toml", LAB);
    host.nsplay(&["up", "-d"]).ok();
    let pids = watched(&host);
    let broken = "[service.brief]\nrestart = \"never\"\nready = \"log:never\"\n\
                  command = [\"sh\", \"-c\", \"echo no licence; exit 3\"]\n\
                  [service.fine]\ncommand = [\"sleep\", \"4731\"]\n";
    host.write("nsplay.toml", &format!("{LAB}{broken}"));
    host.nsplay(&["up", "-d"]).fails(
        1,
        &[
            "not done: + service brief: `brief`: sh exited with status 3",
            "no licence",
            "`up` tries it again; done all the same:\n  + service fine",
        ],
    );
    let ps = host.nsplay(&["ps"]).ok().out;
    assert!(ps.contains("brief  sh        stopped"), "{ps}");
    assert_eq!(watched(&host), pids);
    assert_eq!(host.processes("sleep 4731").len(), 1);
    let diff = host.nsplay(&["plan", "--diff"]).ok().out;
    assert_eq!(diff, "~ service brief: is stopped (starts it)\n");
    let mended = broken.replace("exit 3", "echo never; exec sleep 4732");
    host.write("nsplay.toml", &format!("{LAB}{mended}"));
    host.nsplay(&["up", "-d"]).ok();
    assert_eq!(host.processes("sleep 4732").len(), 1);
}

#[test]
fn a_change_goes_on_when_who_asked_for_it_is_killed() {
    let host = Host::new();
    let before = host.inventory();
    host.write("sink/here", "seen\n");
    let mut with = false;
    host.write("nsplay.toml", LAB);
    host.nsplay(&["up", "-d"]).ok();
    for moment in [0, 10, 20, 30, 40, 60, 80, 120] {
        with = !with;
        host.write(
            "nsplay.toml",
            &if with {
                format!("{LAB}{MORE}")
            } else {
                LAB.to_owned()
            },
        );
        let mut up = host.command(env!("CARGO_BIN_EXE_nsplay"));
        up.args(["up", "-d"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut up = up.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(moment));
        kill(&host, concat!(env!("CARGO_BIN_EXE_nsplay"), " up -d"));
        up.wait().unwrap();
        // It was made or it was not; the next one finds a lab that it can change.
        host.nsplay(&["up", "-d"]).ok();
        assert_eq!(host.processes("ipmi_sim").len(), if with { 2 } else { 1 });
        assert!(host.nsplay(&["plan", "--diff"]).ok().out.is_empty());
    }
    host.nsplay(&["down"]).ok();
    host.is_as_before(&before);
}
