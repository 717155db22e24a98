//! `nsplay config`.

use crate::cli::FileOptions;
use crate::error::Failure;
use crate::lab::{Name, file};
use crate::ui;

/// Prints the resolved lab file.
pub fn run(options: &FileOptions, project: Option<&Name>) -> Result<u8, Failure> {
    let lab = super::lab(options, project)?;
    ui::data(&file::render(&lab));
    Ok(0)
}
