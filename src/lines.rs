//! Turns what programs and guests print into lines that are fit for a log and a terminal.

use std::os::fd::OwnedFd;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// Longer lines are cut: one line of a log is for one look.
const MOST: usize = 1000;

/// Bytes that have come, without what is no text: escape sequences and control characters.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    escape: Escape,
}

/// Where in an escape sequence (ECMA-48) the bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    /// After ESC.
    Begun,
    /// After CSI, until the final byte.
    Control,
    /// In an operating system command, until BEL or ST.
    Command,
}

impl Lines {
    /// Passes on the lines that come through a pipe, until its last writer has gone.
    pub async fn follow(pipe: OwnedFd, mut show: impl FnMut(String)) {
        let (mut lines, mut buffer) = (Self::default(), [0; 4096]);
        let mut from = match pipe::Receiver::from_owned_fd(pipe) {
            Ok(from) => from,
            Err(error) => return tracing::error!(%error, "cannot read from a program"),
        };
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            lines.push(&buffer[..read], &mut show);
        }
        lines.rest().into_iter().for_each(show);
    }

    /// Takes bytes, and passes each line that they complete to `show`; empty lines are left out.
    pub fn push(&mut self, bytes: &[u8], show: &mut impl FnMut(String)) {
        for &byte in bytes {
            match (self.escape, byte) {
                (Escape::None, 0x1b) => self.escape = Escape::Begun,
                // A carriage return begins a line anew: what a progress bar or a redrawn
                // screen wrote before it is a line of its own.
                (Escape::None, b'\n' | b'\r') => self.rest().into_iter().for_each(&mut *show),
                (Escape::None, b'\t') => self.put(b' '),
                // What is wiped out is not shown.
                (Escape::None, 0x08) => {
                    self.line.pop();
                }
                (Escape::None, 0..0x20 | 0x7f) => {}
                (Escape::None, _) => self.put(byte),
                (Escape::Begun, b'[') => self.escape = Escape::Control,
                (Escape::Begun, b']') => self.escape = Escape::Command,
                // Intermediate bytes: one more comes.
                (Escape::Begun, 0x20..0x30) => {}
                (Escape::Begun, _) => self.escape = Escape::None,
                (Escape::Control, 0x40..0x7f) => {
                    self.escape = Escape::None;
                    // CUP and HVP put the cursor elsewhere: a menu's next item, not the line's next word.
                    if matches!(byte, b'H' | b'f') {
                        self.rest().into_iter().for_each(&mut *show);
                    }
                }
                (Escape::Command, 0x07) => self.escape = Escape::None,
                (Escape::Command, 0x1b) => self.escape = Escape::Begun,
                (Escape::Control | Escape::Command, _) => {}
            }
        }
    }

    /// Whether there is text that no newline has ended yet.
    #[must_use]
    pub fn has_rest(&self) -> bool {
        !self.line.is_empty()
    }

    /// What no newline has ended yet, as a line.
    pub fn rest(&mut self) -> Option<String> {
        // C1 controls (ECMA-48, section 5.3) are two bytes each, and orders to some terminals.
        let line = String::from_utf8_lossy(&self.line).replace(char::is_control, "");
        let line = line.trim_end().to_owned();
        self.line.clear();
        (!line.is_empty()).then_some(line)
    }

    fn put(&mut self, byte: u8) {
        if self.line.len() < MOST {
            self.line.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        lines.push(bytes, &mut |line| seen.push(line));
        seen.extend(lines.rest());
        seen
    }

    #[test]
    fn a_line_has_no_escapes_and_no_control_characters() {
        assert_eq!(
            lines(b"\x1b[2J\x1b[0;1miPXE\x1b[0m ok\x07\r\n\x1b]0;title\x07tty\n"),
            ["iPXE ok", "tty"]
        );
        assert_eq!(
            lines("\u{9b}2J\u{9d}0;title\u{9c}ü\n".as_bytes()),
            ["2J0;titleü"]
        );
    }

    #[test]
    fn each_item_of_a_menu_is_a_line() {
        assert_eq!(lines(b"\x1b[5;4Himage\x1b[6;4Hdisk"), ["image", "disk"]);
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        assert_eq!(lines(&[b'x'; 5000])[0].len(), MOST);
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        assert_eq!(lines(b"\xff\xfe ok\n")[0], "\u{fffd}\u{fffd} ok");
    }
}
