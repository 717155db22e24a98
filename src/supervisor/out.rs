//! The way out: the fabric's link and rules, passt where it is what carries, and what the lab must
//! not reach.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use ipnet::Ipv4Net;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use crate::faultpoint::{moment, point};
use crate::host::routes;
use crate::journal::Journal;
use crate::kernel::hostlink;
use crate::kernel::netlink::Addresses;
use crate::kernel::netns;
use crate::kernel::nft::{self, OwnTable};
use crate::kernel::outpost::Outpost;
use crate::kernel::process::{self, Confine, Spawn};
use crate::kernel::pump::pump;
use crate::kernel::reaper::{Child, Reaper};
use crate::kernel::tap;
use crate::lab::{LinkName, Name};
use crate::lines::Lines;
use crate::ways::{By, WayOut};

/// passt that ends is started again after this, and twice as long each time.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
const AGAIN_AT_MOST: Duration = Duration::from_secs(10);
/// One that ran so long did work.
const WORKED: Duration = Duration::from_secs(60);

/// What a way out needs.
#[derive(Clone)]
pub struct Outside {
    /// The host's network namespace, which only root's labs may enter.
    pub host: Rc<OwnedFd>,
    /// Who is there for a user's lab, if it has a way out.
    pub outpost: Option<Rc<Outpost>>,
    /// Who is told.
    pub journal: Journal,
    /// Who reaps.
    pub reaper: Reaper,
}

/// Opens the fabric's half of a way out, once the host's half is there.
///
/// # Errors
/// What the kernel says.
pub fn open(way: &WayOut, outside: &Outside) -> io::Result<()> {
    let watch = match &outside.outpost {
        Some(outpost) => outpost.addresses()?,
        None => netns::inside(outside.host.as_fd(), Addresses::open)?,
    };
    let watch = Addresses::watch(watch)?;
    point!("nat: host's addresses watched")?;
    let hidden = own_addresses(outside)?;
    // The rules first: nobody goes out without them.
    let table = OwnTable::add(way.rules(&hidden))?;
    point!("nat: lab's rules made")?;
    let (gateway, own) = way.addresses();
    if let By::Passt(_) = way.by {
        let device = tap::open(&LinkName::out())?;
        point!("nat: device opened")?;
        hostlink::furnish_out(&LinkName::out(), own, gateway)?;
        spawn_local(carry(way.clone(), device, outside.clone()));
    } else {
        hostlink::furnish_out(&LinkName::out(), own, gateway)?;
    }
    spawn_local(hide(way.clone(), table, watch, outside.clone()));
    note_obstacles(way, outside);
    Ok(())
}

/// The addresses of the host itself.
fn own_addresses(outside: &Outside) -> io::Result<Vec<Ipv4Net>> {
    let routes = match &outside.outpost {
        Some(outpost) => routes::list_by(outpost.routes())?,
        None => netns::inside(outside.host.as_fd(), routes::list)?,
    };
    let own = routes.into_iter().filter(routes::Route::is_own);
    Ok(own.map(|route| route.to).collect())
}

/// Keeps the host's own addresses out of reach as they come and go.
async fn hide(
    way: WayOut,
    mut table: OwnTable,
    watch: Addresses,
    outside: Outside,
) -> io::Result<()> {
    loop {
        watch.changed().await?;
        let hidden = own_addresses(&outside);
        let done = hidden.and_then(|hidden| table.replace(way.rules(&hidden)));
        if let Err(error) = done {
            tracing::warn!(%error, "cannot follow the host's addresses");
        }
    }
}

/// Says what else of the host's rules may be in the way of a link.
fn note_obstacles(way: &WayOut, outside: &Outside) {
    if let By::Passt(_) = way.by {
        return;
    }
    let closed = netns::inside(outside.host.as_fd(), nft::closed_chains).unwrap_or_default();
    if !closed.is_empty() {
        outside.journal.note(format!(
            "the host's chain {} drops what no rule of its own lets through (Docker and firewalls \
             do that): the lab may reach nothing. nat = \"passt\" does not meet it",
            closed.join(", ")
        ));
    }
}

/// Keeps passt running, and carries frames between it and the fabric's device.
async fn carry(way: WayOut, device: File, outside: Outside) {
    let mut again = AGAIN_AFTER;
    let fabric = Name::new("fabric").expect("this is a name");
    loop {
        let began = Instant::now();
        let how = match start(&way, &device, &outside, &fabric) {
            Ok(mut child) => child.wait().await.to_string(),
            Err(error) => format!("cannot be started: {error}"),
        };
        if began.elapsed() > WORKED {
            again = AGAIN_AFTER;
        }
        let ms = again.as_millis();
        let text = format!("passt {how}; starting it again in {ms} ms");
        outside.journal.line(&fabric, text);
        sleep(again).await;
        again = (again * 2).min(AGAIN_AT_MOST);
    }
}

fn start(way: &WayOut, device: &File, outside: &Outside, fabric: &Name) -> io::Result<Child> {
    let (ours, passts) = UnixStream::pair()?;
    point!("nat: passt is about to start")?;
    let fd = passts.as_raw_fd();
    let spawned = match &outside.outpost {
        Some(outpost) => outpost.start(passts)?,
        None => process::spawn(&Spawn {
            argv: &way.argv(fd),
            env: &[],
            folder: Path::new("/"),
            netns: Some(outside.host.as_fd()),
            user: Some(way.user),
            groups: &[],
            caps: &[],
            inherit: &[fd],
            cell: Some(&WayOut::cell()),
            confine: &Confine::default(),
        })?,
    };
    let child = outside.reaper.expect(spawned.pid);
    moment!("nat: passt started");
    for pipe in [spawned.stdout, spawned.stderr] {
        let (journal, fabric) = (outside.journal.clone(), fabric.clone());
        let show = move |line: String| journal.line(&fabric, format!("passt: {line}"));
        spawn_local(Lines::follow(pipe, show));
    }
    let device = device.try_clone()?;
    std::thread::Builder::new()
        .name("passt".to_owned())
        .stack_size(128 << 10)
        .spawn(move || {
            if let Err(error) = pump(&device, ours) {
                tracing::warn!(%error, "the line to passt broke");
            }
        })?;
    Ok(child)
}
