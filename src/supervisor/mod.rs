//! The supervisor: PID 1 of a lab, which carries the plan out and keeps the lab running.
//!
//! Its network namespace is the fabric. When it ends, for whatever reason,
//! the kernel ends every process of the lab and drops its namespaces.

mod beside;
mod board;
pub mod change;
mod control;
pub mod furnish;
mod gate;
pub mod handover;
mod keep;
pub mod launch;
mod life;
mod link;
mod media;
mod orders;
mod out;
mod probe;
mod programs;
pub mod protocol;
mod publish;
mod running;
mod see;
mod sensors;
mod server;
mod stages;
mod view;
mod wait;
pub mod ways;
mod why;

use std::cell::{Cell, RefCell};
use std::fs;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

use crate::confine::Confinement;
use crate::event::What;
use crate::faultpoint::{moment, point};
use crate::journal::Journal;
use crate::kernel::cgroup::Cgroup;
use crate::kernel::mount;
use crate::kernel::net::Network;
use crate::kernel::outpost::Outpost;
use crate::kernel::process::{adopt, allow_all_descriptors, kill_all};
use crate::kernel::reaper::Reaper;
use crate::node::power::Host;
use crate::rundir::RunDir;
use board::Board;
use control::Desk;
use handover::Handover;
use out::Outside;
use publish::Sockets;
use running::{Inner, Running};
use stages::Stages;
use ways::Ways;

/// Clients that listen read their last line in milliseconds; one that hangs is not waited for.
const FAREWELL: Duration = Duration::from_millis(200);

/// Runs the supervisor with what `handover` holds.
///
/// # Errors
/// What kept it from starting; afterwards the journal has what goes wrong.
pub fn main(handover: RawFd) -> io::Result<()> {
    // It was executed by way of /proc/self/exe, and would be called `exe`.
    nix::sys::prctl::set_name(c"nsplay")?;
    allow_all_descriptors()?;
    point!("supervisor: executed")?;
    let handover = Handover::take(handover)?;
    point!("supervisor: plan read")?;
    let dir = RunDir::own(&handover.plan.lab.name);
    // The host's /proc is still there, and shows this process as the host knows it.
    let host_pid = fs::read_link("/proc/self")?;
    let one_user = dir.places().user.is_some();
    mount::enter(&furnish::binds(&handover.plan, &dir), one_user)
        .map_err(|error| io::Error::other(chain(&error)))?;
    furnish::begin()
        .and_then(|()| point!("supervisor: BMC's module written"))
        .map_err(|error| told("write the BMC's module", &error))?;
    furnish::names(&handover.plan)
        .and_then(|()| point!("supervisor: names written"))
        .map_err(|error| told("write the lab's names", &error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = LocalSet::new().block_on(&runtime, run(handover, dir, host_pid));
    kill_all();
    ended
}

async fn run(handover: Handover, dir: RunDir, host_pid: PathBuf) -> io::Result<()> {
    let began = Instant::now();
    let log = dir.log();
    let journal = Journal::begin(&log, handover.owner)
        .and_then(|journal| point!("supervisor: journal begun").map(|()| journal))
        .map_err(|error| told(&format!("write {}", log.display()), &error))?;
    let (down, mut asked_down) = mpsc::unbounded_channel();
    let (farewell, last_call) = mpsc::channel(1);
    let reaper = Reaper::default();
    let (owner, control) = (handover.owner, handover.control);
    let lab = take_over(handover, dir, host_pid, &journal, &reaper)?;
    let desk = Desk {
        owner,
        lab: lab.clone(),
        down: down.clone(),
    };
    let listener = std::os::unix::net::UnixListener::from(adopt(control)?);
    point!("supervisor: lab taken over")?;
    let clients = spawn_local(control::serve(listener, desk, last_call));
    spawn_local(reaper.run());
    spawn_local(signals(down));
    let confinement = Rc::clone(&lab.0.host.confinement);
    spawn_local(async move { confinement.watch().await });

    let coming_up = async {
        lab.up().await?;
        let took_ms = began.elapsed().as_secs_f64() * 1000.0;
        moment!("supervisor: all answers");
        journal.say(What::Up { took_ms });
        moment!("supervisor: up said");
        lab.0.is_up.send_replace(true);
        std::future::pending::<Result<(), String>>().await
    };
    tokio::select! {
        Some(by) = asked_down.recv() => journal.say(What::Down { by }),
        Err(message) = coming_up => journal.say(What::Failed { message }),
    }
    moment!("down: end said");
    lab.0.servers.remember();
    moment!("down: nodes remembered");
    lab.0.ways.close();
    moment!("down: ways closed");
    // Processes go first, so that nothing of the lab acts while it says goodbye.
    kill_all();
    moment!("down: processes killed");
    drop(farewell);
    let _ = timeout(FAREWELL, clients).await;
    moment!("down: goodbye said");
    Ok(())
}

/// The lab that `handover` says, of which nothing has been done yet.
fn take_over(
    handover: Handover,
    dir: RunDir,
    host_pid: PathBuf,
    journal: &Journal,
    reaper: &Reaper,
) -> io::Result<Running> {
    let Handover {
        plan,
        keys,
        published,
        host,
        group,
        outpost,
        ..
    } = handover;
    let outpost = outpost.map(Outpost::found).transpose()?;
    let stages = Stages::follow(journal);
    plan.lab.nodes.iter().for_each(|node| stages.add(node));
    let group = group.map(adopt).transpose()?.map(Cgroup::of);
    let by = (plan.cgroups.clone(), dir.places().user.is_some());
    let confinement = Rc::new(Confinement::new(&plan.lab, group, by, journal));
    let (network, mut sockets) = (Network::default(), Sockets::default());
    let published: io::Result<Vec<OwnedFd>> = published.into_iter().map(adopt).collect();
    sockets.add(&plan.publish, published?);
    Ok(Running::new(Inner {
        dir,
        host_pid,
        host: Host {
            members: network.members(),
            reaper: reaper.clone(),
            journal: journal.clone(),
            confinement,
        },
        keys,
        ways: Ways::new(
            plan.lab.name.clone(),
            Outside {
                host: Rc::new(adopt(host)?),
                outpost: outpost.map(Rc::new),
                journal: journal.clone(),
                reaper: reaper.clone(),
            },
        ),
        stages,
        servers: Default::default(),
        gate: Default::default(),
        board: Board::follow(&plan, journal),
        plan: RefCell::new(Rc::new(plan)),
        revision: Cell::new(0),
        sockets: RefCell::new(sockets),
        members: RefCell::default(),
        network: Mutex::new(network),
        is_up: watch::Sender::new(false),
    }))
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

/// What could not be done, and why.
fn told(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what}: {error}"))
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
