//! Stages: follows how nodes boot, and tells the journal.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use crate::event::What;
use crate::journal::{self, Journal};
use crate::lab::{Name, Node, Stage};
use crate::progress::tracker::{Boot, Step, Tracker};

/// How often a guest is asked whether its SSH server answers, at first.
///
/// Each question is a connection: the pause doubles up to [`RARELY`].
const OFTEN: Duration = Duration::from_millis(500);

/// How often a guest is asked that has not answered for long.
const RARELY: Duration = Duration::from_secs(8);

/// sshd sends its banner within 20 ms on a host; an emulated guest takes a hundred times as long.
const BANNER_WITHIN: Duration = Duration::from_secs(3);

/// How the nodes of a lab boot; clones are the same.
#[derive(Clone)]
pub struct Stages(Rc<Inner>);

struct Inner {
    tracker: RefCell<Tracker>,
    journal: Journal,
    /// Counts the changes.
    changes: watch::Sender<u64>,
}

impl Stages {
    /// Hears `journal` from now on; no node is tracked yet.
    #[must_use]
    pub fn follow(journal: &Journal) -> Self {
        let stages = Self(Rc::new(Inner {
            tracker: RefCell::default(),
            journal: journal.clone(),
            changes: watch::Sender::new(0),
        }));
        let mut events = journal.listen();
        let heard = stages.clone();
        spawn_local(async move {
            loop {
                match events.recv().await {
                    Ok(event) => {
                        let steps = heard.0.tracker.borrow_mut().hear(&event);
                        for (node, step) in steps {
                            heard.tell(node, step);
                        }
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
        stages
    }

    /// Tracks a node from now on, or as it is from now on.
    pub fn add(&self, node: &Node) {
        let is_new = self.boot(&node.name).is_none();
        self.0.tracker.borrow_mut().add(node);
        if is_new {
            spawn_local(self.clone().ask(node.name.clone()));
        }
    }

    /// Tracks a node no more.
    pub fn remove(&self, node: &Name) {
        self.0.tracker.borrow_mut().remove(node);
        self.0.changes.send_modify(|count| *count += 1);
    }

    /// What has been seen of a node's boot; none for no node.
    #[must_use]
    pub fn boot(&self, node: &Name) -> Option<Boot> {
        self.0.tracker.borrow().boot(node).cloned()
    }

    /// Whether a node has come as far as `stage`, or farther, and is still there: one that is off or has
    /// crashed is nowhere. That it has been installed stays true, for an installer switches it off.
    #[must_use]
    pub fn reached(&self, node: &Name, stage: Stage) -> bool {
        let tracker = self.0.tracker.borrow();
        let Some(boot) = tracker.boot(node) else {
            return false;
        };
        let ended = boot.stage().is_some_and(|now| now.stage.is_end());
        let stays = stage.is_end() || stage == Stage::Installed;
        boot.reached(stage) && (stays || !ended)
    }

    /// Waits until a node's boot has come as far as `stage`, or farther.
    pub async fn wait_for(&self, node: &Name, stage: Stage) {
        let mut changes = self.changes();
        while !self.reached(node, stage) {
            // The sender is never dropped before this value.
            let _ = changes.changed().await;
        }
    }

    /// Tells of each change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn tell(&self, node: Name, step: Step) {
        let Step { stage, detail, .. } = step;
        self.0.journal.say(What::Stage {
            node,
            stage,
            detail,
        });
        self.0.changes.send_modify(|count| *count += 1);
    }

    /// Asks a guest whether its SSH server answers, once it has an address and a kernel.
    async fn ask(self, node: Name) {
        let mut changes = self.changes();
        let mut asked = None;
        let mut pause = OFTEN;
        loop {
            let boot = {
                let tracker = self.0.tracker.borrow();
                let Some(boot) = tracker.boot(&node) else {
                    return;
                };
                whom_to_ask(boot)
            };
            let Some((began, address)) = boot else {
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            };
            if asked != Some((began, address)) {
                (asked, pause) = (Some((began, address)), OFTEN);
            }
            if let Some(banner) = banner(address).await {
                let at = journal::now();
                let mut tracker = self.0.tracker.borrow_mut();
                // It may have been switched off while it was asked.
                let same = tracker.boot(&node).and_then(whom_to_ask) == asked;
                let step = same.then(|| tracker.answers(&node, at, banner)).flatten();
                drop(tracker);
                if let Some(step) = step {
                    self.tell(node.clone(), step);
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(RARELY);
        }
    }
}

/// When the boot of a guest began that may have an SSH server, and its address.
fn whom_to_ask(boot: &Boot) -> Option<(u64, Ipv4Addr)> {
    let now = boot.stage()?.stage;
    let may = boot.has_kernel || boot.reached(Stage::Kernel);
    if !may || now.is_end() || now == Stage::Up {
        return None;
    }
    Some((boot.steps.first()?.at, boot.address?))
}

/// What the SSH server at an address says first (RFC 4253, section 4.2); none when nothing does.
async fn banner(address: Ipv4Addr) -> Option<String> {
    /// Its port.
    const SSH: u16 = 22;
    let ask = async {
        let mut stream = TcpStream::connect(SocketAddrV4::new(address, SSH)).await?;
        // A reset leaves nothing behind, here or there.
        stream.set_zero_linger()?;
        let mut banner = [0; 64];
        let read = stream.read(&mut banner).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&banner[..read]).into_owned())
    };
    let banner = timeout(BANNER_WITHIN, ask).await.ok()?.ok()?;
    let line = banner.lines().next()?;
    line.starts_with("SSH-").then(|| line.to_owned())
}
