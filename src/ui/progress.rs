//! How long work goes: the members that come up, downloads, the image.

use std::path::Path;

use super::live::{Live, Row};
use super::status;
use crate::event::What;
use crate::fetch;
use crate::image;
use crate::lab::{Awaited, Lab, Name};
use crate::node::Power;

/// The members that a lab which comes up waits for, a line for each until it answers.
pub struct Members {
    live: Live,
    waiting: Vec<Waiting>,
    /// As wide as the longest name.
    width: usize,
    /// Whether their network is there.
    made: bool,
}

/// A member that has not answered yet.
struct Waiting {
    name: Name,
    row: Row,
    /// What must have come about before it starts; of a node, before it is switched on.
    after: Vec<Awaited>,
    /// Whether it is a node, which has a BMC besides.
    node: bool,
    /// Whether it is still to answer.
    silent: bool,
    /// Whether it is still to be switched on.
    off: bool,
    /// Why it did not answer last time.
    ended: Option<String>,
}

impl Waiting {
    fn new(name: &Name, after: &[Awaited]) -> Self {
        Self {
            name: name.clone(),
            row: Row::new(""),
            after: after.to_vec(),
            node: false,
            silent: true,
            off: false,
            ended: None,
        }
    }

    fn state(&self, made: bool) -> String {
        if let Some(how) = &self.ended {
            return format!("{how}; it is started again");
        }
        let after: Vec<String> = self.after.iter().map(ToString::to_string).collect();
        let waits = match after.len() {
            0 => "starting".to_owned(),
            _ => format!("waits for {}", after.join(", ")),
        };
        match (made, self.node, self.silent) {
            (false, _, _) => "to be created".to_owned(),
            (true, true, true) if !after.is_empty() => "created; its BMC is starting".to_owned(),
            (true, true, false) => format!("its BMC answers; {waits}"),
            (true, _, _) => format!("created; {waits}"),
        }
    }
}

impl Members {
    /// The members of `lab`; none where lines cannot change in their place.
    #[must_use]
    pub fn of(lab: &Lab) -> Option<Self> {
        let services = lab.services().into_iter().map(|seat| seat.name);
        let mut waiting: Vec<_> = services
            .map(|name| {
                let own = lab.own.iter().find(|own| own.name == *name);
                Waiting::new(name, own.map_or(&[], |own| &own.after))
            })
            .collect();
        waiting.extend(lab.nodes.iter().map(|node| Waiting {
            node: true,
            off: node.power_on,
            ..Waiting::new(&node.name, &node.after)
        }));
        let width = waiting.iter().map(|one| one.name.as_str().len()).max()?;
        let rows = waiting.iter().map(|one| one.row.clone()).collect();
        let mut members = Self {
            live: Live::begin(rows)?,
            waiting,
            width,
            made: false,
        };
        members.tell();
        Some(members)
    }

    /// Whether all have answered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Prints something above the lines.
    pub fn aside(&self, print: impl FnOnce()) {
        self.live.aside(print);
    }

    /// What has happened.
    pub fn heard(&mut self, what: &What) {
        let about = |name: &Name| self.waiting.iter().position(|one| one.name == *name);
        match what {
            What::Ready { member, .. } => {
                if let Some(at) = about(member) {
                    let one = &mut self.waiting[at];
                    (one.silent, one.ended) = (false, None);
                }
                self.come_about(|awaited| *awaited == Awaited::Service(member.clone()));
            }
            What::Power { node, power, .. } => {
                if let (Some(at), Power::On) = (about(node), power) {
                    self.waiting[at].off = false;
                }
            }
            What::Stage { node, stage, .. } => self.come_about(|awaited| match awaited {
                Awaited::Service(_) => false,
                Awaited::Stage(of, wanted) => of == node && wanted <= stage && !stage.is_end(),
            }),
            What::Exited { member, how, .. } => {
                if let Some(at) = about(member) {
                    self.waiting[at].ended = Some(how.clone());
                }
            }
            What::Up { .. } | What::Failed { .. } | What::Down { .. } => self.waiting.clear(),
            What::Made { .. } => self.made = true,
            What::Log { .. }
            | What::OutOfMemory { .. }
            | What::Stopped { .. }
            | What::Started { .. }
            | What::Reset { .. }
            | What::Link { .. }
            | What::Shape { .. }
            | What::Media { .. }
            | What::Identify { .. }
            | What::Sensor { .. }
            | What::Fault { .. }
            | What::Note { .. } => {}
        }
        self.waiting.retain(|one| one.silent || one.off);
        self.tell();
    }

    fn come_about(&mut self, has: impl Fn(&Awaited) -> bool) {
        for one in &mut self.waiting {
            one.after.retain(|awaited| !has(awaited));
        }
    }

    /// Shows where all are.
    fn tell(&mut self) {
        let (width, made) = (self.width, self.made);
        for one in &mut self.waiting {
            one.row.text = format!("{:<width$}  {}", one.name, one.state(made));
        }
        let rows: Vec<_> = self.waiting.iter().map(|one| one.row.clone()).collect();
        self.live.change(|all| *all = rows);
    }
}

/// Something that lasts, and a bar of how far it is if that is known. The bar is gone when this is
/// dropped.
pub struct Work(Option<Live>);

impl Work {
    /// Begins.
    #[must_use]
    pub fn on(what: impl Into<String>) -> Self {
        Self(Live::begin(vec![Row::new(what)]))
    }

    /// What goes on now, and how much of it is done, of how much.
    pub fn is_at(&self, what: &str, part: Option<(u64, u64)>) {
        if let Some(live) = &self.0 {
            live.change(|rows| {
                if let Some(row) = rows.first_mut() {
                    what.clone_into(&mut row.text);
                    row.part = part;
                }
            });
        }
    }

    /// Says what has been done.
    pub fn says(&self, text: &str) {
        match &self.0 {
            Some(live) => live.aside(|| status(text)),
            None => status(text),
        }
    }
}

/// How a download goes.
pub struct Download {
    what: String,
    work: Work,
}

impl Download {
    /// Of this file.
    #[must_use]
    pub fn of(file: &Path) -> Self {
        let what = file.display().to_string();
        Self {
            work: Work::on(&what),
            what,
        }
    }

    /// Shows where it is.
    pub fn is_at(&self, progress: fetch::Progress) {
        let what = &self.what;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        match progress {
            fetch::Progress::There => self.work.says(&format!("{what}: there already")),
            fetch::Progress::Done(bytes) => {
                self.work.says(&format!("{what}: {:.1} MiB", mib(bytes)));
            }
            fetch::Progress::Bytes(bytes, total) => {
                let of = total.map_or_else(String::new, |total| format!(" of {:.1}", mib(total)));
                let text = format!("{what}: {:.1}{of} MiB", mib(bytes));
                self.work.is_at(&text, total.map(|total| (bytes, total)));
            }
        }
    }
}

/// How the building of the image goes.
pub struct Building(Work);

impl Default for Building {
    fn default() -> Self {
        Self::new()
    }
}

impl Building {
    /// Begins.
    #[must_use]
    pub fn new() -> Self {
        Self(Work::on("looking for a kernel"))
    }

    /// Shows where it is.
    pub fn is_at(&self, progress: &image::Progress) {
        match progress {
            image::Progress::Unpacked { modules, of } => {
                let part = (*modules as u64, *of as u64);
                self.0.is_at("unpacking modules", Some(part));
            }
            image::Progress::Packed { bytes, of } => {
                self.0.is_at("packing programs", Some((*bytes, *of)));
            }
            image::Progress::Kernel { .. }
            | image::Progress::Modules { .. }
            | image::Progress::Busybox { .. }
            | image::Progress::Programs { .. }
            | image::Progress::Wrote { .. } => self.0.says(&progress.to_string()),
        }
    }
}
