//! The options of `nsplay run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::FileOptions;
use crate::lab::Name;
use crate::progress::goal::Goal;

/// `nsplay run`.
#[derive(Args, Debug)]
pub struct Run {
    /// Which lab.
    #[command(flatten)]
    pub lab: FileOptions,
    /// What comes about before the command is run: a goal as `nsplay wait --for` has them, of
    /// all nodes or, as NODE:GOAL, of one; may be given several times
    #[arg(long = "wait", value_name = "GOAL")]
    pub waits: Vec<Awaited>,
    /// How long each of them may take, such as 90s or 5m
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = super::time)]
    pub timeout: Duration,
    /// The folder that receives all that is known of the run, also what the command prints
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// The file that receives the outcome as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Print JSON: what came of it; what the command prints goes to standard error
    #[arg(long)]
    pub json: bool,
    /// The command and its arguments; it finds the lab in its environment: NSPLAY_LAB,
    /// NSPLAY_NODES, NSPLAY_SSH_KEY, NSPLAY_NODE1_BMC_HOST and more
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// A goal, of one node or of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The node; none for all.
    pub node: Option<Name>,
    /// The goal.
    pub goal: Goal,
}

impl FromStr for Awaited {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let whole = text.parse();
        let of_one = text
            .split_once(':')
            .and_then(|(node, goal)| Some((Name::new(node).ok()?, goal.parse().ok()?)));
        match (whole, of_one) {
            (Ok(goal), _) => Ok(Self { node: None, goal }),
            (Err(_), Some((node, goal))) => Ok(Self {
                node: Some(node),
                goal,
            }),
            (Err(error), None) => Err(error),
        }
    }
}

impl std::fmt::Display for Awaited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{node}:{}", self.goal),
            None => self.goal.fmt(f),
        }
    }
}
