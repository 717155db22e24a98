//! The control socket: answers `nsplay ps`, `logs`, `power`, `console`, `bmc`, `inspect`, `down` and
//! the `up` that waits.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use nix::unistd::geteuid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, BufWriter, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::task::{JoinHandle, JoinSet, spawn_local};

use super::change::Untouched;
use super::protocol::{BootChange, Outcome, Reply, Request};
use super::running::Running;
use super::see;
use super::wait::Vain;
use super::ways::Refusal;
use super::{link, media};
use crate::error::no_such;
use crate::event::{Event, What};
use crate::inspect::{Inspection, Service};
use crate::journal;
use crate::kernel::passing;
use crate::lab::Name;
use crate::node::power::Door;
use crate::plan::Plan;

/// A request is one short line; who sends more is no client of ours.
const LONGEST_REQUEST: u64 = 64 << 10;

/// What answering needs.
#[derive(Clone)]
pub struct Desk {
    /// Who else than root may ask.
    pub owner: u32,
    /// The lab.
    pub lab: Running,
    /// Takes the lab down; says who asked.
    pub down: mpsc::UnboundedSender<String>,
}

/// Answers clients, for ever; returns the ones that are still being answered when told to.
///
/// # Errors
/// When the socket cannot be used.
pub async fn serve(
    listener: std::os::unix::net::UnixListener,
    desk: Desk,
    mut last_call: mpsc::Receiver<()>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    clients.spawn_local(answer(client, desk.clone()));
                }
            }
            Some(_) = clients.join_next() => {}
            _ = last_call.recv() => break,
        }
    }
    // Those who listen hear the end, also who has come this moment: a lab can fail at once. Those
    // who ask now find nobody.
    let listener = listener.into_std()?;
    while let Ok((client, _)) = listener.accept() {
        client.set_nonblocking(true)?;
        clients.spawn_local(answer(UnixStream::from_std(client)?, desk.clone()));
    }
    drop(listener);
    while clients.join_next().await.is_some() {}
    Ok(())
}

async fn answer(client: UnixStream, desk: Desk) -> io::Result<()> {
    let uid = client.peer_cred()?.uid();
    let (read, write) = client.into_split();
    let mut client = Client {
        write: BufWriter::new(write),
    };
    // The socket's mode keeps others out; a descriptor that was passed on does not.
    if uid != 0 && uid != desk.owner {
        let message = "the lab belongs to another user".to_owned();
        return client.last(&Reply::Refused { message }).await;
    }
    let mut line = String::new();
    let mut read = BufReader::new(read);
    tokio::io::AsyncReadExt::take(&mut read, LONGEST_REQUEST)
        .read_line(&mut line)
        .await?;
    let request = match serde_json::from_str(&line) {
        Ok(request) => request,
        Err(error) => {
            let message = format!("cannot read the request: {error}");
            return client.last(&Reply::Refused { message }).await;
        }
    };
    match request {
        Request::Up { hold } => {
            let events = client
                .events(&desk, Until::Up { hold }, read.into_inner())
                .await;
            if hold {
                let _ = desk.down.send("its terminal, which has gone".to_owned());
            }
            events
        }
        Request::Logs { follow } => {
            let until = if follow { Until::End } else { Until::Now };
            client.events(&desk, until, read.into_inner()).await
        }
        Request::Ps => {
            let members = desk.lab.0.board.members();
            client.send(&Reply::Members { members }).await?;
            client.last(&Reply::Done).await
        }
        Request::Power { node, order } => {
            let Some(found) = desk.lab.0.servers.node(&node) else {
                let message = no_node(&desk, &node);
                return client.last(&Reply::Unknown { message }).await;
            };
            if let Some(order) = order
                && let Err(message) = found.carry_out(order, Door::Cli).await
            {
                return client.last(&Reply::Refused { message }).await;
            }
            let power = found.power();
            client.send(&Reply::Power { power }).await?;
            client.last(&Reply::Done).await
        }
        Request::Boot { node, change } => client.answer(boot(&desk, &node, change)).await,
        Request::Link { node, nic, change } => {
            let became = link::link(&desk, &node, nic, change).await;
            client.way(became).await
        }
        Request::Media { node, change } => {
            let open = async || {
                client.last(&Reply::GoOn).await?;
                let mut come = received(read.get_ref(), 1).await?;
                come.pop().ok_or_else(|| io::ErrorKind::InvalidData.into())
            };
            let became = media::media(&desk, &node, change, open).await;
            client.way(became).await
        }
        Request::Order { member, deed } => {
            let plan = desk.lab.plan();
            if !plan.lab.members().contains(&&member) {
                let message = no_member(&plan, &member);
                return client.last(&Reply::Unknown { message }).await;
            }
            match desk.lab.order(&member, deed).await {
                Ok(()) => client.last(&Reply::Done).await,
                Err(message) => client.last(&Reply::Refused { message }).await,
            }
        }
        Request::Bmc { node, ask } => {
            let answer = match desk.lab.0.servers.get(&node) {
                None => Err(no_node(&desk, &node)),
                Some(server) => server.answer(&ask).map_err(|refusal| refusal.to_string()),
            };
            client.answer(answer).await
        }
        Request::Inspect { member } => client.answer(inspect(&desk, &member)).await,
        Request::Attach { .. } | Request::Detach { .. } if uid != 0 => {
            let message = "the host's network is root's to change: run it with sudo".to_owned();
            client.last(&Reply::Refused { message }).await
        }
        Request::Attach { network } => {
            let (ways, plan) = (&desk.lab.0.ways, desk.lab.plan());
            let attached = ways.attach(&plan.lab, network.as_ref());
            let attached = attached.map(|(address, link)| Reply::Attached { address, link });
            client.way(attached).await
        }
        Request::Detach { network } => {
            let (ways, plan) = (&desk.lab.0.ways, desk.lab.plan());
            let detached = ways.detach(&plan.lab, network.as_ref());
            let detached = detached.map(|networks| Reply::Detached { networks });
            client.way(detached).await
        }
        Request::Console { node, past } => {
            let mut names = nodes(desk.lab.plan().as_ref());
            let name = match node {
                None if names.len() == 1 => names.pop(),
                asked => asked,
            };
            let found = name.and_then(|name| Some((desk.lab.0.servers.node(&name)?, name)));
            let Some((node, name)) = found else {
                return client.last(&Reply::Nodes { nodes: names }).await;
            };
            let (node, journal) = (node.console(), desk.lab.0.host.journal.listen());
            client.last(&Reply::Console { node: name }).await?;
            if past {
                return client.write.get_mut().write_all(&node.kept()).await;
            }
            tokio::select! {
                ended = node.typed_by(read) => ended,
                ended = async { node.watch().show(client.write.get_mut()).await } => ended,
                () = last_event(journal) => Ok(()),
            }
        }
        Request::Wait {
            nodes,
            goal,
            within_ms,
        } => {
            let wanted = (&nodes[..], &goal, within_ms);
            see::waits(&mut client, &desk, wanted, read.into_inner()).await
        }
        Request::Why { node } => see::asks_why(&mut client, &desk, &node).await,
        Request::Screen { node, text } => see::looks(&mut client, &desk, &node, text).await,
        Request::Keys { node, keys } => see::types(&mut client, &desk, &node, &keys).await,
        // A program of the lab's may be root's: only who could start one may change the lab.
        Request::Running | Request::Change { .. } if uid != 0 && uid != geteuid().as_raw() => {
            let message = "what a lab is made of is for who made it".to_owned();
            client.last(&Reply::Refused { message }).await
        }
        Request::Running => {
            let snapshot = desk.lab.snapshot().await;
            client.send(&Reply::Running(Box::new(snapshot))).await?;
            client.last(&Reply::Done).await
        }
        Request::Change {
            revision,
            descriptors,
        } => {
            client.last(&Reply::GoOn).await?;
            let read = read.into_inner();
            let mut descriptors = received(&read, descriptors).await?.into_iter();
            let plan = descriptors.next().ok_or(io::ErrorKind::InvalidData)?;
            let plan = serde_json::from_reader(io::BufReader::new(File::from(plan)))?;
            let (lab, journal) = (desk.lab.clone(), desk.lab.0.host.journal.listen());
            // It goes on, whatever becomes of the client.
            let changing =
                spawn_local(async move { lab.change(plan, revision, descriptors.collect()).await });
            client.changing(changing, journal).await
        }
        Request::Down { by } => {
            let _ = desk.down.send(by);
            client.last(&Reply::Done).await
        }
    }
}

pub(super) fn no_node(desk: &Desk, node: &Name) -> String {
    no_such("node", node, &nodes(desk.lab.plan().as_ref()))
}

fn no_member(plan: &Plan, member: &Name) -> String {
    no_such("member", member, plan.lab.members())
}

/// What a member is.
fn inspect(desk: &Desk, member: &Name) -> Result<Option<Reply>, String> {
    let plan = desk.lab.plan();
    if let Some(node) = plan.lab.nodes.iter().find(|node| node.name == *member) {
        let runs = desk.lab.0.servers.node(member);
        let boot = desk.lab.0.stages.boot(member).unwrap_or_default();
        let stage = boot.stage().map(|step| step.stage);
        let inspection = Inspection::of(&plan.lab, node, runs.as_ref(), stage);
        return Ok(Some(Reply::Inspection(Box::new(inspection))));
    }
    let members = desk.lab.0.board.members();
    let now = members.iter().find(|known| known.name == *member);
    let service = Service::of(&plan, member, now).ok_or_else(|| no_member(&plan, member))?;
    Ok(Some(Reply::Service(Box::new(service))))
}

fn nodes(plan: &Plan) -> Vec<Name> {
    let nodes = plan.lab.nodes.iter();
    nodes.map(|node| node.name.clone()).collect()
}

/// What a node boots from, after a change if there is one.
fn boot(desk: &Desk, node: &Name, change: Option<BootChange>) -> Result<Option<Reply>, String> {
    let plan = desk.lab.plan();
    let known = plan.lab.nodes.iter().find(|known| known.name == *node);
    let (Some(known), Some(found)) = (known, desk.lab.0.servers.node(node)) else {
        return Err(no_node(desk, node));
    };
    let now = Instant::now();
    if let Some(BootChange { choice, once }) = change {
        let mut done = Ok(());
        found.set_boot_options(|options| done = options.prefer(choice, once, known, now));
        done.map_err(|why| format!("node `{node}`: {why}"))?;
    }
    let next = found.chassis().borrow().boot.next(known, now);
    Ok(Some(Reply::Boot {
        order: next.order,
        chosen: next.says,
    }))
}

/// Until when a client wants events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Until the last that has happened.
    Now,
    /// Until the lab is up, and longer when it holds the lab.
    Up {
        /// Whether it holds the lab.
        hold: bool,
    },
    /// Until the lab ends.
    End,
}

/// Who asks.
pub(super) struct Client {
    pub(super) write: BufWriter<OwnedWriteHalf>,
}

impl Client {
    pub(super) async fn send(&mut self, reply: &Reply) -> io::Result<()> {
        let mut line = serde_json::to_vec(reply)?;
        line.push(b'\n');
        self.write.write_all(&line).await
    }

    async fn last(&mut self, reply: &Reply) -> io::Result<()> {
        self.send(reply).await?;
        self.write.flush().await
    }

    /// Sends what happens while the lab is changed, and then what became of it.
    async fn changing(
        &mut self,
        mut changing: JoinHandle<Result<Vec<Outcome>, Untouched>>,
        mut journal: broadcast::Receiver<Event>,
    ) -> io::Result<()> {
        let changed = loop {
            tokio::select! {
                biased;
                event = journal.recv() => {
                    // Lines of members are in the log; too many events are no reason to end.
                    if let Ok(event) = event
                        && !matches!(event.what, What::Log { .. })
                    {
                        self.last(&Reply::Event(event)).await?;
                    }
                }
                changed = &mut changing => break changed.map_err(io::Error::other)?,
            }
        };
        match changed {
            Ok(outcomes) => self.send(&Reply::Changed { outcomes }).await?,
            Err(Untouched::Stale) => self.send(&Reply::Stale).await?,
            Err(Untouched::Refused(message)) => {
                return self.last(&Reply::Unknown { message }).await;
            }
        }
        self.last(&Reply::Done).await
    }

    /// Sends what was found, or why nothing was.
    async fn answer(&mut self, answer: Result<Option<Reply>, String>) -> io::Result<()> {
        match answer {
            Ok(reply) => {
                if let Some(reply) = reply {
                    self.send(&reply).await?;
                }
                self.last(&Reply::Done).await
            }
            Err(message) => self.last(&Reply::Unknown { message }).await,
        }
    }

    /// Sends what became of a way.
    async fn way(&mut self, became: Result<Reply, Refusal>) -> io::Result<()> {
        match became {
            Ok(reply) => self.answer(Ok(Some(reply))).await,
            Err(Refusal::Input(message)) => self.answer(Err(message)).await,
            Err(Refusal::Failed(message)) => self.last(&Reply::Refused { message }).await,
        }
    }

    /// The same, for what may also be too late.
    pub(super) async fn ends(&mut self, end: Result<Option<Reply>, Vain>) -> io::Result<()> {
        match end {
            Ok(reply) => self.answer(Ok(reply)).await,
            Err(Vain::Unknown(message)) => self.answer(Err(message)).await,
            Err(Vain::Late(message)) => self.last(&Reply::Refused { message }).await,
        }
    }

    /// Sends what has happened, then what happens, until the client leaves or has what it wants.
    async fn events(
        &mut self,
        desk: &Desk,
        until: Until,
        mut read: OwnedReadHalf,
    ) -> io::Result<()> {
        // No await between these two: what has been written is what will not be heard.
        let journal = &desk.lab.0.host.journal;
        let (mut heard, past) = (journal.listen(), journal.past()?);
        for event in past {
            if self.pass(event, until).await? {
                return Ok(());
            }
        }
        if until == Until::Now {
            return self.last(&Reply::Done).await;
        }
        loop {
            self.write.flush().await?;
            let event = tokio::select! {
                event = heard.recv() => event,
                // It has nothing more to say: readable means that it has gone.
                _ = gone(&mut read) => return Ok(()),
            };
            match event {
                Ok(event) => {
                    if self.pass(event, until).await? {
                        return Ok(());
                    }
                }
                Err(RecvError::Lagged(missed)) => {
                    let text = format!("{missed} events were too fast for this client");
                    let at = journal::now();
                    let what = What::Note { text };
                    self.send(&Reply::Event(Event { at, what })).await?;
                }
                Err(RecvError::Closed) => return self.last(&Reply::Done).await,
            }
        }
    }

    /// Sends one event, and tells whether it was the last that the client wants.
    async fn pass(&mut self, event: Event, until: Until) -> io::Result<bool> {
        let end = match event.what {
            What::Up { .. } => until == Until::Up { hold: false },
            What::Failed { .. } | What::Down { .. } => until != Until::Now,
            _ => false,
        };
        self.send(&Reply::Event(event)).await?;
        if end {
            self.last(&Reply::Done).await?;
        }
        Ok(end)
    }
}

/// Waits until the lab ends.
async fn last_event(mut journal: broadcast::Receiver<Event>) {
    loop {
        match journal.recv().await {
            Ok(event) if matches!(event.what, What::Failed { .. } | What::Down { .. }) => return,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// Receives so many descriptors.
async fn received(from: &OwnedReadHalf, number: usize) -> io::Result<Vec<OwnedFd>> {
    let mut descriptors = Vec::new();
    while descriptors.len() < number {
        let socket: &UnixStream = from.as_ref();
        let receive = || passing::receive(socket);
        descriptors.extend(socket.async_io(Interest::READABLE, receive).await?);
    }
    Ok(descriptors)
}

pub(super) async fn gone(read: &mut OwnedReadHalf) {
    let mut byte = [0];
    let _ = tokio::io::AsyncReadExt::read(read, &mut byte).await;
}
