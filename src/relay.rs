//! UDP relays: each client has a socket of its own towards the far end, so that answers find back.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep};

/// A client that is silent this long is forgotten: IPMI sessions end after 60 s.
const IDLE: Duration = Duration::from_secs(90);

/// More clients than this at once push out the one that was silent longest.
const MOST_FLOWS: usize = 512;

/// After a socket refused: the far end does not listen, or descriptors are short.
const BREATH: Duration = Duration::from_millis(100);

/// The largest datagram.
const MOST_BYTES: usize = 65536;

/// What becomes of a datagram on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on, after a while.
    Pass(Duration),
    /// The client gets this answer, and the far end nothing.
    Answer(Vec<u8>),
    /// It is lost.
    Lose,
}

/// Who looks at what a relay passes.
pub trait Gate {
    /// A datagram of a client.
    fn forth(&self, datagram: &[u8]) -> Fate;

    /// A datagram of the far end.
    fn back(&self, datagram: &[u8]) -> Fate;
}

/// Passes everything.
pub struct Open;

impl Gate for Open {
    fn forth(&self, _: &[u8]) -> Fate {
        Fate::Pass(Duration::ZERO)
    }

    fn back(&self, _: &[u8]) -> Fate {
        Fate::Pass(Duration::ZERO)
    }
}

/// A client, and the socket that stands for it towards the far end.
struct Flow {
    far: Rc<UdpSocket>,
    last: Instant,
    back: tokio::task::JoinHandle<()>,
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.back.abort();
    }
}

/// Relays between clients of `near` and the sockets that `connect` makes, past `gate`, for ever.
///
/// # Errors
/// When `near` cannot be used.
pub async fn udp(
    near: StdSocket,
    connect: impl Fn() -> io::Result<StdSocket>,
    gate: Rc<dyn Gate>,
) -> io::Result<()> {
    let near = Rc::new(adopt(near)?);
    let mut flows: HashMap<SocketAddr, Flow> = HashMap::new();
    let mut datagram = vec![0; MOST_BYTES];
    loop {
        // One that was refused on its way back shows as an error here; the next one counts.
        let Ok((length, client)) = near.recv_from(&mut datagram).await else {
            continue;
        };
        let after = match gate.forth(&datagram[..length]) {
            Fate::Pass(after) => after,
            Fate::Answer(answer) => {
                let _ = near.send_to(&answer, client).await;
                continue;
            }
            Fate::Lose => continue,
        };
        if !flows.contains_key(&client) {
            make_room(&mut flows);
            let Ok(far) = connect().and_then(adopt) else {
                sleep(BREATH).await;
                continue;
            };
            let far = Rc::new(far);
            let (gate, from, to) = (Rc::clone(&gate), Rc::clone(&far), Rc::clone(&near));
            let back = tokio::task::spawn_local(back(from, to, client, gate));
            let last = Instant::now();
            flows.insert(client, Flow { far, last, back });
        }
        if let Some(flow) = flows.get_mut(&client) {
            flow.last = Instant::now();
            // A far end that does not listen yet loses it, as a network does.
            if after.is_zero() {
                let _ = flow.far.send(&datagram[..length]).await;
            } else {
                let (far, late) = (Rc::clone(&flow.far), datagram[..length].to_vec());
                tokio::task::spawn_local(async move {
                    sleep(after).await;
                    let _ = far.send(&late).await;
                });
            }
        }
    }
}

fn adopt(socket: StdSocket) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

fn make_room(flows: &mut HashMap<SocketAddr, Flow>) {
    flows.retain(|_, flow| flow.last.elapsed() < IDLE);
    if flows.len() >= MOST_FLOWS {
        let oldest = flows.iter().min_by_key(|(_, flow)| flow.last);
        if let Some(client) = oldest.map(|(client, _)| *client) {
            flows.remove(&client);
        }
    }
}

/// Passes answers back to a client.
async fn back(far: Rc<UdpSocket>, near: Rc<UdpSocket>, client: SocketAddr, gate: Rc<dyn Gate>) {
    let mut datagram = vec![0; 4096];
    loop {
        let Ok(length) = far.recv(&mut datagram).await else {
            // Refused: nobody listens. The client will ask again.
            sleep(BREATH).await;
            continue;
        };
        match gate.back(&datagram[..length]) {
            Fate::Pass(after) => {
                if !after.is_zero() {
                    sleep(after).await;
                }
                let _ = near.send_to(&datagram[..length], client).await;
            }
            Fate::Answer(_) | Fate::Lose => {}
        }
    }
}
