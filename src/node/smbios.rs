//! What a guest reads of its hardware: SMBIOS structures (DSP0134), as QEMU's options.

use crate::lab::Node;

/// The values of QEMU's `-smbios` for a node: BIOS, system, board and chassis.
///
/// The system's UUID is that of `-uuid`. The form of the chassis is QEMU's.
#[must_use]
pub fn options(node: &Node) -> Vec<String> {
    let (profile, identity) = (&node.profile, &node.identity);
    let (bios, board, chassis) = (&profile.bios, &profile.board, &profile.chassis);
    vec![
        structure(
            0,
            &[
                ("vendor", &bios.vendor),
                ("version", &bios.version),
                ("date", &bios.date),
            ],
        ),
        structure(
            1,
            &[
                ("manufacturer", &identity.manufacturer),
                ("product", &identity.product),
                ("version", &profile.version),
                ("serial", &identity.serial),
                ("sku", &identity.part_number),
            ],
        ),
        structure(
            2,
            &[
                ("manufacturer", &board.manufacturer),
                ("product", &board.product),
                ("version", &board.part_number),
                ("serial", &identity.serial),
                ("asset", &identity.asset_tag),
            ],
        ),
        structure(
            3,
            &[
                ("manufacturer", &identity.manufacturer),
                ("version", &profile.version),
                ("serial", &identity.serial),
                ("asset", &identity.asset_tag),
                ("sku", &chassis.part_number),
            ],
        ),
    ]
}

/// One structure; a text that is empty is left to QEMU.
fn structure(number: u8, texts: &[(&str, &str)]) -> String {
    let texts = texts.iter().filter(|(_, text)| !text.is_empty());
    texts.fold(format!("type={number}"), |option, (key, text)| {
        // A comma inside an option list is written twice.
        format!("{option},{key}={}", text.replace(',', ",,"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_name_does_not_end_it() {
        let text = structure(1, &[("manufacturer", "Quanta, Inc."), ("sku", "")]);
        assert_eq!(text, "type=1,manufacturer=Quanta,, Inc.");
    }
}
