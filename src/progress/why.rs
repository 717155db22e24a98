//! Why a node does not boot: one paragraph that says where it stands or died, and what to do.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tracker::{Boot, Missing, Protocol};
use crate::lab::{BootDevice, Dhcp, Firmware, Lab, Name, Node, Stage};
use crate::node::Power;
use crate::node::shape::Shape;

mod outside;
mod signs;

/// A machine that has shown no sign of life for so long waits for something, in milliseconds.
///
/// Firmware and iPXE are silent for a second or two at most; an emulated one takes four times as
/// long on a busy host.
const SILENT_MS: u64 = 8_000;

/// A kernel may take this long to its first message.
const KERNEL_SILENT_MS: u64 = 30_000;

/// How many of the last lines are shown.
const LINES: usize = 12;

/// What is wrong, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// Nothing: its system runs.
    None,
    /// Nothing that can be seen: it is on its way.
    OnItsWay,
    /// It is off, or was never on.
    Off,
    /// Its QEMU failed.
    Failed,
    /// Its kernel panicked.
    Panic,
    /// The cable of a network card that it boots from is out.
    LinkDown,
    /// Nothing is in the CD drive that it boots from, or not what the lab file names.
    Medium,
    /// It never asked for an address.
    NoDiscover,
    /// It asked, and was offered none.
    NoOffer,
    /// It was offered one, and did not take it.
    OfferNotTaken,
    /// A file that it asked for was not there.
    NotFound,
    /// It waits at a prompt or a menu.
    Waiting,
    /// Its kernel says nothing.
    SilentKernel,
}

/// Where a boot stands, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The node.
    pub node: Name,
    /// The stage that it stands at; none for one that was never on.
    pub stage: Option<Stage>,
    /// Since when, in milliseconds after 1970-01-01 UTC.
    #[serde(with = "crate::json::time::maybe")]
    #[schemars(with = "Option<crate::json::time::Time>")]
    pub since: Option<u64>,
    /// What is wrong.
    pub problem: Problem,
    /// The same for people: where it stands, and what to do.
    pub text: String,
    /// Lines that show it: the last ones of its serial line, or its screen.
    pub evidence: Vec<String>,
}

/// What an answer needs beside what was seen of the boot.
pub struct About<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// The node.
    pub node: &'a Node,
    /// Whether it is on.
    pub power: Power,
    /// What it tries to boot from, in this order.
    pub tries: Vec<BootDevice>,
    /// The network cards whose cable is out, counted from 1.
    pub cables_out: Vec<usize>,
    /// What shapes the links of its network cards, counted from 1.
    pub shapes: Vec<(usize, Shape)>,
    /// The image that is in its CD drive.
    pub medium: Option<PathBuf>,
    /// What its screen shows, in text mode.
    pub screen: Option<Vec<String>>,
    /// A file that is there, and like the one that is not.
    pub nearest: &'a dyn Fn(&Missing) -> Option<String>,
    /// In milliseconds after 1970-01-01 UTC.
    pub now: u64,
}

/// Says why the node of `about`, of whose boot this has been seen, does not boot.
#[must_use]
pub fn why(boot: &Boot, about: &About<'_>) -> Answer {
    let (problem, mut text, evidence) = about.told(boot);
    if about.power == Power::On {
        text += &about.notes(problem);
    }
    let step = boot.stage();
    Answer {
        node: about.node.name.clone(),
        stage: step.map(|step| step.stage),
        since: step.map(|step| step.at),
        problem,
        text: text.split_ascii_whitespace().collect::<Vec<_>>().join(" "),
        evidence,
    }
}

type Told = (Problem, String, Vec<String>);

impl About<'_> {
    fn told(&self, boot: &Boot) -> Told {
        let (name, now) = (&self.node.name, boot.stage().map(|step| step.stage));
        match now {
            None => self.never_on(),
            Some(Stage::Off) => self.off(boot),
            Some(Stage::Crashed) => self.crashed(boot),
            Some(Stage::Up) => {
                let at = boot
                    .address
                    .map_or_else(String::new, |at| format!(" at {at}"));
                let text = format!("{name} is up: its SSH server answers{at}.");
                (Problem::None, text, Vec::new())
            }
            Some(Stage::Installed) => {
                let text = format!("{name} has been installed, says its installer.");
                (Problem::None, text, self.last(boot))
            }
            Some(Stage::Login | Stage::Userland) => self.runs(boot, now == Some(Stage::Login)),
            Some(Stage::Kernel) => self.kernel(boot),
            Some(
                Stage::Powered
                | Stage::Firmware
                | Stage::Discover
                | Stage::Offer
                | Stage::Ack
                | Stage::Tftp
                | Stage::Ipxe
                | Stage::Http,
            ) => self.before_a_kernel(boot),
        }
    }

    fn before_a_kernel(&self, boot: &Boot) -> Told {
        let last_step = boot.steps.last().map_or(0, |step| step.at);
        let missing = boot.missing.last();
        if let Some(missing) = missing.filter(|missing| missing.at >= last_step) {
            return self.not_found(boot, missing);
        }
        // Who was told that there is none needs not be waited for.
        if boot.trouble.is_some() && boot.offers == 0 {
            return self.no_offer(boot);
        }
        // iPXE prints a dot for each question, and firmware what it tries: no silence, no way either.
        let waits = self.silent(boot) >= SILENT_MS || at_prompt(boot);
        let stalls = waits || self.now.saturating_sub(last_step) >= SILENT_MS;
        let has_address = boot.address.is_some();
        if !stalls || (has_address && !waits) {
            return self.on_its_way(boot);
        }
        if let Some(told) = self.outside(boot) {
            return told;
        }
        if boot.discovers == 0 && boot.requests == 0 && boot.address.is_none() {
            return self.no_discover(boot);
        }
        if boot.offers == 0 && boot.address.is_none() {
            return self.no_offer(boot);
        }
        if boot.requests == 0 && boot.address.is_none() {
            return self.offer_not_taken(boot);
        }
        self.waits(boot)
    }

    fn never_on(&self) -> Told {
        let name = &self.node.name;
        let reason = match self.node.power_on {
            false => " its `power` is \"off\" in the lab file;",
            true => {
                " it waits for what its `after` names, or its power restore policy keeps it off;"
            }
        };
        let text =
            format!("{name} has not been switched on:{reason} `nsplay power {name} on` does it.");
        (Problem::Off, text, Vec::new())
    }

    fn off(&self, boot: &Boot) -> Told {
        let name = &self.node.name;
        let by = boot.ended_by.as_deref().unwrap_or("somebody");
        let farthest = boot.steps.iter().map(|step| step.stage);
        let farthest = farthest.filter(|stage| !stage.is_end()).max();
        let had = farthest.map_or_else(String::new, |stage| {
            format!(" It had come to `{stage}` before.")
        });
        let text = format!(
            "{name} is off: it was switched off by {by}.{had} `nsplay power {name} on` switches it on."
        );
        (Problem::Off, text, self.last(boot))
    }

    fn crashed(&self, boot: &Boot) -> Told {
        let name = &self.node.name;
        if self.power == Power::Off {
            let how = boot.ended_by.as_deref().unwrap_or("a failure");
            let text = format!(
                "{name} is off because of {how}. `nsplay logs {name}` has what QEMU said; \
                 `nsplay power {name} on` starts it again."
            );
            return (Problem::Failed, text, self.last(boot));
        }
        let panic = boot.steps.iter().rfind(|step| step.stage == Stage::Crashed);
        let panic = panic.map_or("", |step| step.detail.as_str());
        let (_, reason) = panic
            .split_once("not syncing: ")
            .unwrap_or(("", panic.trim_start_matches("the guest panicked")));
        let reason = match reason.is_empty() {
            true => String::new(),
            false => format!(": {reason}"),
        };
        let advice = if reason.contains("Unable to mount root") {
            "It found no root: an initrd that its boot script did not load, or a `root=` that is not there."
        } else if reason.contains("No working init") || reason.contains("Attempted to kill init") {
            "Its first program is missing or ended: look at what it printed before, and at `init=`."
        } else {
            "What it printed last is below."
        };
        let text = format!(
            "{name}'s kernel panicked{reason}. {advice} It stays as it is: `nsplay power {name} \
             reset` boots it again, `nsplay console {name}` has the whole story."
        );
        (Problem::Panic, text, self.last(boot))
    }

    fn runs(&self, boot: &Boot, login: bool) -> Told {
        let name = &self.node.name;
        let at = boot
            .address
            .map_or_else(String::new, |at| format!(" at {at}"));
        let what = match login {
            true => "stands at a prompt of its system, on its serial line",
            false => "runs its system",
        };
        let text = format!(
            "{name} {what}{at}. Nothing answers on its port 22 yet, which `up` would need."
        );
        (Problem::None, text, self.last(boot))
    }

    fn kernel(&self, boot: &Boot) -> Told {
        let name = &self.node.name;
        let silent = self.silent(boot);
        if silent < KERNEL_SILENT_MS {
            let text = format!("{name}'s kernel runs; the first programs of its system come next.");
            return (Problem::OnItsWay, text, self.last(boot));
        }
        let text = format!(
            "{name}'s kernel runs, and has shown nothing for {} s. What it prints is seen on the \
             serial line: does its command line have `console=ttyS0,115200`?",
            silent / 1000
        );
        (Problem::SilentKernel, text, self.shown(boot))
    }

    fn not_found(&self, boot: &Boot, missing: &Missing) -> Told {
        let (name, server) = (&self.node.name, &missing.server);
        let Missing { path, .. } = missing;
        let (by, said) = match (missing.protocol, missing.status) {
            (Protocol::Tftp, _) => ("TFTP", "is not there".to_owned()),
            (Protocol::Http, Some(403)) => ("HTTP", "must not be read (403)".to_owned()),
            (Protocol::Http, Some(404)) => ("HTTP", "is not there (404)".to_owned()),
            (Protocol::Http, status) => {
                let status = status.map_or_else(String::new, |status| format!(" ({status})"));
                ("HTTP", format!("was refused{status}"))
            }
        };
        let nearest = match (self.nearest)(missing) {
            Some(near) => format!("The nearest that is there is {near}."),
            None => "Nothing like it is there.".to_owned(),
        };
        let asked_by_dhcp = boot.last_file.is_none();
        let advice = match (asked_by_dhcp, missing.protocol) {
            (true, Protocol::Http) => {
                "DHCP named it: `boot` in [dhcp] of the lab file, a path below the web root."
            }
            (true, Protocol::Tftp) => {
                "DHCP named it: it belongs into `tftproot`, beside the lab file."
            }
            (false, _) => {
                "A boot script that it had loaded named it: correct the name there, or put the file there."
            }
        };
        let text =
            format!("{name} asked {server} for {path} over {by}, which {said}. {nearest} {advice}");
        (Problem::NotFound, text, self.last(boot))
    }

    fn no_discover(&self, boot: &Boot) -> Told {
        let node = self.node;
        let name = &node.name;
        let boots: Vec<String> = node.boot.iter().map(ToString::to_string).collect();
        let network = |device: &BootDevice| matches!(device, BootDevice::Network(_));
        let reason = match (&boot.choice, node.boot.iter().position(network)) {
            (Some(choice), _) => format!(
                "Its BMC was told: it {choice}. `ipmitool chassis bootdev pxe` before the next \
                 start makes it ask the network."
            ),
            (None, None) => format!(
                "It boots from {} only: add \"network\" to its `boot` in the lab file, or ask for \
                 it once with `ipmitool chassis bootdev pxe`.",
                boots.join(", ")
            ),
            (None, Some(0)) => {
                let card = match node.firmware {
                    Firmware::Bios => "with an option ROM that QEMU has (package ipxe-qemu)",
                    Firmware::Uefi => "that its firmware has a driver for",
                };
                format!(
                    "The network is what it boots from first, so its firmware sees no card to boot \
                     from: is its NIC ({}) one {card}, and is its cable plugged in?",
                    node.nic.model
                )
            }
            (None, Some(_)) => format!(
                "It tries {} in this order, and an earlier one took it: put \"network\" first in \
                 its `boot`, or ask for it once with `ipmitool chassis bootdev pxe`.",
                boots.join(", ")
            ),
        };
        let text = format!(
            "{name} is on and has never asked for an address: no DHCPDISCOVER of {} was seen. {reason}",
            node.nic.mac
        );
        (Problem::NoDiscover, text, self.shown(boot))
    }

    fn no_offer(&self, boot: &Boot) -> Told {
        let (name, mac) = (&self.node.name, &self.node.nic.mac);
        let times = times(boot.discovers);
        let mut servers = self.lab.dhcp_servers();
        let Some(dhcp) = servers.find(|dhcp| dhcp.network == self.node.nic.network) else {
            let text = format!(
                "{name} asked for an address {times}, and the lab has no DHCP server of nsplay's: \
                 look at the log of the one that should answer."
            );
            return (Problem::NoOffer, text, Vec::new());
        };
        let Dhcp { pool, .. } = dhcp;
        let (first, last) = *pool;
        let addresses = u32::from(last).saturating_sub(u32::from(first)) + 1;
        let kept = self.kept_in(pool);
        let reason = match boot.trouble.as_deref() {
            Some("no address available") => {
                let kept = match kept.is_empty() {
                    true => String::new(),
                    false => format!(" Kept for other MAC addresses: {}.", kept.join(", ")),
                };
                format!(
                    "It has none to give: its pool {first} to {last} has {addresses}, and all are \
                     taken.{kept} Make `pool` in [dhcp] larger, or `lease` shorter."
                )
            }
            Some(trouble) => format!("It says: {trouble}."),
            None => "It says nothing of it: it may not have answered at all; `nsplay ps` tells \
                     whether it is ready."
                .to_owned(),
        };
        let text = format!(
            "{name} ({mac}) asked for an address {times}, and {} offered none. {reason}",
            dhcp.name
        );
        (Problem::NoOffer, text, Vec::new())
    }

    /// The addresses of the pool that other cards have to themselves.
    fn kept_in(&self, (first, last): &(Ipv4Addr, Ipv4Addr)) -> Vec<String> {
        let others = self.lab.nodes.iter().flat_map(|node| {
            let nics = [&node.nic].into_iter().chain(&node.more_nics);
            nics.filter_map(|nic| Some((&node.name, nic.mac, nic.ip?)))
        });
        let kept =
            others.filter(|(name, _, ip)| **name != self.node.name && (first..=last).contains(&ip));
        kept.map(|(name, mac, ip)| format!("{ip} for {name} ({mac})"))
            .collect()
    }

    fn offer_not_taken(&self, boot: &Boot) -> Told {
        let (name, mac) = (&self.node.name, &self.node.nic.mac);
        let offered = boot.steps.iter().find(|step| step.stage == Stage::Offer);
        let address = offered.map_or("an address", |step| step.detail.as_str());
        let text = format!(
            "{name} ({mac}) was offered {address} {}, and did not take it. Either the offer does \
             not reach it, or it wants another: firmware that boots over the network takes only \
             offers that name a boot file for its architecture, and of several DHCP servers it \
             takes one. `nsplay capture {name}` shows what goes over its wire.",
            times(boot.offers)
        );
        (Problem::OfferNotTaken, text, self.last(boot))
    }

    fn waits(&self, boot: &Boot) -> Told {
        let name = &self.node.name;
        let after = match (&boot.last_file, boot.address) {
            (Some(file), _) => format!("It has loaded {file}"),
            (None, Some(address)) => {
                format!("It has the address {address}, and has loaded nothing")
            }
            (None, None) => "It has loaded nothing".to_owned(),
        };
        let missing = boot.missing.last().map_or_else(String::new, |missing| {
            format!(
                " {} asked for {} before, which is not there.",
                name, missing.path
            )
        });
        let sign = signs::read(boot.last_lines.iter());
        let sign = sign.map_or_else(String::new, |sign| {
            format!(" Perhaps its boot has failed: {sign}.")
        });
        let text = format!(
            "{name} waits: nothing has moved for {} s, and what it shows is below. {after}.{missing}{sign} \
             `nsplay console {name}` is its serial line, `nsplay keys {name} TEXT` types on its \
             keyboard.",
            self.silent(boot) / 1000
        );
        (Problem::Waiting, text, self.shown(boot))
    }

    fn on_its_way(&self, boot: &Boot) -> Told {
        let name = &self.node.name;
        let stage = boot.stage().map_or(Stage::Powered, |step| step.stage);
        let text = format!(
            "{name} is on its way: it has come to `{stage}`, and showed life {:.1} s ago.",
            self.silent(boot) as f64 / 1000.0
        );
        (Problem::OnItsWay, text, self.last(boot))
    }

    fn silent(&self, boot: &Boot) -> u64 {
        self.now.saturating_sub(boot.last_sign)
    }

    fn last(&self, boot: &Boot) -> Vec<String> {
        let lines = &boot.last_lines;
        lines
            .iter()
            .skip(lines.len().saturating_sub(LINES))
            .cloned()
            .collect()
    }

    /// What the screen shows, or the serial line where the screen shows no text.
    fn shown(&self, boot: &Boot) -> Vec<String> {
        let screen = self.screen.iter().flatten().filter(|line| !line.is_empty());
        let screen: Vec<String> = screen.cloned().collect();
        match screen.is_empty() {
            true => self.last(boot),
            false => screen,
        }
    }
}

/// Whether the last line is one at which programs wait for a person.
fn at_prompt(boot: &Boot) -> bool {
    const PROMPTS: [&str; 7] = [
        "iPXE>",
        "grub>",
        "grub rescue>",
        "Shell>",
        "boot:",
        "No bootable device.",
        "Press any key to continue",
    ];
    let last = boot.last_lines.back().map_or("", |line| line.trim_end());
    PROMPTS.iter().any(|prompt| last.ends_with(prompt))
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// One paragraph, and what shows it.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Where lines are broken.
        const WIDTH: usize = 80;
        let mut length = 0;
        for word in self.text.split(' ') {
            let wide = word.chars().count();
            if length > 0 && length + 1 + wide > WIDTH {
                writeln!(f)?;
                length = 0;
            }
            if length > 0 {
                f.write_str(" ")?;
                length += 1;
            }
            f.write_str(word)?;
            length += wide;
        }
        writeln!(f)?;
        for line in &self.evidence {
            writeln!(f, "  | {line}")?;
        }
        Ok(())
    }
}
