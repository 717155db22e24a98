//! Keeps a BMC's sensors true: they follow the node, and what `nsplay bmc` makes of them.
//!
//! What a sensor shows is decided by [`Bank`]; here are its clock, its ears and
//! its voice, which is ipmi_sim's standard input.

use std::cell::RefCell;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::protocol::Reply;
use crate::bmc::ask::Ask;
use crate::bmc::bank::{Bank, Refusal};
use crate::bmc::emu;
use crate::event::What;
use crate::image::boot_entries;
use crate::journal::Journal;
use crate::lab::profile::Discrete;
use crate::lab::{Lab, Name};
use crate::node::Power;
use crate::node::power::Node;

/// How often values that are on their way are looked at.
const MOVING: Duration = Duration::from_millis(250);

/// How often values that only stray are looked at.
const RESTING: Duration = Duration::from_secs(5);

/// How many events wait for an ipmi_sim that is being started again.
const WAITING: usize = 64;

/// A guest has one address, or one on each card; whatever dnsmasq says, no more are kept.
const MOST_ADDRESSES: usize = 16;

/// The record type of an event of the system (IPMI 2.0, section 32.1).
const SYSTEM_EVENT: u8 = 0x02;

/// The sensors of one node's BMC; clones are the same sensors.
#[derive(Clone)]
pub struct Sensors(Rc<Inner>);

struct Inner {
    node: Name,
    machine: Node,
    journal: Journal,
    began: Instant,
    bank: RefCell<Bank>,
    voice: RefCell<Voice>,
    changed: Notify,
}

/// The way to ipmi_sim.
#[derive(Default)]
struct Voice {
    to: Option<mpsc::UnboundedSender<String>>,
    waiting: Vec<String>,
}

/// What tells how far a node has come on its way to a system.
struct Boot {
    macs: Vec<String>,
    dhcp: Vec<Name>,
    web: Option<Name>,
    /// What it has been given, by any of its network cards.
    addresses: Vec<IpAddr>,
    up: bool,
}

impl Sensors {
    /// The sensors of `node` of `lab`, which follow it from now on.
    #[must_use]
    pub fn follow(lab: &Lab, node: &crate::lab::Node, machine: Node, journal: &Journal) -> Self {
        let sensors = Self(Rc::new(Inner {
            node: node.name.clone(),
            machine,
            journal: journal.clone(),
            began: Instant::now(),
            bank: RefCell::new(Bank::new(&node.profile)),
            voice: RefCell::default(),
            changed: Notify::new(),
        }));
        let boot = Boot::of(lab, node);
        spawn_local(sensors.clone().listen(boot));
        spawn_local(sensors.clone().run());
        sensors
    }

    /// Speaks to an ipmi_sim that has just been started, until it has gone.
    pub fn attach(&self, stdin: OwnedFd) {
        let (to, mut lines) = mpsc::unbounded_channel::<String>();
        spawn_local(async move {
            let mut pipe = match pipe::Sender::from_owned_fd(stdin) {
                Ok(pipe) => pipe,
                Err(error) => return tracing::error!(%error, "cannot speak to ipmi_sim"),
            };
            // The channel is open as long as the program may live: the end of its input ends it.
            while let Some(line) = lines.recv().await {
                if pipe.write_all(line.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        let waiting = {
            let mut voice = self.0.voice.borrow_mut();
            voice.to = Some(to);
            std::mem::take(&mut voice.waiting)
        };
        // Its echo stays on: a prompt alone would end no line, and swallow what is said after it.
        self.say(self.0.bank.borrow().catch_up());
        self.update();
        self.say(waiting);
    }

    /// Does what a client asks.
    ///
    /// # Errors
    /// What cannot be, for people.
    pub fn answer(&self, ask: &Ask) -> Result<Option<Reply>, Refusal> {
        let now = self.now();
        match ask {
            Ask::Set {
                sensor,
                value,
                over_ms,
            } => {
                let over = over_ms.map(|over| Duration::from_millis(over).as_secs_f64());
                let text = self.0.bank.borrow_mut().hold(now, sensor, value, over)?;
                self.tell(sensor, text);
            }
            Ask::Event {
                sensor,
                event,
                asserted,
            } => {
                let entry = self.0.bank.borrow().event(now, sensor, event, *asserted)?;
                self.log(entry);
                let how = if *asserted { "asserted" } else { "deasserted" };
                self.tell(sensor, format!("logs {event} {how}"));
            }
            Ask::Raw { bytes } => self.log(raw(bytes)?),
            // The BMC's, not its sensors'.
            Ask::Fault { .. } => {}
            Ask::Clear => {
                let free = self.0.bank.borrow_mut().clear();
                for sensor in free {
                    self.tell(&sensor, "is free again".to_owned());
                }
            }
            Ask::Sensors => {
                let readings = self.0.bank.borrow().readings(now);
                return Ok(Some(Reply::Sensors { readings }));
            }
        }
        self.update();
        self.0.changed.notify_one();
        Ok(None)
    }

    fn now(&self) -> f64 {
        self.0.began.elapsed().as_secs_f64()
    }

    fn tell(&self, sensor: &str, text: String) {
        self.0.journal.say(What::Sensor {
            node: self.0.node.clone(),
            sensor: self.0.bank.borrow().name(sensor).to_owned(),
            text,
        });
    }

    /// Looks at the values now and then, and often while they move.
    async fn run(self) {
        loop {
            self.update();
            let pause = if self.0.bank.borrow().moves(self.now()) {
                MOVING
            } else {
                RESTING
            };
            let _ = timeout(pause, self.0.changed.notified()).await;
        }
    }

    /// Makes ipmi_sim show what the sensors show.
    fn update(&self) {
        let now = self.now();
        let mut bank = self.0.bank.borrow_mut();
        // The machine is asked itself: a listener may have missed an event.
        let power = self.0.machine.power();
        if power != bank.power() {
            bank.switch(now, power, false);
        }
        // Without an ipmi_sim, what has changed is found when there is one.
        if !self.speaks() {
            return;
        }
        let lines = bank.update(now);
        drop(bank);
        self.say(lines);
    }

    fn speaks(&self) -> bool {
        let voice = self.0.voice.borrow();
        voice.to.as_ref().is_some_and(|to| !to.is_closed())
    }

    fn say(&self, lines: Vec<String>) {
        let voice = self.0.voice.borrow();
        if let (Some(to), false) = (&voice.to, lines.is_empty()) {
            // One that has gone is told everything when it is back.
            let _ = to.send(lines.join("\n") + "\n");
        }
    }

    /// Adds an entry to the event log, as soon as there is an ipmi_sim.
    fn log(&self, entry: [u8; 13]) {
        let line = emu::log(SYSTEM_EVENT, entry);
        if self.speaks() {
            self.say(vec![line]);
            return;
        }
        let waiting = &mut self.0.voice.borrow_mut().waiting;
        if waiting.len() < WAITING {
            waiting.push(line);
        }
    }

    /// Hears of the node's power, and of its way to a system.
    async fn listen(self, mut boot: Boot) {
        let mut events = self.0.journal.listen();
        loop {
            let event = match events.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            };
            match event.what {
                What::Power { node, power, by } if node == self.0.node => {
                    let failed = power == Power::Off && by.starts_with("a failure");
                    let now = self.now();
                    self.0.bank.borrow_mut().switch(now, power, failed);
                    boot.begins();
                    self.update();
                    self.0.changed.notify_one();
                }
                What::Reset { node, .. } if node == self.0.node => boot.begins(),
                What::Log { member, text } => {
                    if let Some((kind, data)) = boot.hear(&member, &text) {
                        let entry = self.0.bank.borrow().event_of(kind, data);
                        if let Some(entry) = entry {
                            self.log(entry);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

impl Boot {
    fn of(lab: &Lab, node: &crate::lab::Node) -> Self {
        Self {
            macs: node.nics().map(|nic| nic.mac.to_string()).collect(),
            dhcp: lab.dhcp_servers().map(|dhcp| dhcp.name.clone()).collect(),
            web: lab.web.as_ref().map(|web| web.name.clone()),
            addresses: Vec::new(),
            up: false,
        }
    }

    /// Power came or went, or the machine was reset: nothing has been seen yet.
    fn begins(&mut self) {
        self.addresses.clear();
        self.up = false;
    }

    /// The event that a member's line shows, if it shows one for the first time.
    fn hear(&mut self, member: &Name, text: &str) -> Option<(Discrete, [u8; 3])> {
        /// Offset 2, progress, with the system's code in the second byte (table 42-3, type 0Fh).
        const PROGRESS: u8 = 0xc2;
        /// Starting the operating system's boot process (ibid.).
        const STARTING_BOOT: u8 = 0x13;
        /// PXE boot completed (ibid., type 1Fh).
        const PXE_BOOT: u8 = 2;
        if self.dhcp.contains(member) {
            // `DHCPACK(eth0) 192.168.25.150 00:aa:bb:cc:dd:ee node1`
            let (_, given) = text.split_once("DHCPACK")?;
            let mut words = given.split(' ').skip(1);
            let address = words.next()?;
            let mac = words.next()?;
            if !self.macs.iter().any(|own| own == mac) {
                return None;
            }
            let address = address.parse().ok()?;
            let is_first = self.addresses.is_empty();
            if !self.addresses.contains(&address) {
                self.addresses.truncate(MOST_ADDRESSES - 1);
                self.addresses.insert(0, address);
            }
            return is_first.then_some((Discrete::Firmware, [PROGRESS, STARTING_BOOT, 0xff]));
        }
        let hello = format!("/{}/hello", boot_entries::FOLDER);
        let asks = Some(member) == self.web.as_ref() && text.contains(&hello);
        let own = |word: &str| {
            word.parse()
                .is_ok_and(|word| self.addresses.contains(&word))
        };
        if !self.up && asks && text.split([' ', ':']).any(own) {
            self.up = true;
            return Some((Discrete::OsBoot, [PXE_BOOT, 0xff, 0xff]));
        }
        None
    }
}

/// The bytes of an entry that somebody wrote down.
fn raw(text: &str) -> Result<[u8; 13], Refusal> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let refused = || {
        Refusal(format!(
            "`{text}`: expected 13 bytes as 26 hexadecimal digits"
        ))
    };
    if digits.len() != 26 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(refused());
    }
    let mut bytes = [0; 13];
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[n * 2..n * 2 + 2], 16).map_err(|_| refused())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::file::{Origin, load};

    #[test]
    fn a_node_is_seen_on_its_way_once_each_time_it_is_switched_on() {
        let lab = load("", &Origin::built_in(None)).unwrap();
        let mut boot = Boot::of(&lab, &lab.nodes[0]);
        let name = |text| Name::new(text).unwrap();
        let (dhcp, web) = (name("dhcp"), name("web"));
        let ack = "DHCPACK(eth0) 192.168.25.150 00:aa:bb:cc:dd:ee node1";
        let hello = format!(
            "192.168.25.150 - - \"GET /{}/hello\" 200",
            boot_entries::FOLDER
        );
        assert_eq!(boot.hear(&web, &hello), None, "nobody has that address");
        let other = "DHCPACK(eth0) 192.168.25.151 00:aa:bb:cc:dd:ef";
        assert_eq!(boot.hear(&dhcp, other), None);
        for _ in 0..2 {
            let seen = boot.hear(&dhcp, ack).unwrap();
            assert_eq!(seen, (Discrete::Firmware, [0xc2, 0x13, 0xff]));
            assert_eq!(boot.hear(&dhcp, ack), None);
            let seen = boot.hear(&web, &hello).unwrap();
            assert_eq!(seen, (Discrete::OsBoot, [2, 0xff, 0xff]));
            assert_eq!(boot.hear(&web, &hello), None);
            boot.begins();
        }
    }
}
