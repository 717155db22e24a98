//! `nsplay plan`.

use super::change::Wanted;
use super::preflight;
use crate::cli::{self, FileOptions};
use crate::error::Failure;
use crate::host::programs::Finder;
use crate::host::tools::Tools;
use crate::json::{self, Difference};
use crate::lab::{Lab, Name};
use crate::plan::{Plan, plan};
use crate::rundir::RunDir;
use crate::service::sshd_keys::Keys;
use crate::ui;

/// Prints the plan, for which nothing of the host has to be there, or what `up` would change.
pub fn run(options: &cli::Plan, project: Option<&Name>) -> Result<u8, Failure> {
    if options.diff {
        return difference(&options.lab, project, options.json);
    }
    let plan = of(&options.lab, project)?;
    if options.json {
        let (lab, script) = (plan.lab.name.clone(), plan.to_string());
        return ui::json(&json::Plan { lab, script });
    }
    ui::data(&plan.to_string());
    Ok(0)
}

/// The plan of the lab that the options name.
pub(super) fn of(options: &FileOptions, project: Option<&Name>) -> Result<Plan, Failure> {
    let (lab, tools) = read(options, project)?;
    let keys = Keys::generate().map_err(|error| Failure::failed(error.to_string()))?;
    plan(&lab, &tools, &keys).map_err(|error| preflight::untold(&error))
}

fn read(options: &FileOptions, project: Option<&Name>) -> Result<(Lab, Tools), Failure> {
    let (lab, _) = super::permitted(super::lab(options, project)?)?;
    let finder = Finder::from_env();
    if let Some(missing) = preflight::missing(&lab, &finder) {
        return Err(Failure::all(missing));
    }
    let tools = Tools::find(&lab, &finder);
    Ok((lab, tools))
}

/// Prints what `up` would change in the lab that runs.
fn difference(options: &FileOptions, project: Option<&Name>, json: bool) -> Result<u8, Failure> {
    let (lab, tools) = read(options, project)?;
    let dir = RunDir::own(&lab.name);
    let wanted = Wanted {
        lab: &lab,
        tools: &tools,
        dir: &dir,
        json,
    };
    let diff = wanted.difference()?;
    if json {
        ui::json(&Difference {
            lab: lab.name.clone(),
            networks: diff.networks,
            changes: diff.edits,
        })?;
    } else if diff.is_empty() {
        let name = &lab.name;
        ui::status(&format!(
            "lab `{name}` is what its file says: nothing would change"
        ));
    } else {
        ui::data(&diff.to_string());
    }
    Ok(0)
}
