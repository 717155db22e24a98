//! Lines below all that is printed, which change in their place: who is waited for, and how far a
//! download is. Only on a terminal.
//!
//! The cursor rests at the start of the line below them, where the `^C` of whom they keep waiting
//! too long does no harm, and nothing that would have to be set right again is asked of the terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use console::{Term, truncate_str};

/// How often they are drawn; what is over sooner is not drawn at all.
const OFTEN: Duration = Duration::from_millis(100);

/// The same width as the marks of what has been done.
const SPINNER: [&str; 4] = ["[|]", "[/]", "[-]", "[\\]"];

/// From when on it is told how long something has lasted.
const LONG: Duration = Duration::from_secs(2);

/// A bar's columns, without its ends.
const BAR: usize = 24;

/// Whether lines may change in their place on standard error: on a terminal that can, which no CI
/// system keeps as a file.
#[must_use]
pub fn can_change() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let can = set("TERM").is_some_and(|term| term != "dumb") && set("CI").is_none();
    can && io::stderr().is_terminal() && !super::is_quiet()
}

/// One of the lines.
#[derive(Clone, Debug)]
pub struct Row {
    /// What goes on.
    pub text: String,
    /// How much of it is done, of how much; none where that is not known.
    pub part: Option<(u64, u64)>,
    /// Since when.
    since: Instant,
}

impl Row {
    /// Something that begins now.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            part: None,
            since: Instant::now(),
        }
    }

    /// The line, at most `width` columns.
    fn line(&self, tick: usize, width: usize) -> String {
        let spinner = SPINNER[tick % SPINNER.len()];
        let lasts = self.since.elapsed();
        let tail = match self.part {
            Some((done, of)) => bar(done, of, width),
            None if lasts >= LONG => format!("  {}", super::span(lasts)),
            None => String::new(),
        };
        let room = width.saturating_sub(spinner.len() + 1 + tail.len());
        format!("{spinner} {}{tail}", truncate_str(&self.text, room, "…"))
    }
}

/// `  [=====>      ]  45 %`; a narrow terminal has no room for more than the number.
fn bar(done: u64, of: u64, width: usize) -> String {
    let part = (done.min(of) as f64) / (of.max(1) as f64);
    let percent = format!("  {:>3.0} %", (part * 100.0).floor());
    if width < 2 * BAR + percent.len() {
        return percent;
    }
    let full = (part * BAR as f64) as usize;
    let head = if full < BAR { ">" } else { "" };
    format!("  [{:<BAR$}]{percent}", "=".repeat(full) + head)
}

/// The lines.
#[derive(Default)]
struct Region {
    rows: Vec<Row>,
    /// How many are on the terminal.
    drawn: usize,
    tick: usize,
}

impl Region {
    fn draw(&mut self, out: &mut impl Write, (height, width): (usize, usize)) {
        let mut shown = self.back();
        let room = height.saturating_sub(2).max(1);
        let fits = match self.rows.len() {
            all if all <= room => all,
            _ => room - 1,
        };
        // A terminal wraps a line that reaches its last column, or not, as it likes.
        let width = width.saturating_sub(1);
        let rows = self.rows[..fits].iter();
        let mut lines: Vec<String> = rows.map(|row| row.line(self.tick, width)).collect();
        if let more @ 1.. = self.rows.len() - fits {
            lines.push(format!("    and {more} more"));
        }
        for line in &lines {
            shown += &format!("{line}\u{1b}[K\n");
        }
        shown += "\u{1b}[J";
        self.drawn = lines.len();
        self.tick += 1;
        write(out, &shown);
    }

    fn erase(&mut self, out: &mut impl Write) {
        if self.drawn > 0 {
            let back = self.back() + "\u{1b}[J";
            self.drawn = 0;
            write(out, &back);
        }
    }

    /// What leads to the first line that is drawn.
    fn back(&self) -> String {
        match self.drawn {
            0 => "\r".to_owned(),
            drawn => format!("\r\u{1b}[{drawn}A"),
        }
    }
}

/// Whoever closes the terminal meanwhile is no error.
fn write(out: &mut impl Write, text: &str) {
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Draws lines until it is dropped; then they are gone.
pub struct Live {
    region: Arc<Mutex<Region>>,
    ticker: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Live {
    /// Begins with these lines; none where lines cannot change in their place.
    #[must_use]
    pub fn begin(rows: Vec<Row>) -> Option<Self> {
        if !can_change() || rows.is_empty() {
            return None;
        }
        let region = Arc::new(Mutex::new(Region {
            rows,
            ..Region::default()
        }));
        let (stop, stopped) = mpsc::channel();
        let drawn = Arc::clone(&region);
        let ticks = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(OFTEN) {
                lock(&drawn).draw(&mut io::stderr(), size());
            }
        };
        let thread = thread::Builder::new().stack_size(128 << 10).spawn(ticks);
        Some(Self {
            region,
            ticker: Some((stop, thread.ok()?)),
        })
    }

    /// Changes the lines, which are drawn soon.
    pub fn change(&self, change: impl FnOnce(&mut Vec<Row>)) {
        change(&mut lock(&self.region).rows);
    }

    /// Prints something above the lines.
    pub fn aside(&self, print: impl FnOnce()) {
        let mut region = lock(&self.region);
        let was_drawn = region.drawn > 0;
        region.erase(&mut io::stderr());
        print();
        if was_drawn && !region.rows.is_empty() {
            region.draw(&mut io::stderr(), size());
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.ticker.take() {
            drop(stop);
            let _ = thread.join();
        }
        lock(&self.region).erase(&mut io::stderr());
    }
}

fn lock(region: &Mutex<Region>) -> MutexGuard<'_, Region> {
    region.lock().unwrap_or_else(PoisonError::into_inner)
}

fn size() -> (usize, usize) {
    let (height, width) = Term::stderr().size();
    (height.into(), width.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal of this size shows once the region was drawn twice.
    fn screen(rows: Vec<Row>, height: u16, width: u16) -> vt100::Parser {
        let mut region = Region {
            rows,
            ..Region::default()
        };
        let mut terminal =
            vt100::Parser::new(height.try_into().unwrap(), width.try_into().unwrap(), 0);
        for _ in 0..2 {
            let mut bytes = Vec::new();
            region.draw(&mut bytes, (height.into(), width.into()));
            // The terminal's driver puts the carriage return before a newline.
            terminal.process(
                String::from_utf8(bytes)
                    .unwrap()
                    .replace('\n', "\r\n")
                    .as_bytes(),
            );
        }
        let mut bytes = Vec::new();
        terminal.process(b"^C");
        let shown = terminal.screen().contents();
        region.erase(&mut bytes);
        terminal.process(&bytes);
        assert_eq!(
            terminal.screen().contents(),
            "",
            "it is gone, and ^C with it"
        );
        terminal.process(shown.replace('\n', "\r\n").as_bytes());
        terminal
    }

    #[test]
    fn rows_are_drawn_over_themselves_and_leave_nothing() {
        let mut half = Row::new("a file");
        half.part = Some((1, 2));
        let shown = screen(vec![Row::new("web  starting"), half], 10, 60);
        assert_eq!(
            shown.screen().contents(),
            "[/] web  starting\n[/] a file  [============>           ]   50 %\n^C"
        );
    }

    #[test]
    fn what_has_no_room_is_cut_and_counted() {
        let mut far = Row::new("a-file-of-a-long-name/and-a-folder/of-one.img");
        far.part = Some((999, 1000));
        let mut rows: Vec<_> = (1..=9).map(|n| Row::new(format!("node{n}"))).collect();
        rows.insert(0, far);
        assert_eq!(
            screen(rows, 6, 40).screen().contents(),
            "[/] a-file-of-a-long-name/and-a…   99 %\n[/] node1\n[/] node2\n    and 7 more\n^C"
        );
    }

    #[test]
    fn a_bar_is_full_when_all_is_done() {
        let full = "=".repeat(BAR);
        assert_eq!(bar(5, 5, 80), format!("  [{full}]  100 %"));
        assert_eq!(
            bar(0, 0, 80),
            format!("  [>{}]    0 %", " ".repeat(BAR - 1))
        );
        assert_eq!(bar(7, 5, 40), "  100 %");
    }
}
