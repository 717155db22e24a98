//! A node's serial line: what the guest prints, and the key that skips iPXE's banner.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::sleep;

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

/// Passes on what the guest prints, a line at a time, until QEMU closes the line.
///
/// # Errors
/// What the socket says.
pub async fn run(
    mut line: UnixStream,
    skip_banner: bool,
    mut show: impl FnMut(String),
) -> io::Result<()> {
    let (mut lines, mut banner) = (Lines::default(), Banner::default());
    let mut buffer = [0; 4096];
    loop {
        let pressing = skip_banner && banner.waits();
        let read = tokio::select! {
            read = line.read(&mut buffer) => read?,
            () = sleep(KEY_EVERY), if pressing => {
                press(&line);
                continue;
            }
            () = sleep(QUIET_FOR), if lines.has_rest() && !pressing => {
                lines.rest().into_iter().for_each(&mut show);
                continue;
            }
        };
        if read == 0 {
            lines.rest().into_iter().for_each(&mut show);
            return Ok(());
        }
        banner.saw(&buffer[..read]);
        if skip_banner && banner.waits() && !pressing {
            press(&line);
        }
        lines.push(&buffer[..read], &mut show);
    }
}

/// Presses the space bar. A line that takes no key, being full or closed, loses it: another comes.
fn press(line: &UnixStream) {
    let _ = line.try_write(b" ");
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

#[cfg(test)]
mod tests {
    use super::*;

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
