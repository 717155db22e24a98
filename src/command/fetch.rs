//! `nsplay fetch`.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, geteuid, setegid, seteuid, setgroups};

use crate::cli::{Fetch, FileOptions};
use crate::error::{Cause, FAILED, Failure, Problem};
use crate::fetch::{Fetcher, Progress};
use crate::json;
use crate::lab::{Lab, Name, Root};
use crate::ui::{self, Download};

/// Where the labs that ship are, in a checkout.
const SHIPPED: &str = "configs";

/// Downloads what the lab needs from elsewhere, and tells all that did not work.
pub fn run(options: &Fetch, project: Option<&Name>) -> Result<u8, Failure> {
    let files = options.labs.iter().map(|lab| named(lab)).collect();
    let files = FileOptions {
        files,
        port_offset: 0,
    };
    let lab = super::lab(&files, project)?;
    if lab.fetch.is_empty() && !options.json {
        ui::status(&format!("lab `{}` needs nothing from elsewhere", lab.name));
        return Ok(0);
    }
    let mut fetched = json::Fetch {
        lab: lab.name.clone(),
        folder: folder(&lab).map(Path::to_owned),
        files: Vec::new(),
    };
    if lab.fetch.is_empty() {
        return ui::json(&fetched);
    }
    let root = folder(&lab).ok_or_else(|| Failure::all(vec![no_folder(&lab)]))?;
    act_as_owner(root)
        .map_err(|error| Failure::io(format_args!("be who owns {}", root.display()), &error))?;
    let fetcher = Fetcher::new(root);
    let mut problems = Vec::new();
    for payload in &lab.fetch {
        let download = Download::of(&payload.to);
        let mut was_there = false;
        let done = fetcher.fetch(payload, &mut |progress| {
            was_there |= matches!(progress, Progress::There);
            download.is_at(progress);
        });
        match done {
            Ok(()) => fetched.files.push(json::Fetched {
                file: payload.to.clone(),
                was_there,
            }),
            Err(error) => {
                problems.push(Problem {
                    hint: Some(error.hint()),
                    message: error.to_string(),
                });
            }
        }
    }
    match problems.is_empty() {
        true if options.json => ui::json(&fetched),
        true => Ok(0),
        false => Err(Failure {
            problems,
            code: FAILED,
            cause: Cause::Other,
        }),
    }
}

/// Lets root, from now on, do what the owner of `root` may do, and no more: downloads are the owner's, and
/// a link that the owner has put in there leads root nowhere.
///
/// The owner is who has the first part of the path that is not root's, a link or a folder: whatever is
/// below it is where that one has put it.
fn act_as_owner(root: &Path) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let path = std::path::absolute(root)?;
    let mut parts: Vec<&Path> = path.ancestors().collect();
    parts.reverse();
    let owners = parts
        .into_iter()
        .map_while(|part| part.symlink_metadata().ok());
    let owner = owners
        .map(|part| (part.uid(), part.gid()))
        .find(|(uid, _)| *uid != 0);
    let Some((user, group)) = owner else {
        return Ok(());
    };
    let group = Gid::from_raw(group);
    setgroups(&[group])?;
    setegid(group)?;
    Ok(seteuid(Uid::from_raw(user))?)
}

/// What of the lab's downloads is not there, as one problem with the way out.
pub fn missing(lab: &Lab, files: &[PathBuf]) -> Option<Problem> {
    if lab.fetch.is_empty() {
        return None;
    }
    let Some(root) = folder(lab) else {
        return Some(no_folder(lab));
    };
    let missing: Vec<String> = lab
        .fetch
        .iter()
        .filter(|payload| !root.join(&payload.to).is_file())
        .map(|payload| payload.to.display().to_string())
        .collect();
    if missing.is_empty() {
        return None;
    }
    let files: String = files
        .iter()
        .map(|file| format!(" {}", file.display()))
        .collect();
    Some(Problem {
        message: format!(
            "lab `{}` serves what has not been downloaded yet: {}",
            lab.name,
            missing.join(", ")
        ),
        hint: Some(format!("nsplay fetch{files}")),
    })
}

fn folder(lab: &Lab) -> Option<&Path> {
    match &lab.web.as_ref()?.root {
        Root::Dir(folder) => Some(folder),
        Root::Embedded => None,
    }
}

fn no_folder(lab: &Lab) -> Problem {
    Problem {
        message: format!(
            "lab `{}` has downloads, and no folder of this host that it serves",
            lab.name
        ),
        hint: Some(
            "make a folder webroot beside the lab file, or name one in [web] root".to_owned(),
        ),
    }
}

/// The file of a lab: a path, or the name of one here or among those that ship.
fn named(lab: &Path) -> PathBuf {
    let file = lab.with_extension("toml");
    let known = [lab.to_owned(), file.clone(), Path::new(SHIPPED).join(file)];
    let found = known.into_iter().find(|path| path.is_file());
    found.unwrap_or_else(|| lab.to_owned())
}
