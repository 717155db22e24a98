//! Cables: which of a node's network cards are plugged in, and what becomes of packets on their way
//! to them, whatever the node's power does.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use tokio::sync::mpsc;

use super::{Deed, Keeper, Node, Running};
use crate::event::What;
use crate::kernel::qdisc;
use crate::lab::LinkName;
use crate::node::Link;
use crate::node::qmp::{Qmp, Said};
use crate::node::shape::Shape;

/// The cables of a node's network cards, which are counted from 0; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Cables(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    /// The cards whose cable is out.
    out: BTreeSet<usize>,
    /// What shapes the links of cards.
    shapes: BTreeMap<usize, Shape>,
}

impl Cables {
    /// The cards whose cable is out.
    pub(super) fn out(&self) -> Vec<usize> {
        self.0.borrow().out.iter().copied().collect()
    }

    fn link(&self, card: usize) -> Link {
        match self.0.borrow().out.contains(&card) {
            true => Link::Down,
            false => Link::Up,
        }
    }

    fn set(&self, card: usize, link: Link) {
        let out = &mut self.0.borrow_mut().out;
        match link {
            Link::Up => out.remove(&card),
            Link::Down => out.insert(card),
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

    /// Shapes the link of its `card`th network card, counted from 0: what `shape` leaves open stays as
    /// it is, and none is the end of all.
    ///
    /// # Errors
    /// Why it could not be, for people; then all is as it was.
    pub async fn shape_link(&self, card: usize, shape: Option<Shape>) -> Result<(), String> {
        self.ask(Deed::Shape(card, shape)).await
    }

    /// What shapes the link of its `card`th network card, counted from 0.
    #[must_use]
    pub fn shape(&self, card: usize) -> Option<Shape> {
        self.cables.0.borrow().shapes.get(&card).copied()
    }

    /// Whether the cable of its `card`th network card is plugged in, counted from 0.
    #[must_use]
    pub fn link(&self, card: usize) -> Link {
        self.cables.link(card)
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
        if self.cables.link(card) == link {
            return Ok(());
        }
        if let Some(on) = running {
            on.qmp().await?.set_link(card, link).await?;
        }
        self.cables.set(card, link);
        self.host.journal.say(What::Link {
            node: self.name().clone(),
            nic: card + 1,
            link,
        });
        Ok(())
    }
}

impl Keeper {
    /// Shapes a link, or no longer. The kernel keeps that with the card's TAP device, which is there
    /// for as long as the node, whatever becomes of QEMU.
    pub(super) fn shape(&self, card: usize, shape: Option<Shape>) -> io::Result<()> {
        let before = self.cables.0.borrow().shapes.get(&card).copied();
        let shape = shape.map(|shape| shape.over(before.unwrap_or_default()));
        if shape == before {
            return Ok(());
        }
        let netns = self.host.members.get(self.name())?;
        let tap = LinkName::tap(card);
        netns
            .inside(|| qdisc::set(&tap, shape.as_ref()))
            .map_err(|error| match &shape {
                Some(shape) => qdisc::explained(error, shape),
                None => error,
            })?;
        let shapes = &mut self.cables.0.borrow_mut().shapes;
        match shape {
            Some(shape) => shapes.insert(card, shape),
            None => shapes.remove(&card),
        };
        self.host.journal.say(What::Shape {
            node: self.name().clone(),
            nic: card + 1,
            shape,
        });
        Ok(())
    }
}

/// Waits for a QEMU's greeting. One that was started with cables `out` stands still until they are.
pub(super) async fn greet(
    socket: UnixStream,
    said: mpsc::Sender<Said>,
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
