//! The BMC of an InfraSIM node.

use std::rc::Rc;

use super::super::draft::{Source, Table, literal, string};
use super::super::yaml::Node;
use super::Reader;

/// InfraSIM's BMCs listen on it unless they are told another.
pub(in super::super) const PORT: u64 = 623;

/// The UDP port of the BMC, and what says it if it is not the default one.
pub(in super::super) fn port(root: &Node) -> (u64, Option<&Node>) {
    let said = root
        .get("bmc")
        .and_then(|bmc| bmc.get("ipmi_over_lan_port"));
    match said.and_then(|node| Some((node.integer()?, node))) {
        Some((port, node)) => (port, Some(node)),
        None => (PORT, None),
    }
}

/// Where the BMC is reached: InfraSIM's listens on the host itself.
pub(super) fn publish(bmc: &mut Table, root: &Node, source: Source) {
    let (port, said) = port(root);
    let from = match said {
        Some(node) => source.place(node),
        None => "InfraSIM's default port".to_owned(),
    };
    bmc.set(
        "publish",
        string(&format!("127.0.0.1:{port}")),
        format!("{from}; 0.0.0.0 would let other hosts in, as InfraSIM does"),
    );
}

impl Reader<'_> {
    /// Reads a key of `bmc`.
    pub(super) fn of_bmc(&mut self, key: &str, value: &Rc<Node>) {
        let path = format!("bmc.{key}");
        match (key, value.text()) {
            ("username", Some(user)) => self.bmc.set("user", literal(user), ""),
            ("password", Some(password)) => self.bmc.set("password", literal(password), ""),
            ("address", Some(address)) => match address.parse() {
                Ok(address) => self.address = Some(address),
                Err(_) => self.none(&path, value, "no IPv4 address"),
            },
            ("ipmi_over_lan_port" | "main_port", Some(_)) if value.integer().is_some() => {}
            ("startnow", _) => match value.boolean() {
                Some(true) => self.node.set("power", "\"on\"", "bmc.startnow: true"),
                _ => self.node.set("power", "\"off\"", "bmc.startnow: false"),
            },
            ("poweroff_wait", _) => match value.integer() {
                Some(seconds) => {
                    let why = "bmc.poweroff_wait: then a soft power-off becomes a hard one";
                    self.node
                        .set("soft_timeout", string(&format!("{seconds}s")), why);
                }
                None => self.none(&path, value, "no number of seconds"),
            },
            _ => {
                let why = match key {
                    "interface" => {
                        "the BMC has a bridge of its own, `br-bmc`, on the lab's network"
                    }
                    "channel" => "its LAN channel is 1",
                    "lancontrol" | "chassiscontrol" | "startcmd" => {
                        "the node switches its power itself, without scripts"
                    }
                    "kill_wait" => "power off is at once",
                    "historyfru" => "the event log lives as long as the BMC",
                    "config_file" | "emu_file" => "sensors and inventory come from the profile",
                    _ => "nsplay has nothing like it",
                };
                self.bmc.none(self.source, &path, value, why);
            }
        }
    }
}
