//! UDP relays: each client has a socket of its own towards the far end, so that answers find back.
//!
//! A far end that is away for a moment costs no datagram: the last one of each client is kept, and
//! sent again as long as it is refused.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, interval, sleep};

/// A client that is silent this long is forgotten: IPMI sessions end after 60 s.
const IDLE: Duration = Duration::from_secs(90);

/// More clients than this at once push out the one that was silent longest.
const MOST_FLOWS: usize = 512;

/// After a socket could not be made, for want of descriptors say.
const BREATH: Duration = Duration::from_millis(100);

/// How often a far end that does not listen is asked anew; ipmi_sim starts in 20 ms.
const AGAIN_AFTER: Duration = Duration::from_millis(10);

/// A datagram that was refused for longer is lost: by then its client has sent another.
const HELD: Duration = Duration::from_secs(2);

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

/// The socket that stands for a client towards the far end.
struct Far {
    socket: UdpSocket,
    /// What it sent last, and when the client did.
    sent: RefCell<(Vec<u8>, Instant)>,
}

impl Far {
    async fn send(&self, datagram: &[u8]) {
        self.sent.replace((datagram.to_vec(), Instant::now()));
        self.deliver(datagram).await;
    }

    /// Sends what was refused once more; without a far end that listens it is refused again.
    async fn send_again(&self) {
        let (datagram, at) = self.sent.borrow().clone();
        if at.elapsed() < HELD {
            self.deliver(&datagram).await;
        }
    }

    async fn deliver(&self, datagram: &[u8]) {
        // The first error may be the refusal of the datagram before, and then this one has not
        // been sent (udp(7)).
        if self.socket.send(datagram).await.is_err() {
            let _ = self.socket.send(datagram).await;
        }
    }
}

/// A client's way to the far end and back.
struct Flow {
    far: Rc<Far>,
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
    forgetting(near, connect, gate, IDLE).await
}

async fn forgetting(
    near: StdSocket,
    connect: impl Fn() -> io::Result<StdSocket>,
    gate: Rc<dyn Gate>,
    idle: Duration,
) -> io::Result<()> {
    let near = Rc::new(adopt(near)?);
    let mut flows: HashMap<SocketAddr, Flow> = HashMap::new();
    let mut datagram = vec![0; MOST_BYTES];
    let mut look = interval(idle / 3);
    loop {
        let received = tokio::select! {
            received = near.recv_from(&mut datagram) => received,
            _ = look.tick() => {
                flows.retain(|_, flow| flow.last.elapsed() < idle);
                continue;
            }
        };
        // One that was refused on its way back shows as an error here; the next one counts.
        let Ok((length, client)) = received else {
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
            if flows.len() >= MOST_FLOWS {
                forget_oldest(&mut flows);
            }
            let Ok(socket) = connect().and_then(adopt) else {
                // The next of its datagrams finds what this one frees.
                forget_oldest(&mut flows);
                sleep(BREATH).await;
                continue;
            };
            let sent = RefCell::new((Vec::new(), Instant::now()));
            let far = Rc::new(Far { socket, sent });
            let (gate, from, to) = (Rc::clone(&gate), Rc::clone(&far), Rc::clone(&near));
            let back = tokio::task::spawn_local(back(from, to, client, gate));
            let last = Instant::now();
            flows.insert(client, Flow { far, last, back });
        }
        if let Some(flow) = flows.get_mut(&client) {
            flow.last = Instant::now();
            if after.is_zero() {
                flow.far.send(&datagram[..length]).await;
            } else {
                let (far, late) = (Rc::clone(&flow.far), datagram[..length].to_vec());
                tokio::task::spawn_local(async move {
                    sleep(after).await;
                    far.send(&late).await;
                });
            }
        }
    }
}

fn adopt(socket: StdSocket) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

fn forget_oldest(flows: &mut HashMap<SocketAddr, Flow>) {
    let oldest = flows.iter().min_by_key(|(_, flow)| flow.last);
    if let Some(client) = oldest.map(|(client, _)| *client) {
        flows.remove(&client);
    }
}

/// Passes answers back to a client.
async fn back(far: Rc<Far>, near: Rc<UdpSocket>, client: SocketAddr, gate: Rc<dyn Gate>) {
    let mut datagram = vec![0; 4096];
    loop {
        let Ok(length) = far.socket.recv(&mut datagram).await else {
            // Refused: nobody listens. Clients would ask again after a second or two only, and an
            // ipmi_sim that was started again is there sooner.
            sleep(AGAIN_AFTER).await;
            far.send_again().await;
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

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;
    use tokio::task::LocalSet;

    use super::*;

    /// A datagram that nobody lost is there long before.
    const DEADLINE: Duration = Duration::from_secs(10);

    fn socket() -> StdSocket {
        let socket = StdSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket
    }

    #[test]
    fn what_is_sent_while_the_far_end_is_away_arrives_once_when_it_is_back() {
        let (near, away, client) = (socket(), socket(), socket());
        let to = away.local_addr().unwrap();
        client.connect(near.local_addr().unwrap()).unwrap();
        drop(away);
        run(near, to, IDLE);
        client.send(b"first").unwrap();
        client.send(b"last").unwrap();
        // Long enough for both to have been refused.
        std::thread::sleep(AGAIN_AFTER * 5);

        let far = StdSocket::bind(to).unwrap();
        far.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut datagram = [0; 16];
        let (length, from) = far.recv_from(&mut datagram).unwrap();
        assert_eq!(&datagram[..length], b"last");
        far.send_to(b"answer", from).unwrap();
        let length = client.recv(&mut datagram).unwrap();
        assert_eq!(&datagram[..length], b"answer");
        far.set_read_timeout(Some(AGAIN_AFTER * 5)).unwrap();
        assert!(far.recv(&mut datagram).is_err(), "it came twice");
    }

    #[test]
    fn a_client_that_is_silent_is_forgotten_though_nobody_comes_after_it() {
        let (near, far, client) = (socket(), socket(), socket());
        client.connect(near.local_addr().unwrap()).unwrap();
        let to = far.local_addr().unwrap();
        run(near, to, AGAIN_AFTER);
        client.send(b"hello").unwrap();
        let (_, from) = far.recv_from(&mut [0; 16]).unwrap();
        // Its socket refuses once it is closed.
        far.connect(from).unwrap();
        let end = Instant::now() + DEADLINE;
        while far.send(b"late").is_ok() {
            assert!(Instant::now() < end, "its socket is still there");
            std::thread::sleep(AGAIN_AFTER);
        }
    }

    /// Relays between `near` and `to`, in a thread, and forgets who is silent for `idle`.
    fn run(near: StdSocket, to: SocketAddr, idle: Duration) {
        std::thread::spawn(move || {
            let connect = move || {
                let far = socket();
                far.connect(to)?;
                Ok(far)
            };
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let relay = forgetting(near, connect, Rc::new(Open), idle);
            LocalSet::new().block_on(&runtime, relay)
        });
    }
}
