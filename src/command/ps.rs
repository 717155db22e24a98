//! `nsplay ps`.

use std::thread;
use std::time::Duration;

use crate::cli;
use crate::client::Client;
use crate::error::Failure;
use crate::json::Ps;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Member, Request};
use crate::ui;

/// How often the lab is asked again: twice as often as its seconds change.
const AGAIN: Duration = Duration::from_millis(500);

/// Prints the members as a table, or as JSON; once, or whenever something changes.
pub fn run(options: &cli::Ps, lab: &Name) -> Result<u8, Failure> {
    let dir = RunDir::new(lab);
    let mut known = members(&dir)?;
    if !options.watch {
        if options.json {
            return ui::json(&document(lab, known));
        }
        ui::data(&ui::members(&known));
        return Ok(0);
    }
    let mut screen = ui::Screen::default();
    let live = ui::is_terminal() && !options.json;
    let mut changed = true;
    loop {
        match (live, changed) {
            (true, _) => screen.show(&ui::members(&known)),
            (false, true) if options.json => {
                ui::json_line(&document(lab, known.clone()))?;
            }
            (false, true) => ui::data(&format!("{}\n", ui::members(&known))),
            (false, false) => {}
        }
        thread::sleep(AGAIN);
        let Ok(now) = members(&dir) else {
            ui::status(&format!("lab `{lab}` has ended"));
            return Ok(0);
        };
        changed = now != known;
        known = now;
    }
}

fn document(lab: &Name, members: Vec<Member>) -> Ps {
    let lab = lab.clone();
    Ps { lab, members }
}

fn members(dir: &RunDir) -> Result<Vec<Member>, Failure> {
    Client::to_lab(dir, &Request::Ps)?.members()
}
