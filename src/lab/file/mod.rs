//! The lab file: how people spell a lab, in TOML.
//!
//! [`load`] reads texts in three steps: they are laid over one another, with variables filled in;
//! `spell` takes the result apart key by key; `check` gives it meaning. All go on after an error,
//! so that one run tells all. Nothing here touches the host: which files, and what lies beside
//! them, the caller says with an [`Origin`].

mod addresses;
mod after;
mod check;
mod fetch;
mod fleet;
mod hardware;
mod include;
mod limits;
mod merge;
mod netboot;
mod network;
mod nic;
mod own;
mod ports;
mod profile;
mod render;
mod report;
mod scenario;
mod schema;
mod spell;
mod value;
mod variables;
mod walk;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use profile::{PROFILE_KEYS, ProfileFile, load_profile};
pub use render::render;
pub use report::{Place, Problem, Report};
pub use schema::{ID as SCHEMA_ID, schema};
pub use spell::KEYS;

use crate::lab::{Lab, Name};
use include::Files;
use merge::merge;
use report::Notes;
use variables::Variables;
use walk::Table;

/// The lab file of the lab that runs without one.
pub const DEFAULT: &str = include_str!("../../../configs/default.toml");

/// More is no lab file but something else with its name.
const MOST_BYTES: usize = 1 << 20;

/// Where a lab is from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// What messages call the first file: `configs/two.toml`.
    pub file: String,
    /// Its folder, absolute: relative paths in the file start here.
    pub folder: PathBuf,
    /// The lab's name if the command line gives one; it goes before the file's.
    pub name: Option<Name>,
    /// The folder `webroot` beside the files, absolute, if there is one.
    pub webroot: Option<PathBuf>,
    /// The folder `tftproot` beside the files, absolute, if there is one.
    pub tftproot: Option<PathBuf>,
    /// The user's own profiles; they go before those that are built in.
    pub profiles: Vec<ProfileFile>,
    /// More lab files; what stands in one goes before what stands in those ahead of it.
    pub overlays: Vec<Source>,
    /// The environment's variables, which the files' strings can name.
    pub variables: BTreeMap<String, String>,
    /// Reads a file that another one includes, by its absolute path.
    pub open: fn(&Path) -> io::Result<String>,
}

/// A lab file.
#[derive(Clone, Debug)]
pub struct Source {
    /// What messages call it: `configs/two.toml`.
    pub file: String,
    /// Its folder, absolute: relative paths in it start here.
    pub folder: PathBuf,
    /// What is in it.
    pub text: String,
}

impl Origin {
    /// The origin of [`DEFAULT`], which has no folder and serves what is built in.
    #[must_use]
    pub fn built_in(name: Option<Name>) -> Self {
        Self {
            file: "the built-in lab".to_owned(),
            folder: PathBuf::from("/"),
            name,
            webroot: None,
            tftproot: None,
            profiles: Vec::new(),
            overlays: Vec::new(),
            variables: BTreeMap::new(),
            open: |_| Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Reads `text`, the overlays that its origin has, and what they include, as a lab.
///
/// # Errors
/// All that is wrong with the texts, or with the lab that they spell.
pub fn load(text: &str, origin: &Origin) -> Result<Lab, Report> {
    let Files { sources, wrong, .. } = Files::of(text, origin);
    let notes = Notes::of(
        sources
            .iter()
            .map(|source| (source.file.as_str(), source.text.as_str())),
    );
    for dead in wrong {
        let at = notes.base(dead.nth) + dead.at;
        notes.add(Some(at), dead.message, Some(dead.hint));
    }
    let Some(table) = laid(&sources, origin, &notes) else {
        return Err(notes.into_report());
    };
    let folders: Vec<&Path> = sources
        .iter()
        .map(|source| source.folder.as_path())
        .collect();
    let file = spell::spell(&table, origin, &folders, &notes);
    let lab = check::check(file, origin, &notes);
    notes.finish(lab)
}

/// The tables of all files, each laid on those ahead of it; none if one of them is no TOML.
fn laid<'s>(sources: &'s [Source], origin: &Origin, notes: &Notes) -> Option<DeTable<'s>> {
    let mut whole = Some(DeTable::new());
    for (nth, source) in sources.iter().enumerate() {
        let text = source.text.as_str();
        if text.len() > MOST_BYTES {
            let message = format!(
                "{}: this is no lab file: it has {} bytes, 1 MiB is the most",
                source.file,
                text.len()
            );
            notes.add(None, message, None);
            whole = None;
            continue;
        }
        let base = notes.base(nth);
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            spell::syntax(notes, text, base, &errors);
            whole = None;
        }
        if let Some(whole) = &mut whole {
            let variables = Variables {
                known: &origin.variables,
                notes,
                text,
                base,
            };
            let table = variables.table(table.into_inner());
            let own = Table::within(notes, "", Some(&table), &["include"]);
            own.read_list("include", "[\"common.toml\"]", |v| {
                value::text(v, "a path").map(|_| ())
            });
            merge(whole, table);
        }
    }
    whole
}
