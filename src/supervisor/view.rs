//! Views: the folders that services serve, kept true to what the user has in them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::embedded;
use crate::faultpoint::point;
use crate::files;
use crate::kernel::inotify::Watch;
use crate::lab::Root;
use crate::plan::View;

/// Makes a view, or makes it what it is now.
///
/// # Errors
/// What mkdir(2), symlink(2) or write(2) says.
pub fn make(view: &View) -> io::Result<()> {
    let (folder, root) = &view.files;
    if let Root::Embedded = root {
        for (name, bytes) in embedded::folder(folder) {
            files::write(&folder.join(name), 0o644, None, bytes)?;
        }
        files::make(folder, None)?;
    }
    files::make(&view.at, None)?;
    for (name, to) in &view.links {
        files::link(&view.at.join(name), to)?;
    }
    files::write_texts(&view.texts, None)?;
    point!("plug: {} written", view.at.display())?;
    sync(view)?;
    point!("plug: {} served", view.at.display())
}

/// Removes what nsplay has put beside the user's files in `old`, and does not in `new`.
pub fn clear(old: &View, new: &View) {
    let links = old.links.iter().filter(|link| !new.links.contains(link));
    let links = links.map(|(name, _)| old.at.join(name));
    let is_there = |path: &PathBuf| new.texts.iter().any(|text| text.path == *path);
    let texts = old.texts.iter().map(|text| text.path.clone());
    for path in links.chain(texts.filter(|path| !is_there(path))) {
        // What is not there any more is what it should be.
        let _ = files::remove(&path);
    }
}

/// Keeps a view true while the user adds and removes files, for ever.
///
/// # Errors
/// What inotify(7) says.
pub async fn follow(view: View) -> io::Result<()> {
    let watch = Watch::new(&view.files.0)?;
    loop {
        sync(&view)?;
        watch.changed().await?;
    }
}

/// Links what the user has at the top of the folder, and unlinks what is gone.
///
/// Below the top nothing has to be done: a link to a folder shows what is in it.
/// What the user has goes before what nsplay puts beside it.
fn sync(view: &View) -> io::Result<()> {
    let wanted = wanted(view)?;
    for (name, to) in files::links(&view.at)? {
        if wanted.get(&name) != Some(&to) {
            files::remove(&view.at.join(name))?;
        }
    }
    for (name, to) in wanted {
        match files::add_link(&view.at.join(name), &to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The links at the top of the view.
fn wanted(view: &View) -> io::Result<BTreeMap<OsString, PathBuf>> {
    let beside = view.links.iter().filter_map(|(name, to)| {
        let at_top = name.components().count() == 1;
        at_top.then(|| (name.as_os_str().to_owned(), to.clone()))
    });
    let mut wanted: BTreeMap<OsString, PathBuf> = beside.collect();
    for entry in fs::read_dir(&view.files.0)? {
        let entry = entry?;
        if !is_special(&entry.path()) {
            wanted.insert(entry.file_name(), entry.path());
        }
    }
    Ok(wanted)
}

/// Whether something is neither a file nor a folder: a server that opens a pipe waits until somebody
/// writes to it.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}
