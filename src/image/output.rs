//! Reading whole files, and replacing whole files in one step.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::ImageError;

/// Reads all of `path`.
///
/// # Errors
///
/// [`ImageError::Read`].
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ImageError> {
    fs::read(path).map_err(|source| ImageError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Reads all of `path`, as text.
///
/// # Errors
///
/// [`ImageError::Read`], also for what is not UTF-8.
pub(super) fn read_text(path: &Path) -> Result<String, ImageError> {
    fs::read_to_string(path).map_err(|source| ImageError::Read {
        path: path.to_owned(),
        source,
    })
}

/// Makes `folder` and those above it; one that exists is fine.
///
/// # Errors
///
/// [`ImageError::Write`].
pub(super) fn make_folder(folder: &Path) -> Result<(), ImageError> {
    fs::create_dir_all(folder).map_err(|source| ImageError::Write {
        path: folder.to_owned(),
        source,
    })
}

/// Writes `bytes` beside `path` and renames the result over it.
///
/// # Errors
///
/// [`ImageError::Write`]; the temporary file is gone then.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    let temporary = temporary_name(path);
    let written = write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        // The write's own error is what matters, and the file may not even exist.
        let _ = fs::remove_file(&temporary);
        ImageError::Write {
            path: path.to_owned(),
            source,
        }
    })
}

/// Returns a hidden name in the same folder, which no other process uses.
fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}

/// Writes a file that the lab's web server may read: it runs as another user, and
/// root's umask is sometimes 077.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    file.write_all(bytes)
}
