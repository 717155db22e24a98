//! The journal: every event of a lab, written to the log of the run and passed to who listens.
//!
//! The log is three files, for a guest may print for ever:
//!
//! ```text
//! log.jsonl      what happens and what is printed
//! log.jsonl.1    the same, before that
//! log.jsonl.2    before that, only what happened
//! ```

use std::cell::{Cell, RefCell};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::geteuid;
use tokio::sync::broadcast;

use crate::event::{Event, What};
use crate::files::remove;
use crate::lab::Name;

/// A listener that is further behind than this many events misses the oldest.
///
/// The channel has room for all of them from the start, 150 bytes each, and
/// lets go of an event only when another takes its place.
const BACKLOG: usize = 1024;

/// A file of the log that has this many bytes is put aside, and another one is begun: of what members
/// print, the last 8 to 16 MiB are kept.
pub const SEGMENT: u64 = 8 << 20;

/// How much is kept of what happened before that, in bytes: some 15 000 events.
pub const OLDEST: u64 = 2 << 20;

/// The journal of one run of a lab; clones are the same journal.
#[derive(Clone)]
pub struct Journal(Rc<Inner>);

struct Inner {
    path: PathBuf,
    /// Who may read it.
    owner: u32,
    file: RefCell<File>,
    /// How many bytes that file has.
    written: Cell<u64>,
    /// Whether the last event could not be written, which is told once.
    failing: Cell<bool>,
    listeners: broadcast::Sender<Event>,
}

impl Journal {
    /// Starts the journal of a run, for `owner` to read; that of the last one is removed.
    ///
    /// # Errors
    /// What open(2) or fchown(2) says.
    pub fn begin(path: &Path, owner: u32) -> io::Result<Self> {
        for older in files(path) {
            remove(&older)?;
        }
        Ok(Self(Rc::new(Inner {
            path: path.to_owned(),
            owner,
            file: RefCell::new(create(path, owner)?),
            written: Cell::new(0),
            failing: Cell::new(false),
            listeners: broadcast::Sender::new(BACKLOG),
        })))
    }

    /// Writes down that something happened now.
    pub fn say(&self, what: What) {
        let event = Event { at: now(), what };
        // A full disk must not end the lab: its listeners still hear.
        let failed = self.write(&event).err();
        if self.0.failing.replace(failed.is_some()) != failed.is_some()
            && let Some(error) = failed
        {
            tracing::warn!(%error, "cannot write to the log");
        }
        // No listener is no error.
        let _ = self.0.listeners.send(event);
    }

    fn write(&self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        let mut written = self.0.written.get();
        if written > 0 && written + line.len() as u64 > SEGMENT {
            // Where no other file can be begun, this one is: a log that ends is worse than one
            // that has lost its middle.
            self.turn()?;
            written = 0;
        }
        let all = self.0.file.borrow_mut().write_all(&line);
        self.0.written.set(written + line.len() as u64);
        all
    }

    /// Puts the file aside that is full, and begins another one.
    fn turn(&self) -> io::Result<()> {
        let [last, oldest] = files(&self.0.path);
        let aside =
            age(&last, &oldest, self.0.owner).and_then(|()| fs::rename(&self.0.path, &last));
        *self.0.file.borrow_mut() = create(&self.0.path, self.0.owner)?;
        self.0.written.set(0);
        aside
    }

    /// What has been written so far, which stays readable whatever is written from now on.
    ///
    /// # Errors
    /// What open(2) says.
    pub fn past(&self) -> io::Result<impl Iterator<Item = Event> + use<>> {
        read(&self.0.path)
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

/// The files beside the log `path`, the younger one first.
fn files(path: &Path) -> [PathBuf; 2] {
    [".1", ".2"].map(|end| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        name.into()
    })
}

/// Makes a log that is `owner`'s alone, in place of one that is there: consoles show passwords.
///
/// # Errors
/// What unlink(2), open(2) or fchown(2) says.
pub fn create(path: &Path, owner: u32) -> io::Result<File> {
    remove(path)?;
    let log = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    if owner != geteuid().as_raw() {
        fchown(&log, Some(owner), None)?;
    }
    Ok(log)
}

/// Keeps of the file `last`, which is about to be replaced, what happened, and forgets what was
/// printed.
fn age(last: &Path, oldest: &Path, owner: u32) -> io::Result<()> {
    let mut kept = Vec::new();
    for path in [oldest, last] {
        match File::open(path) {
            Ok(file) => {
                for line in BufReader::new(file).split(b'\n') {
                    let line = line?;
                    if !is_printed(&line) {
                        kept.extend_from_slice(&line);
                        kept.push(b'\n');
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if kept.is_empty() {
        return Ok(());
    }
    let most = usize::try_from(OLDEST).unwrap_or(usize::MAX);
    let over = kept.len().saturating_sub(most);
    let from = match kept[over..].iter().position(|byte| *byte == b'\n') {
        Some(end) if over > 0 => over + end + 1,
        Some(_) | None => over,
    };
    // Who reads the old one meanwhile goes on with it.
    let new = oldest.with_extension("new");
    create(&new, owner)?.write_all(&kept[from..])?;
    fs::rename(new, oldest)
}

/// Whether a line of the log is one that a member printed.
///
/// A member that prints this text itself has its quotation marks escaped.
fn is_printed(line: &[u8]) -> bool {
    const MARK: &[u8] = br#""event":"log""#;
    // Before it stands the time only.
    let head = line.get(..64).unwrap_or(line);
    head.windows(MARK.len()).any(|part| part == MARK)
}

/// The events of a log that are there now, as far as they can be read, one at a time, from the oldest
/// on.
///
/// # Errors
/// What open(2) says.
pub fn read(path: &Path) -> io::Result<impl Iterator<Item = Event> + use<>> {
    let now = File::open(path)?;
    let [last, oldest] = files(path);
    // The youngest first: one that is put aside meanwhile is then opened twice, and not missed.
    let mut opened = vec![now];
    for older in [last, oldest] {
        let Ok(file) = File::open(older) else {
            continue;
        };
        let is = |of: &File| Some(of.metadata().ok()?.ino());
        if opened.iter().all(|known| is(known) != is(&file)) {
            opened.push(file);
        }
    }
    let mut parts = Vec::new();
    for file in opened.into_iter().rev() {
        let size = file.metadata()?.len();
        parts.push(BufReader::new(file.take(size)).lines());
    }
    let lines = parts.into_iter().flatten();
    Ok(lines.filter_map(|line| serde_json::from_str(&line.ok()?).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal in a folder of its own, which goes with it.
    struct Own(Journal, PathBuf);

    impl Own {
        fn begin(name: &str) -> Self {
            let own = format!("nsplay-journal-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(own);
            fs::create_dir_all(&folder).unwrap();
            Self(
                Journal::begin(&folder.join("log.jsonl"), geteuid().as_raw()).unwrap(),
                folder,
            )
        }

        fn size(&self) -> u64 {
            let files = fs::read_dir(&self.1).unwrap();
            files
                .map(|file| file.unwrap().metadata().unwrap().len())
                .sum()
        }
    }

    impl Drop for Own {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.1).unwrap();
        }
    }

    fn node1() -> Name {
        Name::new("node1").unwrap()
    }

    fn down(journal: &Journal) {
        let by = "a test".to_owned();
        journal.say(What::Down { by });
    }

    #[test]
    fn a_log_keeps_what_happens_and_the_last_of_what_is_printed() {
        let own = Own::begin("turns");
        down(&own.0);
        let half = "y".repeat(1 << 19);
        for n in 0..100 {
            own.0.line(&node1(), format!("{n} {half}"));
            assert!(own.size() <= 2 * SEGMENT + OLDEST);
        }
        let past: Vec<_> = own.0.past().unwrap().collect();
        assert!(
            matches!(past[0].what, What::Down { .. }),
            "{:?}",
            past[0].at
        );
        let numbers = past[1..].iter().map(|event| match &event.what {
            What::Log { text, .. } => text.split(' ').next().unwrap().parse().unwrap(),
            _ => panic!("only lines follow"),
        });
        let numbers: Vec<u32> = numbers.collect();
        let first = 100 - u32::try_from(numbers.len()).unwrap();
        assert_eq!(numbers, (first..100).collect::<Vec<_>>());
        assert!(numbers.len() as u64 >= SEGMENT >> 20, "{first}");
        // The next run begins with nothing.
        let next = Journal::begin(&own.1.join("log.jsonl"), geteuid().as_raw()).unwrap();
        assert_eq!((next.past().unwrap().count(), own.size()), (0, 0));
    }

    #[test]
    fn who_reads_the_past_reads_all_of_it_whatever_is_written_meanwhile() {
        let own = Own::begin("past");
        for n in 0..3 {
            own.0.line(&node1(), n.to_string());
        }
        let past = own.0.past().unwrap();
        let mebibyte = "y".repeat(1 << 20);
        for _ in 0..40 {
            own.0.line(&node1(), mebibyte.clone());
            down(&own.0);
        }
        let texts = past.map(|event| match event.what {
            What::Log { text, .. } => text,
            _ => panic!("nothing has happened so far"),
        });
        assert_eq!(texts.collect::<Vec<_>>(), ["0", "1", "2"]);
    }

    #[test]
    fn of_what_happened_long_ago_the_first_is_forgotten_first() {
        let own = Own::begin("oldest");
        let long = "y".repeat(1 << 16);
        for n in 0..400 {
            own.0.note(format!("{n} {long}"));
        }
        assert!(own.size() <= 2 * SEGMENT + OLDEST, "{}", own.size());
        let last = own.0.past().unwrap().last().unwrap();
        assert!(matches!(last.what, What::Note { text } if text.starts_with("399 ")));
    }

    #[test]
    fn what_a_member_prints_is_not_taken_for_what_happens_nor_the_other_way_round() {
        let line = |what| serde_json::to_vec(&Event { at: 0, what }).unwrap();
        let text = r#""event":"down""#.to_owned();
        let member = node1();
        assert!(is_printed(&line(What::Log { member, text })));
        let text = r#""event":"log""#.to_owned();
        assert!(!is_printed(&line(What::Note { text })));
    }
}
