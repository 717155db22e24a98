//! The drives of an InfraSIM node, by controller.

use super::super::compose::joined;
use super::super::draft::literal;
use super::super::yaml::Node;
use super::{MOST_PARTS, Reader};

impl Reader<'_> {
    /// Reads the drives of all controllers.
    pub(super) fn storage(&mut self, value: &Node) {
        let mut drives = Vec::new();
        for controller in value.list().iter().take(MOST_PARTS) {
            // Older descriptions have one more level.
            let controller = controller.get("controller").unwrap_or(controller);
            let kind = controller
                .get("type")
                .and_then(|node| node.text())
                .unwrap_or("ahci");
            for (key, value) in controller.entries() {
                match key.as_str() {
                    "type" => {}
                    "drives" => {
                        self.drives("compute.storage_backend.drives", kind, value, &mut drives);
                    }
                    "max_drive_per_controller" => self.none(
                        "compute.storage_backend.max_drive_per_controller",
                        value,
                        "QEMU adds controllers as they are needed",
                    ),
                    _ => self.none(
                        &format!("compute.storage_backend.{key}"),
                        value,
                        "a controller has no settings",
                    ),
                }
            }
        }
        if !drives.is_empty() {
            self.disks(&drives);
        }
    }

    /// Reads the drives of a controller. Where `into` holds none before and after, they are all.
    pub(super) fn drives(&mut self, path: &str, kind: &str, value: &Node, into: &mut Vec<String>) {
        let bus = match kind {
            "ahci" => "ahci",
            "nvme" => "nvme",
            "virtio" | "virtio-blk" => "virtio",
            _ => "scsi",
        };
        if bus == "scsi" && !matches!(kind, "scsi" | "virtio-scsi") && !value.list().is_empty() {
            let why = format!("a drive of a {kind} controller: bus = \"scsi\" is the nearest");
            self.node
                .note(format!("{}: {why}", self.source.place(value)));
        }
        let alone = path == "compute.drives";
        for drive in value.list() {
            if into.len() == MOST_PARTS {
                self.none(path, drive, "more drives are no server");
                break;
            }
            let mut spelled = Vec::new();
            for (key, value) in drive.entries() {
                match (key.as_str(), value.integer(), value.text()) {
                    ("size", Some(gib), _) => spelled.push(format!("size = \"{gib}GiB\"")),
                    ("file", _, Some(file)) if !file.starts_with("/dev/") => {
                        let file = joined(self.import.folder, file);
                        spelled.push(format!("base = {}", literal(&file)));
                        self.node.note(format!(
                            "{}: {file} stays as it is: what the guest writes goes to a layer above it",
                            self.source.place(value)
                        ));
                    }
                    ("file", ..) => self.none(
                        &format!("{path}.file"),
                        value,
                        "no device of the host is handed on",
                    ),
                    ("format", _, Some(format)) => {
                        spelled.push(format!("format = {}", literal(format)));
                    }
                    ("bootindex", ..) => self.none(
                        &format!("{path}.bootindex"),
                        value,
                        "`boot` orders devices; disks are in the order of the file",
                    ),
                    _ => self.none(
                        &format!("{path}.{key}"),
                        value,
                        "QEMU's drives say what QEMU has them say",
                    ),
                }
            }
            if !spelled
                .iter()
                .any(|key| key.starts_with("size") || key.starts_with("base"))
            {
                spelled.insert(0, "size = \"8GiB\"".to_owned());
                let place = self.source.place(drive);
                self.node.note(format!(
                    "{place}: a drive without a size has 8 GiB, as in InfraSIM"
                ));
            }
            let has = |key: &str| spelled.iter().any(|spelled| spelled.starts_with(key));
            if has("base") && !has("format") {
                spelled.push("format = \"qcow2\"".to_owned());
                let place = self.source.place(drive);
                let why = "a file without a format is a qcow2, as in InfraSIM";
                self.node.note(format!("{place}: {why}"));
            }
            spelled.push(format!("bus = \"{bus}\""));
            into.push(format!("{{ {} }}", spelled.join(", ")));
        }
        if alone && !into.is_empty() {
            let drives = std::mem::take(into);
            self.disks(&drives);
        }
    }

    fn disks(&mut self, drives: &[String]) {
        self.node
            .set("disks", format!("[{}]", drives.join(", ")), "");
    }
}
