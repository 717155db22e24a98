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
        if let Identify::Until(end) = identify {
            let node = self.clone();
            tokio::task::spawn_local(async move {
                sleep_until(end.into()).await;
                // It may have been switched again since.
                if node.chassis.borrow().identify == identify {
                    node.tell_light();
                }
            });
        }
    }

    fn tell_light(&self) {
        let on = self.chassis.borrow().identifies() != Identify::Off;
        let node = self.name.clone();
        self.journal.say(What::Identify { node, on });
    }
}
