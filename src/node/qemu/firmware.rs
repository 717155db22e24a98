//! UEFI, Secure Boot and the TPM, as QEMU's options.

use std::path::Path;

use super::{Argv, Machine, quoted};
use crate::lab::{Firmware, Node, Tpm};
use crate::node::tpm;

/// What Secure Boot adds to `-machine`: the firmware keeps its variables to itself in system
/// management mode.
pub(super) fn smm(node: &Node) -> &'static str {
    match node.secure_boot {
        true => ",smm=on",
        false => "",
    }
}

/// Puts the firmware of a machine, if it is not QEMU's own, and its TPM.
pub(super) fn put(argv: &mut Argv, machine: &Machine) {
    let node = &machine.node;
    if let (Firmware::Uefi, Some((code, _))) = (node.firmware, &machine.ovmf) {
        if node.secure_boot {
            // Without it the system could write the variables past the firmware.
            argv.put("-global", "driver=cfi.pflash01,property=secure,value=on");
            // OVMF cannot wake up safely with SMM (its README says so).
            argv.put("-global", "ICH9-LPC.disable_s3=1");
        }
        let flash = |unit: u8, file: &Path, read_only: &str| {
            format!(
                "if=pflash,format=raw,unit={unit},readonly={read_only},file={}",
                quoted(file)
            )
        };
        argv.put("-drive", flash(0, code, "on"));
        argv.put("-drive", flash(1, &machine.uefi_vars(), "off"));
    }
    if let Some(interface) = node.tpm {
        let socket = quoted(&tpm::socket(&node.name));
        argv.put("-chardev", format!("socket,id=tpm,path={socket}"));
        argv.put("-tpmdev", "emulator,id=tpm0,chardev=tpm");
        let device = match interface {
            Tpm::Crb => "tpm-crb",
            Tpm::Tis => "tpm-tis",
        };
        argv.put("-device", format!("{device},tpmdev=tpm0"));
    }
}
