//! `nsplay prune`.

use crate::cli;
use crate::error::Failure;
use crate::json::Prune;
use crate::{labs, ui};

/// Removes what labs left that do not run.
pub fn run(options: &cli::Prune) -> Result<u8, Failure> {
    let mut removed = Vec::new();
    let done = labs::prune(options.disks, |what| {
        if !options.json {
            ui::data(&format!("removed {what}\n"));
        }
        removed.push(what);
    });
    let done = done.map_err(|error| Failure::io("remove what is left", &error));
    if options.json {
        // Behind it comes what could not be removed.
        ui::json(&Prune { removed })?;
        return done.map(|()| 0);
    }
    done?;
    if removed.is_empty() {
        ui::status(match options.disks {
            true => "nothing is left of labs that have ended",
            false => {
                "nothing is left of labs that have ended but their disks and logs, which --disks removes"
            }
        });
    }
    Ok(0)
}
