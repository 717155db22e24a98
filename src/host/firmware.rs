//! Firmware that distributions ship as files, and where each of them puts it.
//!
//! What is not marked as seen was read in the distribution's build files or in
//! what people write about them.

use std::path::{Path, PathBuf};

use super::programs::Host;
use crate::lab::NicModel;

/// OVMF's code and its variables' template, raw images of one size.
///
/// Builds that insist on Secure Boot or SMM, and qcow2 images, are left out.
pub const OVMF: &[(&str, &str)] = &[
    // Debian, Ubuntu: seen, 2022.11
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    // Fedora
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
    // Arch since 202411, then before
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
    (
        "/usr/share/edk2/x64/OVMF_CODE.fd",
        "/usr/share/edk2/x64/OVMF_VARS.fd",
    ),
    // openSUSE
    (
        "/usr/share/qemu/ovmf-x86_64-code.bin",
        "/usr/share/qemu/ovmf-x86_64-vars.bin",
    ),
    // Alpine; Debian before 13, 2 MiB: seen
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
];

/// The same for Secure Boot: code that insists on it and on SMM, and variables that hold the keys
/// of Microsoft, by which shims are signed.
///
/// Arch and Alpine ship such code, but no variables with keys.
pub const OVMF_SECURE: &[(&str, &str)] = &[
    // Debian, Ubuntu: seen, 2022.11
    (
        "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
    ),
    // Fedora
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd",
    ),
    // openSUSE
    (
        "/usr/share/qemu/ovmf-x86_64-smm-ms-code.bin",
        "/usr/share/qemu/ovmf-x86_64-smm-ms-vars.bin",
    ),
    // Debian before 13, 2 MiB: seen
    (
        "/usr/share/OVMF/OVMF_CODE.ms.fd",
        "/usr/share/OVMF/OVMF_VARS.ms.fd",
    ),
];

/// iPXE for a BIOS that has a PXE ROM of its own.
pub const IPXE_BIOS: &[&str] = &[
    // Debian: seen
    "/usr/lib/ipxe/undionly.kpxe",
    // Fedora, openSUSE
    "/usr/share/ipxe/undionly.kpxe",
];

/// iPXE for UEFI, the one that uses the firmware's own driver first.
pub const IPXE_UEFI: &[&str] = &[
    // Debian: seen. Its ipxe.efi is a link into /boot.
    "/usr/lib/ipxe/snponly.efi",
    "/usr/lib/ipxe/ipxe.efi",
    // Fedora
    "/usr/share/ipxe/ipxe-snponly-x86_64.efi",
    "/usr/share/ipxe/ipxe-x86_64.efi",
    // Arch
    "/usr/share/ipxe/x86_64/ipxe.efi",
    // openSUSE
    "/usr/share/ipxe/snponly.efi",
    "/usr/share/ipxe/ipxe.efi",
];

/// The folders of QEMU's option ROMs.
const ROMS: &[&str] = &[
    // Debian: seen
    "/usr/lib/ipxe/qemu",
    // Fedora
    "/usr/share/ipxe/qemu",
    // Arch, Alpine, openSUSE
    "/usr/share/qemu",
];

/// Returns the first pair of OVMF's code and variables that is there, of [`OVMF`] or
/// [`OVMF_SECURE`].
#[must_use]
pub fn ovmf(host: &impl Host, pairs: &[(&str, &str)]) -> Option<(PathBuf, PathBuf)> {
    pairs
        .iter()
        .map(|&(code, vars)| (PathBuf::from(code), PathBuf::from(vars)))
        .find(|(code, vars)| host.has_file(code) && host.has_file(vars))
}

/// Returns the first of `candidates` that is there.
#[must_use]
pub fn first(host: &impl Host, candidates: &[&str]) -> Option<PathBuf> {
    candidates
        .iter()
        .map(PathBuf::from)
        .find(|path| host.has_file(path))
}

/// Returns the file name of the ROM that QEMU gives a NIC by default.
#[must_use]
pub fn option_rom_name(nic: NicModel) -> &'static str {
    match nic {
        NicModel::E1000e => "efi-e1000e.rom",
        NicModel::E1000 => "efi-e1000.rom",
        NicModel::VirtioNet => "efi-virtio.rom",
        NicModel::Vmxnet3 => "efi-vmxnet3.rom",
        NicModel::Rtl8139 => "efi-rtl8139.rom",
    }
}

/// Returns where a NIC's option ROM is: iPXE for BIOS and UEFI in one file.
#[must_use]
pub fn option_rom(host: &impl Host, nic: NicModel) -> Option<PathBuf> {
    ROMS.iter()
        .map(|folder| Path::new(folder).join(option_rom_name(nic)))
        .find(|path| host.has_file(path))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Host, OVMF, ovmf};

    struct Files(&'static [&'static str]);

    impl Host for Files {
        fn program(&self, _: &str) -> Option<PathBuf> {
            None
        }

        fn has_file(&self, path: &Path) -> bool {
            self.0.iter().any(|file| Path::new(file) == path)
        }
    }

    #[test]
    fn code_without_its_variables_is_no_firmware() {
        let host = Files(&[
            "/usr/share/OVMF/OVMF_CODE_4M.fd",
            "/usr/share/OVMF/OVMF_CODE.fd",
            "/usr/share/OVMF/OVMF_VARS.fd",
        ]);
        let (code, vars) = ovmf(&host, OVMF).unwrap();
        assert_eq!(code, Path::new("/usr/share/OVMF/OVMF_CODE.fd"));
        assert_eq!(vars, Path::new("/usr/share/OVMF/OVMF_VARS.fd"));
        let host = Files(&["/usr/share/OVMF/OVMF_CODE.fd"]);
        assert_eq!(ovmf(&host, OVMF), None);
    }
}
