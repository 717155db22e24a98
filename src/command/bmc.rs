//! `nsplay bmc`.

use crate::bmc::ask::{Ask, Reading};
use crate::cli;
use crate::client::Client;
use crate::error::Failure;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};
use crate::ui;

/// Asks a node's BMC for what is not on iron: a sensor's value, an event, their end.
pub fn run(options: &cli::Bmc, lab: &Name) -> Result<u8, Failure> {
    let (node, ask, json) = match options {
        cli::Bmc::Set {
            node,
            sensor,
            value,
            over,
        } => {
            let set = Ask::Set {
                sensor: sensor.clone(),
                value: value.clone(),
                over_ms: over.map(|seconds| (seconds * 1000.0) as u64),
            };
            (node, set, false)
        }
        cli::Bmc::Event {
            node,
            sensor,
            event,
            deassert,
            raw,
        } => {
            let ask = match (sensor, event, raw) {
                (_, _, Some(bytes)) => Ask::Raw {
                    bytes: bytes.clone(),
                },
                (Some(sensor), Some(event), None) => Ask::Event {
                    sensor: sensor.clone(),
                    event: event.clone(),
                    asserted: !deassert,
                },
                (Some(_), None, None) | (None, _, None) => {
                    let hint = "nsplay bmc event NODE SENSOR EVENT, or --raw with 13 bytes";
                    return Err(Failure::refused("which event?", hint));
                }
            };
            (node, ask, false)
        }
        cli::Bmc::Fault { node, fault, lasts } => {
            let ask = Ask::Fault {
                fault: *fault,
                lasts_ms: lasts.map(|seconds| (seconds * 1000.0) as u64),
            };
            (node, ask, false)
        }
        cli::Bmc::Clear { node } => (node, Ask::Clear, false),
        cli::Bmc::Sensors { node, json } => (node, Ask::Sensors, *json),
    };
    let node = node.clone();
    let mut failed = None;
    Client::to_lab(&RunDir::new(lab), &Request::Bmc { node, ask })?.replies(
        |reply| match reply {
            Reply::Sensors { readings } if json => match serde_json::to_string_pretty(&readings) {
                Ok(text) => ui::data(&format!("{text}\n")),
                Err(error) => failed = Some(Failure::failed(error.to_string())),
            },
            Reply::Sensors { readings } => table(&readings),
            Reply::Faults { faults } => {
                faults
                    .iter()
                    .for_each(|fault| ui::data(&format!("{fault}\n")));
            }
            _ => {}
        },
    )?;
    failed.map_or(Ok(0), Err)
}

fn table(readings: &[Reading]) {
    let head = ["NUMBER", "NAME", "TYPE", "VALUE", "CROSSED", "HELD"].map(str::to_owned);
    let rows = readings.iter().map(|reading| {
        let value = match (&reading.value, &reading.unit) {
            (Some(value), Some(unit)) => format!("{value} {unit}"),
            (Some(value), None) => value.clone(),
            (None, _) => "-".to_owned(),
        };
        [
            reading.number.to_string(),
            reading.name.clone(),
            reading.kind.clone(),
            value,
            reading.crossed.clone().unwrap_or_else(|| "-".to_owned()),
            if reading.held { "held" } else { "-" }.to_owned(),
        ]
    });
    ui::table(&[head].into_iter().chain(rows).collect::<Vec<_>>());
}
