//! `include`: files that lie below the one that names them.

use std::path::{Component, Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::variables::filled;
use super::{Origin, Source};

/// Deeper than this nobody finds what a file says.
const MOST_DEEP: usize = 8;

/// All files of a lab.
pub(super) struct Files<'o> {
    origin: &'o Origin,
    /// The files, each behind those that it includes: what stands in one goes before what stands
    /// in those ahead of it.
    pub(super) sources: Vec<Source>,
    /// The files that are being read, each included by the one ahead of it.
    open: Vec<PathBuf>,
    /// The files that have been included; a second time would change nothing for the better.
    done: Vec<PathBuf>,
    /// Each `include` that leads nowhere.
    pub(super) wrong: Vec<Dead>,
}

/// An `include` that leads nowhere.
pub(super) struct Dead {
    /// Which file names it, and at which of its bytes.
    pub(super) nth: usize,
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) hint: String,
}

impl<'o> Files<'o> {
    /// `text`, the origin's overlays, and all that they include.
    pub(super) fn of(text: &str, origin: &'o Origin) -> Self {
        let mut files = Self {
            origin,
            sources: Vec::new(),
            open: Vec::new(),
            done: Vec::new(),
            wrong: Vec::new(),
        };
        let first = Source {
            file: origin.file.clone(),
            folder: origin.folder.clone(),
            text: text.to_owned(),
        };
        for source in [first].into_iter().chain(origin.overlays.iter().cloned()) {
            let name = Path::new(&source.file).file_name().unwrap_or_default();
            let path = normal(&source.folder.join(name));
            files.add(source, path);
        }
        files
    }

    fn add(&mut self, source: Source, path: PathBuf) {
        self.open.push(path);
        let mut dead = Vec::new();
        for (name, at) in self.named(&source.text) {
            if let Err((message, hint)) = self.include(&source, &name) {
                dead.push((at, message, hint));
            }
        }
        let nth = self.sources.len();
        self.sources.push(source);
        self.wrong
            .extend(dead.into_iter().map(|(at, message, hint)| Dead {
                nth,
                at,
                message,
                hint,
            }));
        self.done.extend(self.open.pop());
    }

    /// Adds the file that `source` calls `name`, if it has not been.
    fn include(&mut self, source: &Source, name: &str) -> Result<(), (String, String)> {
        let path = normal(&source.folder.join(name));
        let beside = Path::new(&source.file).parent().unwrap_or(Path::new(""));
        let file = beside.join(name).display().to_string();
        if self.open.contains(&path) {
            let message = format!("`include` goes in a circle: {file} is being read already");
            return Err((message, "leave one of them out".to_owned()));
        }
        if self.done.contains(&path) {
            return Ok(());
        }
        if self.open.len() > MOST_DEEP {
            let message =
                format!("`include` goes too deep: {MOST_DEEP} files below one another is the most");
            return Err((message, "include it further up".to_owned()));
        }
        let text = (self.origin.open)(&path).map_err(|error| {
            let message = format!("cannot include {file}: {error}");
            let hint = "a relative path starts at the folder of the file that it stands in";
            (message, hint.to_owned())
        })?;
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        self.add(Source { file, folder, text }, path);
        Ok(())
    }

    /// The files that a text includes, each with its byte; what is wrong with the text itself is
    /// told when it is read as a lab file.
    fn named(&self, text: &str) -> Vec<(String, usize)> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let names = table.get_ref().get("include").map(|names| names.get_ref());
        let Some(DeValue::Array(names)) = names.filter(|_| errors.is_empty()) else {
            return Vec::new();
        };
        let name = |value: &toml::Spanned<DeValue>| {
            let (name, wrong) = filled(value.get_ref().as_str()?, &self.origin.variables);
            wrong.is_empty().then(|| (name, value.span().start))
        };
        names.iter().filter_map(name).collect()
    }
}

/// `path` without `.` and `..`, so that one file has one path; symbolic links are not followed.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => normal.push(part),
        }
    }
    normal
}
