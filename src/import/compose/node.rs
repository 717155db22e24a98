//! Services of a compose file that run InfraSIM, with the description mounted into them.

use std::path::Path;

use super::super::draft::{Source, Table, list};
use super::super::yaml;
use super::super::{Error, infrasim};
use super::Reader;
use super::common::Common;
use super::service::Service;
use super::text::{Port, joined};

impl Reader<'_> {
    /// The tables `[node.NAME]` and `[node.NAME.bmc]`.
    pub(super) fn node(&self, service: &Service) -> Result<Vec<Table>, Error> {
        let mut table = self.begin(service, format!("node.{}", service.member));
        let common = self.common(service, &mut table);
        self.set_address(&common, &mut table);
        if !common.after.is_empty() {
            table.set("after", list(&common.after), "depends_on");
        }
        let mut bmc = Table::new(format!("node.{}.bmc", service.member));
        let mut ipmi = infrasim::PORT;
        let mut read = None;
        for (mount, place) in &common.mounts {
            let yaml = mount.source.ends_with(".yml") || mount.source.ends_with(".yaml");
            if !yaml || read.is_some() {
                table.note(format!(
                    "no counterpart ({place}): {} on {}; a node has disks and a CD",
                    mount.source, mount.target
                ));
                continue;
            }
            match (self.import.open)(Path::new(&mount.source)) {
                Ok(text) => {
                    let beside = Path::new(self.import.file).parent();
                    let shown = joined(beside, &mount.source);
                    let root = yaml::read(&shown, &text)?;
                    infrasim::check(&shown, &root)?;
                    table.note(format!("what {} says of it:", mount.source));
                    (ipmi, _) = infrasim::port(&root);
                    let source = Source {
                        file: &mount.source,
                    };
                    read = Some(infrasim::node(self.import, source, &root, &service.member));
                }
                Err(error) => table.note(format!(
                    "{place}: {} cannot be read ({error}), so the node has nsplay's defaults",
                    mount.source
                )),
            }
        }
        if let Some(described) = read {
            let address = described.address.map(|address| address.to_string());
            if address.is_some() && address != common.address {
                let address = address.unwrap_or_default();
                table.note(format!(
                    "its own bmc.address, {address}, was that inside the container"
                ));
            }
            table.append(described.node);
            bmc.append(described.bmc);
        }
        table.unset("vnc");
        let is_bmc = |port: &Port| u64::from(port.inside) == ipmi && port.protocol == "udp";
        let is_vnc = |port: &Port| (5900..6000).contains(&port.inside) && port.protocol == "tcp";
        self.publish("vnc", &common, is_vnc, &mut table);
        self.publish("publish", &common, is_bmc, &mut bmc);
        let rest = Common {
            after: Vec::new(),
            ..common
        };
        self.rest(&rest, |port| is_bmc(port) || is_vnc(port), &mut table);
        Ok(vec![table, bmc])
    }
}
