//! The NICs of an InfraSIM node.

use super::super::draft::{literal, string};
use super::super::yaml::Node;
use super::{MOST_PARTS, Reader};

impl Reader<'_> {
    /// Reads the NICs, of which a lab file says the first apart.
    pub(super) fn networks(&mut self, value: &Node) {
        let mut more = Vec::new();
        for (n, network) in value.list().iter().take(MOST_PARTS).enumerate() {
            let mut model = None;
            let mut mac = None;
            for (key, value) in network.entries() {
                let path = format!("compute.networks.{key}");
                match (key.as_str(), value.text()) {
                    ("device", Some(device)) => model = self.nic(device, value),
                    ("mac", Some(text)) => mac = Some(text),
                    ("network_mode" | "network_name" | "bridge", Some(_)) => self.none(
                        &path,
                        value,
                        "the NIC is inferred to be on the lab's network, with all other members",
                    ),
                    ("port_forward", _) => self.none(
                        &path,
                        value,
                        "ports of a guest are reached from inside: `nsplay exec`, or over [ssh]",
                    ),
                    ("id", _) => self.none(&path, value, "NICs are numbered"),
                    _ => self.none(&path, value, "nsplay has nothing like it"),
                }
            }
            if n == 0 {
                if let Some(model) = model {
                    self.node.set("nic", string(model), "");
                }
                if let Some(mac) = mac {
                    self.node.set("mac", literal(mac), "");
                }
                continue;
            }
            let mut spelled = Vec::new();
            if let Some(model) = model {
                spelled.push(format!("model = \"{model}\""));
            }
            if let Some(mac) = mac {
                spelled.push(format!("mac = {}", literal(mac)));
            }
            more.push(format!("{{ {} }}", spelled.join(", ")));
        }
        if !more.is_empty() {
            let why = "the NICs beyond the first";
            self.node.set("nics", format!("[{}]", more.join(", ")), why);
        }
    }

    fn nic(&mut self, device: &str, value: &Node) -> Option<&'static str> {
        Some(match device {
            "e1000" => "e1000",
            "e1000e" => "e1000e",
            "vmxnet3" => "vmxnet3",
            "rtl8139" => "rtl8139",
            "virtio" | "virtio-net" | "virtio-net-pci" => "virtio-net",
            _ => {
                self.none(
                    "compute.networks.device",
                    value,
                    "the default is \"e1000e\"",
                );
                return None;
            }
        })
    }
}
