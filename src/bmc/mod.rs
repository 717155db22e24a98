//! BMCs: ipmi_sim, the front before it, and what its module asks of the node.

pub mod control;
pub mod front;
pub mod ipmi_sim;
pub mod rmcp;

/// The module that ipmi_sim loads, compiled by `build.rs`.
///
/// It is part of the binary so that one file is all of nsplay.
pub const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ipmi-sim-module.so"));
