//! The identify light of a node.

use tokio::time::sleep_until;

use super::Node;
use crate::event::What;
use crate::node::chassis::Identify;

impl Node {
    /// Switches the identify light, and tells when it goes out by itself.
    pub fn identify(&self, identify: Identify) {
        self.chassis.borrow_mut().identify = identify;
        self.tell_light();
        let mut goes_out = None;
        if let Identify::Until(end) = identify {
            let node = self.clone();
            let task = tokio::task::spawn_local(async move {
                sleep_until(end.into()).await;
                node.tell_light();
            });
            goes_out = Some(task.abort_handle());
        }
        // One that was to tell of an earlier end has nothing to tell any more.
        if let Some(earlier) = self.light.replace(goes_out) {
            earlier.abort();
        }
    }

    fn tell_light(&self) {
        let on = self.chassis.borrow().identifies() != Identify::Off;
        let node = self.name.clone();
        self.journal.say(What::Identify { node, on });
    }
}
