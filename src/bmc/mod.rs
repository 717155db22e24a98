//! BMCs: ipmi_sim, the front before it, what its module asks of the node, and what it tells of the
//! node's hardware.

pub mod ask;
pub mod bank;
pub mod control;
pub mod emu;
pub mod front;
pub mod fru;
pub mod ipmi_sim;
pub mod lan;
pub mod rmcp;
pub mod sdr;
pub mod states;
pub mod users;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::node::faults::Fault;
use crate::node::power::Node;
use lan::Lan;

/// A BMC, for as long as its lab lives: what outlasts each ipmi_sim.
pub struct Bmc {
    /// The machine that it controls, which keeps the chassis' state.
    pub node: Node,
    /// Its LAN configuration.
    pub lan: RefCell<Lan>,
    /// Ends the present ipmi_sim, so that another one is started.
    pub restart: Rc<Notify>,
}

impl Bmc {
    /// Ends ipmi_sim with all its sessions, and lets nobody reach its successor for a while.
    pub fn cold_reset(&self, away: Duration) {
        let chassis = self.node.chassis();
        chassis
            .borrow_mut()
            .faults
            .begin(Fault::ColdReset, Some(away));
        self.restart.notify_one();
    }
}

/// The module that ipmi_sim loads, compiled by `build.rs`.
///
/// It is part of the binary so that one file is all of nsplay.
pub const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ipmi-sim-module.so"));
