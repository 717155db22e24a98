//! Why nodes do not boot, each way provoked; their screens and keyboards.

use serde_json::Value;

use crate::host::Host;

/// Six servers of which none boots, each for a reason of its own.
const LAB: &str = r#"
[ssh]
publish = false

[defaults]
memory = "512MiB"

[defaults.bmc]
publish = false

[node.disk]
boot = ["disk"]
disk = "16MiB"
mac = "02:00:00:00:00:01"

[node.prompt]

[node.page]

[node.tftp]

[node.panic]

[node.later]
power = "off"
"#;

/// Sends a DHCPDISCOVER with a MAC address of its own (RFC 2131, figure 1).
const DISCOVER: &str = r"
{
    printf '\001\001\006\000test\000\000\200\000'
    head -c 16 /dev/zero
    printf '\002\000\000\000\000\001'
    head -c 202 /dev/zero
    printf '\143\202\123\143\065\001\001\377'
} >packet
cat packet >/dev/udp/192.168.25.2/67
";

impl Host {
    /// Waits until `why` says that `problem` is what is wrong with a node.
    #[track_caller]
    pub fn why(&self, node: &str, problem: &str) -> Value {
        let ask = || {
            let json = self.nsplay(&["why", node, "--json"]).ok().out;
            serde_json::from_str::<Value>(&json).unwrap()
        };
        self.until(&format!("{node}: {problem}"), || {
            ask()["problem"] == problem
        });
        ask()
    }

    /// The same, and that it says all of `words`.
    #[track_caller]
    fn why_says(&self, node: &str, problem: &str, words: &[&str]) {
        let answer = self.why(node, problem);
        for word in words {
            assert!(answer.to_string().contains(word), "{word}: {answer:#}");
        }
    }
}

#[test]
fn why_tells_what_keeps_each_node_from_booting() {
    let host = Host::new();
    host.write("nsplay.toml", LAB);
    host.write(
        "webroot/boot.ipxe",
        "#!ipxe\nchain entries/${hostname}.ipxe\n",
    );
    host.write("webroot/entries/prompt.ipxe", "#!ipxe\nshell\n");
    host.write(
        "webroot/entries/page.ipxe",
        "#!ipxe\nchain /menus/main.ipx || shell\n",
    );
    host.write("webroot/menus/main.ipxe", "#!ipxe\nshell\n");
    host.write(
        "webroot/entries/tftp.ipxe",
        "#!ipxe\nchain tftp://192.168.25.2/undionly.kpx || shell\n",
    );
    host.write(
        "webroot/entries/panic.ipxe",
        "#!ipxe
chain --autofree /nsplay/entries.ipxe
kernel ${nsplay-image}/vmlinuz console=ttyS0,115200
boot
",
    );
    host.nsplay(&["up", "-d"]).ok();
    host.why_says(
        "later",
        "off",
        &["has not been switched on", "nsplay power later on"],
    );

    // A node that never asks: its screen and its serial line say where it ended instead.
    host.why_says(
        "disk",
        "no-discover",
        &[
            "02:00:00:00:00:01",
            "It boots from disk only",
            "No bootable device",
        ],
    );
    host.nsplay(&["wait", "disk", "--for", "screen=No boot.*device"])
        .ok();
    host.nsplay(&["wait", "disk", "--for", "discover", "--timeout", "0.1"])
        .fails(
            1,
            &["no `discover` within 0.1 s", "It boots from disk only"],
        );
    let text = host.nsplay(&["screenshot", "disk", "--text"]).ok().out;
    assert!(text.contains("No bootable device"), "{text}");
    host.nsplay(&["screenshot", "disk", "disk.png"]).ok();
    assert_eq!(picture(&host, "disk.png"), (720, 400));

    // Somebody asks in its name, and does not take what is offered.
    host.write("discover", DISCOVER);
    host.nsplay(&["exec", "fabric", "--", "bash", "discover"])
        .ok();
    host.why_says(
        "disk",
        "offer-not-taken",
        &["was offered 192.168.25.1", "once, and did not take it"],
    );

    // Files that are not there.
    host.why_says(
        "page",
        "not-found",
        &[
            "asked web for /menus/main.ipx over HTTP",
            "(404)",
            "is /menus/main.ipxe.",
        ],
    );
    host.why_says(
        "tftp",
        "not-found",
        &["undionly.kpx over TFTP", "is undionly.kpxe."],
    );

    // A prompt, at which somebody can type.
    host.why_says("prompt", "waiting", &["/entries/prompt.ipxe", "iPXE>"]);
    host.nsplay(&["keys", "prompt", "echo Typed_${mac}<enter>"])
        .ok();
    host.nsplay(&[
        "wait",
        "prompt",
        "--for",
        "screen=^Typed_[0-9a-f:]+",
        "--timeout",
        "20",
    ])
    .ok();

    // A panic, with what the kernel said of it.
    host.why_says(
        "panic",
        "panic",
        &[
            "Unable to mount root",
            "It found no root",
            "Kernel panic - not syncing",
        ],
    );
    host.nsplay(&["wait", "panic", "--for", "userland"])
        .fails(1, &["panic crashed before `userland`", "kernel panicked"]);
    let ps = host.nsplay(&["ps"]).ok().out;
    let row = ps
        .lines()
        .find(|row| row.contains("qemu") && row.starts_with("panic"));
    assert!(row.is_some_and(|row| row.contains("crashed")), "{ps}");
    let events = host.nsplay(&["events", "panic"]).ok().out;
    assert!(events.contains("panic: crashed"), "{events}");

    // Who looks at what is not there.
    host.nsplay(&["power", "panic", "off"]).ok();
    host.why_says(
        "panic",
        "off",
        &["switched off by nsplay power", "`kernel` before"],
    );
    host.nsplay(&["screenshot", "panic", "x.png"])
        .fails(1, &["panic: the node is off"]);
    host.nsplay(&["why", "nobody"])
        .fails(2, &["no node `nobody`"]);
    host.nsplay(&["keys", "prompt", "<entr>"])
        .fails(2, &["no key <entr>"]);
    host.nsplay(&["vnc", "panic"])
        .fails(2, &["is not published", "vnc = "]);
    host.nsplay(&["vnc"])
        .fails(2, &["has more than one node", "hint: name one of: disk"]);
}

#[test]
fn why_tells_of_dhcp_that_gives_no_address_and_of_a_file_that_it_names_in_vain() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        r#"
[dhcp]
pool = "192.168.25.100-192.168.25.101"
boot = "boot.ipex"

[defaults.bmc]
publish = false

[node.first]
vnc = "127.0.0.1:5901"

[node.kept]
power = "off"
ip = "192.168.25.101"

[node.second]
power = "off"
boot = ["disk", "network"]
mac = "02:00:00:00:00:07"
"#,
    );
    host.write("webroot/boot.ipxe", "#!ipxe\nshell\n");
    host.nsplay(&["up", "-d"]).ok();
    host.why_says(
        "first",
        "not-found",
        &[
            "asked web for /boot.ipex",
            "is /boot.ipxe.",
            "`boot` in [dhcp]",
        ],
    );
    let vnc = host.nsplay(&["vnc", "first"]).ok();
    assert_eq!(vnc.out, "127.0.0.1:5901\n");
    assert!(vnc.err.contains("vncviewer 127.0.0.1::5901"), "{}", vnc.err);

    host.nsplay(&["power", "second", "on"]).ok();
    host.why_says(
        "second",
        "no-offer",
        &[
            "pool 192.168.25.100 to 192.168.25.101 has 2",
            "Kept for other MAC addresses: 192.168.25.101 for kept",
        ],
    );
}

/// The size of a PNG, which shows something.
pub fn picture(host: &Host, file: &str) -> (u32, u32) {
    let file = std::fs::File::open(host.folder().join(file)).unwrap();
    let mut reader = png::Decoder::new(std::io::BufReader::new(file))
        .read_info()
        .unwrap();
    let mut points = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut points).unwrap();
    assert!(points.iter().any(|point| *point != points[0]));
    (info.width, info.height)
}
