//! Boots as logs tell them.

use super::*;
use crate::lab::file::{Origin, load};

struct Story {
    tracker: Tracker,
    at: u64,
}

impl Story {
    fn new() -> Self {
        let lab = load("", &Origin::built_in(None)).unwrap();
        let mut tracker = Tracker::default();
        lab.nodes.iter().for_each(|node| tracker.add(node));
        Self { tracker, at: 0 }
    }

    fn hear(&mut self, what: What) -> Vec<String> {
        self.at += 1;
        let at = self.at;
        let steps = self.tracker.hear(&Event { at, what });
        let shown = steps.iter().map(|(node, step)| {
            assert_eq!(node, &name("node1"));
            format!("{} {}", step.stage, step.detail).trim().to_owned()
        });
        shown.collect()
    }

    fn says(&mut self, member: &str, text: &str) -> Vec<String> {
        self.hear(What::Log {
            member: name(member),
            text: text.to_owned(),
        })
    }

    fn power(&mut self, power: Power, by: &str) -> Vec<String> {
        self.hear(What::Power {
            node: name("node1"),
            power,
            by: by.to_owned(),
        })
    }

    fn stage(&self) -> String {
        let boot = self.tracker.boot(&name("node1")).unwrap();
        boot.stage().unwrap().stage.to_string()
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn nothing() -> Vec<String> {
    Vec::new()
}

/// As it was printed by SeaBIOS 1.16, iPXE of 2019, dnsmasq 2.90, lighttpd and the image.
#[test]
fn a_boot_goes_through_its_stages_and_a_new_one_starts_over() {
    let mut story = Story::new();
    for _ in 0..2 {
        assert_eq!(
            story.power(Power::On, "nsplay up"),
            ["powered by nsplay up"]
        );
        assert_eq!(
            story.says("node1", "SeaBIOS (1.16)"),
            ["firmware SeaBIOS (1.16)"]
        );
        assert_eq!(
            story.says("node1", "iPXE 1.0.0+git -- Open Source"),
            nothing()
        );
        assert_eq!(
            story.says("dhcp", "DHCPDISCOVER(eth0) 00:aa:bb:cc:dd:ee"),
            ["discover"]
        );
        let offer = "DHCPOFFER(eth0) 192.168.25.104 00:aa:bb:cc:dd:ee";
        assert_eq!(story.says("dhcp", offer), ["offer 192.168.25.104"]);
        let ack = "DHCPACK(eth0) 192.168.25.104 00:aa:bb:cc:dd:ee node1";
        assert_eq!(story.says("dhcp", ack), ["ack 192.168.25.104"]);
        assert_eq!(
            story.says("node1", "Next server: 192.168.25.2"),
            ["ipxe iPXE 1.0.0+git"]
        );
        let get = "GET /boot.ipxe 200 2815 192.168.25.104";
        assert_eq!(story.says("web", get), ["http /boot.ipxe"]);
        assert_eq!(story.says("web", get), nothing());
        let get = "GET /nsplay/image/vmlinuz 200 8247232 192.168.25.104";
        assert_eq!(story.says("web", get), ["http /nsplay/image/vmlinuz"]);
        assert_eq!(story.stage(), "http");
        assert_eq!(
            story.says("dhcp", "DHCPDISCOVER(eth0) 00:aa:bb:cc:dd:ee"),
            ["kernel it asks for an address of its own"]
        );
        assert_eq!(story.says("dhcp", ack), nothing());
        let hello = "GET /nsplay/hello?node=node1 200 6 192.168.25.104";
        assert_eq!(story.says("web", hello), ["userland node1 says hello"]);
        assert_eq!(story.says("node1", "node1:/#"), ["login node1:/#"]);
        let up = story.tracker.answers(&name("node1"), 9, "OpenSSH".into());
        assert_eq!(up.unwrap().stage, Stage::Up);
        assert_eq!(story.tracker.answers(&name("node1"), 9, "".into()), None);
        assert_eq!(story.stage(), "up");
    }
    let off = story.power(Power::Off, "nsplay power");
    assert_eq!(off, ["off by nsplay power"]);
    assert_eq!(story.stage(), "off");
    assert_eq!(story.says("node1", "a last word"), nothing());
}

#[test]
fn an_ipxe_from_the_network_comes_after_its_file() {
    let mut story = Story::new();
    story.power(Power::On, "nsplay up");
    story.says(
        "dhcp",
        "DHCPACK(eth0) 192.168.25.104 00:aa:bb:cc:dd:ee node1",
    );
    assert_eq!(
        story.says(
            "dhcp",
            "sent /run/lab/.served/dhcp/root/undionly.kpxe to 192.168.25.104"
        ),
        ["tftp undionly.kpxe"]
    );
    story.says("node1", "iPXE 1.21.1 -- Open Source");
    let get = "GET /boot.ipxe 200 1 192.168.25.104";
    assert_eq!(
        story.says("web", get),
        ["ipxe iPXE 1.21.1", "http /boot.ipxe"]
    );
}

#[test]
fn requests_of_who_has_no_address_of_a_node_are_nobodys() {
    let mut story = Story::new();
    story.power(Power::On, "nsplay up");
    assert_eq!(
        story.says("web", "GET /boot.ipxe 200 1 192.168.25.104"),
        nothing()
    );
    let other = "DHCPDISCOVER(eth0) 00:aa:bb:cc:dd:ef";
    assert_eq!(story.says("dhcp", other), nothing());
}

#[test]
fn a_prompt_is_one_also_where_the_kernel_goes_on_to_print() {
    let mut story = Story::new();
    story.power(Power::On, "nsplay up");
    story.says("node1", "[    0.000000] Linux version 6.1");
    let prompt = "node1:/# [    4.952720] sd 0:0:0:0: [sda] Write Protect is off";
    assert_eq!(story.says("node1", prompt), [format!("login {prompt}")]);
}

#[test]
fn a_panic_is_a_crash_and_so_is_a_qemu_that_fails() {
    let mut story = Story::new();
    story.power(Power::On, "nsplay up");
    assert_eq!(
        story.says("node1", "[    0.000000] Linux version 6.1"),
        ["kernel [    0.000000] Linux version 6.1"]
    );
    let panic = "[    1.000000] Kernel panic - not syncing: VFS";
    assert_eq!(story.says("node1", panic), [format!("crashed {panic}")]);
    assert_eq!(story.says("node1", "the guest panicked"), nothing());
    assert_eq!(story.stage(), "crashed");
    let boot = story.tracker.boot(&name("node1")).unwrap();
    assert!(boot.reached(Stage::Kernel) && boot.reached(Stage::Crashed));
    assert!(!boot.reached(Stage::Userland) && !boot.reached(Stage::Off));
    story.power(Power::On, "nsplay power");
    assert_eq!(story.stage(), "powered");
    let by = "a failure: QEMU was killed by SIGKILL";
    assert_eq!(story.power(Power::Off, by), [format!("crashed by {by}")]);
}

#[test]
fn files_that_are_not_there_are_remembered_with_who_was_asked() {
    let mut story = Story::new();
    story.power(Power::On, "nsplay up");
    story.says(
        "dhcp",
        "DHCPACK(eth0) 192.168.25.104 00:aa:bb:cc:dd:ee node1",
    );
    for _ in 0..2 {
        story.says("web", "GET /boot.ipex 404 341 192.168.25.104");
        story.says("web", "192.168.25.104:1025: url:/b");
        story.says("web", "192.168.25.104:1025: response:404");
        story.says("dhcp", "file /r/x.kpxe not found for 192.168.25.104");
    }
    let boot = story.tracker.boot(&name("node1")).unwrap();
    let missing = boot.missing.iter();
    let missing: Vec<_> = missing.map(|missing| missing.path.as_str()).collect();
    assert_eq!(missing, ["/boot.ipex", "/b", "/r/x.kpxe"]);
}
