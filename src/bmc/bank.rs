//! The sensors of one BMC: what each shows at a time, and the commands that make ipmi_sim show it.
//!
//! Pure: time comes in as seconds after the lab's start, commands go out as
//! lines. Carrying them to ipmi_sim is the supervisor's job.

use super::ask::Reading;
use super::{emu, states};
use crate::lab::profile::{Analog, Discrete, Profile, Quantity, Sensor, SensorKind, Thousandths};
use crate::node::Power;

/// Names of thresholds, in the order of [`Analog::thresholds`], and the offsets of their events:
/// lower ones going low, upper ones going high (IPMI 2.0, table 42-2).
const THRESHOLDS: [(&str, u8); 6] = [
    ("lower-non-critical", 0),
    ("lower-critical", 2),
    ("lower-non-recoverable", 4),
    ("upper-non-critical", 7),
    ("upper-critical", 9),
    ("upper-non-recoverable", 11),
];

/// The word for no state at all.
const NONE: &str = "none";

/// A sensor or a value that cannot be, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// The sensors of one BMC.
#[derive(Debug)]
pub struct Bank {
    slots: Vec<Slot>,
    power: Power,
    /// Whether the machine failed when it went off.
    failed: bool,
    /// When power changed.
    since: f64,
}

#[derive(Debug)]
struct Slot {
    sensor: Sensor,
    held: Option<Held>,
    /// What an analog sensor showed when power changed, in thousandths.
    before: i64,
    told: Told,
}

/// What a sensor is made to show.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Held {
    States(u16),
    Way {
        from: i64,
        to: i64,
        began: f64,
        over: f64,
    },
}

/// What ipmi_sim has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    counts: u8,
    in_force: bool,
    states: u16,
}

impl Bank {
    /// The sensors of a node that is off, as ipmi_sim finds them when it starts.
    #[must_use]
    pub fn new(profile: &Profile) -> Self {
        let slot = |sensor: &Sensor| {
            let (before, counts, states) = match &sensor.kind {
                SensorKind::Analog(analog) => (analog.off, analog.raw(analog.off), 0),
                SensorKind::Discrete(kind) => (0, 0, states::natural(*kind, Power::Off, false)),
            };
            Slot {
                sensor: sensor.clone(),
                held: None,
                before,
                told: Told {
                    counts,
                    in_force: false,
                    states,
                },
            }
        };
        Self {
            slots: profile.sensors.iter().map(slot).collect(),
            power: Power::Off,
            failed: false,
            // Long ago: all is cold.
            since: -3600.0,
        }
    }

    /// Whether the node is on, as the sensors have it.
    #[must_use]
    pub fn power(&self) -> Power {
        self.power
    }

    /// Follows the node's power; the machine may have failed.
    pub fn switch(&mut self, now: f64, power: Power, failed: bool) {
        for n in 0..self.slots.len() {
            if let SensorKind::Analog(analog) = &self.slots[n].sensor.kind {
                self.slots[n].before = self.natural(&self.slots[n], analog, now);
            }
        }
        (self.power, self.failed, self.since) = (power, failed, now);
    }

    /// Whether values are on their way, so that they should be looked at often.
    #[must_use]
    pub fn moves(&self, now: f64) -> bool {
        let on_its_way = |slot: &Slot| match slot.held {
            Some(Held::Way { began, over, .. }) => now <= began + over + 1.0,
            Some(Held::States(_)) | None => false,
        };
        now < self.since + 60.0 || self.slots.iter().any(on_its_way)
    }

    /// Makes a sensor show `value` until it is cleared; returns what to say of it.
    ///
    /// # Errors
    /// When there is no such sensor, or it cannot show this.
    pub fn hold(
        &mut self,
        now: f64,
        sensor: &str,
        value: &str,
        over: Option<f64>,
    ) -> Result<String, Refusal> {
        let n = self.find(sensor)?;
        let slot = &self.slots[n];
        let (held, text) = match &slot.sensor.kind {
            SensorKind::Analog(analog) => {
                let number = |text: &str| number(&slot.sensor, analog, text);
                let unit = analog.quantity.unit();
                let (from, to) = match value.split_once("..") {
                    Some((from, to)) => (number(from)?, number(to)?),
                    None => {
                        let to = number(value)?;
                        let from = over.map_or(to, |_| self.value(slot, analog, now));
                        (from, to)
                    }
                };
                let over = match (over, from == to) {
                    (Some(over), _) => over,
                    (None, true) => 0.0,
                    (None, false) => {
                        let name = &slot.sensor.name;
                        let message = format!(
                            "`{name}` needs a time for its way: --over 10, or over = \"10s\" in a lab file"
                        );
                        return Err(Refusal(message));
                    }
                };
                let text = match over > 0.0 {
                    true => format!(
                        "goes from {} to {} {unit} in {over} s",
                        Thousandths(from),
                        Thousandths(to)
                    ),
                    false => format!("is held at {} {unit}", Thousandths(to)),
                };
                let began = now;
                (
                    Held::Way {
                        from,
                        to,
                        began,
                        over,
                    },
                    text,
                )
            }
            SensorKind::Discrete(discrete) => {
                let kind = states::kind(*discrete);
                if !kind.readable || over.is_some() {
                    let why = match kind.readable {
                        false => "only reports events: nsplay bmc event adds one",
                        true => "has states, which take no time",
                    };
                    return Err(Refusal(format!("`{}` {why}", slot.sensor.name)));
                }
                let bits = words(&slot.sensor, kind, value)?;
                (Held::States(bits), format!("is held at {value}"))
            }
        };
        self.slots[n].held = Some(held);
        Ok(text)
    }

    /// The name of a sensor as its profile spells it.
    #[must_use]
    pub fn name<'a>(&'a self, typed: &'a str) -> &'a str {
        self.find(typed)
            .map_or(typed, |n| &self.slots[n].sensor.name)
    }

    /// Ends everything that was pretended; returns the names of the sensors that are free again.
    pub fn clear(&mut self) -> Vec<String> {
        let held = self.slots.iter_mut().filter(|slot| slot.held.is_some());
        held.map(|slot| {
            slot.held = None;
            slot.sensor.name.clone()
        })
        .collect()
    }

    /// The log entry that a sensor makes of `event`; see [`emu::event`].
    ///
    /// # Errors
    /// When there is no such sensor, or it has no such event.
    pub fn event(
        &self,
        now: f64,
        sensor: &str,
        event: &str,
        asserted: bool,
    ) -> Result<[u8; 13], Refusal> {
        let slot = &self.slots[self.find(sensor)?];
        let number = slot.sensor.number;
        match &slot.sensor.kind {
            SensorKind::Analog(analog) => {
                let (sensor_type, _) = super::sdr::quantity(analog.quantity);
                let found = THRESHOLDS
                    .iter()
                    .position(|(word, n)| *word == event || event == n.to_string());
                let n = found.ok_or_else(|| {
                    no_event(
                        &slot.sensor,
                        event,
                        THRESHOLDS.iter().map(|(word, _)| *word),
                    )
                })?;
                let reading = analog.raw(self.value(slot, analog, now));
                let limit = analog.thresholds[n].map_or(0, |limit| analog.raw(limit));
                // The reading and the threshold come along (table 29-6).
                let data = [0x50 | THRESHOLDS[n].1, reading, limit];
                Ok(emu::event(sensor_type, number, 1, asserted, data))
            }
            SensorKind::Discrete(discrete) => {
                let kind = states::kind(*discrete);
                let found = kind
                    .states
                    .iter()
                    .find(|(offset, word)| *word == event || event == offset.to_string());
                let (offset, _) = found.ok_or_else(|| {
                    no_event(
                        &slot.sensor,
                        event,
                        kind.states.iter().map(|(_, word)| *word),
                    )
                })?;
                let data = [*offset, 0xff, 0xff];
                Ok(emu::event(kind.sensor_type, number, 0x6f, asserted, data))
            }
        }
    }

    /// The log entry of the first sensor of a kind, if the server has one.
    #[must_use]
    pub fn event_of(&self, wanted: Discrete, data: [u8; 3]) -> Option<[u8; 13]> {
        let is_wanted =
            |slot: &&Slot| matches!(slot.sensor.kind, SensorKind::Discrete(kind) if kind == wanted);
        let slot = self.slots.iter().find(is_wanted)?;
        let sensor_type = states::kind(wanted).sensor_type;
        Some(emu::event(
            sensor_type,
            slot.sensor.number,
            0x6f,
            true,
            data,
        ))
    }

    /// The commands that bring an ipmi_sim that has just started to where the last one was.
    #[must_use]
    pub fn catch_up(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for Slot { sensor, told, .. } in &self.slots {
            match &sensor.kind {
                SensorKind::Analog(analog) => {
                    if told.in_force {
                        lines.push(emu::thresholds(sensor, analog, true));
                    }
                    lines.push(emu::value(sensor, told.counts, false));
                }
                SensorKind::Discrete(_) => lines.extend(emu::bits(sensor, 0, told.states, false)),
            }
        }
        lines
    }

    /// The commands that make ipmi_sim show what the sensors show `now`.
    pub fn update(&mut self, now: f64) -> Vec<String> {
        let mut lines = Vec::new();
        for n in 0..self.slots.len() {
            let slot = &self.slots[n];
            let told = match &slot.sensor.kind {
                SensorKind::Analog(analog) => {
                    let counts = analog.raw(self.value(slot, analog, now));
                    let next = Told {
                        counts,
                        in_force: slot.held.is_some() || !crosses(analog, counts),
                        states: 0,
                    };
                    lines.extend(step(&slot.sensor, analog, slot.told, next));
                    next
                }
                SensorKind::Discrete(kind) => {
                    let bits = self.states(slot, *kind);
                    lines.extend(emu::bits(&slot.sensor, slot.told.states, bits, true));
                    Told {
                        states: bits,
                        ..slot.told
                    }
                }
            };
            self.slots[n].told = told;
        }
        lines
    }

    /// What every sensor shows.
    #[must_use]
    pub fn readings(&self, now: f64) -> Vec<Reading> {
        let reading = |slot: &Slot| {
            let (kind, value, unit, crossed) = match &slot.sensor.kind {
                SensorKind::Analog(analog) => {
                    let counts = analog.raw(self.value(slot, analog, now));
                    let shown = i64::from(counts) * analog.step;
                    let in_force = slot.held.is_some() || slot.told.in_force;
                    // The last one that is crossed is the worst of its side.
                    let crossed = analog.crossed(shown).iter().rposition(|crossed| *crossed);
                    (
                        analog.quantity.to_string(),
                        Some(Thousandths(shown).to_string()),
                        Some(analog.quantity.unit().to_owned()),
                        crossed
                            .filter(|_| in_force)
                            .map(|n| THRESHOLDS[n].0.to_owned()),
                    )
                }
                SensorKind::Discrete(discrete) => {
                    let kind = states::kind(*discrete);
                    let value = kind.readable.then(|| {
                        match states::words(kind, self.states(slot, *discrete)).join(",") {
                            none if none.is_empty() => NONE.to_owned(),
                            words => words,
                        }
                    });
                    (discrete.to_string(), value, None, None)
                }
            };
            Reading {
                number: slot.sensor.number,
                name: slot.sensor.name.clone(),
                kind,
                value,
                unit,
                crossed,
                held: slot.held.is_some(),
            }
        };
        self.slots.iter().map(reading).collect()
    }

    fn find(&self, name: &str) -> Result<usize, Refusal> {
        let found = self
            .slots
            .iter()
            .position(|slot| slot.sensor.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let names: Vec<&str> = self
                .slots
                .iter()
                .map(|slot| slot.sensor.name.as_str())
                .collect();
            Refusal(format!(
                "no sensor `{name}`; there are: {}",
                names.join(", ")
            ))
        })
    }

    fn states(&self, slot: &Slot, kind: Discrete) -> u16 {
        match slot.held {
            Some(Held::States(bits)) => bits,
            Some(Held::Way { .. }) | None => states::natural(kind, self.power, self.failed),
        }
    }

    fn value(&self, slot: &Slot, analog: &Analog, now: f64) -> i64 {
        match slot.held {
            Some(Held::Way {
                from,
                to,
                began,
                over,
            }) => {
                let part = if over > 0.0 {
                    ((now - began) / over).clamp(0.0, 1.0)
                } else {
                    1.0
                };
                from + ((to - from) as f64 * part).round() as i64
            }
            Some(Held::States(_)) | None => self.natural(slot, analog, now),
        }
    }

    /// What a sensor shows when nobody pretends anything: it nears its value for this power as a
    /// body nears the temperature around it, and strays a little while the node is on.
    fn natural(&self, slot: &Slot, analog: &Analog, now: f64) -> i64 {
        /// Seconds in which two thirds of the way are done.
        fn inertia(quantity: Quantity) -> f64 {
            match quantity {
                Quantity::Temperature => 12.0,
                Quantity::Fan | Quantity::Power | Quantity::Current => 1.5,
                Quantity::Voltage => 0.01,
            }
        }
        let number = f64::from(slot.sensor.number);
        let (target, strays) = match self.power {
            Power::On => {
                // Each sensor has a period of its own, of a minute or so.
                let phase = now / (9.0 + number % 7.0) + number;
                (analog.on, analog.jitter as f64 * phase.sin())
            }
            Power::Off => (analog.off, 0.0),
        };
        let left = (-(now - self.since) / inertia(analog.quantity)).exp();
        let away = (slot.before - target) as f64 * left;
        let value = target + (away + strays * (1.0 - left)).round() as i64;
        value.max(0)
    }
}

/// Whether a value is beyond a threshold, as eight bits show it.
fn crosses(analog: &Analog, counts: u8) -> bool {
    let shown = i64::from(counts) * analog.step;
    analog.crossed(shown).contains(&true)
}

/// The commands that take an analog sensor from one state to the next.
fn step(sensor: &Sensor, analog: &Analog, now: Told, next: Told) -> Vec<String> {
    let mut lines = Vec::new();
    match (now.in_force, next.in_force) {
        (true, false) => {
            // What was crossed ends before thresholds are out of force: ipmi_sim would never end it.
            if crosses(analog, now.counts) {
                lines.push(emu::value(sensor, analog.raw(analog.on), true));
            }
            lines.push(emu::thresholds(sensor, analog, false));
        }
        (false, true) => lines.push(emu::thresholds(sensor, analog, true)),
        (true, true) | (false, false) => {}
    }
    if now != next {
        lines.push(emu::value(sensor, next.counts, next.in_force));
    }
    lines
}

fn number(sensor: &Sensor, analog: &Analog, text: &str) -> Result<i64, Refusal> {
    let number = text
        .trim()
        .parse::<f64>()
        .ok()
        .map(|number| (number * 1000.0).round());
    let most = analog.most();
    number
        .filter(|number| (0.0..=most as f64).contains(number))
        .map(|number| number as i64)
        .ok_or_else(|| {
            Refusal(format!(
                "`{}` cannot show `{text}`: expected a number from 0 to {} ({})",
                sensor.name,
                Thousandths(most),
                analog.quantity.unit()
            ))
        })
}

fn words(sensor: &Sensor, kind: states::Kind, text: &str) -> Result<u16, Refusal> {
    if text == NONE {
        return Ok(0);
    }
    text.split(',').try_fold(0, |bits, word| {
        let found = kind.states.iter().find(|(_, known)| *known == word.trim());
        let (offset, _) = found.ok_or_else(|| {
            let known: Vec<&str> = kind.states.iter().map(|(_, word)| *word).collect();
            Refusal(format!(
                "`{}` has no state `{word}`; there are: {}, {NONE}",
                sensor.name,
                known.join(", ")
            ))
        })?;
        Ok(bits | 1 << offset)
    })
}

fn no_event<'a>(sensor: &Sensor, event: &str, known: impl Iterator<Item = &'a str>) -> Refusal {
    let known: Vec<&str> = known.collect();
    Refusal(format!(
        "`{}` has no event `{event}`; there are: {}",
        sensor.name,
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::file::load_profile;

    fn bank() -> Bank {
        let text = "manufacturer = \"Me\"\nproduct = \"It\"\n[[sensor]]\ntype = \"fan\"\nname = \"Fan\"\n\
            on = 8000\nstep = 100\nlower_critical = 600\n";
        Bank::new(&load_profile(text, "test", "test.toml").unwrap())
    }

    #[test]
    fn thresholds_come_into_force_when_the_fan_turns_and_leave_before_it_stands() {
        let mut bank = bank();
        assert_eq!(
            bank.update(0.0),
            [""; 0],
            "it stands still, as ipmi_sim knows"
        );
        bank.switch(0.0, Power::On, false);
        let lines = bank.update(60.0);
        assert!(lines[0].starts_with("sensor_set_threshold 0x20 0 0x1 settable 000010"));
        assert_eq!(lines[1..], ["sensor_set_value 0x20 0 0x1 0x50 1"]);
        bank.switch(60.0, Power::Off, false);
        let lines = bank.update(120.0);
        assert!(lines[0].starts_with("sensor_set_threshold 0x20 0 0x1 settable 000000"));
        assert_eq!(lines[1..], ["sensor_set_value 0x20 0 0x1 0x0 0"]);
    }

    #[test]
    fn a_failure_that_was_set_ends_before_thresholds_are_out_of_force() {
        let mut bank = bank();
        bank.hold(0.0, "fan", "100", None).unwrap();
        let lines = bank.update(0.0);
        assert_eq!(
            lines[1..],
            ["sensor_set_value 0x20 0 0x1 0x1 1"],
            "though it is off"
        );
        assert_eq!(bank.clear(), ["Fan"]);
        let lines = bank.update(1.0);
        assert_eq!(lines[0], "sensor_set_value 0x20 0 0x1 0x50 1");
        assert_eq!(lines[2..], ["sensor_set_value 0x20 0 0x1 0x0 0"]);
    }

    #[test]
    fn a_new_ipmi_sim_is_told_everything_without_an_event() {
        let mut bank = bank();
        bank.hold(0.0, "Fan", "100", None).unwrap();
        bank.update(0.0);
        let lines = bank.catch_up();
        assert!(
            lines[0].ends_with("settable 000010 0x0 0x0 0x0 0x0 0x6 0x0"),
            "{lines:?}"
        );
        assert_eq!(lines[1..], ["sensor_set_value 0x20 0 0x1 0x1 0"]);
        assert_eq!(bank.update(0.0), [""; 0]);
    }

    #[test]
    fn a_way_takes_its_time_and_stays_at_its_end() {
        let mut bank = bank();
        bank.hold(10.0, "Fan", "1000..2000", Some(10.0)).unwrap();
        let shown = |bank: &Bank, now| bank.readings(now)[0].value.clone().unwrap();
        assert_eq!(shown(&bank, 10.0), "1000");
        assert_eq!(shown(&bank, 15.0), "1500");
        assert_eq!(shown(&bank, 99.0), "2000");
    }
}
