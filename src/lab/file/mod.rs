//! The lab file: how people spell a lab, in TOML.
//!
//! [`load`] reads a text in two steps: `spell` takes it apart key by key,
//! `check` gives it meaning. Both go on after an error, so that one run
//! tells all. Nothing here touches the host: which file, and which folders lie
//! beside it, the caller says with an [`Origin`].

mod addresses;
mod check;
mod ports;
mod profile;
mod render;
mod report;
mod scenario;
mod spell;
mod value;
mod walk;

use std::path::PathBuf;

use toml::de::DeTable;

pub use profile::{PROFILE_KEYS, ProfileFile, load_profile};
pub use render::render;
pub use report::{Place, Problem, Report};
pub use spell::KEYS;

use crate::lab::{Lab, Name};
use report::Notes;

/// The lab file of the lab that runs without one.
pub const DEFAULT: &str = include_str!("../../../configs/default.toml");

/// More is no lab file but something else with its name.
const MOST_BYTES: usize = 1 << 20;

/// Where a lab file is from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// What messages call the file: `configs/two.toml`.
    pub file: String,
    /// The file's folder, absolute: relative paths in the file start here.
    pub folder: PathBuf,
    /// The lab's name if the command line gives one; it goes before the file's.
    pub name: Option<Name>,
    /// The folder `webroot` beside the file, absolute, if there is one.
    pub webroot: Option<PathBuf>,
    /// The folder `tftproot` beside the file, absolute, if there is one.
    pub tftproot: Option<PathBuf>,
    /// The user's own profiles; they go before those that are built in.
    pub profiles: Vec<ProfileFile>,
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
        }
    }
}

/// Reads `text` as a lab.
///
/// # Errors
/// All that is wrong with the text, or with the lab that it spells.
pub fn load(text: &str, origin: &Origin) -> Result<Lab, Report> {
    let notes = Notes::new(&origin.file, text);
    if text.len() > MOST_BYTES {
        let message = format!(
            "{}: this is no lab file: it has {} bytes, 1 MiB is the most",
            origin.file,
            text.len()
        );
        notes.add(None, message, None);
        return Err(notes.into_report());
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        spell::syntax(&notes, text, &errors);
        return Err(notes.into_report());
    }
    let lab = check::check(
        spell::spell(table.get_ref(), origin, &notes),
        origin,
        &notes,
    );
    notes.finish(lab)
}
