//! Services of a compose file that stay the user's own.

use super::super::draft::{Table, list, string};
use super::Reader;
use super::common::everywhere;
use super::service::Service;
use super::text::{Port, joined};

impl Reader<'_> {
    /// The table `[service.NAME]`.
    pub(super) fn own(&self, service: &Service) -> Table {
        let mut table = self.begin(service, format!("service.{}", service.member));
        let common = self.common(service, &mut table);
        if common.command.is_empty() {
            table.note(
                "what its image runs is not said here: give it a `command` of this host, and take away the marks",
            );
            table.set("command", "[\"…\"]", "");
            table.drop();
        } else {
            let why = "runs on this host, which must have the program";
            table.set("command", list(&common.command), why);
        }
        self.set_address(&common, &mut table);
        if !common.environment.is_empty() {
            let pair =
                |(key, value): &(String, String)| format!("{} = {}", string(key), string(value));
            let pairs: Vec<String> = common.environment.iter().map(pair).collect();
            table.set("env", format!("{{ {} }}", pairs.join(", ")), "");
        }
        for (mount, place) in &common.mounts {
            if table.has("folder") {
                table.note(format!(
                    "no counterpart ({place}): {}; it has one folder",
                    mount.source
                ));
                continue;
            }
            let path = joined(self.import.folder, &mount.source);
            let why = format!(
                "inferred: it was {} there, here it starts in it",
                mount.target
            );
            table.set("folder", string(&path), why);
        }
        let spelled = |port: &Port| format!("{}:{}/{}", port.host, port.inside, port.protocol);
        let ports: Vec<String> = common.ports.iter().map(|(port, _)| spelled(port)).collect();
        let why = common.ports.iter().map(|(port, _)| everywhere(port)).max();
        match ports.as_slice() {
            [] => {}
            [port] => table.set("publish", string(port), why.unwrap_or_default()),
            ports => table.set("publish", list(ports), why.unwrap_or_default()),
        }
        if !common.after.is_empty() {
            table.set("after", list(&common.after), "depends_on");
        }
        for (key, value) in service.node.entries() {
            match key.as_str() {
                "user" => {
                    let user = self.fill(value, &mut table);
                    table.set("user", string(&user), "a user of this host");
                }
                "working_dir" => table.none(self.source, key, value, "it starts in `folder`"),
                "healthcheck" => {
                    table.none(self.source, key, value, "`ready` says when it is ready")
                }
                "restart" if value.text() == Some("no") => {
                    table.set("restart", "\"never\"", "restart: no");
                }
                _ => {}
            }
        }
        table
    }
}
