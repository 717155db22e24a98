//! What clients see of nodes, and type: waiting, why, screens and keys.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedReadHalf;

use super::control::{Client, Desk, gone, no_node};
use super::protocol::Reply;
use super::wait::Vain;
use super::{wait, why};
use crate::lab::Name;
use crate::node::keys::Press;
use crate::node::qmp::Qmp;
use crate::node::screen;
use crate::progress::goal::Goal;

/// Waits for `goal` until it has come about, or the client leaves.
pub async fn waits(
    client: &mut Client,
    desk: &Desk,
    (nodes, goal, within_ms): (&[Name], &Goal, u64),
    mut read: OwnedReadHalf,
) -> io::Result<()> {
    let within = Duration::from_millis(within_ms);
    let waited = tokio::select! {
        waited = wait::wait(desk, nodes, goal, within) => waited,
        () = gone(&mut read) => return Ok(()),
    };
    client.ends(waited.map(|()| None)).await
}

/// Says why a node does not boot.
pub async fn asks_why(client: &mut Client, desk: &Desk, node: &Name) -> io::Result<()> {
    let answer = why::answer(desk, node).await;
    let answer = answer.ok_or_else(|| Vain::Unknown(no_node(desk, node)));
    client
        .ends(answer.map(|answer| Some(Reply::Why(Box::new(answer)))))
        .await
}

/// Sends what a screen shows, as text or as a picture.
pub async fn looks(client: &mut Client, desk: &Desk, node: &Name, text: bool) -> io::Result<()> {
    let cannot = |error: io::Error| Vain::Late(format!("cannot look at {node}'s screen: {error}"));
    let qmp = match monitor(desk, node).await {
        Ok(qmp) => qmp,
        Err(vain) => return client.ends(Err(vain)).await,
    };
    if text {
        let lines = screen::text(&qmp, node).await.map_err(cannot);
        let lines = lines.and_then(|lines| {
            let graphics = || {
                format!(
                    "the screen of {node} is in a graphics mode and has no text: `nsplay \
                     screenshot {node} FILE.png` takes a picture, `nsplay console {node}` has \
                     what it prints on its serial line"
                )
            };
            lines.ok_or_else(|| Vain::Late(graphics()))
        });
        let reply = lines.map(|lines| Some(Reply::Text { lines }));
        return client.ends(reply).await;
    }
    match screen::picture(&qmp, node).await {
        Err(error) => client.ends(Err(cannot(error))).await,
        Ok(picture) => {
            let (width, height) = (picture.width, picture.height);
            client.send(&Reply::Picture { width, height }).await?;
            client.write.write_all(&picture.points).await?;
            client.write.flush().await
        }
    }
}

/// Types on a node's keyboard.
pub async fn types(
    client: &mut Client,
    desk: &Desk,
    node: &Name,
    keys: &[Press],
) -> io::Result<()> {
    let typed = match monitor(desk, node).await {
        Ok(qmp) => screen::press(&qmp, keys)
            .await
            .map_err(|error| Vain::Late(format!("cannot type on {node}'s keyboard: {error}"))),
        Err(vain) => Err(vain),
    };
    client.ends(typed.map(|()| None)).await
}

/// The monitor of a node that is on.
async fn monitor(desk: &Desk, node: &Name) -> Result<Rc<Qmp>, Vain> {
    let Some(found) = desk.lab.0.servers.node(node) else {
        return Err(Vain::Unknown(no_node(desk, node)));
    };
    let off = |error| {
        Vain::Late(format!(
            "{node}: {error}; `nsplay power {node} on` switches it on"
        ))
    };
    found.monitor().await.map_err(off)
}
