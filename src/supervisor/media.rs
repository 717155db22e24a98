//! What is in nodes' CD drives, for clients.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::control::{Desk, no_node};
use super::protocol::{MediaChange, Reply};
use super::ways::Refusal;
use crate::lab::Name;
use crate::node::power::Image;

/// What is in a node's CD drive, after a change if there is one. Its image is what `open` gives.
pub async fn media(
    desk: &Desk,
    node: &Name,
    change: Option<MediaChange>,
    open: impl AsyncFnOnce() -> io::Result<OwnedFd>,
) -> Result<Reply, Refusal> {
    let Some(found) = desk.lab.0.servers.node(node) else {
        return Err(Refusal::Input(no_node(desk, node)));
    };
    let image = match change {
        None => {
            let medium = found.medium();
            return Ok(Reply::Media { medium });
        }
        Some(MediaChange::Eject) => None,
        Some(MediaChange::Insert { path }) => {
            let file = open().await.map_err(|error| {
                Refusal::Failed(format!("cannot receive {}: {error}", path.display()))
            })?;
            let file = Rc::new(File::from(file));
            Some(Image { file, path })
        }
    };
    let changed = found.change_medium(image).await;
    changed.map_err(Refusal::Failed)?;
    let medium = found.medium();
    Ok(Reply::Media { medium })
}
