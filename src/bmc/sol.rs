//! Serial over LAN (IPMI 2.0, section 15): the node's console, as ipmi_sim connects to it.
//!
//! ipmi_sim is the client. It connects once when it starts, and after a connection that failed it
//! waits for 10 s: so the listener is there before ipmi_sim and stays for the node's whole life.
//! What comes while nobody has activated SOL, ipmi_sim throws away. So nothing is sent then, and
//! each activation, of which the module tells, begins with the console's history.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener as StdListener};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::ipmi_sim::RMCP_PORT;
use super::parameters::Access::{Fixed, Remembered};
use super::parameters::{LAN_CHANNEL, Parameters};
use crate::kernel::netns::Netns;
use crate::node::console::Console;

/// Where ipmi_sim finds the console, inside the node's network namespace.
pub const ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9003);

/// ipmi_sim sends 255 bytes to its client and waits until they are acknowledged. What waits in
/// sockets meanwhile cannot be skipped when it is too much, so they hold little: bytes.
const SEND_BUFFER: usize = 16 << 10;

/// After accept(2) failed, for want of descriptors say.
const BREATH: Duration = Duration::from_millis(100);

/// The SOL of one BMC, for whoever hears of its sessions; clones are the same.
#[derive(Clone)]
pub struct Sol(Rc<watch::Sender<Sessions>>);

/// The configuration parameters of SOL (table 26-5). The console is a pipe: what would shape a
/// serial line is remembered, and changes nothing.
#[must_use]
pub fn parameters() -> Parameters {
    const ENABLED: u8 = 0x01;
    const USER_LEVEL: u8 = 0x02;
    const BITS_PER_SECOND_115200: u8 = 0x0a;
    /// 60 ms, in units of 5 ms, and 96 characters.
    const ACCUMULATE: [u8; 2] = [12, 96];
    /// Seven times, every 500 ms, in units of 10 ms.
    const RETRY: [u8; 2] = [7, 50];

    Parameters::new([
        (1, vec![ENABLED], Fixed),
        (2, vec![USER_LEVEL], Fixed),
        (3, ACCUMULATE.to_vec(), Remembered),
        (4, RETRY.to_vec(), Remembered),
        (5, vec![BITS_PER_SECOND_115200], Remembered),
        (6, vec![BITS_PER_SECOND_115200], Remembered),
        (7, vec![LAN_CHANNEL], Fixed),
        (8, RMCP_PORT.to_le_bytes().to_vec(), Fixed),
    ])
}

/// What is known of SOL's sessions, of which there is one at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sessions {
    /// How many there have been.
    begun: u64,
    /// Whether the last one lasts; one that timed out does not tell.
    active: bool,
}

impl Sol {
    /// Listens for the ipmi_sim in `netns`, and connects it with `console`.
    ///
    /// # Errors
    /// What socket(2), bind(2) or listen(2) says.
    pub fn start(netns: &Netns, console: &Console) -> io::Result<Self> {
        let listener = netns.inside(|| StdListener::bind(ADDRESS))?;
        // Connections inherit it.
        setsockopt(&listener, sockopt::SndBuf, &SEND_BUFFER)?;
        listener.set_nonblocking(true)?;
        let sol = Self(Rc::new(watch::Sender::default()));
        let listener = TcpListener::from_std(listener)?;
        tokio::task::spawn_local(serve(listener, console.clone(), sol.0.subscribe()));
        Ok(sol)
    }

    /// A session has activated SOL: it is shown the console, from its history on.
    pub fn begin(&self) {
        self.0.send_modify(|sessions| {
            sessions.begun += 1;
            sessions.active = true;
        });
    }

    /// A session has deactivated SOL.
    pub fn end(&self) {
        self.0.send_modify(|sessions| sessions.active = false);
    }
}

/// Connects each ipmi_sim with the console, for ever; the last one counts.
async fn serve(listener: TcpListener, console: Console, sessions: watch::Receiver<Sessions>) {
    let mut last: Option<JoinHandle<io::Result<()>>> = None;
    loop {
        let Ok((bmc, _)) = listener.accept().await else {
            sleep(BREATH).await;
            continue;
        };
        if let Some(last) = last.take() {
            last.abort();
        }
        let (console, sessions) = (console.clone(), sessions.clone());
        last = Some(tokio::task::spawn_local(connect(bmc, console, sessions)));
    }
}

/// Connects one ipmi_sim with the console, until it closes the connection.
async fn connect(
    bmc: TcpStream,
    console: Console,
    mut sessions: watch::Receiver<Sessions>,
) -> io::Result<()> {
    bmc.set_nodelay(true)?;
    // A session of an ipmi_sim before this one has ended with it.
    sessions.mark_unchanged();
    let (from, to) = bmc.into_split();
    tokio::select! {
        ended = console.typed_by(from) => ended,
        ended = show(&console, sessions, to) => ended,
    }
}

/// Shows the console, from its history on, to each session.
async fn show(
    console: &Console,
    mut sessions: watch::Receiver<Sessions>,
    mut to: OwnedWriteHalf,
) -> io::Result<()> {
    let mut active = false;
    loop {
        let mut watcher = console.watch();
        let changed = tokio::select! {
            changed = sessions.changed() => changed,
            failed = watcher.show(&mut to), if active => return failed,
        };
        if changed.is_err() {
            return Ok(());
        }
        active = sessions.borrow_and_update().active;
    }
}
