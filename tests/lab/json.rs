//! Every verb with `--json`, once, in one lab: what each prints is what its schema says, as
//! [`Host::nsplay`] looks at it. The examples in docs/json/examples are from here:
//! `NSPLAY_WRITE_EXAMPLES=1 cargo test --test lab every_verb` writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

use nsplay::json::{DOCUMENTS, Prints, VERBS, of_verb};
use serde_json::Value;

use crate::host::{Host, built_image};

const LAB: &str = r#"
ssh = false
[web]
server = "busybox"
[node.node1]
power = "off"
"#;

/// A lab without guests, which is up at once.
const SMALL: &str = "node = false\nssh = false\n[web]\nserver = \"busybox\"\n";

/// What is shown of lines.
const SHOWN: usize = 10;

/// Which verbs have been called, and the first that was printed of each schema.
struct Calls<'h> {
    host: &'h Host,
    verbs: BTreeSet<&'static str>,
    printed: BTreeMap<String, String>,
}

impl Calls<'_> {
    /// Calls a verb, and returns the last document that it prints.
    #[track_caller]
    fn json(&mut self, words: &[&str]) -> Value {
        let ran = self.host.nsplay(&[words, &["--json"]].concat()).ok();
        self.note(words, ran.out)
    }

    fn show(&mut self, documents: &[Value], out: &str) {
        let Some(first) = documents.first() else {
            return;
        };
        let tag = first["schema"].as_str().unwrap();
        let name = tag.split('/').nth(1).unwrap().to_owned();
        let lines = match documents.len() {
            1 => usize::MAX,
            _ => SHOWN,
        };
        let lines = out.lines().take(lines).map(|line| format!("{line}\n"));
        self.printed.entry(name).or_insert_with(|| lines.collect());
    }

    /// Notes what a verb has printed.
    #[track_caller]
    fn note(&mut self, words: &[&str], out: String) -> Value {
        let documents = crate::validator::check(&words.join(" "), &out);
        let named = VERBS.iter().find(|(verb, _)| {
            let from = (0..words.len()).find(|from| of_verb(&words[*from..]).is_some());
            let verb: Vec<&str> = verb.split(' ').collect();
            from.is_some_and(|from| words[from..].starts_with(&verb))
        });
        let (verb, _) = named.unwrap_or_else(|| panic!("{words:?} is no verb of VERBS"));
        self.verbs.insert(verb);
        self.show(&documents, &out);
        documents.last().cloned().unwrap_or_default()
    }
}

#[test]
fn every_verb_prints_what_its_schema_says() {
    let host = Host::new();
    let before = host.inventory();
    host.write("nsplay.toml", LAB);
    host.write("small.toml", SMALL);
    // Whoever runs nsplay writes a picture and packets here.
    host.shell("chmod a+w .").ok();
    let mut calls = Calls {
        host: &host,
        verbs: BTreeSet::new(),
        printed: BTreeMap::new(),
    };

    // In the foreground it prints what happens.
    let mut up = host.bounded(env!("CARGO_BIN_EXE_nsplay"));
    up.args(["-p", "two", "up", "--json", "-f", "small.toml"]);
    let mut up = up.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(up.stdout.take().unwrap());
    let mut events = String::new();
    while !events.contains("\"event\":\"up\"") {
        assert_ne!(out.read_line(&mut events).unwrap(), 0, "{events}");
    }
    host.nsplay(&["-p", "two", "down"]).ok();
    out.read_to_string(&mut events).unwrap();
    assert_eq!(up.wait().unwrap().code(), Some(1), "somebody took it down");
    calls.note(&["up"], events);

    let up = calls.json(&["up", "-d"]);
    assert_eq!(up["outcome"], "made");
    assert_eq!(up["members"].as_array().unwrap().len(), 4);
    assert_eq!(calls.json(&["up"])["outcome"], "unchanged");
    host.write(
        "nsplay.toml",
        &format!("{LAB}[node.node1.bmc]\npublish = false\n"),
    );
    assert_eq!(
        calls.json(&["plan", "--diff"])["changes"][0]["member"],
        "node1"
    );
    let up = calls.json(&["up"]);
    assert_eq!(
        (&up["outcome"], &up["changes"][0]["kind"]),
        (&"changed".into(), &"node".into())
    );

    calls.json(&["plan", "-f", "small.toml"]);
    calls.json(&["config"]);
    calls.json(&["graph"]);
    calls.json(&["ls"]);
    calls.json(&["ps"]);
    calls.json(&["top"]);
    calls.json(&["doctor"]);
    calls.json(&["fetch", "small.toml"]);
    host.write("small.yml", include_str!("../import/small.yml"));
    calls.json(&["import", "infrasim", "small.yml"]);
    let compose = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/import/playground/docker-compose.yml"
    );
    calls.json(&["import", "compose", compose]);
    calls.json(&["inspect", "node1"]);
    calls.json(&["inspect", "web"]);
    assert_eq!(calls.json(&["why", "node1"])["problem"], "off");
    assert_eq!(calls.json(&["wait", "--for", "healthy"])["goal"], "healthy");

    assert_eq!(calls.json(&["stop", "web"])["now"][0]["state"], "stopped");
    assert_eq!(calls.json(&["start", "web"])["now"][0]["state"], "ready");
    assert_eq!(calls.json(&["restart", "web"])["order"], "restart");
    calls.json(&["boot", "node1", "--device", "network", "--once"]);
    assert!(calls.json(&["media", "node1"])["medium"].is_null());
    assert_eq!(
        calls.json(&["link", "node1", "down"])["links"][0]["link"],
        "down"
    );
    if host.is_root() {
        assert_eq!(calls.json(&["attach"])["network"], "main");
        assert_eq!(calls.json(&["detach"])["networks"][0], "main");
    }
    calls.json(&["bmc", "sensors", "node1"]);
    calls.json(&["bmc", "set", "node1", "Inlet Temp", "40"]);
    calls.json(&["bmc", "event", "node1", "Inlet Temp", "upper-critical"]);
    let fault = calls.json(&["bmc", "fault", "node1", "slow=5ms", "--for", "60"]);
    assert_eq!(fault["lasts_ms"], 60_000);
    assert_eq!(
        calls.json(&["bmc", "fault", "node1"])["faults"][0],
        "slow=5ms"
    );
    assert_eq!(calls.json(&["bmc", "clear", "node1"])["did"], "clear");

    // A screen and a keyboard need no more than a machine that has just begun.
    assert_eq!(calls.json(&["power", "node1", "on"])["power"], "on");
    assert!(calls.json(&["inspect", "node1"])["stage"].is_string());
    calls.json(&["screenshot", "node1", "screen.png"]);
    calls.json(&["keys", "node1", "a<enter>"]);
    assert_eq!(calls.json(&["vnc"])["node"], "node1");
    assert_eq!(calls.json(&["power", "node1", "off"])["power"], "off");
    assert_eq!(calls.json(&["inspect", "node1"])["stage"], "off");
    let timeline = calls.json(&["timeline", "node1"]);
    assert_eq!(timeline["boots"][0]["stages"][0]["stage"], "powered");

    let mut capture = host.bounded(env!("CARGO_BIN_EXE_nsplay"));
    capture.args(["capture", "web", "tcp", "--count", "2", "--json"]);
    capture.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut capture = capture.spawn().unwrap();
    let mut said = String::new();
    let mut err = BufReader::new(capture.stderr.as_mut().unwrap());
    err.read_line(&mut said).unwrap();
    assert!(said.starts_with("capturing on web:eth0"), "{said}");
    let page = "http://192.168.25.3/boot.ipxe";
    host.nsplay(&["exec", "fabric", "--", "curl", "-s", page])
        .ok();
    let packets = capture.wait_with_output().unwrap().stdout;
    let last = calls.note(&["capture"], String::from_utf8(packets).unwrap());
    assert_eq!(last["link"], "web:eth0");
    let file = calls.json(&["capture", "web", "--for", "0.1", "-w", "web.pcapng"]);
    assert_eq!(file["links"][0], "web:eth0");

    let events = host.nsplay(&["events", "--json", "node1"]).ok();
    let all = events.is_json_of(&["events"]);
    assert!(
        all.iter()
            .all(|event| event["node"] == "node1" || event["member"] == "node1")
    );
    assert!(
        all.iter()
            .any(|event| event["event"] == "power" && event["power"] == "on")
    );
    calls.note(&["events"], events.out);
    calls.json(&["logs", "web"]);
    refuses_as_json(&host, &mut calls);

    let ran = [
        "-p",
        "two",
        "run",
        "-f",
        "small.toml",
        "--json",
        "--",
        "sh",
        "-c",
        "echo said; exit 3",
    ];
    let ran = host.nsplay(&ran).fails(3, &["said"]);
    let run = calls.note(&["run"], ran.out);
    assert_eq!(
        (&run["exit_code"], &run["parts"][1]["name"]),
        (&3.into(), &"sh -c echo said; exit 3".into())
    );
    assert_eq!(calls.json(&["down"])["was_up"], true);
    tells_since_when(&host);
    calls.json(&["prune", "--disks"]);
    // It takes seconds, and has been done for every host.
    let image = fs::read_to_string(built_image()).unwrap();
    calls.note(&["image", "build"], image);
    host.is_as_before(&before);

    if !host.is_root() {
        return;
    }
    for (verb, prints) in VERBS {
        let has_json = !matches!(prints, Prints::Nothing(_));
        assert_eq!(
            calls.verbs.contains(verb),
            has_json,
            "`nsplay {verb} --json` is to be called here once, or says in VERBS why it is not"
        );
    }
    let every = DOCUMENTS.iter().map(|document| document.name);
    let every: BTreeSet<&str> = every.collect();
    let shown: BTreeSet<&str> = calls.printed.keys().map(String::as_str).collect();
    assert_eq!(shown, every, "of each schema a document is printed here");
    if std::env::var_os("NSPLAY_WRITE_EXAMPLES").is_some() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json/examples");
        fs::create_dir_all(&folder).unwrap();
        // Of the machine that they are written on they have nothing.
        let kernel = host.run("uname", &["-r"]).ok().out;
        for (name, text) in &calls.printed {
            let text = text.replace(kernel.trim(), "6.1.0-56-amd64");
            let text = text.replace(env!("CARGO_TARGET_TMPDIR"), "/var/lib/nsplay");
            fs::write(folder.join(format!("{name}.json")), text).unwrap();
        }
    }
}

/// Errors of a lab that runs.
fn refuses_as_json(host: &Host, calls: &mut Calls<'_>) {
    for (arguments, code, kind) in [
        (&["power", "node7", "on", "--json"][..], 2, "unknown"),
        (&["inspect", "wob", "--json"], 2, "unknown"),
        (&["keys", "node1", "a", "--json"], 1, "failed"),
        (
            &["wait", "--for", "up", "--timeout", "0.01", "--json"],
            1,
            "failed",
        ),
        (&["capture", "nothing", "--json"], 2, "refused"),
    ] {
        let ran = host.nsplay(arguments).fails(code, &["error: "]);
        let document = ran.is_json_of(arguments).pop().unwrap();
        assert_eq!(document["kind"], kind, "{document}");
        calls.show(&[document], &ran.out);
    }
}

/// Of a lab that is down, whose log says that `web` spoke an hour ago.
fn tells_since_when(host: &Host) {
    host.shell(&format!(
        "ago=$(date -u -d '-1 hour' +%Y-%m-%dT%H:%M:%S.000Z)
         sed -i '/\"member\":\"web\"/s/\"at\":\"[^\"]*\"/\"at\":\"'$ago'\"/' {}/log.jsonl",
        host.state_dir()
    ))
    .ok();
    let told = |verb: &str, since: &str| {
        let ran = host.nsplay(&[verb, "--since", since, "--json"]).ok();
        let events = ran.is_json_of(&[verb]);
        let of = |member: &str| {
            events
                .iter()
                .filter(|event| event["member"] == member)
                .count()
        };
        (of("web"), of("dhcp"))
    };
    for verb in ["events", "logs"] {
        let (web, dhcp) = told(verb, "2h");
        assert!(web > 0 && dhcp > 0, "{verb}: {web} {dhcp}");
        assert_eq!(told(verb, "30m"), (0, dhcp), "{verb}");
        let people = host.nsplay(&[verb, "--since", "30m"]).ok().out;
        assert!(
            people.contains("dhcp") && !people.contains("web"),
            "{people}"
        );
    }
}
