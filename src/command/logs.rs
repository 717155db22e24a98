//! `nsplay logs`.

use std::io;

use crate::cli;
use crate::client::{Client, not_up};
use crate::error::Failure;
use crate::event::{Event, What};
use crate::journal;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};
use crate::ui::{self, Printer};

/// Prints the log of the lab, or of its last run when it is not up.
pub fn run(options: &cli::Logs, lab: &Name) -> Result<u8, Failure> {
    let mut printer = Printer::of_log();
    each(lab, options.follow, |event| {
        if wanted(&event, &options.members) {
            printer.event(&event);
        }
    })?;
    Ok(0)
}

/// Passes on the events of a lab, or of its last run when it is not up; `follow` goes on with
/// those to come.
///
/// # Errors
/// When there is no log, or the lab belongs to somebody else.
pub fn each(lab: &Name, follow: bool, mut take: impl FnMut(Event)) -> Result<(), Failure> {
    let dir = RunDir::new(lab);
    let client = match Client::ask(&dir, &Request::Logs { follow }) {
        Ok(client) => client,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Ok(events) = journal::read(&dir.log(), u64::MAX) else {
                return Err(not_up(&dir));
            };
            ui::status(&format!(
                "lab `{lab}` is not up; this is the log of its last run"
            ));
            events.for_each(take);
            return Ok(());
        }
        Err(error) => return Err(Failure::io(format_args!("reach lab `{lab}`"), &error)),
    };
    client.replies(|reply| {
        if let Reply::Event(event) = reply {
            take(event);
        }
    })
}

/// Whether an event belongs to one of `members`; all do when none is named.
fn wanted(event: &Event, members: &[Name]) -> bool {
    let whose = match &event.what {
        What::Log { member, .. }
        | What::Ready { member, .. }
        | What::Exited { member, .. }
        | What::Stopped { member, .. }
        | What::Started { member, .. } => member,
        What::Power { node, .. }
        | What::Reset { node, .. }
        | What::Stage { node, .. }
        | What::Identify { node, .. }
        | What::Link { node, .. }
        | What::Sensor { node, .. }
        | What::Fault { node, .. } => node,
        What::Made { .. }
        | What::Up { .. }
        | What::Failed { .. }
        | What::Note { .. }
        | What::Down { .. } => return members.is_empty(),
    };
    members.is_empty() || members.contains(whose)
}
