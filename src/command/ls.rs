//! `nsplay ls`.

use crate::error::Failure;
use crate::json::Ls;
use crate::labs::{self, Found};
use crate::ui;

/// Prints the labs of this host.
pub fn run(json: bool) -> Result<u8, Failure> {
    let labs = labs::all();
    if json {
        return ui::json(&Ls { labs });
    }
    if labs.is_empty() {
        ui::status("there is no lab on this host");
        return Ok(0);
    }
    let mut rows = vec![["NAME", "STATE", "SINCE", "MEMBERS", "DISK"].map(str::to_owned)];
    rows.extend(labs.iter().map(row));
    ui::table(&rows);
    Ok(0)
}

fn row(lab: &Found) -> [String; 5] {
    let members = lab.members.as_ref().map_or_else(
        || "-".to_owned(),
        |members| {
            // A node is there twice: as a machine and as its BMC.
            let mut names: Vec<_> = members.iter().map(|member| &member.name).collect();
            names.dedup();
            names.len().to_string()
        },
    );
    [
        lab.name.to_string(),
        lab.state.to_string(),
        lab.since.map_or_else(|| "-".to_owned(), ui::ago),
        members,
        ui::bytes_of(lab.disk),
    ]
}
