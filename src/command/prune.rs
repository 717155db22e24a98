//! `nsplay prune`.

use crate::cli;
use crate::error::Failure;
use crate::{labs, ui};

/// Removes what labs left that do not run.
pub fn run(options: &cli::Prune) -> Result<u8, Failure> {
    let mut some = false;
    let done = labs::prune(options.disks, |what| {
        some = true;
        ui::data(&format!("removed {what}\n"));
    });
    done.map_err(|error| Failure::io("remove what is left", &error))?;
    if !some {
        ui::status("nothing is left of labs that have ended");
    }
    Ok(0)
}
