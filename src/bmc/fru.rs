//! The inventory that a BMC keeps (Platform Management FRU Information Storage Definition 1.0).
//!
//! "Section" is one of that document here. [`image`] is pure.

use crate::lab::profile::{Identity, Profile};

/// The size of the inventory, in bytes: room for all three areas with every text at its longest.
pub const SIZE: usize = 1024;

/// Areas begin and end at multiples of this (section 8).
const BLOCK: usize = 8;

/// Section 8: version 1 of the format.
const VERSION: u8 = 1;

/// English (section 15).
const ENGLISH: u8 = 25;

/// The byte after the last text of an area (section 13).
const END: u8 = 0xc1;

/// 2024-01-01, in minutes after 1996-01-01 (section 11): 10227 days.
const MADE: u32 = 10_227 * 24 * 60;

/// The whole inventory of a node.
#[must_use]
pub fn image(profile: &Profile, identity: &Identity) -> Vec<u8> {
    let Identity {
        manufacturer,
        product,
        part_number,
        serial,
        asset_tag,
        ..
    } = identity;
    let (chassis, board) = (&profile.chassis, &profile.board);
    let [made @ .., _] = MADE.to_le_bytes();
    // Sections 10 to 12; the empty text is the FRU file's name.
    let areas = [
        area(&[chassis.form], &[&chassis.part_number, serial]),
        area(
            &[&[ENGLISH][..], &made].concat(),
            &[
                &board.manufacturer,
                &board.product,
                serial,
                &board.part_number,
                "",
            ],
        ),
        area(
            &[ENGLISH],
            &[
                manufacturer,
                product,
                part_number,
                &profile.version,
                serial,
                asset_tag,
                "",
            ],
        ),
    ];
    let mut offset = 1;
    let places = areas.each_ref().map(|area| {
        let place = offset;
        offset += area.len() / BLOCK;
        u8::try_from(place).expect("three areas have 1 KiB at most")
    });
    let [chassis_at, board_at, product_at] = places;
    let mut image = checked(vec![VERSION, 0, chassis_at, board_at, product_at, 0, 0]);
    image.extend(areas.concat());
    image.resize(SIZE, 0);
    image
}

/// An area: its header, what it has before its texts, the texts, padding and checksum.
fn area(head: &[u8], texts: &[&str]) -> Vec<u8> {
    let mut area = [&[VERSION, 0], head].concat();
    for text in texts {
        area.extend(field(text));
    }
    area.push(END);
    let blocks = (area.len() + 1).div_ceil(BLOCK);
    area[1] = u8::try_from(blocks).expect("seven texts of 63 bytes have 60 blocks at most");
    area.resize(blocks * BLOCK - 1, 0);
    checked(area)
}

/// A text with its type and length (section 13): 8-bit ASCII, whatever the language.
///
/// The lab file lets no text be longer than 63 bytes, or 1, which would be [`END`].
fn field(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX).min(63);
    let text = &text.as_bytes()[..usize::from(length)];
    [&[0xc0 | length], text].concat()
}

/// `bytes` and what makes their sum zero.
fn checked(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.push(sum.wrapping_neg());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::file::{Origin, load};

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
    }

    /// The area that the header's byte `index` points to.
    fn area_of(image: &[u8], index: usize) -> &[u8] {
        let at = usize::from(image[index]) * BLOCK;
        &image[at..at + usize::from(image[at + 1]) * BLOCK]
    }

    #[test]
    fn every_area_is_where_the_header_says_and_its_bytes_sum_to_zero() {
        let long = "x".repeat(63);
        let keys = [
            "manufacturer",
            "product",
            "part_number",
            "serial",
            "asset_tag",
        ];
        let keys: String = keys
            .iter()
            .map(|key| format!("{key} = \"{long}\"\n"))
            .collect();
        let lab = load(&format!("[node.n]\n{keys}"), &Origin::built_in(None)).unwrap();
        let node = &lab.nodes[0];
        let image = image(&node.profile, &node.identity);
        assert_eq!(image.len(), SIZE);
        assert_eq!(sum(&image[..8]), 0);
        for index in [2, 3, 4] {
            let area = area_of(&image, index);
            assert_eq!((area[0], sum(area)), (1, 0), "area {index}");
        }
    }

    #[test]
    fn the_product_area_reads_as_the_definition_lays_it_out() {
        let text = "[node.n]\nmanufacturer = \"AB\"\nproduct = \"CDE\"\nserial = \"S1\"\n\
            part_number = \"PN\"\nasset_tag = \"T7\"\n";
        let lab = load(text, &Origin::built_in(None)).unwrap();
        let node = &lab.nodes[0];
        let image = image(&node.profile, &node.identity);
        let area = area_of(&image, 4);
        let expected = b"\x01\x04\x19\xc2AB\xc3CDE\xc2PN\xc31.0\xc2S1\xc2T7\xc0\xc1";
        assert_eq!(&area[..expected.len()], expected);
    }
}
