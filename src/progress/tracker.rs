//! The tracker: a state machine for each node, which hears the journal's events and says which
//! stages its boot has come to.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use super::access::{self, Dnsmasq, Http};
use crate::event::{Event, What};
use crate::image::boot_entries;
use crate::lab::{Name, Node, Stage};
use crate::node::Power;

/// How many of the last lines on a serial line are kept: a screenful.
const LAST_LINES: usize = 25;

/// How many files that were not there are kept, the first ones: a client may ask for ever.
const MOST_MISSING: usize = 16;

/// How many steps of one boot are kept: a boot has a dozen, and a guest may fetch files for ever.
const MOST_STEPS: usize = 200;

/// A page of the lab's web server that an installer asks for when it has done its work.
const INSTALLED: &str = "installed";

/// A stage that a node has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, in milliseconds after 1970-01-01 UTC.
    pub at: u64,
    /// Which.
    pub stage: Stage,
    /// What showed it: a file, an address, a line; empty for nothing more than the stage.
    pub detail: String,
}

/// By what a file was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TFTP.
    Tftp,
    /// HTTP.
    Http,
}

/// A file that a node asked for, and that was not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// By what it asked.
    pub protocol: Protocol,
    /// Which member it asked.
    pub server: Name,
    /// What it asked for, as the server says it.
    pub path: String,
    /// The server's status; none over TFTP.
    pub status: Option<u16>,
    /// When, in milliseconds after 1970-01-01 UTC.
    pub at: u64,
}

/// What has been seen of one boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// Its stages, in the order in which they were seen.
    pub steps: Vec<Step>,
    /// What it boots from, where the BMC was told something else than the lab file.
    pub choice: Option<String>,
    /// How often it asked for an address.
    pub discovers: u32,
    /// How often it was offered one.
    pub offers: u32,
    /// How often it took one.
    pub requests: u32,
    /// What the DHCP server has against it.
    pub trouble: Option<String>,
    /// The address that it has.
    pub address: Option<Ipv4Addr>,
    /// What was not there.
    pub missing: Vec<Missing>,
    /// The last file that it was given.
    pub last_file: Option<String>,
    /// Whether it was given a kernel.
    pub has_kernel: bool,
    /// Who or what switched it off, or how its QEMU ended.
    pub ended_by: Option<String>,
    /// When it last showed life, in milliseconds after 1970-01-01 UTC.
    pub last_sign: u64,
    /// The last lines on its serial line.
    pub last_lines: VecDeque<String>,
    /// The version that iPXE says of itself.
    ipxe: Option<String>,
}

impl Boot {
    /// The stage that it stands at, and since when.
    #[must_use]
    pub fn stage(&self) -> Option<&Step> {
        let farthest = |stage: Stage| self.steps.iter().filter(move |step| step.stage == stage);
        let most = self.steps.iter().map(|step| step.stage).max()?;
        // Files are stages too: the last one counts.
        farthest(most).next_back()
    }

    /// Whether it has come as far as `stage`, or farther.
    #[must_use]
    pub fn reached(&self, stage: Stage) -> bool {
        let now = self.stage().map(|step| step.stage);
        if stage.is_end() {
            return now == Some(stage);
        }
        let mut stages = self.steps.iter().map(|step| step.stage);
        stages.any(|seen| !seen.is_end() && seen >= stage)
    }

    fn has(&self, stage: Stage) -> bool {
        self.steps.iter().any(|step| step.stage == stage)
    }
}

/// All nodes of a lab, and how their boots go.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    nodes: BTreeMap<Name, Tracked>,
    /// Requests whose status is still to come, by who asked.
    asked: VecDeque<(String, String)>,
}

#[derive(Clone, Debug)]
struct Tracked {
    macs: Vec<String>,
    boot: Boot,
    /// What the next boot boots from: it is said before the node is on.
    choice: Option<String>,
}

impl Tracker {
    /// Tracks `node`, which is off; one that is tracked already keeps what has been seen.
    pub fn add(&mut self, node: &Node) {
        let others = node.more_nics.iter().map(|nic| nic.mac.to_string());
        let macs = [node.nic.mac.to_string()]
            .into_iter()
            .chain(others)
            .collect();
        match self.nodes.get_mut(&node.name) {
            Some(known) => known.macs = macs,
            None => {
                let tracked = Tracked {
                    macs,
                    boot: Boot::default(),
                    choice: None,
                };
                self.nodes.insert(node.name.clone(), tracked);
            }
        }
    }

    /// Forgets a node.
    pub fn remove(&mut self, node: &Name) {
        self.nodes.remove(node);
    }

    /// What has been seen of the last boot of `node`; none for no node of the lab.
    #[must_use]
    pub fn boot(&self, node: &Name) -> Option<&Boot> {
        Some(&self.nodes.get(node)?.boot)
    }

    /// The nodes.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.nodes.keys()
    }

    /// Hears an event, and tells to which stages nodes have come by it.
    pub fn hear(&mut self, event: &Event) -> Vec<(Name, Step)> {
        let mut steps = Vec::new();
        match &event.what {
            What::Power { node, power, by } => {
                if let Some(tracked) = self.nodes.get_mut(node) {
                    tracked.powered(event.at, *power, by);
                    steps.extend(tracked.boot.steps.last().map(|step| (node, step)));
                }
            }
            What::Reset { node, by } => {
                if let Some(tracked) = self.nodes.get_mut(node) {
                    tracked.begin(event.at, format!("reset by {by}"));
                    steps.extend(tracked.boot.steps.last().map(|step| (node, step)));
                }
            }
            What::Log { member, text } => return self.line(event.at, member, text),
            What::Stage { .. }
            | What::Made { .. }
            | What::Ready { .. }
            | What::Exited { .. }
            | What::OutOfMemory { .. }
            | What::Stopped { .. }
            | What::Started { .. }
            | What::Identify { .. }
            | What::Sensor { .. }
            | What::Fault { .. }
            | What::Link { .. }
            | What::Shape { .. }
            | What::Media { .. }
            | What::Up { .. }
            | What::Failed { .. }
            | What::Note { .. }
            | What::Down { .. } => {}
        }
        let steps = steps.into_iter();
        steps
            .map(|(name, step)| (name.clone(), step.clone()))
            .collect()
    }

    /// The SSH server of `node` has answered; tells the stage if that is new.
    pub fn answers(&mut self, node: &Name, at: u64, detail: String) -> Option<Step> {
        let boot = &mut self.nodes.get_mut(node)?.boot;
        let is_on = !boot.has(Stage::Off) && !boot.steps.is_empty();
        (is_on && boot.come_to(at, Stage::Up, detail))
            .then(|| boot.steps.last().cloned())
            .flatten()
    }

    /// A line that a member printed.
    fn line(&mut self, at: u64, member: &Name, text: &str) -> Vec<(Name, Step)> {
        let before: Vec<usize> = self.counts();
        match self.nodes.get_mut(member) {
            Some(tracked) => tracked.printed(at, text),
            None => self.served(at, member, text),
        }
        let new = self.nodes.iter().zip(before).flat_map(|(node, before)| {
            let steps = node.1.boot.steps.iter().skip(before);
            steps.map(|step| (node.0.clone(), step.clone()))
        });
        new.collect()
    }

    fn counts(&self) -> Vec<usize> {
        let tracked = self.nodes.values();
        tracked.map(|tracked| tracked.boot.steps.len()).collect()
    }

    /// A line that a service printed, about a node.
    fn served(&mut self, at: u64, server: &Name, text: &str) {
        if let Some((client, path, found)) = access::tftp(text) {
            if let Some(boot) = self.at_address(client) {
                boot.asked_tftp(at, server, path, found);
            }
            return;
        }
        let about = self.nodes.iter().find_map(|(name, tracked)| {
            let mut macs = tracked.macs.iter();
            let said = macs.find_map(|mac| access::dhcp(text, mac))?;
            Some((name.clone(), said))
        });
        if let Some((name, said)) = about {
            if let Dnsmasq::Ack(address) = said {
                // Who had it before has it no more.
                for tracked in self.nodes.values_mut() {
                    tracked.boot.address = tracked.boot.address.filter(|had| *had != address);
                }
            }
            if let Some(tracked) = self.nodes.get_mut(&name) {
                tracked.boot.leased(at, &said);
            }
            return;
        }
        let (client, path, status) = match access::http(text) {
            None => return,
            Some(Http::Whole {
                client,
                path,
                status,
            }) => (client, path.to_owned(), status),
            Some(Http::Asked { from, path }) => {
                /// Connections that busybox has in hand at a time, with room.
                const MOST: usize = 256;
                if self.asked.len() == MOST {
                    self.asked.pop_front();
                }
                self.asked.push_back((from.to_owned(), path.to_owned()));
                return;
            }
            Some(Http::Answered {
                from,
                client,
                status,
            }) => {
                let place = self.asked.iter().position(|(who, _)| who == from);
                let Some((_, path)) = place.and_then(|place| self.asked.remove(place)) else {
                    return;
                };
                (client, path, status)
            }
        };
        if let Some(boot) = self.at_address(client) {
            boot.asked_http(at, server, &path, status);
        }
    }

    fn at_address(&mut self, address: Ipv4Addr) -> Option<&mut Boot> {
        let mut boots = self.nodes.values_mut().map(|tracked| &mut tracked.boot);
        boots.find(|boot| boot.address == Some(address))
    }
}

impl Tracked {
    fn powered(&mut self, at: u64, power: Power, by: &str) {
        match power {
            Power::On => self.begin(at, format!("by {by}")),
            Power::Off => {
                let boot = &mut self.boot;
                boot.ended_by = Some(by.to_owned());
                let failed = by.starts_with("a failure");
                let stage = if failed { Stage::Crashed } else { Stage::Off };
                // Off is where it is now, whatever it had come to.
                boot.steps.retain(|step| !step.stage.is_end());
                boot.come_to(at, stage, format!("by {by}"));
            }
        }
    }

    fn printed(&mut self, at: u64, text: &str) {
        if !text.starts_with("boots from the ") {
            return self.boot.printed(at, text);
        }
        let is_on = self
            .boot
            .stage()
            .is_some_and(|step| step.stage != Stage::Off);
        let boot = is_on.then_some(&mut self.boot.choice);
        *boot.unwrap_or(&mut self.choice) = Some(text.to_owned());
    }

    /// Nothing has been seen of a new boot yet.
    fn begin(&mut self, at: u64, detail: String) {
        self.boot = Boot {
            choice: self.choice.take(),
            ..Boot::default()
        };
        self.boot.come_to(at, Stage::Powered, detail);
    }
}

impl Boot {
    /// Adds a step; false for one that has been taken already.
    fn come_to(&mut self, at: u64, stage: Stage, detail: impl Into<String>) -> bool {
        let detail = detail.into();
        self.last_sign = at;
        let is_file = matches!(stage, Stage::Tftp | Stage::Http);
        let known = |step: &Step| step.stage == stage && (!is_file || step.detail == detail);
        if self.steps.iter().any(known) || (is_file && self.steps.len() >= MOST_STEPS) {
            return false;
        }
        self.steps.push(Step { at, stage, detail });
        true
    }

    fn leased(&mut self, at: u64, said: &Dnsmasq<'_>) {
        self.last_sign = at;
        // What asks after a kernel was loaded is no firmware any more.
        if self.has_kernel && !self.reached(Stage::Kernel) {
            self.come_to(at, Stage::Kernel, "it asks for an address of its own");
        }
        let goes_on = !self.reached(Stage::Kernel);
        match said {
            Dnsmasq::Discover { trouble } => {
                self.discovers += 1;
                self.trouble = trouble.map(str::to_owned);
                if goes_on {
                    self.come_to(at, Stage::Discover, "");
                }
            }
            Dnsmasq::Offer(address) => {
                self.offers += 1;
                self.trouble = None;
                if goes_on {
                    self.come_to(at, Stage::Offer, address.to_string());
                }
            }
            Dnsmasq::Request(_) => self.requests += 1,
            Dnsmasq::Ack(address) => {
                self.address = Some(*address);
                self.trouble = None;
                if goes_on {
                    self.come_to(at, Stage::Ack, address.to_string());
                }
            }
            Dnsmasq::Nak(why) => self.trouble = Some((*why).to_owned()),
        }
    }

    fn asked_tftp(&mut self, at: u64, server: &Name, path: &str, found: bool) {
        self.last_sign = at;
        if !found {
            return self.missed(at, Protocol::Tftp, server, path, None);
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        self.last_file = Some(path.to_owned());
        self.has_kernel |= is_kernel(name);
        if !self.reached(Stage::Kernel) {
            self.come_to(at, Stage::Tftp, name);
        }
    }

    fn asked_http(&mut self, at: u64, server: &Name, path: &str, status: u16) {
        self.last_sign = at;
        let (file, query) = path.split_once('?').unwrap_or((path, ""));
        let ours = file
            .strip_prefix('/')
            .and_then(|file| file.strip_prefix(boot_entries::FOLDER)?.strip_prefix('/'));
        match ours {
            Some("hello") => {
                let who = query.split('&').find_map(|part| part.strip_prefix("node="));
                let detail = format!("{} says hello", who.unwrap_or("it"));
                self.come_to(at, Stage::Userland, detail);
                return;
            }
            Some(INSTALLED) => {
                self.come_to(at, Stage::Installed, "its installer says so");
                return;
            }
            Some(_) | None => {}
        }
        if status >= 400 {
            return self.missed(at, Protocol::Http, server, path, Some(status));
        }
        if self.reached(Stage::Kernel) {
            return;
        }
        if self.ipxe.is_some() {
            self.come_to(at, Stage::Ipxe, self.ipxe.clone().unwrap_or_default());
        }
        self.last_file = Some(file.to_owned());
        self.has_kernel |= is_kernel(file.rsplit('/').next().unwrap_or(file));
        self.come_to(at, Stage::Http, file);
    }

    fn missed(
        &mut self,
        at: u64,
        protocol: Protocol,
        server: &Name,
        path: &str,
        status: Option<u16>,
    ) {
        let known = |missing: &Missing| missing.protocol == protocol && missing.path == path;
        if self.missing.len() < MOST_MISSING && !self.missing.iter().any(known) {
            self.missing.push(Missing {
                protocol,
                server: server.clone(),
                path: path.to_owned(),
                status,
                at,
            });
        }
    }

    /// A line on its serial line, or one that nsplay says in the node's name.
    fn printed(&mut self, at: u64, text: &str) {
        if self.steps.is_empty() || self.has(Stage::Off) {
            return;
        }
        if text == "the guest panicked" || text.contains("Kernel panic - not syncing") {
            self.come_to(at, Stage::Crashed, text.trim());
        }
        if text.starts_with("qemu: ") || text.starts_with("power ") {
            return;
        }
        self.last_sign = at;
        // iPXE shows its progress in dots.
        if text.bytes().all(|byte| matches!(byte, b'.' | b' ')) {
            return;
        }
        if self.last_lines.len() == LAST_LINES {
            self.last_lines.pop_front();
        }
        self.last_lines.push_back(text.to_owned());
        if let Some(stage) = self.shown_by(text) {
            self.come_to(at, stage, text.trim());
        } else if !self.reached(Stage::Kernel) {
            self.come_to(at, Stage::Firmware, text.trim());
            self.heard_ipxe(at, text);
        }
    }

    /// The stage that a line on the serial line shows.
    fn shown_by(&self, text: &str) -> Option<Stage> {
        const KERNEL: [&str; 4] = [
            "Linux version ",
            "Decompressing Linux",
            "EFI stub: ",
            "Booting the kernel",
        ];
        const USERLAND: [&str; 6] = [
            " as init process",
            "systemd[1]: ",
            "Welcome to ",
            "OpenRC ",
            "INIT: version",
            "dracut: ",
        ];
        const INSTALLED: [&str; 3] = [
            "Installation complete",
            "Installation is complete",
            "installation is complete",
        ];
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let runs = self.has_kernel || self.reached(Stage::Kernel);
        let says_up = text.starts_with("nsplay: ") && text.contains(" is up: ");
        if has(&INSTALLED) {
            return Some(Stage::Installed);
        }
        if runs && is_prompt(text) {
            return Some(Stage::Login);
        }
        if says_up || (runs && has(&USERLAND)) {
            return Some(Stage::Userland);
        }
        (has(&KERNEL) || is_kernel_message(text)).then_some(Stage::Kernel)
    }

    /// iPXE in a NIC's ROM prints its name before it has an address, one from the network after.
    fn heard_ipxe(&mut self, at: u64, text: &str) {
        if let Some((_, version)) = text.split_once("iPXE ")
            && version.starts_with(|c: char| c.is_ascii_digit())
        {
            let version = version.split(' ').next().unwrap_or_default();
            self.ipxe = Some(format!("iPXE {version}"));
        }
        let goes_on = ["Next server: ", "Filename: "];
        let goes_on = goes_on.iter().any(|word| text.starts_with(word));
        if goes_on && self.reached(Stage::Ack) {
            let detail = self.ipxe.clone().unwrap_or_default();
            self.come_to(at, Stage::Ipxe, detail);
        }
    }
}

fn is_kernel(file: &str) -> bool {
    let file = file.to_lowercase();
    let mut words = ["vmlinu", "linux", "bzimage", "kernel"].into_iter();
    words.any(|word| file.contains(word)) && !file.contains("initr")
}

/// `[    0.000000] Linux version`: printk's time.
fn is_kernel_message(text: &str) -> bool {
    let Some((time, _)) = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    else {
        return false;
    };
    let time = time.trim_start();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    time.split_once('.')
        .is_some_and(|(seconds, rest)| digits(seconds) && rest.len() == 6 && digits(rest))
}

/// A login prompt, or a shell's.
fn is_prompt(text: &str) -> bool {
    /// A shell's prompt is short; other lines may end with its sign.
    const LONGEST: usize = 60;
    // The kernel goes on to print, on the same line.
    let mut brackets = text.match_indices('[').map(|(at, _)| at);
    let end = brackets.find(|at| *at > 0 && is_kernel_message(&text[*at..]));
    let text = text[..end.unwrap_or(text.len())].trim_end();
    text.ends_with("login:") || (text.len() <= LONGEST && text.ends_with(['#', '$']))
}

#[cfg(test)]
mod tests;
