//! The journal: every event of a lab, written to the log of the run and passed to who listens.

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::broadcast;

use crate::event::{Event, What};
use crate::lab::Name;

/// A listener that is further behind than this many events misses the oldest.
///
/// The channel has room for all of them from the start, 150 bytes each, and
/// lets go of an event only when another takes its place.
const BACKLOG: usize = 1024;

/// What members print makes the log of a run no larger than this, in bytes: a guest may print for
/// ever.
const LARGEST: u64 = 32 << 20;

/// What happens to members is written down beyond that, up to this many bytes more.
const RESERVE: u64 = 4 << 20;

/// The journal of one run of a lab; clones are the same journal.
#[derive(Clone)]
pub struct Journal(Rc<Inner>);

struct Inner {
    file: RefCell<File>,
    written: Cell<u64>,
    /// Whether no more lines of members are written.
    full: Cell<bool>,
    listeners: broadcast::Sender<Event>,
}

impl Journal {
    /// Starts the journal of a run; that of the last one is overwritten.
    ///
    /// # Errors
    /// What open(2) says.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(path)?;
        Ok(Self(Rc::new(Inner {
            file: RefCell::new(file),
            written: Cell::new(0),
            full: Cell::new(false),
            listeners: broadcast::Sender::new(BACKLOG),
        })))
    }

    /// Writes down that something happened now.
    pub fn say(&self, what: What) {
        let event = Event { at: now(), what };
        self.write(&event);
        // No listener is no error.
        let _ = self.0.listeners.send(event);
    }

    fn write(&self, event: &Event) {
        let Ok(mut line) = serde_json::to_vec(event) else {
            return;
        };
        line.push(b'\n');
        let written = self.0.written.get() + line.len() as u64;
        let is_line = matches!(event.what, What::Log { .. });
        if is_line && (written > LARGEST || self.0.full.get()) {
            if !self.0.full.replace(true) {
                let size = LARGEST >> 20;
                self.note(format!(
                    "the log has {size} MiB: what members print is no longer kept"
                ));
            }
            return;
        }
        if written > LARGEST + RESERVE {
            return;
        }
        // A full disk must not end the lab: its listeners still hear.
        match self.0.file.borrow_mut().write_all(&line) {
            Ok(()) => self.0.written.set(written),
            Err(error) => tracing::warn!(%error, "cannot write to the log"),
        }
    }

    /// How much of the log has been written, in bytes.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.0.written.get()
    }

    /// Writes down a line that a member printed.
    pub fn line(&self, member: &Name, text: String) {
        self.say(What::Log {
            member: member.clone(),
            text,
        });
    }

    /// Writes down something worth knowing.
    pub fn note(&self, text: impl Into<String>) {
        self.say(What::Note { text: text.into() });
    }

    /// Hears all events from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.listeners.subscribe()
    }
}

/// Milliseconds after 1970-01-01 UTC.
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// The events in the first `bytes` of a log file, as far as they can be read, one at a time.
///
/// # Errors
/// What open(2) says.
pub fn read(path: &Path, bytes: u64) -> io::Result<impl Iterator<Item = Event> + use<>> {
    let lines = BufReader::new(File::open(path)?.take(bytes)).lines();
    Ok(lines.filter_map(|line| serde_json::from_str(&line.ok()?).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_full_keeps_what_happens_but_not_what_is_printed() {
        let file = std::env::temp_dir().join(format!("nsplay-journal-{}", std::process::id()));
        let journal = Journal::begin(&file).unwrap();
        let member = Name::new("node1").unwrap();
        for _ in 0..LARGEST >> 19 {
            journal.line(&member, "y".repeat(1 << 20));
        }
        let by = "a test".to_owned();
        journal.say(What::Down { by });
        let size = std::fs::metadata(&file).unwrap().len();
        assert!(
            size <= LARGEST + 1000 && size == journal.written(),
            "{size}"
        );
        let last: Vec<_> = read(&file, u64::MAX).unwrap().collect();
        std::fs::remove_file(&file).unwrap();
        let [.., note, down] = last.as_slice() else {
            panic!("too few events");
        };
        assert!(matches!(&note.what, What::Note { text } if text.contains("no longer kept")));
        assert!(matches!(down.what, What::Down { .. }));
    }
}
