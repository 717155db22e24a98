//! `nsplay logs`.

use std::io;
use std::time::Duration;

use crate::cli;
use crate::client::{Client, not_up};
use crate::error::{Cause, Failure};
use crate::event::{Event, What};
use crate::journal;
use crate::lab::Name;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};
use crate::ui::{self, Printer};

/// Prints the log of the lab, or of its last run when it is not up.
pub fn run(options: &cli::Logs, lab: &Name) -> Result<u8, Failure> {
    all_known(lab, &options.members)?;
    let mut printer = Printer::of_log();
    let from = beginning(options.since);
    each(lab, options.follow, |event| {
        if event.at < from || !wanted(&event, &options.members) {
            return;
        }
        match options.json {
            true => printer.json(&event),
            false => printer.event(&event),
        }
    })?;
    Ok(0)
}

/// Prints what happens, and not what members print.
pub fn events(options: &cli::Events, lab: &Name) -> Result<u8, Failure> {
    all_known(lab, &options.members)?;
    let mut printer = Printer::of_events();
    let from = beginning(options.since);
    each(lab, options.follow, |event| {
        let is_line = matches!(event.what, What::Log { .. });
        if event.at < from || !wanted(&event, &options.members) {
            return;
        }
        match (options.json, is_line) {
            // A program may want the lines too; a person has `logs`.
            (true, _) => printer.json(&event),
            (false, true) => {}
            (false, false) => printer.event(&event),
        }
    })?;
    Ok(0)
}

/// When what is wanted begins, in milliseconds after 1970-01-01 UTC.
fn beginning(since: Option<Duration>) -> u64 {
    since.map_or(0, |since| {
        let ago = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        journal::now().saturating_sub(ago)
    })
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
            let Ok(events) = journal::read(&dir.log()) else {
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
    members.is_empty() || whose(event).is_some_and(|whose| members.contains(whose))
}

/// Refuses members that the log knows nothing of, which would be waited for in vain.
fn all_known(lab: &Name, members: &[Name]) -> Result<(), Failure> {
    // Without a log, who reads it says why.
    let Ok(events) = journal::read(&RunDir::new(lab).log()) else {
        return Ok(());
    };
    let mut unknown: Vec<&Name> = members.iter().collect();
    for event in events {
        if unknown.is_empty() {
            break;
        }
        unknown.retain(|member| whose(&event) != Some(member));
    }
    match unknown.first() {
        None => Ok(()),
        Some(member) => Err(Failure::refused(
            format!("nothing of `{member}` is in the log of lab `{lab}`"),
            "`nsplay ps` lists its members",
        )
        .because(Cause::Unknown)),
    }
}

/// The member or node that an event is of; none if it is the lab's.
fn whose(event: &Event) -> Option<&Name> {
    match &event.what {
        What::Log { member, .. }
        | What::Ready { member, .. }
        | What::Exited { member, .. }
        | What::OutOfMemory { member, .. }
        | What::Stopped { member, .. }
        | What::Started { member, .. } => Some(member),
        What::Power { node, .. }
        | What::Reset { node, .. }
        | What::Stage { node, .. }
        | What::Identify { node, .. }
        | What::Link { node, .. }
        | What::Shape { node, .. }
        | What::Media { node, .. }
        | What::Sensor { node, .. }
        | What::Fault { node, .. } => Some(node),
        What::Made { .. }
        | What::Up { .. }
        | What::Failed { .. }
        | What::Note { .. }
        | What::Down { .. } => None,
    }
}
