//! Services of a compose file whose work nsplay's own members do: dnsmasq, web and SSH servers.

use std::path::Path;

use super::super::dnsmasq::Found;
use super::super::draft::{Table, string};
use super::Reader;
use super::service::Service;
use super::text::{Port, joined};

impl Reader<'_> {
    /// The table `[dhcp]`; what dnsmasq is told of nodes goes to `found`.
    pub(super) fn dhcp(&self, service: &Service, found: &mut Found) -> Table {
        let mut table = self.begin(service, "dhcp".to_owned());
        let common = self.common(service, &mut table);
        self.set_address(&common, &mut table);
        for (mount, place) in &common.mounts {
            let is_file = mount.target.ends_with(".conf") || mount.source.ends_with(".conf");
            if !is_file {
                continue;
            }
            match (self.import.open)(Path::new(&mount.source)) {
                Ok(text) => found.read(&mount.source, &text, &mut table),
                Err(error) => table.note(format!(
                    "{place}: {} cannot be read ({error}), so what it says is not here",
                    mount.source
                )),
            }
        }
        let place = self.source.place(&service.node);
        found.arguments(&common.command, &place, &mut table);
        found.finish(&mut table);
        let root = found.tftp_root.clone();
        for (mount, place) in &common.mounts {
            let is_root = match &root {
                Some(root) => Path::new(root) == Path::new(&mount.target),
                None => mount.target.contains("tftp"),
            };
            let why = match &root {
                Some(root) => format!("tftp-root={root}"),
                None => format!("inferred: it is mounted on {}", mount.target),
            };
            if is_root && !table.has("tftproot") {
                let path = joined(self.import.folder, &mount.source);
                table.set("tftproot", string(&path), why);
            } else if !mount.target.ends_with(".conf") && !mount.source.ends_with(".conf") {
                table.note(format!(
                    "no counterpart ({place}): {}; it serves one folder",
                    mount.source
                ));
            }
        }
        self.rest(
            &common,
            |port| matches!(port.inside, 53 | 67 | 69),
            &mut table,
        );
        table
    }

    /// The table `[web]`.
    pub(super) fn web(&self, service: &Service) -> Table {
        let mut table = self.begin(service, "web".to_owned());
        let common = self.common(service, &mut table);
        self.set_address(&common, &mut table);
        const FOLDERS: [&str; 5] = ["html", "htdocs", "www", "webroot", "public"];
        for (mount, place) in &common.mounts {
            let is_root = FOLDERS.iter().any(|folder| mount.target.contains(folder));
            if is_root && !table.has("root") {
                let path = joined(self.import.folder, &mount.source);
                let why = format!("inferred: it is mounted on {}", mount.target);
                table.set("root", string(&path), why);
            } else {
                table.note(format!(
                    "no counterpart ({place}): {} on {}; it serves one folder and is configured by nsplay",
                    mount.source, mount.target
                ));
            }
        }
        if !common.command.is_empty() {
            let command = common.command.join(" ");
            table.note(format!(
                "no counterpart: command {command}; `server` chooses the program"
            ));
        }
        let is = |port: &Port| matches!(port.inside, 80 | 8080) && port.protocol == "tcp";
        if let Some((port, _)) = common.ports.iter().find(|(port, _)| port.inside == 8080) {
            let place = &port.host;
            table.note(format!(
                "{place} led to port 8080 there; the lab's web server is on 80"
            ));
        }
        self.publish("publish", &common, is, &mut table);
        self.rest(&common, is, &mut table);
        table
    }

    /// The table `[ssh]`.
    pub(super) fn ssh(&self, service: &Service) -> Table {
        let mut table = self.begin(service, "ssh".to_owned());
        let common = self.common(service, &mut table);
        self.set_address(&common, &mut table);
        let is = |port: &Port| matches!(port.inside, 22 | 2222) && port.protocol == "tcp";
        self.publish("publish", &common, is, &mut table);
        for (mount, place) in &common.mounts {
            table.note(format!(
                "no counterpart ({place}): {} on {}; keys are made for each run",
                mount.source, mount.target
            ));
        }
        self.rest(&common, is, &mut table);
        table
    }
}
