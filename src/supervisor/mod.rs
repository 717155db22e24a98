//! The supervisor: PID 1 of a lab, which carries the plan out and keeps the lab running.
//!
//! Its network namespace is the fabric. When it ends, for whatever reason,
//! the kernel ends every process of the lab and drops its namespaces.

mod beside;
mod board;
mod control;
mod gate;
pub mod handover;
mod keep;
pub mod launch;
mod probe;
pub mod protocol;
mod publish;
mod sensors;
mod server;
mod stages;
mod view;
mod wait;

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

use crate::bmc::parameters::Parameters;
use crate::bmc::sol::{self, Sol};
use crate::bmc::{self, Bmc, front, ipmi_sim};
use crate::event::What;
use crate::files;
use crate::journal::Journal;
use crate::kernel::mount::{self, Bind};
use crate::kernel::net::{self, Members};
use crate::kernel::netns::Netns;
use crate::kernel::process::{adopt, kill_all};
use crate::kernel::reaper::Reaper;
use crate::lab::{self, Lab, Name, Root};
use crate::node::power::{Door, Host, Node};
use crate::node::qemu::Machine;
use crate::node::{Order, tpm};
use crate::plan::{self, Plan};
use crate::rundir::{NETNS_NAMES, RunDir};
use crate::service::own;
use board::Board;
use control::Desk;
use gate::Gate;
use handover::Handover;
use keep::{Keep, Start, keep};
use sensors::Sensors;
use server::{Server, Servers};
use stages::Stages;

/// Clients that listen read their last line in milliseconds; one that hangs is not waited for.
const FAREWELL: Duration = Duration::from_millis(200);

/// Runs the supervisor with what `handover` holds.
///
/// # Errors
/// What kept it from starting; afterwards the journal has what goes wrong.
pub fn main(handover: RawFd) -> io::Result<()> {
    // It was executed by way of /proc/self/exe, and would be called `exe`.
    nix::sys::prctl::set_name(c"nsplay")?;
    let handover = Handover::take(handover)?;
    let dir = RunDir::new(&handover.plan.lab.name);
    // The host's /proc is still there, and shows this process as the host knows it.
    let host_pid = fs::read_link("/proc/self")?;
    mount::enter(&binds(&handover.plan, &dir)).map_err(io::Error::other)?;
    furnish(&handover.plan)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = LocalSet::new().block_on(&runtime, run(handover, dir, host_pid));
    kill_all();
    ended
}

/// What the lab sees of the host's `/var`, `/run` and of wherever the user's files are.
fn binds(plan: &Plan, dir: &RunDir) -> Vec<Bind> {
    let same = |path: &Path, writable| Bind {
        source: path.to_owned(),
        target: path.to_owned(),
        writable,
    };
    let mut binds = vec![same(&dir.state(), true), same(Path::new(NETNS_NAMES), true)];
    for view in &plan.views {
        if let (target, Root::Dir(source)) = &view.files {
            binds.push(Bind {
                source: source.clone(),
                target: target.clone(),
                writable: false,
            });
        }
    }
    let read = plan.folders.iter().chain(&plan.files);
    binds.extend(read.map(|(target, source)| Bind {
        source: source.clone(),
        target: target.clone(),
        writable: false,
    }));
    binds.extend(plan.shown.iter().map(|path| same(path, false)));
    binds
}

/// Writes what the lab's programs find when they start.
fn furnish(plan: &Plan) -> io::Result<()> {
    Netns::prepare()?;
    plan.etc.iter().try_for_each(files::write_text)?;
    files::write(Path::new(ipmi_sim::MODULE), 0o755, bmc::MODULE)?;
    if let Some(account) = &plan.account {
        fs::create_dir_all(&account.home)?;
        std::os::unix::fs::chown(&account.home, Some(account.uid), Some(account.uid))?;
    }
    plan.views.iter().try_for_each(view::make)
}

async fn run(handover: Handover, dir: RunDir, host_pid: PathBuf) -> io::Result<()> {
    let Handover {
        plan,
        owner,
        control,
        published,
        ..
    } = handover;
    let began = Instant::now();
    let journal = Journal::begin(&dir.log())?;
    let servers = Servers::default();
    let stages = Stages::follow(&journal);
    plan.lab.nodes.iter().for_each(|node| stages.add(node));
    let (down, mut asked_down) = mpsc::unbounded_channel();
    let (farewell, last_call) = mpsc::channel(1);
    let desk = Desk {
        owner,
        log: dir.log(),
        journal: journal.clone(),
        board: Board::follow(&plan, &journal),
        servers: servers.clone(),
        stages,
        lab: Rc::new(plan.lab.clone()),
        down: down.clone(),
    };
    let listener = std::os::unix::net::UnixListener::from(adopt(control)?);
    let clients = spawn_local(control::serve(listener, desk, last_call));
    let reaper = Reaper::default();
    spawn_local(reaper.clone().run());
    spawn_local(signals(down));

    let lab = Coming {
        plan: &plan,
        dir: &dir,
        host_pid: &host_pid,
        journal: &journal,
        reaper: &reaper,
    };
    let published = published
        .into_iter()
        .map(adopt)
        .collect::<io::Result<Vec<_>>>()?;
    let coming_up = async {
        lab.up(published, &servers).await?;
        let took_ms = began.elapsed().as_secs_f64() * 1000.0;
        journal.say(What::Up { took_ms });
        for node in &plan.lab.nodes {
            if let Some(server) = servers.get(&node.name) {
                server.play(node.bmc.scenario.clone());
            }
        }
        std::future::pending::<Result<(), String>>().await
    };
    tokio::select! {
        Some(by) = asked_down.recv() => journal.say(What::Down { by }),
        Err(message) = coming_up => journal.say(What::Failed { message }),
    }
    servers.remember();
    // Processes go first, so that nothing of the lab acts while it says goodbye.
    kill_all();
    drop(farewell);
    let _ = timeout(FAREWELL, clients).await;
    Ok(())
}

/// Takes the lab down on a signal. PID 1 of a namespace hears only the signals that it handles.
async fn signals(down: mpsc::UnboundedSender<String>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    let _ = down.send(name.to_owned());
    Ok(())
}

/// A lab that comes up.
struct Coming<'a> {
    plan: &'a Plan,
    dir: &'a RunDir,
    host_pid: &'a Path,
    journal: &'a Journal,
    reaper: &'a Reaper,
}

impl Coming<'_> {
    /// Carries the plan out; returns when everything answers, or with why it does not.
    async fn up(&self, published: Vec<OwnedFd>, servers: &Servers) -> Result<(), String> {
        self.plan
            .notes
            .iter()
            .for_each(|note| self.journal.note(note));
        let members = self.network().await.map_err(|error| chain(&error))?;
        let host = Host {
            members: Rc::new(members),
            reaper: self.reaper.clone(),
            journal: self.journal.clone(),
        };
        for machine in &self.plan.machines {
            let name = &machine.node.name;
            let node = Node::start(machine.clone(), self.user(name), host.clone())
                .await
                .map_err(|error| format!("cannot prepare node `{name}`: {error}"))?;
            let front = front::start(&host, &machine.node, node.clone())
                .map_err(|error| format!("cannot open the BMC's port of node `{name}`: {error}"))?;
            spawn_local(front);
            let netns = host.members.get(name);
            let sol = netns.and_then(|netns| Sol::start(netns, node.console()));
            let sol = sol.map_err(|error| format!("cannot listen for SOL of `{name}`: {error}"))?;
            let sensors =
                Sensors::follow(&self.plan.lab, &machine.node, node.clone(), self.journal);
            let bmc = Rc::new(Bmc {
                name: name.clone(),
                journal: self.journal.clone(),
                node,
                guid: ipmi_sim::guid(&machine.node.identity.uuid),
                lan: RefCell::new(lan(&self.plan.lab, &machine.node)),
                sol_parameters: RefCell::new(sol::parameters()),
                sol,
                restart: Rc::default(),
            });
            servers.add(name.clone(), Server { bmc, sensors });
        }
        for (socket, publish) in published.into_iter().zip(&self.plan.publish) {
            spawn_local(publish::relay(socket, publish.to.clone()));
        }
        for view in &self.plan.views {
            if let Root::Dir(_) = view.files.1 {
                spawn_local(view::follow(view.clone()));
            }
        }
        let gate = Gate::of(&self.plan.lab);
        let services = self.plan.services.iter().map(|service| {
            let gate = &gate;
            let host = &host;
            let program = service.clone();
            let start = move || {
                Ok(Start {
                    program: program.clone(),
                    inherit: Vec::new(),
                    speaker: None,
                })
            };
            let care = (Rc::default(), Rc::new(|| false) as Rc<dyn Fn() -> bool>);
            let member = &service.member;
            async move {
                gate.wait_for(own::after(&self.plan.lab, member)).await;
                self.keep(host, member, "", care, Box::new(start)).await?;
                gate.open(member);
                Ok(())
            }
        });
        let bmcs = self.plan.machines.iter().filter_map(|machine| {
            let server = servers.get(&machine.node.name)?;
            // One that is told to be silent is not to be mended.
            let bmc = Rc::clone(&server.bmc);
            let excused = Rc::new(move || bmc.has_faults());
            let care = (
                Rc::clone(&server.bmc.restart),
                excused as Rc<dyn Fn() -> bool>,
            );
            let (machine, binary) = (machine.clone(), self.plan.ipmi_sim.clone());
            let name = machine.node.name.clone();
            let start = move || start_bmc(&machine, &binary, &server);
            Some(self.keep(&host, &name, "bmc: ", care, Box::new(start)))
        });
        let switched = self.plan.machines.iter().map(|machine| async {
            let name = &machine.node.name;
            if machine.node.tpm.is_some() {
                self.tpm(&host, machine).await?;
            }
            match servers.node(name) {
                Some(node) if node.comes_on() => {
                    gate.wait_for(&machine.node.after).await;
                    node.carry_out(Order::On, Door::Lab)
                        .await
                        .map_err(|error| format!("node `{name}`: {error}"))
                }
                Some(node) if machine.node.power_on => {
                    let policy = node.chassis().borrow().policy;
                    let why = format!("{name} stays off: its power restore policy is {policy}");
                    self.journal.note(why);
                    Ok(())
                }
                _ => Ok(()),
            }
        });
        tokio::try_join!(
            try_join_all(services),
            try_join_all(bmcs),
            try_join_all(switched)
        )?;
        Ok(())
    }

    /// Starts the TPM of a machine, and waits until it answers.
    async fn tpm(&self, host: &Host, machine: &Machine) -> Result<(), String> {
        let name = &machine.node.name;
        let listener = tpm::listen(name, self.user(name))
            .map_err(|error| format!("cannot open the TPM's socket of `{name}`: {error}"))?;
        let machine = machine.clone();
        let start = move || {
            let (program, listener) = tpm::start(&machine, &listener)?;
            Ok(Start {
                program,
                inherit: vec![listener],
                speaker: None,
            })
        };
        let care = (Rc::default(), Rc::new(|| false) as Rc<dyn Fn() -> bool>);
        self.keep(host, name, "tpm: ", care, Box::new(start)).await
    }

    /// Makes the network, and the names by which the host finds its namespaces.
    async fn network(&self) -> Result<Members, net::NetError> {
        let began = Instant::now();
        let members = net::carry_out(&self.plan.network).await?;
        for (name, netns) in members.iter() {
            let descriptor = format!("/proc/{}/fd/{}", self.host_pid.display(), netns.as_raw_fd());
            // A name that cannot be made costs a convenience, not the lab.
            let link = self.dir.netns_name(name);
            let _ = fs::remove_file(&link);
            if let Err(error) = symlink(descriptor, &link) {
                tracing::warn!(%error, link = %link.display(), "cannot name a namespace");
            }
        }
        let subnets = self.plan.lab.networks().map(|net| net.subnet.to_string());
        let subnets: Vec<_> = subnets.collect();
        let network = match subnets.len() {
            1 => "network",
            _ => "networks",
        };
        self.journal.say(What::Made {
            what: format!(
                "{network} {}, {} namespaces",
                subnets.join(" and "),
                members.iter().count()
            ),
            took_ms: began.elapsed().as_secs_f64() * 1000.0,
        });
        Ok(members)
    }

    /// Keeps a program running, and returns what waits until it first answers.
    fn keep(
        &self,
        host: &Host,
        member: &Name,
        prefix: &'static str,
        (restart, excused): (Rc<Notify>, Rc<dyn Fn() -> bool>),
        start: Box<dyn FnMut() -> io::Result<Start>>,
    ) -> impl Future<Output = Result<(), String>> + use<> {
        let with = Keep {
            host: host.clone(),
            user: self.user(member),
            prefix,
            marks: self.plan.probe_marks(),
            restart,
            excused,
        };
        let (tell, ready) = oneshot::channel();
        spawn_local(keep(with, start, tell));
        let member = member.clone();
        async move {
            let told = ready
                .await
                .unwrap_or_else(|_| Err("the lab ended".to_owned()));
            told.map_err(|why| format!("`{member}`: {why}"))
        }
    }

    fn user(&self, member: &Name) -> u32 {
        self.plan.user(member)
    }
}

/// A BMC as it is started this time, with a line of its own to the node.
fn start_bmc(machine: &Machine, binary: &Path, server: &Server) -> io::Result<Start> {
    let (ours, theirs) = bmc::control::pair()?;
    spawn_local(bmc::control::serve(ours, Rc::clone(&server.bmc)));
    let program = ipmi_sim::program(&machine.node, binary, theirs.as_raw_fd());
    Ok(Start {
        program,
        inherit: vec![theirs],
        speaker: Some(server.sensors.clone()),
    })
}

/// The LAN configuration of a node's BMC.
fn lan(lab: &Lab, node: &lab::Node) -> Parameters {
    let network = lab.network(&node.nic.network);
    bmc::lan::parameters(
        (node.address, plan::bmc_mac(lab, &node.name)),
        network.subnet,
        (network.gateway, plan::fabric_mac(lab, network)),
    )
}

/// An error and its causes, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
