//! Orders to single members: `nsplay start`, `stop` and `restart`.

use super::protocol::Deed;
use super::running::{Comes, Running};
use crate::event::What;
use crate::lab::{Awaited, Name};
use crate::node::power::Door;
use crate::node::{Order, Power};
use crate::plan::{Plan, Runs};
use crate::service::own;

impl Running {
    /// Does what a client wants of a member; a node is switched, and its BMC stays as it is.
    ///
    /// # Errors
    /// Why that cannot be, or did not succeed.
    pub(super) async fn order(&self, name: &Name, deed: Deed) -> Result<(), String> {
        // No other change until this one is done.
        let _network = self.0.network.lock().await;
        let plan = self.plan();
        let part = plan
            .part(name)
            .ok_or_else(|| format!("the lab has no `{name}`"))?;
        if !self.0.members.borrow().contains_key(name) {
            return Err(format!(
                "`{name}` could not be made; `nsplay up` tries it again"
            ));
        }
        self.0.revision.set(self.0.revision.get() + 1);
        match (part.runs, self.0.servers.node(name)) {
            (Runs::Service(_), _) => self.order_service(name, deed).await,
            (Runs::Node(..), Some(node)) => {
                let order = match (deed, node.power()) {
                    (Deed::Start, _) | (Deed::Restart, Power::Off) => Order::On,
                    (Deed::Stop, _) => Order::Off,
                    (Deed::Restart, Power::On) => Order::Cycle,
                };
                node.carry_out(order, Door::Cli).await
            }
            // It did not come up when the lab was changed.
            (Runs::Node(..), None) if deed == Deed::Stop => Ok(()),
            (Runs::Node(..), None) => self.start_again(name, deed.to_string()).await,
        }
    }

    async fn order_service(&self, name: &Name, deed: Deed) -> Result<(), String> {
        let runs = self.runs(name);
        if runs && deed == Deed::Start {
            return Ok(());
        }
        if deed != Deed::Stop {
            self.can_start(&self.plan(), name, &[])?;
        }
        self.stop(name).await?;
        if deed == Deed::Stop {
            self.say_stopped(name, &deed.to_string());
            return Ok(());
        }
        self.start_again(name, deed.to_string()).await
    }

    /// Starts a member that is plugged in and stopped; one that does not come up is stopped again.
    pub(super) async fn start_again(&self, name: &Name, by: String) -> Result<(), String> {
        self.come(name, Comes::AsTheLabSays, by).await
    }

    /// The same, with a say in whether a node is switched on.
    pub(super) async fn come(&self, name: &Name, comes: Comes, by: String) -> Result<(), String> {
        let member = name.clone();
        self.0.host.journal.say(What::Started { member, by });
        let came = self.start(name, comes).await;
        if came.is_err() {
            self.stop(name).await?;
            self.say_stopped(name, "nsplay: it did not come up");
        }
        came
    }

    /// Refuses a start that would wait for a service that is stopped; `others` are started too.
    ///
    /// A node's boot may come any time.
    pub(super) fn can_start(
        &self,
        plan: &Plan,
        name: &Name,
        others: &[Name],
    ) -> Result<(), String> {
        let node = plan.lab.nodes.iter().find(|node| node.name == *name);
        let after = node.map_or_else(|| own::after(&plan.lab, name), |node| &node.after);
        let services = after.iter().filter_map(|awaited| match awaited {
            Awaited::Service(service) => Some(service),
            Awaited::Stage(..) => None,
        });
        let mut services = services.filter(|service| !others.contains(service));
        let waits_for = services.find(|service| !self.runs(service));
        match waits_for {
            Some(service) => Err(format!(
                "`{name}` would wait for `{service}`, which is stopped: `nsplay start {service}` first"
            )),
            None => Ok(()),
        }
    }

    pub(super) fn say_stopped(&self, name: &Name, by: &str) {
        let (member, by) = (name.clone(), by.to_owned());
        self.0.host.journal.say(What::Stopped { member, by });
    }
}
