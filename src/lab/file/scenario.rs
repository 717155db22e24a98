//! Scenarios: what a BMC is told to pretend, as people spell it.

use std::fmt::Write;

use toml::de::DeValue;

use super::report::Notes;
use super::value::{self, spell_duration};
use super::walk::{Read, Table, Wrong, either};
use crate::lab::fault::EXAMPLES;
use crate::lab::{Act, Deed, Fault, Profile};

/// The keys of an act.
pub(super) const ACT: &[&str] = &["at", "fault", "for", "sensor", "value", "over", "clear"];

const EXAMPLE: &str = "[{ at = \"60s\", fault = \"unreachable\", for = \"30s\" }]";

/// The scenario of a BMC; what cannot be is noted. Without a profile any sensor can.
pub(super) fn scenario(
    bmc: &Table,
    scope: &str,
    profile: Option<&Profile>,
    notes: &Notes,
) -> Vec<Act> {
    let tables = bmc.read_tables("scenario", EXAMPLE);
    let acts = tables.into_iter().map(|(entries, at)| {
        let scope = format!("BMC of {scope}: scenario");
        let table = Table::open(notes, &scope, Some(entries), ACT);
        let act = act(&table, profile);
        if let Err(what) = &act {
            notes.add(
                Some(at),
                format!("{scope}: {what}"),
                Some(format!("write scenario = {EXAMPLE}")),
            );
        }
        act.ok().flatten()
    });
    acts.collect::<Vec<_>>().into_iter().flatten().collect()
}

/// An act; none when a value of it was refused and noted.
fn act(table: &Table, profile: Option<&Profile>) -> Result<Option<Act>, &'static str> {
    let at = table.read("at", value::time);
    let fault = table.read("fault", fault);
    let lasts = table.read("for", value::time);
    let sensor = table.read("sensor", |value| sensor(value, profile));
    let shown = table.read("value", shown);
    let over = table.read("over", value::time);
    let clear = table.read("clear", value::boolean);
    let at = match at {
        Read::Absent => return Err("an act says when, with `at`"),
        Read::Bad => return Ok(None),
        Read::Given(at, _) => at,
    };
    let is_given = |read: &Read<_>| !matches!(read, Read::Absent);
    if is_given(&lasts) && matches!(fault, Read::Absent) {
        return Err("`for` goes with `fault`");
    }
    if (is_given(&over) || !matches!(shown, Read::Absent)) && matches!(sensor, Read::Absent) {
        return Err("`value` and `over` go with `sensor`");
    }
    let optional = |read| match read {
        Read::Given(time, _) => Some(time),
        Read::Absent | Read::Bad => None,
    };
    let deed = match (fault, sensor, clear) {
        (Read::Bad, _, _) | (_, Read::Bad, _) | (_, _, Read::Bad) => return Ok(None),
        (Read::Given(fault, _), Read::Absent, Read::Absent) => Deed::Fault {
            fault,
            lasts: optional(lasts),
        },
        (Read::Absent, Read::Given(sensor, _), Read::Absent) => Deed::Sensor {
            sensor,
            value: match shown {
                Read::Given(value, _) => value,
                Read::Bad => return Ok(None),
                Read::Absent => return Err("a `sensor` needs a `value`"),
            },
            over: optional(over),
        },
        (Read::Absent, Read::Absent, Read::Given(true, _)) => Deed::Clear,
        _ => return Err("an act has one of `fault`, `sensor` and `clear = true`"),
    };
    Ok(Some(Act { at, deed }))
}

fn fault(value: &DeValue) -> Result<Fault, Wrong> {
    let wrong = || Wrong::want(format!("a fault: {EXAMPLES}"));
    value
        .as_str()
        .ok_or_else(wrong)?
        .parse()
        .map_err(|_| wrong())
}

fn sensor(value: &DeValue, profile: Option<&Profile>) -> Result<String, Wrong> {
    let Some(profile) = profile else {
        return value::text(value, "a sensor of its profile").map(str::to_owned);
    };
    let names: Vec<&str> = profile
        .sensors
        .iter()
        .map(|sensor| sensor.name.as_str())
        .collect();
    let wrong = || Wrong::want(format!("a sensor of its profile: {}", either(&names, '"')));
    let typed = value.as_str().ok_or_else(wrong)?;
    let found = names.iter().find(|name| name.eq_ignore_ascii_case(typed));
    found.map(|name| (*name).to_owned()).ok_or_else(wrong)
}

/// A number, a way `FROM..TO`, or words; whether the sensor can show it is seen when it is to.
fn shown(value: &DeValue) -> Result<String, Wrong> {
    match value {
        DeValue::String(text) if !text.is_empty() => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        _ => Err(Wrong::want("a number, a way such as \"40..95\", or states")),
    }
}

/// The list as a lab file spells it.
pub(super) fn spell(scenario: &[Act], quoted: impl Fn(&str) -> String) -> String {
    let acts = scenario.iter().map(|act| {
        let mut text = format!("at = \"{}\"", spell_duration(act.at));
        let mut put = |key: &str, value: String| {
            write!(text, ", {key} = {value}").expect("a String takes all that is written");
        };
        let time = |time| quoted(&spell_duration(time));
        match &act.deed {
            Deed::Fault { fault, lasts } => {
                put("fault", quoted(&fault.to_string()));
                lasts.iter().for_each(|lasts| put("for", time(*lasts)));
            }
            Deed::Sensor {
                sensor,
                value,
                over,
            } => {
                put("sensor", quoted(sensor));
                put("value", quoted(value));
                over.iter().for_each(|over| put("over", time(*over)));
            }
            Deed::Clear => put("clear", "true".to_owned()),
        }
        format!("{{ {text} }}")
    });
    format!("[{}]", acts.collect::<Vec<_>>().join(", "))
}
