//! Asks programs for a few lines, and waits for none of them long.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that says its version, or a BMC its log, takes a tenth of that.
pub const WITHIN: Duration = Duration::from_secs(5);

/// A program that has been asked.
pub struct Asked {
    child: Child,
    until: Instant,
}

impl Asked {
    /// Starts a command, and gives it `input` to read; none when it cannot be run.
    pub fn start(command: &mut Command, input: &str) -> Option<Self> {
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().ok()?;
        // A pipe holds that much; a program that does not read it has no need of it.
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(input.as_bytes());
        }
        let until = Instant::now() + WITHIN;
        Some(Self { child, until })
    }

    /// What it prints, or else what it complains of; none when it takes too long.
    pub fn answer(mut self) -> Option<String> {
        // More than a pipe holds is no version and no event log of a test.
        if !waits(&mut self.child, self.until) {
            return None;
        }
        let mut text = Vec::new();
        self.child.stdout.take()?.read_to_end(&mut text).ok()?;
        if text.trim_ascii().is_empty() {
            self.child.stderr.take()?.read_to_end(&mut text).ok()?;
        }
        Some(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Waits for the end of a child, which is killed when it takes longer.
pub fn waits(child: &mut Child, until: Instant) -> bool {
    while Instant::now() < until {
        if let Ok(Some(_)) = child.try_wait() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}
