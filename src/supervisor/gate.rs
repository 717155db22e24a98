//! Who waits for whom while a lab comes up.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::lab::{Lab, Name};

/// Which services have been ready.
pub struct Gate(BTreeMap<Name, watch::Sender<bool>>);

impl Gate {
    /// The services of `lab`, none of which is ready yet.
    #[must_use]
    pub fn of(lab: &Lab) -> Self {
        let services = lab.services();
        let closed = services
            .iter()
            .map(|seat| (seat.name.clone(), watch::Sender::new(false)));
        Self(closed.collect())
    }

    /// Lets those go on that wait for `service`.
    pub fn open(&self, service: &Name) {
        if let Some(sender) = self.0.get(service) {
            sender.send_replace(true);
        }
    }

    /// Waits until all of `services` have been ready; the lab file has no others.
    pub async fn wait_for(&self, services: &[Name]) {
        for sender in services.iter().filter_map(|name| self.0.get(name)) {
            // The sender is here, so the channel stays open.
            let _ = sender.subscribe().wait_for(|ready| *ready).await;
        }
    }
}
