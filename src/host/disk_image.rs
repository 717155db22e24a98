//! Disk images of others: read here before QEMU opens one, so that none says what QEMU does.
//!
//! A qcow2 image can name other files that QEMU then opens: a backing file, a data file. An
//! image from somewhere else could name any file of the host in this way.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::lab::hardware::ImageFormat;

/// The first bytes of formats, where they stand, and what they are called.
const MAGICS: &[(u64, &[u8], &str)] = &[
    (0, b"QFI\xfb", "a qcow2 image"),
    (0, b"KDMV", "a VMDK image"),
    (0, b"COWD", "a VMDK image"),
    (0, b"# Disk DescriptorFile", "a VMDK description"),
    (0, b"vhdxfile", "a VHDX image"),
    (0, b"conectix", "a VHD image"),
    (64, b"\x7f\x10\xda\xbe", "a VDI image"),
    (0, b"QED\0", "a QED image"),
];

/// The name of a backing file has at most so many bytes (docs/interop/qcow2.txt of QEMU).
const LONGEST_NAME: u32 = 1023;

/// Header extension: the format of the backing file.
const BACKING_FORMAT: u32 = 0xe279_2aca;

/// Incompatible features, bit 2: the data are in another file.
const EXTERNAL_DATA: u64 = 1 << 2;

/// What a qcow2 header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qcow2 {
    /// The size of the disk in bytes.
    pub size: u64,
    /// The file that it lies over.
    pub backing: Option<String>,
    /// The format of that file.
    pub backing_format: Option<String>,
    /// Whether the data are in another file.
    pub has_external_data: bool,
    /// Whether it is encrypted.
    pub is_encrypted: bool,
}

/// Why a file is not taken, as the end of a sentence that it begins.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is not of the format that was said.
    #[error("is {0}")]
    Other(&'static str),
    /// It is no qcow2 image.
    #[error("is no qcow2 image")]
    NoQcow2,
    /// Its header makes no sense.
    #[error("has a qcow2 header that makes no sense")]
    Broken,
    /// It lies over another file.
    #[error("has a backing file itself: {0}")]
    Backed(String),
    /// Its data are elsewhere.
    #[error("has its data in another file")]
    ExternalData,
    /// It is encrypted.
    #[error("is encrypted")]
    Encrypted,
}

/// The size in bytes of the disk in `path`, which must stand by itself and be of this format.
///
/// # Errors
/// Why it cannot be the base of a disk.
pub fn examine(path: &Path, format: ImageFormat) -> Result<u64, Unfit> {
    let file = open(path)?;
    if format == ImageFormat::Raw {
        if let Some(other) = recognized(&file)? {
            return Err(Unfit::Other(other));
        }
        // QEMU counts in sectors.
        return Ok(file.metadata()?.len().next_multiple_of(512));
    }
    let header = header(&file)?;
    match header.backing {
        Some(backing) => Err(Unfit::Backed(backing)),
        None if header.has_external_data => Err(Unfit::ExternalData),
        None if header.is_encrypted => Err(Unfit::Encrypted),
        None => Ok(header.size),
    }
}

/// The header of the qcow2 image in `path`.
///
/// # Errors
/// When it is none.
pub fn qcow2(path: &Path) -> Result<Qcow2, Unfit> {
    header(&open(path)?)
}

/// Opens a regular file; of a FIFO the opening alone could last for ever.
fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(nix::libc::O_NONBLOCK);
    options.open(path)
}

/// What the file is by its first bytes; none for one that could be anything.
fn recognized(file: &File) -> io::Result<Option<&'static str>> {
    for (at, magic, what) in MAGICS {
        let mut bytes = vec![0; magic.len()];
        match file.read_exact_at(&mut bytes, *at) {
            Ok(()) if bytes == *magic => return Ok(Some(what)),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn header(file: &File) -> Result<Qcow2, Unfit> {
    let mut bytes = Vec::new();
    // The header, its extensions and the backing file's name are in the first cluster.
    file.take(1 << 16).read_to_end(&mut bytes)?;
    if !bytes.starts_with(b"QFI\xfb") {
        return Err(match recognized(file)? {
            Some(other) => Unfit::Other(other),
            None => Unfit::NoQcow2,
        });
    }
    parse(&bytes).ok_or(Unfit::Broken)
}

fn parse(bytes: &[u8]) -> Option<Qcow2> {
    let u32_at = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let u64_at = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let version = u32_at(4)?;
    let (name_at, name_len) = (usize::try_from(u64_at(8)?).ok()?, u32_at(16)?);
    let (features, length) = match version {
        2 => (0, 72),
        3 => (u64_at(72)?, usize::try_from(u32_at(100)?).ok()?),
        _ => return None,
    };
    let backing = match name_at {
        0 => None,
        at if name_len <= LONGEST_NAME => {
            let name = bytes.get(at..at.checked_add(usize::try_from(name_len).ok()?)?)?;
            Some(String::from_utf8_lossy(name).into_owned())
        }
        _ => return None,
    };
    Some(Qcow2 {
        size: u64_at(24)?,
        backing,
        backing_format: extension(bytes, length, BACKING_FORMAT),
        has_external_data: features & EXTERNAL_DATA != 0,
        is_encrypted: u32_at(32)? != 0,
    })
}

/// The text of a header extension, of which the first follows the header's `length` bytes.
fn extension(bytes: &[u8], length: usize, wanted: u32) -> Option<String> {
    let mut rest = bytes.get(length..)?;
    loop {
        let (head, after) = rest.split_at_checked(8)?;
        let kind = u32::from_be_bytes(head[..4].try_into().ok()?);
        let size = usize::try_from(u32::from_be_bytes(head[4..].try_into().ok()?)).ok()?;
        let data = after.get(..size)?;
        match kind {
            0 => return None,
            kind if kind == wanted => return Some(String::from_utf8_lossy(data).into_owned()),
            _ => rest = after.get(size.next_multiple_of(8)..)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of version 3 with one extension.
    fn image(features: u64, crypt: u32, backing: Option<&str>) -> Vec<u8> {
        let name = backing.unwrap_or_default();
        let mut bytes = vec![0; 1024];
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        put(0, b"QFI\xfb\0\0\0\x03");
        if backing.is_some() {
            put(8, &512_u64.to_be_bytes());
            put(16, &u32::try_from(name.len()).unwrap().to_be_bytes());
            put(512, name.as_bytes());
        }
        put(24, &(1_u64 << 30).to_be_bytes());
        put(32, &crypt.to_be_bytes());
        put(72, &features.to_be_bytes());
        put(100, &104_u32.to_be_bytes());
        put(104, b"\x68\x03\xf8\x57\0\0\0\x01x\0\0\0\0\0\0\0");
        put(120, b"\xe2\x79\x2a\xca\0\0\0\x03raw");
        bytes
    }

    #[test]
    fn what_an_image_names_besides_itself_is_seen() {
        let plain = parse(&image(0, 0, None)).unwrap();
        assert_eq!((plain.size, plain.backing), (1 << 30, None));
        assert!(!plain.has_external_data && !plain.is_encrypted);
        let backed = parse(&image(0, 0, Some("/etc/shadow"))).unwrap();
        assert_eq!(backed.backing.as_deref(), Some("/etc/shadow"));
        assert_eq!(backed.backing_format.as_deref(), Some("raw"));
        assert!(
            parse(&image(EXTERNAL_DATA, 0, None))
                .unwrap()
                .has_external_data
        );
        assert!(parse(&image(0, 1, None)).unwrap().is_encrypted);
    }

    #[test]
    fn a_header_that_is_cut_or_lies_is_broken_and_no_panic() {
        let whole = image(0, 0, Some("base"));
        for length in 0..whole.len() {
            let _ = parse(&whole[..length]);
        }
        assert_eq!(parse(&whole[..100]), None);
        for at in [8, 16, 100, 108, 124] {
            let mut wrong = whole.clone();
            wrong[at..at + 4].fill(0xff);
            let _ = parse(&wrong);
        }
        let mut wrong = whole;
        wrong[7] = 9;
        assert_eq!(parse(&wrong), None, "a version that is not known");
    }
}
