//! What is in a folder that is to be served, and cannot be.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::cell::SYSTEM;
use crate::lab::{Lab, Name, Root};

/// A mirror of a distribution has hundreds of thousands of files; this many take 40 ms here.
const LOOKED_AT: usize = 10_000;

/// More than this many are counted.
const SHOWN: usize = 3;

/// Something in a served folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strange {
    /// A symbolic link that leads out of the folder, and to where; not one to what is installed.
    LeadsOut(PathBuf, PathBuf),
    /// A named pipe.
    Pipe(PathBuf),
}

/// What is strange in the folders that `lab` serves, by their services.
#[must_use]
pub fn strange(lab: &Lab) -> Vec<(Name, Vec<Strange>)> {
    let web = lab.web.iter().map(|web| (&web.name, &web.root));
    // The servers of all networks serve one folder.
    let dhcp = lab.dhcp_servers().take(1);
    let served = web.chain(dhcp.map(|dhcp| (&dhcp.name, &dhcp.tftproot)));
    let found = served.filter_map(|(name, root)| match root {
        Root::Dir(folder) => Some((name.clone(), look(folder))),
        Root::Embedded => None,
    });
    found.filter(|(_, strange)| !strange.is_empty()).collect()
}

/// Looks through a folder and those in it, without following links, in alphabetical order.
fn look(root: &Path) -> Vec<Strange> {
    let Ok(real) = fs::canonicalize(root) else {
        return Vec::new();
    };
    let (mut found, mut left) = (Vec::new(), LOOKED_AT);
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        // What cannot be read cannot be served either.
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for entry in entries.take(left) {
            left -= 1;
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_fifo() => found.push(Strange::Pipe(path)),
                Ok(kind) if kind.is_symlink() => found.extend(leads_out(&real, path)),
                Ok(_) | Err(_) => {}
            }
        }
    }
    found.sort_by(|a, b| path(a).cmp(path(b)));
    found
}

fn path(strange: &Strange) -> &Path {
    match strange {
        Strange::LeadsOut(path, _) | Strange::Pipe(path) => path,
    }
}

/// A link that leads to something outside of `root`; none for one that leads nowhere.
fn leads_out(root: &Path, link: PathBuf) -> Option<Strange> {
    let to = fs::canonicalize(&link).ok()?;
    let is_installed = SYSTEM.iter().any(|system| to.starts_with(system));
    (!to.starts_with(root) && !is_installed).then_some(Strange::LeadsOut(link, to))
}

/// What to say of it, a sentence each.
#[must_use]
pub fn notes(strange: &[(Name, Vec<Strange>)]) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, found) in strange {
        notes.extend(found.iter().take(SHOWN).map(|one| match one {
            Strange::LeadsOut(link, to) => format!(
                "{name} does not serve {}: it leads out of the folder, to {}; copy that there, or \
                 serve a folder that holds both",
                link.display(),
                to.display()
            ),
            Strange::Pipe(pipe) => format!(
                "{name} does not serve {}: it is a pipe, and a server that is asked for it may \
                 wait until it is started anew; remove it",
                pipe.display()
            ),
        }));
        if let Some(more) = found.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            notes.push(format!("{name} does not serve {more} more links and pipes"));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn links_out_and_pipes_are_named_and_what_leads_inside_or_to_what_is_installed_is_not() {
        let scratch = std::env::temp_dir().join(format!("nsplay-served-{}", std::process::id()));
        let root = scratch.join("root");
        fs::create_dir_all(root.join("folder")).unwrap();
        fs::write(scratch.join("outside"), "").unwrap();
        fs::write(root.join("inside"), "").unwrap();
        for (to, link) in [
            ("../inside", "folder/inner"),
            ("../../outside", "folder/outer"),
            ("/usr/bin/env", "env"),
            ("nowhere", "dangling"),
            ("loop", "loop"),
            ("/", "slash"),
        ] {
            symlink(to, root.join(link)).unwrap();
        }
        mkfifo(&root.join("folder/pipe"), Mode::S_IRUSR).unwrap();
        let found = look(&root);
        let real = fs::canonicalize(&scratch).unwrap();
        let outer = Strange::LeadsOut(root.join("folder/outer"), real.join("outside"));
        let pipe = Strange::Pipe(root.join("folder/pipe"));
        let slash = Strange::LeadsOut(root.join("slash"), "/".into());
        fs::remove_dir_all(&scratch).unwrap();
        assert_eq!(found, [outer, pipe.clone(), slash]);
        let notes = notes(&[(Name::new("web").unwrap(), vec![pipe; 5])]);
        assert_eq!(notes.len(), 4);
        assert_eq!(notes[3], "web does not serve 2 more links and pipes");
    }
}
