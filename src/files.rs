//! Writes files with their permission bits.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::program::TextFile;

/// Writes a file with these permission bits, in place of one that is there; makes its folder.
///
/// # Errors
/// What mkdir(2), open(2) or write(2) says.
pub fn write(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)
}

/// Writes a text where it belongs, with its permission bits.
///
/// # Errors
/// As [`write()`].
pub fn write_text(file: &TextFile) -> io::Result<()> {
    write(&file.path, file.mode, file.text.as_bytes())
}
