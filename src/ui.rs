//! What users see: data on standard output, everything else on standard error.
//!
//! This is the only file that prints.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

mod fit;
mod live;
mod progress;

use crate::doctor::{Finding, Level};
use crate::error::Failure;
use crate::event::{Event, What};
use crate::journal;
use crate::json::{self, Document};
use crate::lab::{Lab, Stage};
use crate::supervisor::protocol::{Member, State};
use progress::Members;

pub use progress::{Building, Download, Work};

/// The columns of a mark such as `[+] `.
const MARK: usize = 4;

/// Whether nothing is printed but errors and what was asked for.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Prints nothing from now on but errors and what was asked for.
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Prints data.
pub fn data(text: &str) {
    // A reader that has gone (`nsplay plan | head`) is no error.
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Prints data that is no text of ours, at once.
///
/// # Errors
/// What write(2) says; BrokenPipe when the reader has gone.
pub fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Passes on what a program has printed to standard error.
///
/// # Errors
/// What write(2) says.
pub fn bytes_aside(bytes: &[u8]) -> io::Result<()> {
    io::stderr().write_all(bytes)
}

/// Prints data as JSON, for programs; the exit code is that of success.
///
/// # Errors
/// What has no JSON.
pub fn json(document: &impl Document) -> Result<u8, Failure> {
    let text = json::pretty(document);
    data(&text.map_err(|error| Failure::failed(error.to_string()))?);
    Ok(0)
}

/// Prints JSON on one line, of which more may follow.
///
/// # Errors
/// What has no JSON.
pub fn json_line(document: &impl Document) -> Result<u8, Failure> {
    let text = json::line(document);
    data(&text.map_err(|error| Failure::failed(error.to_string()))?);
    Ok(0)
}

/// Prints what is going on.
pub fn status(text: &str) {
    if !is_quiet() {
        err(&format!("{text}\n"));
    }
}

/// Prints an error.
pub fn error(text: &str) {
    err(&format!("error: {text}\n"));
}

/// Prints why a command failed.
pub fn failure(failure: &Failure) {
    err(&failure.to_string());
}

fn err(text: &str) {
    // Nor is a terminal that was closed.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Prints the events of a lab as they come.
pub struct Printer {
    /// Whether members' lines have colours, and the marks of what happens.
    colour: bool,
    marks: bool,
    /// Whether what happens is data too, as it is for who asks for the log.
    is_log: bool,
    /// Whether stages are shown that a line of a member tells of too.
    shows_all: bool,
    /// As wide as the longest member's name so far.
    width: usize,
    /// Who is waited for while a lab comes up.
    members: Option<Members>,
}

impl Default for Printer {
    fn default() -> Self {
        Self::new()
    }
}

impl Printer {
    /// Colours only on a terminal, and not where `NO_COLOR` is set (no-color.org).
    #[must_use]
    pub fn new() -> Self {
        Self {
            colour: colours(&io::stdout()),
            marks: colours(&io::stderr()),
            is_log: false,
            shows_all: false,
            width: 5,
            members: None,
        }
    }

    /// A printer for who waits until `lab` is up: on a terminal each member that does not answer
    /// yet has a line.
    #[must_use]
    pub fn of_lab(lab: &Lab) -> Self {
        Self {
            members: Members::of(lab),
            ..Self::new()
        }
    }

    /// A printer to which everything is data.
    #[must_use]
    pub fn of_log() -> Self {
        Self {
            is_log: true,
            marks: colours(&io::stdout()),
            ..Self::new()
        }
    }

    /// A printer of everything that happens, with the time of day in UTC.
    #[must_use]
    pub fn of_events() -> Self {
        Self {
            shows_all: true,
            ..Self::of_log()
        }
    }

    /// Prints one event: members' lines are data, the rest is status.
    pub fn event(&mut self, event: &Event) {
        if is_quiet() && !self.is_log {
            return;
        }
        match self.members.take() {
            None => self.print(event),
            Some(mut members) => {
                members.heard(&event.what);
                members.aside(|| self.print(event));
                self.members = (!members.is_empty()).then_some(members);
            }
        }
    }

    fn print(&mut self, event: &Event) {
        if self.shows_all {
            data(&format!("{} ", time_of_day(event.at)));
        }
        match &event.what {
            What::Log { member, text } => {
                let name = member.as_str();
                self.width = self.width.max(name.len());
                let width = self.width;
                let source = paint(self.colour, &format!("{name:<width$} |"), colour_of(name));
                data(&format!("{source} {text}\n"));
            }
            What::Made { what, took_ms } => self.timed(what, "made", *took_ms),
            What::Ready {
                member,
                what,
                took_ms,
                ..
            } => {
                self.timed(&format!("{member} ({what})"), "ready", *took_ms);
            }
            What::Exited {
                member,
                what,
                how,
                last,
                again_ms,
            } => {
                let last = last.iter().map(|line| format!("\n      {line}"));
                let last: String = last.collect();
                let again = match again_ms {
                    Some(ms) => format!("; starting it again in {ms} ms"),
                    None => String::new(),
                };
                self.mark("!", &format!("{member} ({what}) {how}{again}{last}"));
            }
            What::Stopped { member, by } => {
                self.mark("*", &format!("{member} is stopped, by {by}"))
            }
            What::Started { member, by } => {
                self.mark("*", &format!("{member} is started, by {by}"))
            }
            What::OutOfMemory {
                member,
                killed,
                why,
            } => {
                let processes = match killed {
                    1 => "a process".to_owned(),
                    n => format!("{n} processes"),
                };
                self.mark(
                    "!",
                    &format!("{member}: the kernel killed {processes}, as {why}"),
                );
            }
            What::Power { node, power, by } => {
                self.mark("*", &format!("{node} is {power}, by {by}"));
            }
            What::Reset { node, by } => self.mark("*", &format!("{node} was reset, by {by}")),
            What::Stage {
                node,
                stage,
                detail,
            } => {
                if self.shows_all || !is_told_by_a_line(*stage) {
                    let text = format!("{node}: {stage} {detail}");
                    self.mark("*", text.trim_end());
                }
            }
            What::Identify { node, on } => {
                let light = if *on { "on" } else { "off" };
                self.mark("*", &format!("{node}: the identify light is {light}"));
            }
            What::Link { node, nic, link } => {
                self.mark(
                    "*",
                    &format!("{node}: the link of network card {nic} is {link}"),
                );
            }
            What::Shape { node, nic, shape } => {
                let what = match shape {
                    Some(shape) => format!("has {shape}"),
                    None => "lets everything pass".to_owned(),
                };
                self.mark(
                    "*",
                    &format!("{node}: the link of network card {nic} {what}"),
                );
            }
            What::Media { node, medium } => {
                let text = match medium {
                    Some(medium) => format!("{} is in its CD drive", medium.display()),
                    None => "its CD drive is empty".to_owned(),
                };
                self.mark("*", &format!("{node}: {text}"));
            }
            What::Sensor { node, sensor, text } => {
                self.mark("*", &format!("{node}: sensor `{sensor}` {text}"));
            }
            What::Fault {
                node,
                fault,
                on,
                lasts_ms,
            } => {
                let text = match (on, lasts_ms) {
                    (true, Some(ms)) => format!("begins, for {} s", *ms as f64 / 1000.0),
                    (true, None) => format!("begins; `nsplay bmc clear {node}` ends it"),
                    (false, _) => "is over".to_owned(),
                };
                self.mark("*", &format!("{node}: the fault {fault} {text}"));
            }
            What::Up { took_ms } => self.timed("lab", "up", *took_ms),
            What::Failed { message } => self.mark("!", message),
            What::Note { text } => self.mark("-", text),
            What::Down { by } => self.mark("-", &format!("lab is going down, asked by {by}")),
        }
    }

    /// Prints one event as a line of JSON.
    pub fn json(&mut self, event: &Event) {
        // Names, words and numbers: there is nothing in it that has no JSON.
        let _ = json_line(event);
    }

    /// Something that has come about, and after how long.
    fn timed(&self, what: &str, how: &str, took_ms: f64) {
        let tail = format!(" {how} {took_ms:>6.0} ms");
        let room = self.columns().saturating_sub(MARK + tail.len() + 1);
        let width = room.min(48 - how.len());
        self.mark("+", &format!("{what:<width$}{tail}"));
    }

    /// How many columns there are for what happens.
    fn columns(&self) -> usize {
        match self.is_log {
            true => usize::MAX,
            false => fit::columns(),
        }
    }

    fn mark(&self, mark: &str, text: &str) {
        let colour = match mark {
            "!" => 31,
            "+" => 32,
            "*" => 33,
            _ => 36,
        };
        let text = fit::lines(text, MARK, self.columns());
        let line = format!("{} {text}", paint(self.marks, &format!("[{mark}]"), colour));
        match self.is_log {
            true => data(&format!("{line}\n")),
            false => status(&line),
        }
    }
}

fn paint(colours: bool, text: &str, colour: u8) -> String {
    match colours {
        true => format!("\x1b[{colour}m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

/// Whether what shows a stage is in the log anyhow: a line of DHCP, TFTP, HTTP or the guest.
fn is_told_by_a_line(stage: Stage) -> bool {
    match stage {
        Stage::Up | Stage::Crashed => false,
        Stage::Powered
        | Stage::Firmware
        | Stage::Discover
        | Stage::Offer
        | Stage::Ack
        | Stage::Tftp
        | Stage::Ipxe
        | Stage::Http
        | Stage::Kernel
        | Stage::Userland
        | Stage::Login
        | Stage::Installed
        | Stage::Off => true,
    }
}

/// `17:04:05.250`, of milliseconds after 1970-01-01 UTC.
fn time_of_day(at: u64) -> String {
    let (seconds, ms) = (at / 1000 % 86_400, at % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{ms:03}", seconds % 60)
}

/// One of six colours, the same for a name in every run.
fn colour_of(name: &str) -> u8 {
    31 + name
        .bytes()
        .fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte))
        % 6
}

/// Members as a table.
#[must_use]
pub fn members(members: &[Member]) -> String {
    let now = journal::now();
    let mut rows = vec![
        [
            "NAME",
            "RUNS",
            "STATE",
            "STAGE",
            "FOR",
            "RESTARTS",
            "ADDRESS",
            "PUBLISHED",
        ]
        .map(str::to_owned),
    ];
    for member in members {
        let published: Vec<String> = member.published.iter().map(ToString::to_string).collect();
        let since = Duration::from_millis(now.saturating_sub(member.since));
        rows.push([
            member.name.to_string(),
            member.what.clone(),
            match member.identify {
                true => format!("{}, identify", member.state),
                false => member.state.to_string(),
            },
            member
                .stage
                .map_or_else(String::new, |stage| stage.to_string()),
            span(since),
            member.restarts.to_string(),
            member.address.to_string(),
            published.join(" "),
        ]);
    }
    columns(&rows)
}

/// Prints rows in columns; the first row is the head.
pub fn table<const N: usize>(rows: &[[String; N]]) {
    data(&columns(rows));
}

/// Rows in columns.
#[must_use]
pub fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max();
    let widths: Vec<usize> = (0..N).map(|n| width(n).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Prints what a host lacks, a line for each thing; below it the command that mends it.
pub fn findings(findings: &[Finding]) {
    let colours = colours(&io::stdout());
    let width = findings
        .iter()
        .map(|finding| finding.what.chars().count())
        .max();
    let width = width.unwrap_or_default();
    for finding in findings {
        let level = format!("{:<8}", finding.level.to_string());
        let colour = match finding.level {
            Level::Ok => 32,
            Level::Degraded => 33,
            Level::Missing => 31,
        };
        let level = paint(colours, &level, colour);
        let cost = match finding.cost.as_str() {
            "" => String::new(),
            cost => format!("; {cost}"),
        };
        let (what, found) = (&finding.what, &finding.found);
        data(&format!("{level}  {what:<width$}  {found}{cost}\n"));
        if let Some(mend) = &finding.mend {
            data(&format!("{:10}{:width$}  {}\n", "", "", mend.command));
        }
    }
}

/// Whether standard output is a terminal.
#[must_use]
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// A terminal on which one text is shown after the other, in its place.
#[derive(Default)]
pub struct Screen {
    used: bool,
}

impl Screen {
    /// Whether nothing has been shown yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        !self.used
    }

    /// Shows `text` instead of what was there.
    pub fn show(&mut self, text: &str) {
        // Clear all once; afterwards the rest of each line and of the screen, which flickers less.
        // Lines that are too long for the terminal are cut: DECAWM is off while they are written.
        let mut shown = match std::mem::replace(&mut self.used, true) {
            true => "\u{1b}[H\u{1b}[?7l".to_owned(),
            false => "\u{1b}[2J\u{1b}[H\u{1b}[?7l".to_owned(),
        };
        shown += &text.replace('\n', "\u{1b}[K\n");
        shown += "\u{1b}[J\u{1b}[?7h";
        data(&shown);
        let _ = io::stdout().flush();
    }
}

/// A number of bytes with a unit.
#[must_use]
pub fn bytes_of(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut size, mut unit) = (bytes as f64 / 1024.0, 0);
    while size >= 1023.95 && unit < UNITS.len() - 1 {
        (size, unit) = (size / 1024.0, unit + 1);
    }
    match size {
        ..10.0 => format!("{size:.1} {}", UNITS[unit]),
        _ => format!("{size:.0} {}", UNITS[unit]),
    }
}

/// How long ago a time is that was in milliseconds after 1970-01-01 UTC.
#[must_use]
pub fn ago(at: u64) -> String {
    let passed = journal::now().saturating_sub(at);
    format!("{} ago", span(Duration::from_millis(passed)))
}

/// Whether a stream takes colours: a terminal that can, where `NO_COLOR` is not set (no-color.org).
fn colours(stream: &impl IsTerminal) -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let can = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    wanted && can && stream.is_terminal()
}

/// Colours words by a state, where standard output takes colours.
pub fn by_state() -> impl Fn(&str, State) -> String {
    let colours = colours(&io::stdout());
    move |text, state| {
        let colour = match state {
            State::Ready | State::On => 32,
            State::Starting | State::Waiting => 33,
            State::Ended | State::Stopped | State::Off => 90,
        };
        paint(colours, text, colour)
    }
}

/// A span of time in its two largest units.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86400, seconds % 86400 / 3600),
    }
}
