//! `nsplay config`.

use crate::cli;
use crate::error::Failure;
use crate::lab::{Name, file};
use crate::ui;

/// Prints the resolved lab file, or what any lab file looks like.
pub fn run(options: &cli::Config, project: Option<&Name>) -> Result<u8, Failure> {
    if options.schema {
        ui::data(&file::schema());
        return Ok(0);
    }
    let lab = super::lab(&options.lab, project)?;
    ui::data(&file::render(&lab));
    Ok(0)
}
