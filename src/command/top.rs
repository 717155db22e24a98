//! `nsplay top`.

use std::io;
use std::thread;
use std::time::Duration;

use crate::client::{Client, not_up};
use crate::error::Failure;
use crate::host::usage::{Cost, Sample, netns_of};
use crate::json::Top;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::Request;
use crate::ui;

/// Between two samples: a tenth of it is a clock tick.
const APART: Duration = Duration::from_millis(1000);
/// Who asks once does not want to wait so long.
const ONCE: Duration = Duration::from_millis(300);

/// Prints what each program of a lab costs: once, or again and again on a terminal.
pub fn run(json: bool, lab: &Name) -> Result<u8, Failure> {
    let dir = RunDir::new(lab);
    let fail = |error: io::Error| Failure::io(format_args!("look at lab `{lab}`"), &error);
    let members = members(&dir)?;
    let supervisor = dir.supervisor().ok_or_else(|| not_up(&dir))?;
    let mut before = Sample::take(supervisor.pid).map_err(fail)?;
    if json || !ui::is_terminal() {
        thread::sleep(ONCE);
        let now = Sample::take(supervisor.pid).map_err(fail)?;
        let costs = now.costs(&before, &members);
        if json {
            let lab = lab.clone();
            let programs = costs;
            return ui::json(&Top { lab, programs });
        }
        ui::data(&table(&costs));
        return Ok(0);
    }
    let mut screen = ui::Screen::default();
    loop {
        thread::sleep(if screen.is_new() { ONCE } else { APART });
        if dir.supervisor().as_ref() != Some(&supervisor) {
            ui::status(&format!("lab `{lab}` has ended"));
            return Ok(0);
        }
        let now = Sample::take(supervisor.pid).map_err(fail)?;
        screen.show(&table(&now.costs(&before, &members)));
        before = now;
    }
}

/// The members and their network namespaces.
fn members(dir: &RunDir) -> Result<Vec<(String, u64)>, Failure> {
    let members = Client::to_lab(dir, &Request::Ps)?.members()?;
    let mut names: Vec<Name> = members.into_iter().map(|member| member.name).collect();
    names.dedup();
    // One that has been taken away meanwhile has none.
    let found = names.into_iter().filter_map(|name| {
        let netns = netns_of(&dir.netns_name(&name)).ok()?;
        Some((name.to_string(), netns))
    });
    Ok(found.collect())
}

fn table(costs: &[Cost]) -> String {
    let mut rows = vec![["NAME", "RUNS", "CPU", "MEMORY", "TIME"].map(str::to_owned)];
    let row = |name: &str, runs: &str, cpu: f64, memory: u64, seconds: f64| {
        [
            name.to_owned(),
            runs.to_owned(),
            format!("{cpu:.1}%"),
            ui::bytes_of(memory),
            format!("{seconds:.2}s"),
        ]
    };
    for cost in costs {
        rows.push(row(
            &cost.name,
            &cost.runs,
            cost.cpu,
            cost.memory,
            cost.cpu_seconds,
        ));
    }
    let sum = |of: fn(&Cost) -> f64| costs.iter().map(of).sum::<f64>();
    let memory = costs.iter().map(|cost| cost.memory).sum();
    rows.push(row(
        "all",
        "",
        sum(|cost| cost.cpu),
        memory,
        sum(|cost| cost.cpu_seconds),
    ));
    ui::columns(&rows)
}
