//! Published sockets: relays from the host into the lab.
//!
//! The sockets were bound in the host's namespace before the lab was made;
//! connections into the lab are made from the fabric. So nothing of the host
//! has to be changed: no route, no rule, no sysctl.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use tokio::time::{Instant, sleep};

use crate::plan::Target;

/// A UDP client that is silent this long is forgotten: IPMI sessions end after 60 s.
const IDLE: Duration = Duration::from_secs(90);

/// More clients than this at once push out the one that was silent longest.
const MOST_FLOWS: usize = 512;

/// After accept(2) failed, for want of descriptors say.
const BREATH: Duration = Duration::from_millis(100);

/// Relays from `socket` to `target`, for ever.
///
/// # Errors
/// When the socket cannot be used.
pub async fn relay(socket: OwnedFd, target: Target) -> io::Result<()> {
    match target {
        Target::Udp(to) => udp(socket, to).await,
        Target::Tcp(to) => tcp(socket, move || TcpStream::connect(to)).await,
        Target::Unix(to) => unix(socket, to).await,
    }
}

async fn unix(socket: OwnedFd, to: PathBuf) -> io::Result<()> {
    tcp(socket, move || UnixStream::connect(to.clone())).await
}

/// Accepts connections; one that leads nowhere, to a node that is off say, is closed.
async fn tcp<Far, Connecting>(
    socket: OwnedFd,
    mut connect: impl FnMut() -> Connecting,
) -> io::Result<()>
where
    Far: AsyncRead + AsyncWrite + Unpin + 'static,
    Connecting: Future<Output = io::Result<Far>> + 'static,
{
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        let Ok((mut near, _)) = listener.accept().await else {
            sleep(BREATH).await;
            continue;
        };
        let connecting = connect();
        tokio::task::spawn_local(async move {
            let mut far = connecting.await?;
            near.set_nodelay(true)?;
            copy_bidirectional(&mut near, &mut far).await
        });
    }
}

/// A UDP client, and the socket that stands for it inside the lab.
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

async fn udp(socket: OwnedFd, to: SocketAddr) -> io::Result<()> {
    let near = std::net::UdpSocket::from(socket);
    near.set_nonblocking(true)?;
    let near = Rc::new(UdpSocket::from_std(near)?);
    let mut flows: HashMap<SocketAddr, Flow> = HashMap::new();
    let mut packet = vec![0; 65536];
    loop {
        // A datagram that was refused on its way back shows as an error here; the next one counts.
        let Ok((length, client)) = near.recv_from(&mut packet).await else {
            continue;
        };
        if !flows.contains_key(&client) {
            flows.retain(|_, flow| flow.last.elapsed() < IDLE);
            if flows.len() >= MOST_FLOWS {
                let oldest = flows.iter().min_by_key(|(_, flow)| flow.last);
                if let Some(client) = oldest.map(|(client, _)| *client) {
                    flows.remove(&client);
                }
            }
            let far = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
            far.connect(to).await?;
            let far = Rc::new(far);
            let back = tokio::task::spawn_local(back(Rc::clone(&far), Rc::clone(&near), client));
            let last = Instant::now();
            flows.insert(client, Flow { far, last, back });
        }
        if let Some(flow) = flows.get_mut(&client) {
            flow.last = Instant::now();
            // A member that does not listen yet loses it, as a network does.
            let _ = flow.far.send(&packet[..length]).await;
        }
    }
}

/// Passes answers back to a client.
async fn back(far: Rc<UdpSocket>, near: Rc<UdpSocket>, client: SocketAddr) {
    let mut packet = vec![0; 4096];
    loop {
        match far.recv(&mut packet).await {
            Ok(length) => {
                let _ = near.send_to(&packet[..length], client).await;
            }
            // Refused: the member does not listen. The client will ask again.
            Err(_) => sleep(BREATH).await,
        }
    }
}
