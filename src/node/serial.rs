//! A QEMU's end of a node's console: what the guest prints and reads, and the key that skips
//! iPXE's banner.
//!
//! Who watches and who types is [`console`](super::console)'s.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::console::Console;
use crate::journal::Journal;
use crate::lab::Node;
use crate::lines::Lines;

/// A prompt without a newline is shown after this long.
const QUIET_FOR: Duration = Duration::from_millis(400);

/// A key that came too early is lost under load, so it is pressed again: after more than the
/// 55 ms in which SeaBIOS looks for one, or two would wait for whoever reads keys next.
const KEY_EVERY: Duration = Duration::from_millis(60);

/// Both ends of a serial line: ours, and the one that QEMU inherits.
///
/// # Errors
/// What socketpair(2) says.
pub fn pair() -> io::Result<(UnixStream, std::os::unix::net::UnixStream)> {
    let (ours, qemus) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, qemus))
}

/// Connects each serial line that it is sent with the console, one after the other: what the last
/// QEMU printed before it was killed comes before what the next one prints.
#[must_use]
pub fn connect(
    node: &Node,
    console: &Console,
    journal: &Journal,
) -> mpsc::UnboundedSender<UnixStream> {
    let (lines, mut come) = mpsc::unbounded_channel();
    let (name, skip_banner) = (node.name.clone(), node.fast_boot);
    let (console, journal) = (console.clone(), journal.clone());
    tokio::task::spawn_local(async move {
        while let Some(line) = come.recv().await {
            let show = |text| journal.line(&name, text);
            if let Err(error) = run(line, skip_banner, &console, show).await {
                tracing::warn!(%error, "a serial line broke");
            }
        }
    });
    lines
}

/// Connects a QEMU with the console, until QEMU closes the line; `show` gets what the guest
/// prints as lines.
///
/// # Errors
/// What the socket says.
pub async fn run(
    line: UnixStream,
    skip_banner: bool,
    console: &Console,
    mut show: impl FnMut(String),
) -> io::Result<()> {
    let (mut from, to) = line.into_split();
    let (press, pressed) = mpsc::channel(1);
    let keys = console.connect();
    let printed = async {
        let mut flood = Flood::new(Instant::now());
        let (mut lines, mut banner) = (Lines::default(), Banner::default());
        let mut buffer = [0; 4096];
        loop {
            let pressing = skip_banner && banner.waits();
            let read = tokio::select! {
                read = from.read(&mut buffer) => read?,
                () = sleep(KEY_EVERY), if pressing => {
                    space(&press);
                    continue;
                }
                () = sleep(QUIET_FOR), if !pressing && (lines.has_rest() || flood.has_rest()) => {
                    flood.rest().into_iter().for_each(&mut show);
                    lines.rest().into_iter().for_each(&mut show);
                    continue;
                }
            };
            if read == 0 {
                flood.rest().into_iter().for_each(&mut show);
                lines.rest().into_iter().for_each(&mut show);
                return Ok(());
            }
            let bytes = &buffer[..read];
            console.print(bytes);
            banner.saw(bytes);
            if skip_banner && banner.waits() && !pressing {
                space(&press);
            }
            let now = Instant::now();
            lines.push(bytes, &mut |line| flood.pass(line, now, &mut show));
        }
    };
    let mut printed = std::pin::pin!(printed);
    tokio::select! {
        ended = &mut printed => return ended,
        // A line that takes no keys may still have something to say.
        _ = typed(to, keys, pressed) => {}
    }
    printed.await
}

/// Passes keys on to the guest until the line takes no more. A guest that does not read them
/// keeps whoever types waiting, and nobody else.
async fn typed(
    mut to: OwnedWriteHalf,
    mut keys: mpsc::Receiver<Vec<u8>>,
    mut pressed: mpsc::Receiver<()>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            Some(keys) = keys.recv() => to.write_all(&keys).await?,
            Some(()) = pressed.recv() => to.write_all(b" ").await?,
            else => return Ok(()),
        }
    }
}

/// Presses the space bar. A line that takes no key, being full or closed, loses it: another comes.
fn space(press: &mpsc::Sender<()>) {
    let _ = press.try_send(());
}

/// Watches for iPXE's banner, which waits two seconds for Ctrl-B, twice; any other key ends the wait.
///
/// Keys are pressed only while it waits, so that none is left for a boot menu.
#[derive(Debug, Default)]
struct Banner {
    /// How much of [`Self::BEGINNING`] has been seen, then of [`Self::END`].
    seen: usize,
}

impl Banner {
    const BEGINNING: &[u8] = b"Press Ctrl-B ";
    const END: &[u8] = b"...";

    fn saw(&mut self, bytes: &[u8]) {
        let (begun, done) = (
            Self::BEGINNING.len(),
            Self::BEGINNING.len() + Self::END.len(),
        );
        for byte in bytes {
            self.seen = match self.seen {
                seen if seen < begun && *byte == Self::BEGINNING[seen] => seen + 1,
                seen if seen < begun => usize::from(*byte == Self::BEGINNING[0]),
                // What follows the end is iPXE's wiping of the line: it has been answered.
                seen if seen == done => 0,
                seen if *byte == Self::END[seen - begun] => seen + 1,
                _ if matches!(byte, b'\r' | b'\n') => 0,
                _ => begun,
            };
        }
    }

    fn waits(&self) -> bool {
        self.seen == Self::BEGINNING.len() + Self::END.len()
    }
}

/// Lines that the log takes at once: a verbose boot of a large distribution has 3000.
const BURST: u32 = 10_000;

/// Lines per second that it takes afterwards. A guest that prints for ever fills what is left of
/// the log in hours instead of minutes; its console shows all of it.
const LINES_PER_SECOND: u32 = 200;

/// Keeps a guest that floods its serial line from flooding the log, as a token bucket does.
#[derive(Debug)]
struct Flood {
    /// How many lines may pass.
    room: u32,
    /// Until when room has been counted.
    counted: Instant,
    /// Lines left out since the last that passed.
    left_out: u64,
}

impl Flood {
    fn new(now: Instant) -> Self {
        Self {
            room: BURST,
            counted: now,
            left_out: 0,
        }
    }

    /// Passes a line on to `show` if there is room.
    fn pass(&mut self, line: String, now: Instant, show: &mut impl FnMut(String)) {
        let seconds = now.duration_since(self.counted).as_secs();
        if seconds > 0 {
            self.counted += Duration::from_secs(seconds);
            let more = seconds.saturating_mul(LINES_PER_SECOND.into());
            let more = u32::try_from(more).unwrap_or(BURST);
            self.room = self.room.saturating_add(more).min(BURST);
        }
        match self.room.checked_sub(1) {
            Some(room) => {
                self.room = room;
                self.rest().into_iter().for_each(&mut *show);
                show(line);
            }
            None => self.left_out += 1,
        }
    }

    /// Whether lines have been left out that nothing has told of.
    fn has_rest(&self) -> bool {
        self.left_out > 0
    }

    /// What tells of the lines that were left out.
    fn rest(&mut self) -> Option<String> {
        let left_out = std::mem::take(&mut self.left_out);
        (left_out > 0).then(|| format!("nsplay: {left_out} lines came too fast for the log"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_thinned_and_what_is_left_out_is_told() {
        let (begun, mut shown) = (Instant::now(), Vec::new());
        let mut flood = Flood::new(begun);
        for _ in 0..BURST + 5 {
            flood.pass("y".to_owned(), begun, &mut |line| shown.push(line));
        }
        assert_eq!(shown.len(), BURST as usize);
        let later = begun + Duration::from_millis(1500);
        for _ in 0..1000 {
            flood.pass("z".to_owned(), later, &mut |line| shown.push(line));
        }
        let (_, later) = shown.split_at(BURST as usize);
        assert_eq!(later[0], "nsplay: 5 lines came too fast for the log");
        assert_eq!(later.len(), 1 + LINES_PER_SECOND as usize);
        assert_eq!(
            flood.rest().unwrap(),
            "nsplay: 800 lines came too fast for the log"
        );
    }

    #[test]
    fn keys_are_pressed_only_while_the_banner_waits() {
        let mut banner = Banner::default();
        banner.saw(b"iPXE (http://ipxe.org)\r\nPPress Ctrl-B to configure iPXE (PCI 00:02.0)..");
        assert!(!banner.waits());
        banner.saw(b".");
        assert!(banner.waits());
        banner.saw(b"\r      ");
        assert!(!banner.waits());
        banner.saw(b"Press Ctrl-B for the iPXE command line...");
        assert!(banner.waits());
    }
}
