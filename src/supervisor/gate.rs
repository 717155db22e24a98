//! Who waits for whom when members start.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tokio::sync::watch;

use super::stages::Stages;
use crate::lab::{Awaited, Name};

/// Which services are ready, once each is.
#[derive(Default)]
pub struct Gate(RefCell<BTreeMap<Name, watch::Sender<bool>>>);

impl Gate {
    /// Lets those go on that wait for `service`.
    pub fn open(&self, service: &Name) {
        self.turn(service, true);
    }

    /// Makes those wait for `service` that start from now on.
    pub fn close(&self, service: &Name) {
        self.turn(service, false);
    }

    fn turn(&self, service: &Name, ready: bool) {
        let mut all = self.0.borrow_mut();
        all.entry(service.clone()).or_default().send_replace(ready);
    }

    /// Waits until all that is `awaited` has come about, of nodes as `stages` tell.
    pub async fn wait_for(&self, awaited: &[Awaited], stages: &Stages) {
        for one in awaited {
            let service = match one {
                Awaited::Service(service) => service,
                Awaited::Stage(node, stage) => {
                    stages.wait_for(node, *stage).await;
                    continue;
                }
            };
            let mut ready = {
                let mut all = self.0.borrow_mut();
                all.entry(service.clone()).or_default().subscribe()
            };
            // The sender is never dropped before this value, so the channel stays open.
            let _ = ready.wait_for(|ready| *ready).await;
        }
    }
}
