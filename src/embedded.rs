//! The files that are built into the binary, so that `nsplay up` needs no checkout.

use std::path::Path;

/// What is served over HTTP where there is no `webroot`.
const WEBROOT: &[(&str, &[u8])] = &[("boot.ipxe", include_bytes!("../webroot/boot.ipxe"))];

/// What is served over TFTP where there is no `tftproot`, beside the distribution's iPXE.
const TFTPROOT: &[(&str, &[u8])] = &[];

/// The kinds of servers: name and text.
pub const PROFILES: &[(&str, &str)] = &[
    ("generic", include_str!("../configs/profiles/generic.toml")),
    (
        "dell-r740",
        include_str!("../configs/profiles/dell-r740.toml"),
    ),
    (
        "hpe-dl360",
        include_str!("../configs/profiles/hpe-dl360.toml"),
    ),
    (
        "quanta-d51",
        include_str!("../configs/profiles/quanta-d51.toml"),
    ),
    (
        "supermicro",
        include_str!("../configs/profiles/supermicro.toml"),
    ),
];

/// The files of a folder of this name.
#[must_use]
pub fn folder(path: &Path) -> &'static [(&'static str, &'static [u8])] {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("webroot") => WEBROOT,
        _ => TFTPROOT,
    }
}
