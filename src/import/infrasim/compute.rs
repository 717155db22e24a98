//! The hardware of an InfraSIM node: CPUs, memory, what it boots, its screen and its CD.

use std::rc::Rc;

use super::super::draft::{list, literal, string};
use super::super::yaml::Node;
use super::Reader;

/// The file of a CD, if it is none of the host's drives.
pub(super) fn image(cdrom: &Node) -> Option<&Node> {
    let file = cdrom.get("file").or_else(|| cdrom.get("path"));
    let file = file.map_or(cdrom, |file| file);
    file.text()
        .filter(|path| !path.starts_with("/dev/"))
        .map(|_| file)
}

impl Reader<'_> {
    /// Reads a key of `compute`.
    pub(super) fn compute(&mut self, key: &str, value: &Rc<Node>) {
        match key {
            "boot_order" => self.boot_order(value),
            "boot" => {
                for (key, value) in value.entries() {
                    match key.as_str() {
                        "boot_order" => self.boot_order(value),
                        _ => self.none(
                            &format!("compute.boot.{key}"),
                            value,
                            "the firmware shows no menu",
                        ),
                    }
                }
            }
            "kvm_enabled" => match value.boolean() {
                Some(false) => self.node.set("accel", "\"tcg\"", "kvm_enabled: false"),
                Some(true) | None => {
                    let why = "kvm_enabled; KVM where it works";
                    self.node.set("accel", "\"auto\"", why);
                }
            },
            "cpu" => self.cpu(value),
            "memory" => {
                for (key, value) in value.entries() {
                    match (key.as_str(), value.integer()) {
                        ("size", Some(mib)) => {
                            self.node.set("memory", string(&format!("{mib}MiB")), "");
                        }
                        _ => self.none(
                            &format!("compute.memory.{key}"),
                            value,
                            "only the size can be said",
                        ),
                    }
                }
            }
            "storage_backend" => self.storage(value),
            "drives" => self.drives("compute.drives", "ahci", value, &mut Vec::new()),
            "networks" => self.networks(value),
            "vnc_display" => self.vnc(value),
            "vnc" => {
                for (key, value) in value.entries() {
                    match key.as_str() {
                        "display" => self.vnc(value),
                        _ => self.none(
                            &format!("compute.vnc.{key}"),
                            value,
                            "`vnc` has an address and a port",
                        ),
                    }
                }
            }
            "cdrom" => self.cdrom(value),
            "kernel" | "initrd" => self.path(key, value),
            "cmdline" => match value.text() {
                Some(text) => self.node.set("cmdline", literal(text), ""),
                None => self.none("compute.cmdline", value, "no text"),
            },
            "extra_option" => match value.text() {
                Some(text) => {
                    let words = text.split_whitespace().map(|word| word.replace('$', "$$"));
                    self.node
                        .set("qemu_args", list(words), "extra_option, split at blanks");
                }
                None => self.none("compute.extra_option", value, "no text"),
            },
            "numa_control" => {
                self.none("compute.numa_control", value, "guests are bound to no CPU")
            }
            "ipmi" => self.none(
                "compute.ipmi",
                value,
                "every node has a KCS interface to its BMC",
            ),
            "smbios" => self.none(
                "compute.smbios",
                value,
                "SMBIOS says what the profile and `serial`, `uuid`, `product`, … say",
            ),
            "monitor" => self.none(
                "compute.monitor",
                value,
                "nsplay holds QEMU's monitor; `nsplay power` and `console` are the way to it",
            ),
            "pci_bridge_topology" | "pcie_topology" => {
                self.none(
                    &format!("compute.{key}"),
                    value,
                    "PCI slots are QEMU's choice",
                );
            }
            "guest-agent" => self.none("compute.guest-agent", value, "no agent is asked"),
            _ => self.none(
                &format!("compute.{key}"),
                value,
                "nsplay has nothing like it",
            ),
        }
    }

    /// InfraSIM hands the letters to QEMU's -boot, whose they are: c is the disk, d the CD.
    fn boot_order(&mut self, value: &Node) {
        let letters = value.text().unwrap_or_default();
        let (mut order, mut unknown) = (Vec::new(), String::new());
        for letter in letters.chars() {
            match letter {
                'n' => order.push("network"),
                'c' => order.push("disk"),
                'd' => order.push("cdrom"),
                _ => unknown.push(letter),
            }
        }
        let has_cd = self.has_cd;
        order.retain(|device| *device != "cdrom" || has_cd);
        if order.is_empty() || !unknown.is_empty() {
            self.none("boot_order", value, "of QEMU's letters n, c and d have one");
        }
        if !order.is_empty() {
            let cd = if has_cd || !letters.contains('d') {
                ""
            } else {
                "; there is no CD"
            };
            self.node
                .set("boot", list(order), format!("boot_order: {letters}{cd}"));
        }
    }

    fn cpu(&mut self, value: &Node) {
        let mut model = None;
        let mut features = "";
        for (key, value) in value.entries() {
            match (key.as_str(), value.integer()) {
                ("quantities", Some(cpus)) => self.node.set("cpus", cpus.to_string(), ""),
                ("type" | "model", _) => model = value.text(),
                ("features", _) => features = value.text().unwrap_or_default(),
                ("socket" | "sockets" | "core" | "cores" | "threads", _) => self.none(
                    &format!("compute.cpu.{key}"),
                    value,
                    "`cpus` says how many there are in all",
                ),
                _ => self.none(
                    &format!("compute.cpu.{key}"),
                    value,
                    "nsplay has nothing like it",
                ),
            }
        }
        match (model, features) {
            (None, "") => {}
            (None, features) => {
                let cpu = format!("max,{features}");
                self.node
                    .set("cpu", literal(&cpu), "features of no model: those of `max`");
            }
            (Some(model), features) => {
                let cpu = [model, features].map(str::trim).join(",");
                self.node.set("cpu", literal(cpu.trim_end_matches(',')), "");
            }
        }
    }

    fn vnc(&mut self, value: &Node) {
        let Some(port) = value
            .integer()
            .and_then(|display| display.checked_add(5900))
        else {
            self.none("compute.vnc_display", value, "no number");
            return;
        };
        self.display = true;
        let why = "0.0.0.0 would let other hosts in, as InfraSIM does";
        self.node
            .set("vnc", string(&format!("127.0.0.1:{port}")), why);
    }

    fn cdrom(&mut self, value: &Node) {
        match image(value) {
            Some(file) => self.path("iso", file),
            None => self.none("compute.cdrom", value, "no drive of the host is handed on"),
        }
    }
}
