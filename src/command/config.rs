//! `nsplay config`.

use crate::cli;
use crate::error::Failure;
use crate::json;
use crate::lab::{Name, file};
use crate::ui;

/// Prints the resolved lab file, or what any lab file looks like.
pub fn run(options: &cli::Config, project: Option<&Name>) -> Result<u8, Failure> {
    if options.schema {
        ui::data(&file::schema());
        return Ok(0);
    }
    let lab = super::lab(&options.lab, project)?;
    let text = file::render(&lab);
    if options.json {
        let lab = toml::from_str(&text).map_err(|error| Failure::failed(error.to_string()))?;
        return ui::json(&json::Config { lab });
    }
    ui::data(&text);
    Ok(0)
}
