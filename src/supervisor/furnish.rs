//! What a lab sees of the host's files, and what of its own is there before its programs start.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::Path;

use crate::bmc::{self, ipmi_sim};
use crate::files;
use crate::kernel::mount::Bind;
use crate::kernel::netns::Netns;
use crate::lab::Root;
use crate::plan::{Part, Plan};
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

/// Writes what every lab has.
///
/// # Errors
/// What mkdir(2) or write(2) says.
pub fn begin() -> io::Result<()> {
    Netns::prepare()?;
    files::write(Path::new(ipmi_sim::MODULE), 0o755, bmc::MODULE)
}

/// Writes the lab's names and accounts.
///
/// # Errors
/// What mkdir(2), chown(2) or write(2) says.
pub fn names(plan: &Plan) -> io::Result<()> {
    plan.etc.iter().try_for_each(files::write_text)?;
    if let Some(account) = &plan.account {
        fs::create_dir_all(&account.home)?;
        chown(&account.home, Some(account.uid), Some(account.uid))?;
    }
    Ok(())
}
