//! What the state machine of a node can be told.

use std::io;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::sleep;

use super::media::Image;
use super::{ANSWERED_WITHIN, Door, Keeper, Running};
use crate::node::shape::Shape;
use crate::node::{Link, Order};

/// A deed that somebody may wait for.
pub(super) struct Asked {
    /// What it has of the places for orders from the network.
    pub(super) place: Option<OwnedSemaphorePermit>,
    pub(super) deed: Deed,
    pub(super) done: Option<oneshot::Sender<Result<(), String>>>,
}

/// What the state machine can be told.
pub(super) enum Deed {
    /// An order to the power, and the door that it came through.
    Power(Order, Door),
    /// The cable of a network card, counted from 0.
    Cable(usize, Link),
    /// What shapes the link of a network card, counted from 0; none for nothing any more.
    Shape(usize, Option<Shape>),
    /// What is in the CD drive.
    Medium(Option<Image>),
}

impl Keeper {
    /// Does what it was told; why it could not is in the log too.
    pub(super) async fn carry_out(
        &self,
        deed: Deed,
        running: &mut Option<Running>,
    ) -> Result<(), String> {
        let (verb, outcome): (_, io::Result<()>) = match deed {
            Deed::Power(order, door) => {
                if door == Door::Bmc {
                    sleep(ANSWERED_WITHIN).await;
                }
                let outcome = self.obey(order, &door, running).await;
                (format!("power {order}"), outcome)
            }
            Deed::Cable(card, link) => {
                let outcome = self.plug(card, link, running).await;
                (format!("set the link {link}"), outcome)
            }
            Deed::Shape(card, shape) => ("shape the link".to_owned(), self.shape(card, shape)),
            Deed::Medium(image) => {
                let verb = match &image {
                    Some(image) => format!("insert {}", image.path.display()),
                    None => "eject the CD".to_owned(),
                };
                (verb, self.change_medium(image, running).await)
            }
        };
        outcome.map_err(|error| {
            let text = format!("cannot {verb}: {error}");
            self.host.journal.line(self.name(), text.clone());
            text
        })
    }
}
