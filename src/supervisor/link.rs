//! The links of nodes' network cards, for clients: their cables, and what shapes them.

use super::control::{Desk, no_node};
use super::protocol::{LinkChange, Linked, Reply};
use super::ways::Refusal;
use crate::lab::Name;

/// The links of a node's network cards, after a change if there is one.
pub async fn link(
    desk: &Desk,
    node: &Name,
    nic: Option<usize>,
    change: Option<LinkChange>,
) -> Result<Reply, Refusal> {
    let plan = desk.lab.plan();
    let known = plan.lab.nodes.iter().find(|known| known.name == *node);
    let (Some(known), Some(found)) = (known, desk.lab.0.servers.node(node)) else {
        return Err(Refusal::Input(no_node(desk, node)));
    };
    let cards = known.nics().count();
    let nics = match (nic, change) {
        (Some(nic), _) if (1..=cards).contains(&nic) => nic..=nic,
        (Some(nic), _) => {
            let message = format!("node `{node}` has no network card {nic}, but 1 to {cards}");
            return Err(Refusal::Input(message));
        }
        (None, Some(_)) => 1..=1,
        (None, None) => 1..=cards,
    };
    let card = nics.start() - 1;
    let changed = match change {
        None => Ok(()),
        Some(LinkChange::Cable(link)) => found.set_link(card, link).await,
        Some(LinkChange::Shape(shape)) => found.shape_link(card, Some(shape)).await,
        Some(LinkChange::Clear) => found.shape_link(card, None).await,
    };
    changed.map_err(Refusal::Failed)?;
    let links = nics.map(|nic| Linked {
        nic,
        link: found.link(nic - 1),
        shape: found.shape(nic - 1),
    });
    let links = links.collect();
    Ok(Reply::Links { links })
}
