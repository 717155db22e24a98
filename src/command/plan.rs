//! `nsplay plan`.

use super::preflight;
use crate::cli::FileOptions;
use crate::error::Failure;
use crate::host::programs::Finder;
use crate::host::tools::Tools;
use crate::host::unprivileged;
use crate::lab::Name;
use crate::plan::{Plan, plan};
use crate::service::sshd_keys::Keys;
use crate::ui;

/// Prints the plan; nothing of the host has to be there for it.
pub fn run(options: &FileOptions, project: Option<&Name>) -> Result<u8, Failure> {
    ui::data(&of(options, project)?.to_string());
    Ok(0)
}

/// The plan of the lab that the options name.
pub(super) fn of(options: &FileOptions, project: Option<&Name>) -> Result<Plan, Failure> {
    let (lab, _) = super::lab(options, project)?.with_ports_from(unprivileged::first());
    let finder = Finder::from_env();
    if let Some(missing) = preflight::missing(&lab, &finder) {
        return Err(Failure::all(missing));
    }
    let tools = Tools::find(&lab, &finder);
    let keys = Keys::generate().map_err(|error| Failure::failed(error.to_string()))?;
    plan(&lab, &tools, &keys).map_err(|error| preflight::untold(&error))
}
