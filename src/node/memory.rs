//! What a node's BMC remembers from one run of its lab to the next, as iron keeps it without mains.

use std::cell::RefCell;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::chassis::{Chassis, Policy};
use crate::journal::Journal;
use crate::lab::Name;

/// The part of a [`Chassis`] that outlasts a lab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The power restore policy, once a client has set one.
    pub policy: Option<Policy>,
    /// The boot flags.
    pub boot_flags: [u8; 5],
    /// How long the machine has had power, in minutes.
    pub minutes_on: u64,
    /// Whether the machine was on at last.
    pub was_on: bool,
}

/// The file of a node's memory.
pub struct Memory {
    path: PathBuf,
    node: Name,
    journal: Journal,
    written: RefCell<Option<Kept>>,
}

impl Memory {
    /// The memory of `node` in the file `path`.
    #[must_use]
    pub fn new(path: PathBuf, node: Name, journal: Journal) -> Self {
        Self {
            path,
            node,
            journal,
            written: RefCell::new(None),
        }
    }

    /// What was remembered; a file that is not there, or is none of ours, is a BMC's first day.
    #[must_use]
    pub fn recall(&self) -> Option<Kept> {
        let text = fs::read_to_string(&self.path).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Remembers `chassis`. What cannot be written is told in the log, and costs nothing else.
    pub fn keep(&self, chassis: &Chassis) {
        let kept = chassis.kept();
        if self.written.borrow().as_ref() == Some(&kept) {
            return;
        }
        match self.write(&kept) {
            Ok(()) => *self.written.borrow_mut() = Some(kept),
            Err(error) => {
                let text = format!("cannot remember the chassis' state: {error}");
                self.journal.line(&self.node, text);
            }
        }
    }

    fn write(&self, kept: &Kept) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&serde_json::to_vec(kept)?)?;
        fs::rename(new, &self.path)
    }
}
