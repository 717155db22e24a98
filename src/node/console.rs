//! A node's console: what its guest has printed, for as many watchers as like, and their keys.
//!
//! It lives as long as the node, whose QEMUs come and go: each is connected by
//! [`serial`](super::serial). Watchers share one buffer, in which each has a place of its own; so
//! one that is slow costs no memory, and keeps neither the guest nor another watcher waiting.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};

/// What a new watcher is shown of the past, in bytes: a boot with all its kernel's messages.
const HISTORY: u64 = 64 << 10;

/// A watcher that is further behind than this many bytes misses the oldest.
const KEPT: usize = 256 << 10;

/// A watcher is given at most this many bytes at a time.
const CHUNK: usize = 4096;

/// Pieces of typing that wait for the guest, of all watchers together.
const KEYS: usize = 64;

/// A console; clones are the same console.
#[derive(Clone)]
pub struct Console(Rc<Inner>);

struct Inner {
    kept: RefCell<Kept>,
    /// How much has been printed, in bytes.
    printed: watch::Sender<u64>,
    /// The guest's keyboard, while there is a guest.
    keys: RefCell<Option<mpsc::Sender<Vec<u8>>>>,
}

/// The last bytes, and how many have been let go.
#[derive(Default)]
struct Kept {
    bytes: VecDeque<u8>,
    before: u64,
}

impl Default for Console {
    fn default() -> Self {
        Self(Rc::new(Inner {
            kept: RefCell::default(),
            printed: watch::Sender::new(0),
            keys: RefCell::default(),
        }))
    }
}

impl Console {
    /// Takes what the guest prints.
    pub fn print(&self, bytes: &[u8]) {
        let mut kept = self.0.kept.borrow_mut();
        kept.push(bytes);
        self.0.printed.send_replace(kept.end());
    }

    /// Connects a guest's keyboard; the one before gets no keys any more.
    #[must_use]
    pub fn connect(&self) -> mpsc::Receiver<Vec<u8>> {
        let (keys, typed) = mpsc::channel(KEYS);
        self.0.keys.replace(Some(keys));
        typed
    }

    /// Types; returns when there is room for more. Without a guest nobody hears it.
    pub async fn type_in(&self, keys: &[u8]) {
        let guest = self.0.keys.borrow().clone();
        if let Some(guest) = guest {
            // It was switched off meanwhile, and its keys go with it.
            let _ = guest.send(keys.to_owned()).await;
        }
    }

    /// All that is kept of the past.
    #[must_use]
    pub fn kept(&self) -> Vec<u8> {
        self.0.kept.borrow().bytes.iter().copied().collect()
    }

    /// Watches: what is kept of the past first, then what comes.
    #[must_use]
    pub fn watch(&self) -> Watcher {
        let printed = self.0.printed.subscribe();
        let kept = self.0.kept.borrow();
        Watcher {
            at: kept.before.max(kept.end().saturating_sub(HISTORY)),
            console: self.clone(),
            printed,
        }
    }

    /// Passes on what is typed, until there is no more of it.
    ///
    /// # Errors
    /// What read(2) says.
    pub async fn typed_by(&self, mut from: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut buffer = [0; 1024];
        loop {
            match from.read(&mut buffer).await? {
                0 => return Ok(()),
                read => self.type_in(&buffer[..read]).await,
            }
        }
    }
}

impl Kept {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(KEPT);
        self.bytes.drain(..excess);
        self.before += excess as u64;
    }

    fn end(&self) -> u64 {
        self.before + self.bytes.len() as u64
    }

    /// What is kept from `at` on, as far as it goes in one piece.
    fn from(&self, at: u64) -> &[u8] {
        let (first, second) = self.bytes.as_slices();
        let offset = usize::try_from(at.saturating_sub(self.before)).unwrap_or(usize::MAX);
        let piece = first
            .get(offset..)
            .filter(|piece| !piece.is_empty())
            .or_else(|| second.get(offset.saturating_sub(first.len())..))
            .unwrap_or_default();
        &piece[..piece.len().min(CHUNK)]
    }
}

/// Who watches a console.
pub struct Watcher {
    console: Console,
    printed: watch::Receiver<u64>,
    /// How much of all that was ever printed has been seen or missed, in bytes.
    at: u64,
}

impl Watcher {
    /// What is printed next; waits until something is. Says how much was missed where some was.
    ///
    /// Nothing is lost when it is dropped before it is ready.
    pub async fn next(&mut self) -> Vec<u8> {
        loop {
            self.printed.borrow_and_update();
            {
                let kept = self.console.0.kept.borrow();
                if self.at < kept.before {
                    let missed = kept.before - self.at;
                    self.at = kept.before;
                    return format!("\r\n[nsplay: {missed} bytes came too fast to show]\r\n")
                        .into();
                }
                let piece = kept.from(self.at);
                if !piece.is_empty() {
                    self.at += piece.len() as u64;
                    return piece.to_owned();
                }
            }
            if self.printed.changed().await.is_err() {
                // The sender is in the console that this watcher holds.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Shows everything to `to`, for ever.
    ///
    /// # Errors
    /// What write(2) says.
    pub async fn show(&mut self, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
        loop {
            let bytes = self.next().await;
            to.write_all(&bytes).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn seen(watcher: &mut Watcher) -> Vec<u8> {
        let mut seen = Vec::new();
        while let Some(bytes) = watcher.next().now_or_never() {
            seen.extend(bytes);
        }
        seen
    }

    #[test]
    fn who_comes_late_sees_the_last_64_kib() {
        let console = Console::default();
        let all: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
        all.chunks(1000).for_each(|bytes| console.print(bytes));
        let history = &all[all.len() - (64 << 10)..];
        let mut watcher = console.watch();
        assert!(seen(&mut watcher) == history);
        assert!(console.kept() == all[all.len() - KEPT..]);
        console.print(b"more");
        assert_eq!(seen(&mut watcher), b"more");
    }

    #[test]
    fn a_slow_watcher_is_told_what_it_missed_and_costs_the_others_nothing() {
        let console = Console::default();
        let (mut slow, mut quick) = (console.watch(), console.watch());
        let mut quickly_seen = 0;
        for _ in 0..600 {
            console.print(&[b'y'; 1000]);
            quickly_seen += seen(&mut quick).len();
        }
        assert_eq!(quickly_seen, 600_000);
        let slowly_seen = seen(&mut slow);
        let note = b"\r\n[nsplay: 337856 bytes came too fast to show]\r\n";
        assert!(slowly_seen.starts_with(note));
        assert_eq!(slowly_seen.len(), note.len() + KEPT);
        assert_eq!(console.0.kept.borrow().bytes.len(), KEPT);
    }

    #[test]
    fn keys_go_to_the_guest_that_is_there_now() {
        let console = Console::default();
        assert!(console.type_in(b"nobody").now_or_never().is_some());
        let mut first = console.connect();
        console.type_in(b"a").now_or_never().unwrap();
        assert_eq!(first.try_recv().unwrap(), b"a");
        let mut second = console.connect();
        console.type_in(b"b").now_or_never().unwrap();
        assert_eq!(second.try_recv().unwrap(), b"b");
        assert!(first.try_recv().is_err());
    }
}
