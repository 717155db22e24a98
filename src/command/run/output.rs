//! What the command prints: passed on as it comes, and kept for the report and the artifacts.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::ui;

/// The end of an output, in bytes, that a report shows.
const SHOWN: usize = 16 << 10;

/// What has left something running that holds its output is not waited for.
const ENDS_WITHIN: Duration = Duration::from_millis(500);

/// Where something is passed on to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Out,
    Err,
}

/// An output that is being passed on.
pub struct Output {
    kept: Arc<Mutex<Kept>>,
    passing: Vec<JoinHandle<()>>,
}

struct Kept {
    end: VecDeque<u8>,
    file: Option<File>,
}

/// Passes on what a command will print, all of it to standard error if `apart`, and writes it to `file`,
/// until the command and what stands for it here have ended.
///
/// # Errors
/// What pipe(2) or clone(2) says.
pub fn passes(command: &mut Command, apart: bool, file: Option<&Path>) -> io::Result<Output> {
    // What cannot be kept is passed on all the same; the other artifacts say so.
    let file = file.and_then(|file| File::create(file).ok());
    let end = VecDeque::new();
    let kept = Arc::new(Mutex::new(Kept { end, file }));
    let pass = |to| {
        let (pipe, of_command) = io::pipe()?;
        let kept = kept.clone();
        let thread = thread::Builder::new().spawn(move || pass_on(pipe, to, &kept))?;
        Ok::<_, io::Error>((of_command, thread))
    };
    let (out, passes_out) = pass(if apart { To::Err } else { To::Out })?;
    let (err, passes_err) = pass(To::Err)?;
    command.stdout(out).stderr(err);
    let passing = vec![passes_out, passes_err];
    Ok(Output { kept, passing })
}

/// Ends when nobody reads what is passed on, so that the command hears of it as it would have.
fn pass_on(mut pipe: impl Read, to: To, kept: &Mutex<Kept>) {
    let mut buffer = [0; 8192];
    while let Ok(read) = pipe.read(&mut buffer) {
        let bytes = &buffer[..read];
        if bytes.is_empty() {
            return;
        }
        {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.end.extend(bytes);
            let excess = kept.end.len().saturating_sub(SHOWN);
            kept.end.drain(..excess);
            if let Some(file) = &mut kept.file {
                let _ = file.write_all(bytes);
            }
        }
        let passed = match to {
            To::Out => ui::bytes(bytes),
            To::Err => ui::bytes_aside(bytes),
        };
        if passed.is_err() {
            return;
        }
    }
}

impl Output {
    /// The last lines, once the command has ended.
    pub fn end(self) -> String {
        let until = Instant::now() + ENDS_WITHIN;
        while Instant::now() < until && !self.passing.iter().all(JoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(2));
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(kept.end.make_contiguous()).into_owned();
        match kept.end.len() {
            // The first line is no whole one.
            SHOWN => text
                .split_once('\n')
                .map_or(text.clone(), |(_, rest)| rest.to_owned()),
            _ => text,
        }
    }
}
