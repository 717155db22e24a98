//! Disks, the CD drive and the kernel, as QEMU's options.

use serde_json::{Value, json};

use super::{Argv, Machine, Medium, quoted};
use crate::lab::{BootDevice, Disk, DiskBus, Kernel, Node};
use crate::node::storage;

/// The port of the CD drive: the last one of the chipset's controller. Disks have those before it.
const CD_PORT: u8 = 5;

/// Puts the drives of a machine; `at` gives each device its place in the boot order.
pub(super) fn put(
    argv: &mut Argv,
    machine: &Machine,
    medium: Medium,
    at: impl Fn(BootDevice) -> String,
) {
    let node = &machine.node;
    if node.disks.iter().any(|disk| disk.bus == DiskBus::Scsi) {
        argv.put("-device", "virtio-scsi-pci,id=scsi0");
    }
    let (mut sata, mut scsi) = (0..CD_PORT, 0..);
    for (number, disk) in storage::numbered(node) {
        let id = format!("disk{}", number - 1);
        argv.put("-blockdev", blockdev(machine, number, disk, &id));
        let kind = match disk.bus {
            DiskBus::Ahci => format!("ide-hd,bus=ide.{}", sata.next().unwrap_or(CD_PORT)),
            DiskBus::Virtio => "virtio-blk-pci".to_owned(),
            DiskBus::Nvme => "nvme".to_owned(),
            DiskBus::Scsi => format!("scsi-hd,bus=scsi0.0,scsi-id={}", scsi.next().unwrap_or(0)),
        };
        // The lab file has no more disks than numbers.
        let place = at(BootDevice::Disk(u8::try_from(number).unwrap_or(u8::MAX)));
        let serial = storage::serial(node, number);
        argv.put(
            "-device",
            format!("{kind},id={id},drive={id},serial={serial}{place}"),
        );
    }
    let file = match medium {
        Medium::Nothing => None,
        Medium::OfLabFile => Some(quoted(&storage::iso(node))),
        Medium::Open(fd) => {
            argv.put("-add-fd", format!("fd={fd},set=0"));
            Some("/dev/fdset/0".to_owned())
        }
    };
    let drive = match file {
        None => "",
        Some(file) => {
            let raw = "driver=raw,node-name=cd0,read-only=on,file.driver=file";
            argv.put("-blockdev", format!("{raw},file.filename={file}"));
            ",drive=cd0"
        }
    };
    let place = at(BootDevice::Cdrom);
    argv.put(
        "-device",
        format!("ide-cd,bus=ide.{CD_PORT},id=cd0{drive}{place}"),
    );
}

/// Puts the kernel that is started without a boot loader.
pub(super) fn put_kernel(argv: &mut Argv, node: &Node, kernel: &Kernel) {
    argv.put("-kernel", storage::kernel(node).display().to_string());
    if kernel.initrd.is_some() {
        argv.put("-initrd", storage::initrd(node).display().to_string());
    }
    argv.put("-append", &kernel.cmdline);
}

/// The chain of images that a disk is; no format in it is guessed, no file taken from a header.
fn blockdev(machine: &Machine, number: usize, disk: &Disk, id: &str) -> String {
    let path = storage::disk(&machine.state, number, disk);
    let Some(base) = &disk.base else {
        return format!(
            "driver=raw,node-name={id},discard=unmap,file.driver=file,file.filename={}",
            quoted(&path)
        );
    };
    let file = |path: &std::path::Path| json!({ "driver": "file", "filename": path });
    let mut below = json!({
        "driver": base.format.to_string(),
        "read-only": true,
        "file": file(&storage::base(&machine.node, number)),
    });
    if let crate::lab::hardware::ImageFormat::Qcow2 = base.format {
        // Only JSON has a word for: none, whatever the header says.
        below["backing"] = Value::Null;
    }
    json!({
        "driver": "qcow2",
        "node-name": id,
        "discard": "unmap",
        "file": file(&path),
        "backing": below,
    })
    .to_string()
}
