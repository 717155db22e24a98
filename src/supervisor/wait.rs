//! Waits for what a client wants to come about.

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use regex::Regex;
use tokio::net::TcpStream;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{sleep, timeout};

use super::control::{Desk, no_node};
use super::protocol::State;
use super::{probe, why};
use crate::event::{Event, What};
use crate::lab::{Name, Stage};
use crate::node::{Power, screen};
use crate::progress::goal::{Goal, Page};

/// How often members are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How often a page or a port is asked for: each question is a connection.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// How often a screen is looked at: each look is a picture, and stops the guest for a moment.
const LOOK_AT_SCREEN_EVERY: Duration = Duration::from_millis(500);

/// What answers takes no longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A guest that panicked may reset itself: `panic=10` is what most distributions say.
const AFTER_A_CRASH: Duration = Duration::from_secs(15);

/// Why somebody waited in vain.
pub enum Vain {
    /// For what cannot be.
    Unknown(String),
    /// Too long, or for what will not be any more.
    Late(String),
}

/// Waits until `goal` has come about, of `nodes` or, where there are none, of all.
///
/// # Errors
/// Why it has not.
pub async fn wait(desk: &Desk, nodes: &[Name], goal: &Goal, within: Duration) -> Result<(), Vain> {
    let plan = desk.lab.plan();
    let all = || plan.lab.nodes.iter().map(|node| node.name.clone());
    if let Some(unknown) = nodes
        .iter()
        .find(|node| !all().any(|known| known == **node))
    {
        return Err(Vain::Unknown(no_node(desk, unknown)));
    }
    let named = !nodes.is_empty();
    let nodes: Vec<Name> = match named {
        true => nodes.to_vec(),
        false => all().collect(),
    };
    let goal_of_nodes = matches!(goal, Goal::Stage(_) | Goal::Screen(_));
    if nodes.is_empty() && goal_of_nodes {
        return Err(Vain::Unknown("the lab has no node".to_owned()));
    }
    let asked = Asked::default();
    let came = async {
        match goal {
            Goal::Stage(stage) => return stage_of(desk, &nodes, *stage).await,
            Goal::Healthy => healthy(desk, &nodes, named).await,
            Goal::Http(Page { at, path }) => {
                let whom = Whom::find(desk, &at.host)?;
                asked.until(|| get(desk, &whom, at.port, path)).await;
            }
            Goal::Tcp(at) => {
                let whom = Whom::find(desk, &at.host)?;
                asked.until(|| connects(desk, &whom, at.port)).await;
            }
            Goal::Log(pattern) => {
                let only = if named { &nodes[..] } else { &[] };
                printed(desk, only, &compiled(pattern.regex())?).await;
            }
            Goal::Screen(pattern) => {
                let pattern = compiled(pattern.regex())?;
                for node in &nodes {
                    until(LOOK_AT_SCREEN_EVERY, || shows(desk, node, &pattern)).await;
                }
            }
        }
        Ok(())
    };
    match timeout(within, came).await {
        Ok(came) => came,
        Err(_) => Err(Vain::Late(late(desk, &nodes, goal, within, &asked).await)),
    }
}

/// What is said when it was too long.
async fn late(desk: &Desk, nodes: &[Name], goal: &Goal, within: Duration, asked: &Asked) -> String {
    let within = within.as_secs_f64();
    match goal {
        Goal::Stage(stage) => {
            let slow = nodes
                .iter()
                .filter(|node| !desk.lab.0.stages.reached(node, *stage));
            let slow: Vec<_> = slow.collect();
            let told = slow
                .iter()
                .map(|node| format!("{node} stands at {}", stands(desk, node)));
            let told: Vec<_> = told.collect();
            let reasons = reasons(desk, &slow).await;
            format!(
                "no `{stage}` within {within} s: {}{reasons}",
                told.join("; ")
            )
        }
        Goal::Healthy => {
            let told = ill(desk, nodes, !nodes.is_empty());
            format!("not healthy within {within} s: {}", told.join(", "))
        }
        Goal::Screen(_) | Goal::Log(_) => {
            let reasons = reasons(desk, &nodes.iter().collect::<Vec<_>>()).await;
            format!("no {goal} within {within} s{reasons}")
        }
        Goal::Http(Page { at, .. }) | Goal::Tcp(at) => {
            let plan = desk.lab.plan();
            let all = plan.lab.nodes.iter().map(|node| &node.name);
            let node: Vec<_> = all.filter(|node| node.as_str() == at.host).collect();
            let reasons = reasons(desk, &node).await;
            format!("no {goal} within {within} s{}{reasons}", asked.last())
        }
    }
}

/// Why these nodes have not come farther.
async fn reasons(desk: &Desk, nodes: &[&Name]) -> String {
    /// Of a whole rack that does not boot, a few are enough.
    const MOST: usize = 4;
    let mut reasons = String::new();
    for node in nodes.iter().take(MOST) {
        if let Some(answer) = why::answer(desk, node).await {
            reasons = format!("{reasons}\n{}", answer.to_string().trim_end());
        }
    }
    if let Some(more) = nodes.len().checked_sub(MOST).filter(|more| *more > 0) {
        reasons = format!("{reasons}\nand {more} more");
    }
    reasons
}

fn stands(desk: &Desk, node: &Name) -> String {
    let boot = desk.lab.0.stages.boot(node).unwrap_or_default();
    let stage = boot.stage().map_or(Stage::Off, |step| step.stage);
    stage.to_string()
}

async fn stage_of(desk: &Desk, nodes: &[Name], stage: Stage) -> Result<(), Vain> {
    let mut changes = desk.lab.0.stages.changes();
    loop {
        changes.borrow_and_update();
        // One that was never on has no stage, and is off.
        let reached = |node: &Name| match stage {
            Stage::Off => desk
                .lab
                .0
                .servers
                .node(node)
                .is_some_and(|node| node.power() == Power::Off),
            _ => desk.lab.0.stages.reached(node, stage),
        };
        if nodes.iter().all(reached) {
            return Ok(());
        }
        let crashed = nodes.iter().find(|node| {
            !stage.is_end() && !reached(node) && desk.lab.0.stages.reached(node, Stage::Crashed)
        });
        let Some(node) = crashed else {
            let _ = changes.changed().await;
            continue;
        };
        if timeout(AFTER_A_CRASH, changes.changed()).await.is_err() {
            let reasons = reasons(desk, &[node]).await;
            return Err(Vain::Late(format!(
                "{node} crashed before `{stage}`{reasons}"
            )));
        }
    }
}

async fn healthy(desk: &Desk, nodes: &[Name], named: bool) {
    while !ill(desk, nodes, named).is_empty() {
        sleep(LOOK_EVERY).await;
    }
}

/// The members that are not well. Of nodes that nobody named, those that are off may be so.
fn ill(desk: &Desk, nodes: &[Name], named: bool) -> Vec<String> {
    let plan = desk.lab.plan();
    let is_node = |name: &Name| plan.lab.nodes.iter().any(|node| node.name == *name);
    let members = desk.lab.0.board.members();
    let ill = members.iter().filter_map(|member| {
        if named && is_node(&member.name) && !nodes.contains(&member.name) {
            return None;
        }
        let text = match member.state {
            State::Ready => return None,
            State::On if member.stage == Some(Stage::Crashed) => "has crashed",
            State::On => return None,
            State::Off if !named && member.stage.is_none() => return None,
            State::Off => "is off",
            State::Starting => "is starting",
            State::Waiting => "is being started again",
            State::Ended => "has ended",
            State::Stopped => "is stopped",
        };
        Some(format!("{} ({}) {text}", member.name, member.what))
    });
    ill.collect()
}

/// What came of asking a page or a port, the last time.
#[derive(Default)]
struct Asked(RefCell<Option<String>>);

impl Asked {
    /// Asks again and again until there is an answer.
    async fn until<F: Future<Output = io::Result<()>>>(&self, ask: impl Fn() -> F) {
        loop {
            let said = match timeout(ANSWER_WITHIN, ask()).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", ANSWER_WITHIN.as_secs()),
            };
            self.0.replace(Some(said));
            sleep(ASK_EVERY).await;
        }
    }

    /// That, as the end of a sentence.
    fn last(&self) -> String {
        let last = self.0.borrow();
        last.as_ref()
            .map_or_else(String::new, |said| format!(": {said}"))
    }
}

/// Asks again and again until the answer is yes.
async fn until<F: Future<Output = bool>>(pause: Duration, ask: impl Fn() -> F) {
    while !timeout(ANSWER_WITHIN, ask()).await.unwrap_or(false) {
        sleep(pause).await;
    }
}

async fn shows(desk: &Desk, node: &Name, pattern: &Regex) -> bool {
    let look = async {
        let server = desk
            .lab
            .0
            .servers
            .node(node)
            .ok_or(io::ErrorKind::NotFound)?;
        let qmp = server.monitor().await?;
        screen::text(&qmp, node).await
    };
    let lines = look.await.ok().flatten().unwrap_or_default();
    lines.iter().any(|line| pattern.is_match(line))
}

/// Waits until a member prints a line; what has been printed already counts.
async fn printed(desk: &Desk, only: &[Name], pattern: &Regex) {
    let matches = |event: Event| match event.what {
        What::Log { member, text } => {
            (only.is_empty() || only.contains(&member)) && pattern.is_match(&text)
        }
        _ => false,
    };
    // No await between these two: what has been written is what will not be heard.
    let journal = &desk.lab.0.host.journal;
    let (mut heard, past) = (journal.listen(), journal.past());
    if past.is_ok_and(|mut past| past.any(matches)) {
        return;
    }
    loop {
        match heard.recv().await {
            Ok(event) if matches(event.clone()) => return,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Who is asked.
enum Whom {
    /// An address.
    At(Ipv4Addr),
    /// A node, wherever DHCP has put it by now.
    Node(Name),
}

impl Whom {
    fn find(desk: &Desk, host: &str) -> Result<Self, Vain> {
        let plan = desk.lab.plan();
        let services = plan.lab.services();
        if let Some(seat) = services.iter().find(|seat| seat.name.as_str() == host) {
            return Ok(Self::At(seat.address));
        }
        let nodes = &plan.lab.nodes;
        if let Some(node) = nodes.iter().find(|node| node.name.as_str() == host) {
            return Ok(Self::Node(node.name.clone()));
        }
        host.parse().map(Self::At).map_err(|_| {
            let services = services.iter().map(|seat| seat.name.as_str());
            let nodes = nodes.iter().map(|node| node.name.as_str());
            let names: Vec<_> = services.chain(nodes).collect();
            Vain::Unknown(format!(
                "`{host}` is no address, and nobody in the lab; it has: {}",
                names.join(", ")
            ))
        })
    }

    fn address(&self, desk: &Desk) -> io::Result<Ipv4Addr> {
        match self {
            Self::At(address) => Ok(*address),
            Self::Node(node) => {
                let boot = desk.lab.0.stages.boot(node);
                let address = boot.and_then(|boot| boot.address);
                address.ok_or_else(|| io::Error::other(format!("{node} has no address yet")))
            }
        }
    }
}

async fn get(desk: &Desk, whom: &Whom, port: u16, path: &str) -> io::Result<()> {
    let at = SocketAddrV4::new(whom.address(desk)?, port);
    probe::get(at, path).await
}

async fn connects(desk: &Desk, whom: &Whom, port: u16) -> io::Result<()> {
    let address = whom.address(desk)?;
    TcpStream::connect((address, port)).await.map(drop)
}

fn compiled(pattern: Result<Regex, regex::Error>) -> Result<Regex, Vain> {
    pattern.map_err(|error| Vain::Unknown(error.to_string()))
}
