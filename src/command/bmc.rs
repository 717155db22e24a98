//! `nsplay bmc`.

use crate::bmc::ask::{Ask, Reading};
use crate::cli;
use crate::client::Client;
use crate::error::Failure;
use crate::json::{self, BmcAct, Sensors};
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};
use crate::ui;

/// Asks a node's BMC for what is not on iron: a sensor's value, an event, their end.
pub fn run(options: &cli::Bmc, lab: &Name) -> Result<u8, Failure> {
    let (node, ask, json) = asked(options)?;
    let act = act(&ask);
    let request = Request::Bmc {
        node: node.clone(),
        ask,
    };
    let mut printed = Ok(0);
    let mut act = act.filter(|_| json);
    Client::to_lab(&RunDir::new(lab), &request)?.replies(|reply| match reply {
        Reply::Sensors { readings } if json => {
            let (node, sensors) = (node.clone(), readings);
            printed = ui::json(&Sensors { node, sensors });
        }
        Reply::Sensors { readings } => table(&readings),
        Reply::Faults { faults } if json => act = Some(BmcAct::Faults { faults }),
        Reply::Faults { faults } => {
            faults
                .iter()
                .for_each(|fault| ui::data(&format!("{fault}\n")));
        }
        _ => {}
    })?;
    if let Some(act) = act {
        let node = node.clone();
        printed = ui::json(&json::Bmc { node, act });
    }
    printed
}

/// Whom the options ask for what, and whether the answer is to be JSON.
fn asked(options: &cli::Bmc) -> Result<(&Name, Ask, bool), Failure> {
    Ok(match options {
        cli::Bmc::Set {
            node,
            sensor,
            value,
            over,
            json,
        } => {
            let set = Ask::Set {
                sensor: sensor.clone(),
                value: value.clone(),
                over_ms: over.map(|seconds| (seconds * 1000.0) as u64),
            };
            (node, set, *json)
        }
        cli::Bmc::Event {
            node,
            sensor,
            event,
            deassert,
            raw,
            json,
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
            (node, ask, *json)
        }
        cli::Bmc::Fault {
            node,
            fault,
            lasts,
            json,
        } => {
            let ask = Ask::Fault {
                fault: *fault,
                lasts_ms: lasts.map(|seconds| (seconds * 1000.0) as u64),
            };
            (node, ask, *json)
        }
        cli::Bmc::Clear { node, json } => (node, Ask::Clear, *json),
        cli::Bmc::Sensors { node, json } => (node, Ask::Sensors, *json),
    })
}

/// What is done to a BMC; none for a question.
fn act(ask: &Ask) -> Option<BmcAct> {
    Some(match ask.clone() {
        Ask::Set {
            sensor,
            value,
            over_ms,
        } => BmcAct::Set {
            sensor,
            value,
            over_ms,
        },
        Ask::Event {
            sensor,
            event,
            asserted,
        } => BmcAct::Event {
            sensor: Some(sensor),
            event,
            asserted,
        },
        Ask::Raw { bytes } => BmcAct::Event {
            sensor: None,
            event: bytes,
            asserted: true,
        },
        Ask::Fault {
            fault: Some(fault),
            lasts_ms,
        } => BmcAct::Fault { fault, lasts_ms },
        Ask::Clear => BmcAct::Clear,
        Ask::Fault { fault: None, .. } | Ask::Sensors => return None,
    })
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
