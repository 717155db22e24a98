//! `nsplay timeline`.

use crate::cli;
use crate::error::{Cause, Failure};
use crate::event::What;
use crate::lab::Name;
use crate::progress::timeline::Timeline;
use crate::ui;

/// Prints how a node boots, or how it did when the lab is not up any more.
pub fn run(options: &cli::Timeline, lab: &Name) -> Result<u8, Failure> {
    let mut events = Vec::new();
    super::logs::each(lab, false, |event| {
        if matches!(event.what, What::Stage { .. }) {
            events.push(event);
        }
    })?;
    let mut timeline = Timeline::of(&options.node, events.iter());
    if timeline.boots.is_empty() {
        let failure = Failure::refused(
            format!("no boot of `{}` in the log of lab `{lab}`", options.node),
            format!(
                "`nsplay ps` lists the nodes; `nsplay power {} on` switches one on",
                options.node
            ),
        );
        return Err(failure.because(Cause::Unknown));
    }
    if !options.all {
        timeline.keep_last();
    }
    if options.json {
        return ui::json(&timeline);
    }
    ui::data(&timeline.to_string());
    Ok(0)
}
