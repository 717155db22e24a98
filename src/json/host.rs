//! What a host has and lacks, as JSON.

use schemars::JsonSchema;
use serde::Serialize;

use super::Document;
use crate::doctor::Finding;
use crate::labs::Found;

/// The labs of a host.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Ls {
    /// In the order of their names.
    pub labs: Vec<Found>,
}

/// What a host lacks for labs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Doctor {
    /// Whether labs run on it.
    pub labs_run: bool,
    /// What was found, thing for thing.
    pub findings: Vec<Finding>,
}

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Prune {
    /// What, and whose it was, for people.
    pub removed: Vec<String>,
}

impl Document for Ls {
    const NAME: &'static str = "ls";
}

impl Document for Doctor {
    const NAME: &'static str = "doctor";
}

impl Document for Prune {
    const NAME: &'static str = "prune";
}
