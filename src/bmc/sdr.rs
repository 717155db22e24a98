//! Sensor data records (IPMI 2.0, section 43): what each sensor is called, and how it is read.
//!
//! A record says itself how long it is; ipmi_sim gives it its number.

use super::states;
use crate::lab::profile::{Analog, Quantity, Sensor, SensorKind};

/// The BMC's address on its IPMB.
const BMC: u8 = 0x20;

/// Section 43: records of IPMI 1.5 and 2.0.
const VERSION: u8 = 0x51;

/// Event/reading types: thresholds, and states of the sensor's type (table 42-1).
const THRESHOLD: u8 = 0x01;
pub(super) const SENSOR_SPECIFIC: u8 = 0x6f;

/// The watchdog (table 42-3), the number that ipmi_sim wants it to have, and the states that it
/// reports: expired, reset, power down, power cycle.
pub(super) const WATCHDOG: (u8, u8, u16) = (0x23, 0, 0b1111);

/// A system management module (table 43-13).
const MANAGEMENT: u8 = 0x06;

/// The record of a management controller (section 43.9): the BMC itself.
#[must_use]
pub fn controller() -> Vec<u8> {
    let mut record = head(0x12);
    // Its address, channel 0; it is always powered; all its devices (byte 9), as in Get Device ID.
    record.extend([BMC, 0, 0, super::emu::DEVICE_SUPPORT, 0, 0, 0]);
    record.extend([MANAGEMENT, 1, 0]);
    named(record, "BMC")
}

/// The record of the watchdog, which only reports events (section 43.3).
#[must_use]
pub fn watchdog() -> Vec<u8> {
    let (sensor_type, number, _) = WATCHDOG;
    event_only(number, MANAGEMENT, 1, sensor_type, "Watchdog")
}

/// The record of a sensor; it is the `instance`th of its entity.
#[must_use]
pub fn record(sensor: &Sensor, instance: u8) -> Vec<u8> {
    match &sensor.kind {
        SensorKind::Analog(analog) => full(sensor, analog, instance),
        SensorKind::Discrete(discrete) => {
            let kind = states::kind(*discrete);
            if kind.readable {
                compact(sensor, kind, instance)
            } else {
                event_only(
                    sensor.number,
                    kind.entity,
                    instance,
                    kind.sensor_type,
                    &sensor.name,
                )
            }
        }
    }
}

/// What a sensor is a part of (table 43-13).
#[must_use]
pub fn entity(sensor: &Sensor) -> u8 {
    match &sensor.kind {
        SensorKind::Discrete(discrete) => states::kind(*discrete).entity,
        SensorKind::Analog(analog) => {
            let lower = sensor.name.to_ascii_lowercase();
            match analog.quantity {
                // Processor, air inlet, system board.
                Quantity::Temperature if lower.contains("cpu") => 0x03,
                Quantity::Temperature if lower.contains("inlet") => 0x37,
                Quantity::Temperature => 0x07,
                Quantity::Fan => 0x1d,
                Quantity::Voltage if lower.contains("cpu") || lower.contains("vcore") => 0x03,
                Quantity::Voltage => 0x07,
                Quantity::Current => 0x0a,
                Quantity::Power => 0x13,
            }
        }
    }
}

/// The type of an analog sensor (table 42-3), and its unit (table 43-15).
#[must_use]
pub fn quantity(quantity: Quantity) -> (u8, u8) {
    match quantity {
        Quantity::Temperature => (0x01, 1),
        Quantity::Voltage => (0x02, 4),
        Quantity::Current => (0x03, 5),
        Quantity::Fan => (0x04, 18),
        // "Other units-based sensor", in watts.
        Quantity::Power => (0x0b, 6),
    }
}

/// The thresholds that a sensor has, one bit each.
#[must_use]
pub fn thresholds(analog: &Analog) -> u8 {
    let has = analog.thresholds.iter().enumerate();
    has.map(|(n, threshold)| u8::from(threshold.is_some()) << n)
        .sum()
}

/// The threshold events that a sensor reports, one bit each: lower ones going low, upper ones
/// going high (table 42-2).
#[must_use]
pub fn threshold_events(analog: &Analog) -> u16 {
    let events = analog.thresholds.iter().enumerate();
    events
        .map(|(n, threshold)| u16::from(threshold.is_some()) << (n * 2 + usize::from(n >= 3)))
        .sum()
}

/// How far back a value must go before a threshold is no longer crossed, in counts.
pub const HYSTERESIS: u8 = 1;

/// Section 43.1.
fn full(sensor: &Sensor, analog: &Analog, instance: u8) -> Vec<u8> {
    let (sensor_type, unit) = quantity(analog.quantity);
    let (m, exponent) = factor(analog.step);
    let mask = u16::from(thresholds(analog));
    let events = threshold_events(analog);
    let [events_low, events_high] = events.to_le_bytes();
    // Which comparisons a reading returns: lower ones with the asserted, upper with the deasserted.
    let (lower, upper) = ((mask & 7) << 4, (mask >> 3) << 4);
    let [mask_low, _] = mask.to_le_bytes();
    let raw = |value: i64| analog.raw(value);
    let limit = |n: usize| analog.thresholds[n].map_or(0, raw);
    let mut record = head(0x01);
    record.extend([BMC, 0, sensor.number, entity(sensor), instance]);
    // Everything of it is initialised, events and scanning are on; it rearms by itself, hysteresis
    // and thresholds can be read and set, each event can be switched.
    record.extend([0x7f, 0x68, sensor_type, THRESHOLD]);
    record.extend([events_low, events_high | lower as u8]);
    record.extend([events_low, events_high | upper as u8]);
    record.extend([mask_low, mask_low]);
    // Unsigned counts, linear: value = m * count * 10^exponent.
    record.extend([0, unit, 0, 0]);
    let [m_low, m_high] = m.to_le_bytes();
    record.extend([m_low, m_high << 6, 0, 0, 0, (exponent as u8) << 4]);
    // Nominal reading and the normal range are given; the sensor's own range is all that it has.
    let (low, high) = (analog.on - analog.jitter, analog.on + analog.jitter);
    record.extend([0x07, raw(analog.on), raw(high), raw(low), 0xff, 0x00]);
    record.extend([5, 4, 3, 2, 1, 0].map(limit));
    record.extend([HYSTERESIS, HYSTERESIS, 0, 0, 0]);
    named(record, &sensor.name)
}

/// Section 43.2.
fn compact(sensor: &Sensor, kind: states::Kind, instance: u8) -> Vec<u8> {
    let [low, high] = states::all(kind).to_le_bytes();
    let [ends_low, ends_high] = states::ending(kind).to_le_bytes();
    let mut record = head(0x02);
    record.extend([BMC, 0, sensor.number, kind.entity, instance]);
    // Events and scanning are on; it rearms by itself.
    record.extend([0x67, 0x40, kind.sensor_type, SENSOR_SPECIFIC]);
    record.extend([low, high, ends_low, ends_high, low, high]);
    // No analog reading; a record of its own.
    record.extend([0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    named(record, &sensor.name)
}

/// Section 43.3.
fn event_only(number: u8, entity: u8, instance: u8, sensor_type: u8, name: &str) -> Vec<u8> {
    let mut record = head(0x03);
    record.extend([BMC, 0, number, entity, instance]);
    record.extend([sensor_type, SENSOR_SPECIFIC, 0, 0, 0, 0]);
    named(record, name)
}

/// `step` thousandths as M and R of M * 10^R (section 36.3).
fn factor(step: i64) -> (u16, i8) {
    let (mut m, mut exponent) = (step, -3);
    while m % 10 == 0 && m > 0 && exponent < 7 {
        m /= 10;
        exponent += 1;
    }
    (u16::try_from(m).unwrap_or(511), exponent)
}

/// The head of a record: its number, which ipmi_sim sets, version, type, and room for the length.
fn head(record_type: u8) -> Vec<u8> {
    vec![0, 0, VERSION, record_type, 0]
}

/// Ends a record with a name in 8-bit ASCII (section 43.15), and says how long it is.
fn named(mut record: Vec<u8>, name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX).min(16);
    record.push(0xc0 | length);
    record.extend(&name.as_bytes()[..usize::from(length)]);
    record[4] = u8::try_from(record.len() - 5).expect("a record has 64 bytes at most");
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::profile::Discrete;

    fn voltage() -> Analog {
        Analog {
            quantity: Quantity::Voltage,
            step: 60,
            on: 12_060,
            off: 0,
            jitter: 60,
            thresholds: [
                Some(10_800),
                Some(10_200),
                None,
                Some(13_200),
                Some(13_800),
                None,
            ],
        }
    }

    #[test]
    fn a_full_record_is_laid_out_as_section_43_1_says() {
        let sensor = Sensor {
            number: 5,
            name: "12V".to_owned(),
            kind: SensorKind::Analog(voltage()),
        };
        let record = record(&sensor, 1);
        assert_eq!(record.len(), 48 + 3);
        assert_eq!(usize::from(record[4]), record.len() - 5);
        assert_eq!(record[5..14], [0x20, 0, 5, 7, 1, 0x7f, 0x68, 0x02, 0x01]);
        // Lower non-critical and critical going low, upper ones going high; comparisons returned.
        assert_eq!(u16::from_le_bytes([record[14], record[15]]), 0x3285);
        assert_eq!(u16::from_le_bytes([record[16], record[17]]), 0x3285);
        assert_eq!(record[18..20], [0b01_1011, 0b01_1011]);
        assert_eq!(record[20..22], [0, 4], "unsigned, volts");
        // 0.06 V a count: M is 6, and the exponent -2 in the upper four bits.
        assert_eq!((record[24], record[29]), (6, 0xe0));
        assert_eq!(record[31], 201, "12.06 V");
        assert_eq!(record[36..42], [0, 230, 220, 0, 170, 180]);
        assert_eq!(&record[47..], b"\xc312V");
    }

    #[test]
    fn a_compact_record_names_the_states_that_its_sensor_has() {
        let sensor = Sensor {
            number: 9,
            name: "PS1 Status".to_owned(),
            kind: SensorKind::Discrete(Discrete::PowerSupply),
        };
        let record = record(&sensor, 2);
        assert_eq!(usize::from(record[4]), record.len() - 5);
        assert_eq!(record[3], 0x02);
        assert_eq!(record[7..10], [9, 0x0a, 2]);
        assert_eq!(record[12..16], [0x08, 0x6f, 0b100_1111, 0]);
        assert_eq!(record[20], 0xc0);
        assert_eq!(&record[31..], b"\xcaPS1 Status");
    }

    #[test]
    fn an_event_only_record_ends_where_its_name_ends() {
        let record = watchdog();
        assert_eq!(usize::from(record[4]), record.len() - 5);
        assert_eq!(record[3], 0x03);
        assert_eq!(record[7], 0, "ipmi_sim's watchdog is sensor 0");
        assert_eq!(&record[16..], b"\xc8Watchdog");
    }

    #[test]
    fn a_step_becomes_a_factor_that_a_record_has_room_for() {
        assert_eq!(factor(60), (6, -2));
        assert_eq!(factor(17), (17, -3));
        assert_eq!(factor(1000), (1, 0));
        assert_eq!(factor(120_000), (12, 1));
    }
}
