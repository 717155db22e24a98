//! What a lab sees of the host's files, and what of its own is there before its programs start.

use std::fs;
use std::io;
use std::path::Path;

use crate::bmc::{self, ipmi_sim};
use crate::diff::Diff;
use crate::files;
use crate::kernel::cell;
use crate::kernel::mount::{self, Bind};
use crate::kernel::netns::Netns;
use crate::lab::Root;
use crate::plan::{Part, Plan, Runs};
use crate::program::Program;
use crate::rundir::RunDir;

/// What the lab sees of the host's `/var`, `/run` and of wherever the user's files are.
#[must_use]
pub fn binds(plan: &Plan, dir: &RunDir) -> Vec<Bind> {
    let same = |path: &Path, writable| Bind {
        source: path.to_owned(),
        target: path.to_owned(),
        writable,
    };
    let mut binds = vec![
        same(&dir.state(), true),
        same(&dir.netns_names_folder(), true),
    ];
    binds.extend(plan.parts().iter().flat_map(of_member));
    binds.extend(plan.shown.iter().map(|path| same(path, false)));
    binds
}

/// What a member sees of the host: the user's folders.
pub fn of_member(part: &Part<'_>) -> Vec<Bind> {
    let served = part.views.iter().filter_map(|view| match &view.files {
        (at, Root::Dir(source)) => Some((at, source)),
        (_, Root::Embedded) => None,
    });
    let read = part.folders.iter().chain(&part.files);
    let folders = read.map(|(at, source)| (at, source));
    served
        .chain(folders)
        .map(|(target, source)| Bind {
            source: source.clone(),
            target: target.clone(),
            writable: false,
        })
        .collect()
}

/// What a changed lab sees of the host that it has not seen before, in this order.
#[must_use]
pub fn gained(old: &Plan, new: &Plan, diff: &Diff) -> Vec<Bind> {
    let shown = new.shown.iter().filter(|path| !old.shown.contains(path));
    let shown = shown.map(|path| Bind {
        source: path.clone(),
        target: path.clone(),
        writable: false,
    });
    let edits = diff.edits.iter().filter(|edit| edit.change.furnishes());
    let parts = edits.filter_map(|edit| new.part(&edit.member));
    shown
        .chain(parts.flat_map(|part| of_member(&part)))
        .collect()
}

/// Removes a member's files inside the lab, and lets go of the user's.
///
/// # Errors
/// What is left.
pub fn remove(part: &Part<'_>) -> Result<(), String> {
    // What is in there is the user's: while it is mounted nothing may be removed.
    unmount(part)?;
    remove_dir(&Program::served(part.name))?;
    remove_dir(&Program::dir(part.name))
}

/// Makes room for the files of a member that is started anew: a service keeps what it has written,
/// such as leases; a node and its BMC begin with nothing.
///
/// # Errors
/// What is left.
pub fn clear(part: &Part<'_>) -> Result<(), String> {
    match part.runs {
        Runs::Node(..) => remove(part),
        Runs::Service(_) => {
            unmount(part)?;
            part.views.iter().try_for_each(|view| remove_dir(&view.at))
        }
    }
}

fn unmount(part: &Part<'_>) -> Result<(), String> {
    of_member(part).iter().try_for_each(|bind| {
        let at = bind.target.display();
        mount::remove(&bind.target).map_err(|error| format!("cannot unmount {at}: {error}"))
    })
}

fn remove_dir(dir: &Path) -> Result<(), String> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Writes what every lab has.
///
/// # Errors
/// What mkdir(2) or write(2) says.
pub fn begin() -> io::Result<()> {
    Netns::prepare()?;
    fs::create_dir_all(cell::ROOT)?;
    files::write(Path::new(ipmi_sim::MODULE), 0o755, None, bmc::MODULE)
}

/// Writes the lab's names and accounts.
///
/// # Errors
/// What mkdir(2), chown(2) or write(2) says.
pub fn names(plan: &Plan) -> io::Result<()> {
    files::write_texts(&plan.etc, None)?;
    if let Some(account) = &plan.account {
        files::make(&account.home, Some(account.uid))?;
    }
    Ok(())
}
