//! Timelines: the boots of a node, stage by stage.

use std::fmt::{self, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Event, What};
use crate::lab::{Name, Stage};

/// How wide a waterfall is, in characters.
const WIDTH: u64 = 36;

/// What is shown of a detail.
const DETAIL: usize = 60;

/// The boots of a node that a log tells of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// The node.
    pub node: Name,
    /// Its boots, the oldest first.
    pub boots: Vec<Boot>,
    /// How many boots there were before them.
    #[serde(skip)]
    earlier: usize,
}

/// One boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Boot {
    /// When it began, in milliseconds after 1970-01-01 UTC.
    #[serde(with = "crate::json::time")]
    #[schemars(with = "crate::json::time::Time")]
    pub began: u64,
    /// Its stages, in the order in which they were seen.
    pub stages: Vec<Mark>,
}

/// A stage of a boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// The stage.
    pub stage: Stage,
    /// What showed it.
    pub detail: String,
    /// How long after the beginning of the boot, in milliseconds.
    pub after_ms: u64,
    /// How long until the next one, in milliseconds; none for the last.
    pub lasted_ms: Option<u64>,
}

impl Timeline {
    /// The boots of `node` in `events`.
    #[must_use]
    pub fn of<'e>(node: &Name, events: impl Iterator<Item = &'e Event>) -> Self {
        let mut boots: Vec<Boot> = Vec::new();
        for event in events {
            let What::Stage {
                node: whose,
                stage,
                detail,
            } = &event.what
            else {
                continue;
            };
            if whose != node {
                continue;
            }
            if *stage == Stage::Powered {
                boots.push(Boot {
                    began: event.at,
                    stages: Vec::new(),
                });
            }
            // A log that has lost the beginning of a boot begins with the rest of it.
            let Some(boot) = boots.last_mut() else {
                continue;
            };
            let after_ms = event.at.saturating_sub(boot.began);
            if let Some(last) = boot.stages.last_mut() {
                last.lasted_ms = Some(after_ms.saturating_sub(last.after_ms));
            }
            boot.stages.push(Mark {
                stage: *stage,
                detail: detail.clone(),
                after_ms,
                lasted_ms: None,
            });
        }
        Self {
            node: node.clone(),
            boots,
            earlier: 0,
        }
    }

    /// Leaves out all boots but the last.
    pub fn keep_last(&mut self) {
        self.earlier += self.boots.len().saturating_sub(1);
        self.boots.drain(..self.boots.len().saturating_sub(1));
    }
}

/// As a waterfall, one boot after the other.
impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.earlier + self.boots.len();
        for (number, boot) in (self.earlier + 1..).zip(&self.boots) {
            if number > self.earlier + 1 {
                writeln!(f)?;
            }
            writeln!(f, "{}, boot {number} of {count}", self.node)?;
            boot.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.stages.last().map_or(0, |last| last.after_ms).max(1);
        let column = |ms: u64| ms * WIDTH / whole;
        for mark in &self.stages {
            let begin = column(mark.after_ms);
            let end = mark.lasted_ms.map(|ms| column(mark.after_ms + ms));
            let end = end.unwrap_or(begin).max(begin + 1);
            let mut bar = String::new();
            for place in 0..=WIDTH {
                let is_in = (begin..end).contains(&place);
                bar.push(if is_in { '#' } else { ' ' });
            }
            let seconds = mark.after_ms as f64 / 1000.0;
            let detail: String = mark.detail.chars().take(DETAIL).collect();
            let mut line = String::new();
            write!(line, "{seconds:>9.3} s  {:<9} {bar} {detail}", mark.stage)?;
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(at: u64, node: &str, stage: Stage, detail: &str) -> Event {
        let what = What::Stage {
            node: Name::new(node).unwrap(),
            stage,
            detail: detail.to_owned(),
        };
        Event { at, what }
    }

    #[test]
    fn a_waterfall_shows_how_long_each_stage_of_each_boot_took() {
        let events = [
            stage(900, "node1", Stage::Off, "lost its beginning"),
            stage(1000, "node1", Stage::Powered, "by nsplay up"),
            stage(1250, "node1", Stage::Firmware, "SeaBIOS"),
            stage(1300, "node2", Stage::Firmware, "another's"),
            stage(1500, "node1", Stage::Discover, ""),
            stage(2000, "node1", Stage::Off, "by nsplay power"),
            stage(5000, "node1", Stage::Powered, "by nsplay power"),
        ];
        let timeline = Timeline::of(&Name::new("node1").unwrap(), events.iter());
        assert_eq!(timeline.boots[0].stages[1].lasted_ms, Some(250));
        assert_eq!(timeline.boots[0].stages[3].lasted_ms, None);
        let shown = "\
node1, boot 1 of 2
    0.000 s  powered   #########                             by nsplay up
    0.250 s  firmware           #########                    SeaBIOS
    0.500 s  discover                    ##################
    1.000 s  off                                           # by nsplay power

node1, boot 2 of 2
    0.000 s  powered   #                                     by nsplay power
";
        assert_eq!(timeline.to_string(), shown);
    }
}
