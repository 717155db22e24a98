//! The lab as it runs: its plan, and its members, each of which can be started and stopped by
//! itself.
//!
//! A member is plugged in first: its namespace and links are there, its folders are served, its
//! ports are published. What runs in it can then be started and stopped. Who changes any of that
//! holds the [`Network`], so that one change is made at a time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::sync::{Mutex, Notify, oneshot, watch};
use tokio::time::timeout;

use super::board::Board;
use super::gate::Gate;
use super::life::Life;
use super::publish::{self, Sockets};
use super::server::Servers;
use super::stages::Stages;
use super::ways::Ways;
use super::{chain, furnish, view};
use crate::event::What;
use crate::faultpoint::moment;
use crate::journal::Journal;
use crate::kernel::net::{NetError, Network};
use crate::kernel::occupants::{self, Who};
use crate::lab::{Name, Root};
use crate::node::Order;
use crate::node::power::{Door, Host};
use crate::plan::{Part, Plan, Publish, Runs, View};
use crate::rundir::RunDir;
use crate::service::sshd_keys::Keys;

/// How long a service may take to end by itself once it is asked to.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who keeps a program reads what is left in its pipes within half of that.
const LAST_WORDS_WITHIN: Duration = Duration::from_millis(200);

/// QEMU is killed within milliseconds; a state machine that waits for it longer is not waited for.
const SWITCHED_OFF_WITHIN: Duration = Duration::from_secs(3);

/// The lab as it runs; clones are the same lab.
#[derive(Clone)]
pub struct Running(pub(super) Rc<Inner>);

/// What is known of a lab that runs.
pub(super) struct Inner {
    pub dir: RunDir,
    /// The supervisor, as the host knows it.
    pub host_pid: PathBuf,
    pub host: Host,
    pub keys: Keys,
    pub plan: RefCell<Rc<Plan>>,
    /// Counts the changes, so that one who looked at the lab before is noticed.
    pub revision: Cell<u64>,
    pub servers: Servers,
    /// The ways to the host.
    pub ways: Ways,
    /// How the nodes boot.
    pub stages: Stages,
    pub gate: Gate,
    pub board: Board,
    pub sockets: RefCell<Sockets>,
    pub members: RefCell<BTreeMap<Name, Member>>,
    /// Held by who changes the lab.
    pub network: Mutex<Network>,
    /// Whether the lab is up, from which on scenarios are played.
    pub is_up: watch::Sender<bool>,
}

/// A member that is plugged in.
#[derive(Default)]
pub(super) struct Member {
    pub relays: Vec<(Publish, Life)>,
    pub views: Vec<(View, Life)>,
    pub started: Option<Started>,
}

/// A member's programs, from when they are started until they are stopped.
pub(super) struct Started {
    life: Life,
    pub hold: Hold,
}

/// Whether a node is switched on when it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comes {
    /// As its lab file and its power restore policy say.
    AsTheLabSays,
    /// On.
    On,
    /// Not.
    Off,
}

/// What who keeps a member's programs shares with who changes them.
#[derive(Clone, Default)]
pub(super) struct Hold {
    /// Whether they are not to be started again.
    pub ending: Rc<Cell<bool>>,
    /// Tells that nobody keeps them any more.
    pub ended: Rc<Notify>,
    /// Makes them read their files again.
    pub reread: Rc<Notify>,
}

impl Running {
    /// The lab of `plan`, of which nothing has been done yet.
    pub(super) fn new(inner: Inner) -> Self {
        Self(Rc::new(inner))
    }

    /// What the lab is now.
    #[must_use]
    pub fn plan(&self) -> Rc<Plan> {
        Rc::clone(&self.0.plan.borrow())
    }

    /// Carries the whole plan out; returns when everything answers, or with why it does not.
    pub(super) async fn up(&self) -> Result<(), String> {
        let mut network = self.0.network.lock().await;
        let plan = self.plan();
        plan.notes
            .iter()
            .for_each(|note| self.0.host.journal.note(note));
        self.make_network(&mut network, &plan)
            .await
            .map_err(|error| chain(&error))?;
        let opened = self.0.ways.open(&plan);
        opened.map_err(|refusal| refusal.to_string())?;
        for part in plan.parts() {
            self.plug(&part)
                .map_err(|error| format!("cannot furnish `{}`: {error}", part.name))?;
        }
        let names = plan.lab.members();
        let started = names
            .into_iter()
            .map(|name| self.start(name, Comes::AsTheLabSays));
        try_join_all(started.collect::<Vec<_>>()).await?;
        Ok(())
    }

    async fn make_network(&self, network: &mut Network, plan: &Plan) -> Result<(), NetError> {
        let began = Instant::now();
        network.carry_out(&plan.network).await?;
        let subnets = plan.lab.networks().map(|net| net.subnet.to_string());
        let subnets: Vec<_> = subnets.collect();
        let network = match subnets.len() {
            1 => "network",
            _ => "networks",
        };
        let (subnets, count) = (subnets.join(" and "), plan.lab.members().len());
        self.0.host.journal.say(What::Made {
            what: format!("{network} {subnets}, {count} namespaces"),
            took_ms: began.elapsed().as_secs_f64() * 1000.0,
        });
        Ok(())
    }

    /// Plugs a member in whose network is made: its name on the host, its folders, its ports.
    ///
    /// # Errors
    /// When its folders cannot be made.
    pub(super) fn plug(&self, part: &Part<'_>) -> io::Result<()> {
        self.name(part.name);
        let mut member = Member::default();
        for view in &part.views {
            view::make(view)?;
            let life = follow(view, &self.0.host.journal);
            member.views.push(((*view).clone(), life));
        }
        for publish in &part.publish {
            member.relays.extend(self.relay(publish));
        }
        self.0
            .members
            .borrow_mut()
            .insert(part.name.clone(), member);
        Ok(())
    }

    /// Begins to relay a published socket.
    pub(super) fn relay(&self, publish: &Publish) -> Option<(Publish, Life)> {
        let socket = self.0.sockets.borrow().get(publish);
        match socket {
            Ok(socket) => {
                let relay = publish::relay(socket, publish.to.clone());
                let life = Life::begin(async move {
                    let _ = relay.await;
                });
                moment!("plug: {} published", publish.host);
                Some((publish.clone(), life))
            }
            Err(error) => {
                let (member, host) = (&publish.member, publish.host);
                let text = format!("cannot publish `{member}` on {host}: {error}");
                self.0.host.journal.note(text);
                None
            }
        }
    }

    /// Makes the name by which the host finds a member's namespace.
    fn name(&self, member: &Name) {
        let Ok(netns) = self.0.host.members.get(member) else {
            return;
        };
        let pid = self.0.host_pid.display();
        let descriptor = format!("/proc/{pid}/fd/{}", netns.as_raw_fd());
        // A name that cannot be made costs a convenience, not the lab.
        let link = self.0.dir.netns_name(member);
        let _ = fs::remove_file(&link);
        if let Err(error) = symlink(descriptor, &link) {
            tracing::warn!(%error, link = %link.display(), "cannot name a namespace");
        }
        moment!("plug: {member} named on the host");
    }

    /// Starts the programs of a member that is plugged in, and returns what waits until they
    /// answer.
    pub(super) fn start(
        &self,
        name: &Name,
        comes: Comes,
    ) -> impl Future<Output = Result<(), String>> + use<> {
        let (tell, told) = oneshot::channel();
        let (lab, member, hold) = (self.clone(), name.clone(), Hold::default());
        let held = hold.clone();
        let life = Life::begin(async move {
            let plan = lab.plan();
            let outcome = match plan.part(&member).map(|part| part.runs) {
                Some(Runs::Service(_)) => lab.serve(&member, held).await,
                Some(Runs::Node(machine, binary)) => lab.run(machine, binary, held, comes).await,
                None => Err(format!("the lab has no `{member}`")),
            };
            let came = outcome.is_ok();
            let _ = tell.send(outcome);
            if let (true, Some(server)) = (came, lab.0.servers.get(&member)) {
                // A scenario counts from when the whole lab is up.
                let mut is_up = lab.0.is_up.subscribe();
                let _ = is_up.wait_for(|is_up| *is_up).await;
                server.play().await;
            }
        });
        if let Some(member) = self.0.members.borrow_mut().get_mut(name) {
            member.started = Some(Started { life, hold });
        }
        async move {
            told.await
                .unwrap_or_else(|_| Err("it was stopped".to_owned()))
        }
    }

    /// Stops a member's programs; those that came in from outside stay. Nothing when they are
    /// stopped.
    ///
    /// # Errors
    /// What is left of them.
    pub(super) async fn stop(&self, name: &Name) -> Result<(), String> {
        let started = {
            let mut members = self.0.members.borrow_mut();
            members
                .get_mut(name)
                .and_then(|member| member.started.take())
        };
        let Some(started) = started else {
            return Ok(());
        };
        self.0.gate.close(name);
        let mut patience = PATIENCE;
        if let Some(node) = self.0.servers.node(name) {
            // The plug is pulled: it remembers that it was on.
            let off = node.carry_out(Order::Off, Door::Mains);
            let _ = timeout(SWITCHED_OFF_WITHIN, off).await;
            node.remember();
            moment!("stop: {name} switched off");
            patience = Duration::ZERO;
        }
        started.hold.ending.set(true);
        let ended = self.clear(name, Who::Own, patience).await;
        moment!("stop: {name}'s processes ended");
        // What they printed last is still to be read.
        let _ = timeout(LAST_WORDS_WITHIN, started.hold.ended.notified()).await;
        started.life.end().await;
        self.0.servers.remove(name);
        moment!("stop: {name} stopped");
        ended
    }

    /// Ends the processes of a member.
    async fn clear(&self, name: &Name, who: Who, patience: Duration) -> Result<(), String> {
        let Ok(netns) = self.0.host.members.get(name) else {
            return Ok(());
        };
        let user = self.plan().only_user(name);
        let ended = occupants::end(&netns, user, who, patience).await;
        // Whatever of it is elsewhere, where it has a control group.
        self.0.host.confinement.kill(name);
        ended.map_err(|error| format!("`{name}`: {error}"))
    }

    /// Unplugs a member that is stopped: nothing of it is left in the lab.
    ///
    /// # Errors
    /// What is left; all else is gone.
    pub(super) async fn unplug(
        &self,
        network: &mut Network,
        part: &Part<'_>,
    ) -> Result<(), String> {
        let name = part.name;
        let mut left = Vec::new();
        left.extend(self.clear(name, Who::All, Duration::ZERO).await.err());
        moment!("unplug: {name} empty");
        let member = self.0.members.borrow_mut().remove(name);
        if let Some(member) = member {
            for (_, life) in member.relays {
                life.end().await;
            }
            for (_, life) in member.views {
                life.end().await;
            }
        }
        moment!("unplug: {name} unpublished");
        let _ = fs::remove_file(self.0.dir.netns_name(name));
        let removed = network.carry_out(&part.removal()).await;
        left.extend(removed.err().map(|error| chain(&error)));
        left.extend(furnish::remove(part).err());
        moment!("unplug: {name} removed");
        if left.is_empty() {
            return Ok(());
        }
        Err(left.join("; "))
    }
}

/// Keeps a view true, where it shows files that the user may change.
pub(super) fn follow(view: &View, journal: &Journal) -> Life {
    let (view, journal) = (view.clone(), journal.clone());
    Life::begin(async move {
        if let Root::Dir(folder) = view.files.1.clone()
            && let Err(error) = view::follow(view).await
        {
            let folder = folder.display();
            journal.note(format!(
                "what changes in {folder} is not served any more: {error}"
            ));
        }
    })
}
