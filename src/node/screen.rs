//! A node's screen and keyboard: pictures, the text that the VGA card shows, and keys.
//!
//! QEMU is asked over QMP; what it writes, it writes into the node's own folder.

use std::io;

use qapi::qmp;

use super::keys::Press;
use super::qemu;
use super::qmp::Qmp;
use crate::files;
use crate::lab::Name;

/// A picture larger than this is none: 4096 by 4096 points of three bytes.
const LARGEST: u64 = 48 << 20;

/// Text mode has 80 columns and 25 rows of 9 by 16 points.
const TEXT_MODE: (usize, usize) = (720, 400);

/// The columns of text mode.
const COLUMNS: usize = 80;

/// The rows of text mode.
const ROWS: usize = 25;

/// Where the VGA card's text is, and how much of it there is.
const TEXT: (u64, u64) = (0xb8000, 0x8000);

/// A picture, three bytes for a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Points in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Red, green and blue of each point, row by row.
    pub points: Vec<u8>,
}

/// Takes a picture of the screen of `node`.
///
/// # Errors
/// What QEMU says, or that it wrote no picture.
pub async fn picture(qmp: &Qmp, node: &Name) -> io::Result<Picture> {
    let file = qemu::dir(node).join("screen.ppm");
    let name = file.display().to_string();
    let dump = qmp::screendump {
        filename: name,
        device: None,
        head: None,
        format: None,
    };
    qmp.ask(dump).await?;
    let bytes = files::read(&file, LARGEST);
    let _ = files::remove(&file);
    ppm(bytes?).ok_or_else(|| io::Error::other("QEMU wrote no picture"))
}

/// Reads a raw PPM, as QEMU writes it: `P6`, width, height and 255, each followed by one blank.
fn ppm(bytes: Vec<u8>) -> Option<Picture> {
    let mut at = 0;
    let mut word = || {
        let length = bytes.get(at..)?.iter().position(u8::is_ascii_whitespace)?;
        let word = std::str::from_utf8(&bytes[at..at + length]).ok()?;
        at += length + 1;
        Some(word)
    };
    let magic = word()?;
    let (width, height): (usize, usize) = (word()?.parse().ok()?, word()?.parse().ok()?);
    if (magic, word()?) != ("P6", "255") {
        return None;
    }
    let points = bytes.get(at..)?.to_vec();
    (points.len() == width.checked_mul(height)?.checked_mul(3)?).then_some(Picture {
        width,
        height,
        points,
    })
}

/// The lines that the screen of `node` shows, without blanks at their ends; none when the card
/// is in a graphics mode.
///
/// # Errors
/// What QEMU says.
pub async fn text(qmp: &Qmp, node: &Name) -> io::Result<Option<Vec<String>>> {
    let picture = picture(qmp, node).await?;
    if (picture.width, picture.height) != TEXT_MODE {
        return Ok(None);
    }
    let origin = qmp.while_stopped(origin(qmp)).await?;
    let (base, size) = TEXT;
    let dump = qmp.monitor(format!("xp /{}xw {base:#x}", size / 4)).await?;
    let memory: Vec<u8> = words(&dump).flat_map(u32::to_le_bytes).collect();
    Ok(Some(lines(&memory, origin)))
}

/// Where in the card's memory the screen begins, in characters.
///
/// Linux scrolls by moving it. The guest may be about to use the index that this changes, so it
/// must be stopped.
async fn origin(qmp: &Qmp) -> io::Result<usize> {
    /// The index of the CRT controller's registers, and the register (VGA, in colour).
    const INDEX: u16 = 0x3d4;
    const DATA: u16 = 0x3d5;
    let read = async |port: u16| -> io::Result<usize> {
        let said = qmp.monitor(format!("i /b {port:#x}")).await?;
        let value = said.rsplit_once("0x").map(|(_, digits)| digits.trim());
        let value = value.and_then(|digits| usize::from_str_radix(digits, 16).ok());
        value.ok_or_else(|| io::Error::other(format!("QEMU says `{}` of a port", said.trim())))
    };
    let choose = async |index: usize| qmp.monitor(format!("o /b {INDEX:#x} {index:#x}")).await;
    let before = read(INDEX).await?;
    choose(0x0c).await?;
    let high = read(DATA).await?;
    choose(0x0d).await?;
    let low = read(DATA).await?;
    choose(before).await?;
    Ok(high << 8 | low)
}

/// The words of `xp`'s answer: `00000000000b8000: 0x07200720 0x07200720 …`.
fn words(dump: &str) -> impl Iterator<Item = u32> {
    let rows = dump.lines().filter_map(|row| Some(row.split_once(": ")?.1));
    let words = rows.flat_map(str::split_ascii_whitespace);
    words.filter_map(|word| u32::from_str_radix(word.strip_prefix("0x")?, 16).ok())
}

/// A character and its colours are two bytes; what is beyond the end goes on at the beginning.
fn lines(memory: &[u8], origin: usize) -> Vec<String> {
    let cells = memory.len() / 2;
    let cell = |place: usize| match cells {
        0 => ' ',
        cells => shown(memory[place % cells * 2]),
    };
    let rows = (0..ROWS).map(|row| {
        let begin = origin + row * COLUMNS;
        let line: String = (begin..begin + COLUMNS).map(cell).collect();
        line.trim_end().to_owned()
    });
    let mut lines: Vec<String> = rows.collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// A character of code page 437, where it is ASCII or part of a frame.
fn shown(byte: u8) -> char {
    match byte {
        0x20..0x7f => char::from(byte),
        0xb3 | 0xba => '|',
        0xc4 | 0xcd => '-',
        0xb4..=0xda => '+',
        0xdb..=0xdf | 0xb0..=0xb2 => '#',
        _ => ' ',
    }
}

/// Presses keys, one press after the other.
///
/// # Errors
/// What QEMU says.
pub async fn press(qmp: &Qmp, presses: &[Press]) -> io::Result<()> {
    /// A key is held for so long, and released for as long: SeaBIOS's buffer has room for 15 keys,
    /// and a boot menu that redraws itself reads slowly.
    const HOLD_MS: i64 = 30;
    for press in presses {
        let keys = press
            .codes()
            .map(|code| qmp::KeyValue::qcode(qmp::QKeyCodeWrapper { data: code }));
        let keys = keys.collect();
        let hold_time = Some(HOLD_MS);
        qmp.ask(qmp::send_key { hold_time, keys }).await?;
        // QEMU would queue them without an end, and lose those that the guest has no room for.
        tokio::time::sleep(std::time::Duration::from_millis(2 * HOLD_MS as u64)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_found_where_the_screen_begins() {
        let mut memory = vec![0; 0x8000];
        for (place, byte) in b"boot:".iter().enumerate() {
            memory[(160 + place) * 2] = *byte;
        }
        assert_eq!(lines(&memory, 80), ["", "boot:"]);
        assert_eq!(lines(&memory, 160), ["boot:"]);
        // Around the end.
        let before = 0x4000 - 80;
        memory[before * 2] = b'>';
        assert_eq!(lines(&memory, before), [">", "", "", "boot:"]);
        assert!(lines(&[], 0).is_empty());
    }

    #[test]
    fn a_dump_of_memory_is_read() {
        let dump = "00000000000b8000: 0x07420741 0x07440743\r\n00000000000b8008: 0x00000020\r\n";
        let words: Vec<u32> = words(dump).collect();
        assert_eq!(words, [0x0742_0741, 0x0744_0743, 0x20]);
    }

    #[test]
    fn a_picture_has_as_many_points_as_it_says() {
        let picture = ppm(b"P6\n1 2\n255\nabcdef".to_vec()).unwrap();
        assert_eq!((picture.width, picture.height), (1, 2));
        assert_eq!(picture.points, b"abcdef");
        for bad in [
            &b""[..],
            b"P6\n1 2\n255\nabcde",
            b"P5\n1 2\n255\nabcdef",
            b"P6\n",
        ] {
            assert_eq!(ppm(bad.to_vec()), None);
        }
    }
}
