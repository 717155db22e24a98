//! Cables: which of a node's network cards are plugged in, whatever its power does.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use tokio::sync::mpsc;

use super::{Deed, Keeper, Node, Running};
use crate::event::What;
use crate::node::Link;
use crate::node::qmp::{Qmp, Said};

/// The network cards whose cable is out, counted from 0; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Pulled(Rc<RefCell<BTreeSet<usize>>>);

impl Pulled {
    pub(super) fn cards(&self) -> Vec<usize> {
        self.0.borrow().iter().copied().collect()
    }

    fn link(&self, card: usize) -> Link {
        match self.0.borrow().contains(&card) {
            true => Link::Down,
            false => Link::Up,
        }
    }

    fn set(&self, card: usize, link: Link) {
        let mut pulled = self.0.borrow_mut();
        match link {
            Link::Up => pulled.remove(&card),
            Link::Down => pulled.insert(card),
        };
    }
}

impl Node {
    /// Plugs or pulls the cable of its `card`th network card, counted from 0.
    ///
    /// # Errors
    /// Why it could not be, for people.
    pub async fn set_link(&self, card: usize, link: Link) -> Result<(), String> {
        self.ask(Deed::Cable(card, link)).await
    }

    /// Whether the cable of its `card`th network card is plugged in, counted from 0.
    #[must_use]
    pub fn link(&self, card: usize) -> Link {
        self.pulled.link(card)
    }
}

impl Keeper {
    /// Plugs or pulls a cable: of the QEMU that runs, and of those that come.
    pub(super) async fn plug(
        &self,
        card: usize,
        link: Link,
        running: &mut Option<Running>,
    ) -> io::Result<()> {
        if self.pulled.link(card) == link {
            return Ok(());
        }
        if let Some(on) = running {
            on.qmp().await?.set_link(card, link).await?;
        }
        self.pulled.set(card, link);
        self.host.journal.say(What::Link {
            node: self.name().clone(),
            nic: card + 1,
            link,
        });
        Ok(())
    }
}

/// Waits for a QEMU's greeting. One that was started with cables `out` stands still until they are.
pub(super) async fn greet(
    socket: UnixStream,
    said: mpsc::UnboundedSender<Said>,
    out: &[usize],
) -> io::Result<Qmp> {
    let qmp = Qmp::greet(socket, said).await?;
    for card in out {
        qmp.set_link(*card, Link::Down).await?;
    }
    if !out.is_empty() {
        qmp.begin().await?;
    }
    Ok(qmp)
}
