//! The commands that make ipmi_sim a node's BMC, and those that move its sensors (ipmi_sim_cmd(5)).
//!
//! Its numbers are hexadecimal.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{fru, sdr, states};
use crate::lab::Node;
use crate::lab::profile::{Analog, Sensor, SensorKind};

/// The devices of the BMC (table 20-2): all but bridge and event generator.
pub(super) const DEVICE_SUPPORT: u8 = 0x9f;

/// The most entries of the event log.
const LOG_ENTRIES: u16 = 1000;

/// First words of commands, and of what `sel_add` says when it has been done.
const ECHOES: [&str; 6] = [
    "Added record ",
    "mc_",
    "sel_",
    "sensor_",
    "main_sdr_add",
    "sel_clock_set",
];

/// Whether ipmi_sim printed `line` because of a command of ours, so that it is no news.
#[must_use]
pub fn is_echo(line: &str) -> bool {
    ECHOES.iter().any(|word| line.starts_with(word))
}

/// What ipmi_sim reads when it starts: the controller at 0x20 with everything that belongs to it.
#[must_use]
pub fn commands(node: &Node) -> String {
    let mut text = String::new();
    write(&mut text, node).expect("a String takes all that is written");
    text
}

fn write(out: &mut String, node: &Node) -> std::fmt::Result {
    let (profile, bmc) = (&node.profile, node.profile.bmc);
    let (major, minor) = bmc.firmware;
    // The minor part has two decimal digits (section 20.1).
    let minor = ((minor / 10) << 4) | (minor % 10);
    let (manufacturer, product) = (bmc.manufacturer_id, bmc.product_id);
    writeln!(out, "mc_setbmc 0x20")?;
    writeln!(
        out,
        "mc_add 0x20 0x20 no-device-sdrs 0x1 {major:#x} {minor:#x} {DEVICE_SUPPORT:#x} {manufacturer:#x} {product:#x}"
    )?;
    writeln!(out, "sel_enable 0x20 {LOG_ENTRIES:#x} 0x0a")?;
    let (sensor_type, number, events) = sdr::WATCHDOG;
    writeln!(
        out,
        "sensor_add 0x20 0 {number:#x} {sensor_type:#x} {:#x} event-only",
        sdr::SENSOR_SPECIFIC
    )?;
    writeln!(out, "{}", event_support(number, events, 0))?;
    for sensor in &profile.sensors {
        for line in add(sensor) {
            writeln!(out, "{line}")?;
        }
    }
    let mut instances: BTreeMap<u8, u8> = BTreeMap::new();
    let records = profile.sensors.iter().map(|sensor| {
        let instance = instances.entry(sdr::entity(sensor)).or_default();
        *instance += 1;
        sdr::record(sensor, *instance)
    });
    let records = [sdr::controller(), sdr::watchdog()]
        .into_iter()
        .chain(records);
    for record in records {
        writeln!(out, "main_sdr_add 0x20{}", bytes(&record))?;
    }
    let image = fru::image(profile, &node.identity);
    writeln!(
        out,
        "mc_add_fru_data 0x20 0 {:#x} data{}",
        fru::SIZE,
        bytes(&image)
    )?;
    writeln!(out, "mc_enable 0x20")?;
    // Only a controller that is enabled takes a request; ours sets its clock (crates/ipmi-sim-module).
    writeln!(out, "sel_clock_set 0x20")
}

/// Makes a sensor as it is when the node is off.
fn add(sensor: &Sensor) -> Vec<String> {
    let number = sensor.number;
    match &sensor.kind {
        SensorKind::Analog(analog) => {
            let (sensor_type, _) = sdr::quantity(analog.quantity);
            let events = sdr::threshold_events(analog);
            let hysteresis = sdr::HYSTERESIS;
            vec![
                format!("sensor_add 0x20 0 {number:#x} {sensor_type:#x} 0x1"),
                format!(
                    "sensor_set_hysteresis 0x20 0 {number:#x} settable {hysteresis:#x} {hysteresis:#x}"
                ),
                thresholds(sensor, analog, false),
                event_support(number, events, events),
                value(sensor, analog.raw(analog.off), false),
            ]
        }
        SensorKind::Discrete(discrete) => {
            let kind = states::kind(*discrete);
            let sensor_type = kind.sensor_type;
            let only = if kind.readable { "" } else { " event-only" };
            let events = states::all(kind);
            vec![
                format!("sensor_add 0x20 0 {number:#x} {sensor_type:#x} 0x6f{only}"),
                event_support(number, events, states::ending(kind)),
            ]
        }
    }
}

/// Says which events a sensor reports when they begin, and which when they end.
fn event_support(number: u8, assert: u16, deassert: u16) -> String {
    format!(
        "sensor_set_event_support 0x20 0 {number:#x} enable scanning per-state \
        {assert:015b} {deassert:015b} {assert:015b} {deassert:015b}"
    )
}

/// Puts the thresholds of a sensor in force, or out of it.
///
/// Where a machine is off its fans stand still, which is no failure of theirs. Their values go
/// along: ipmi_sim 2.0.33 refuses the command without them, whatever its manual says.
#[must_use]
pub fn thresholds(sensor: &Sensor, analog: &Analog, in_force: bool) -> String {
    let mask = if in_force { sdr::thresholds(analog) } else { 0 };
    let limits = analog
        .thresholds
        .map(|limit| limit.map_or(0, |limit| analog.raw(limit)));
    let [a, b, c, d, e, f] = limits;
    format!(
        "sensor_set_threshold 0x20 0 {:#x} settable {mask:06b}{}",
        sensor.number,
        bytes(&[f, e, d, c, b, a])
    )
}

/// Sets the counts of an analog sensor; a threshold that is crossed is an event if `events`.
#[must_use]
pub fn value(sensor: &Sensor, counts: u8, events: bool) -> String {
    let (number, events) = (sensor.number, u8::from(events));
    format!("sensor_set_value 0x20 0 {number:#x} {counts:#x} {events}")
}

/// Sets the states in `bits` where they differ from `before`.
#[must_use]
pub fn bits(sensor: &Sensor, before: u16, bits: u16, events: bool) -> Vec<String> {
    let (number, events) = (sensor.number, u8::from(events));
    let changed = (0..15).filter(|bit| (before ^ bits) & 1 << bit != 0);
    changed
        .map(|bit| {
            let now = bits >> bit & 1;
            format!("sensor_set_bit 0x20 0 {number:#x} {bit:#x} {now} {events}")
        })
        .collect()
}

/// Adds an event of the system to the log (section 32.1): the 13 bytes after the record's type.
#[must_use]
pub fn log(record_type: u8, entry: [u8; 13]) -> String {
    format!("sel_add 0x20 {record_type:#x}{}", bytes(&entry))
}

/// An event of a sensor as 13 bytes; ipmi_sim puts the time in.
#[must_use]
pub fn event(sensor_type: u8, number: u8, kind: u8, asserted: bool, data: [u8; 3]) -> [u8; 13] {
    let [first, second, third] = data;
    let kind = kind | u8::from(!asserted) << 7;
    // From the BMC, in the format of IPMI 1.5 and 2.0.
    [
        0,
        0,
        0,
        0,
        0x20,
        0,
        4,
        sensor_type,
        number,
        kind,
        first,
        second,
        third,
    ]
}

/// Bytes as arguments.
fn bytes(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, " {byte:#x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::file::{Origin, load};

    #[test]
    fn every_command_is_known_for_an_echo_and_is_shorter_than_ipmi_sim_reads() {
        let lab = load("", &Origin::built_in(None)).unwrap();
        for line in commands(&lab.nodes[0]).lines() {
            assert!(is_echo(line), "{line}");
            assert!(line.len() < 65_536);
        }
        assert!(!is_echo("Activate session: Session opened for user 0x2"));
    }

    #[test]
    fn only_the_states_that_changed_are_set() {
        let lab = load("", &Origin::built_in(None)).unwrap();
        let sensor = &lab.nodes[0].profile.sensors[9];
        let lines = bits(sensor, 0b001, 0b101, true);
        assert_eq!(lines, ["sensor_set_bit 0x20 0 0xa 0x2 1 1"]);
        assert!(bits(sensor, 5, 5, true).is_empty());
    }
}
