//! Published sockets: relays from the host into the lab.
//!
//! The sockets were bound in the host's namespace before the lab was made;
//! connections into the lab are made from the fabric. So nothing of the host
//! has to be changed: no route, no rule, no sysctl.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::files;
use crate::plan::{Publish, Target};
use crate::relay::{self, Open};

/// After accept(2) failed, for want of descriptors say.
const BREATH: Duration = Duration::from_millis(100);

/// More connections than this to one port wait until another one ends.
const MOST_CONNECTIONS: usize = 512;

/// The host's sockets that lead into the lab. They stay while what is behind them is stopped, or
/// becomes another.
#[derive(Default)]
pub struct Sockets(BTreeMap<(SocketAddr, &'static str), OwnedFd>);

impl Sockets {
    /// Adds those of `published`, in that order.
    pub fn add<'p>(
        &mut self,
        published: impl IntoIterator<Item = &'p Publish>,
        sockets: impl IntoIterator<Item = OwnedFd>,
    ) {
        let keys = published.into_iter().map(Publish::socket);
        self.0.extend(keys.zip(sockets));
    }

    /// Closes those that are none of `published`.
    pub fn keep_only(&mut self, published: &[Publish]) {
        self.0
            .retain(|key, _| published.iter().any(|publish| publish.socket() == *key));
    }

    /// The socket of `publish`, to be used for a while.
    ///
    /// # Errors
    /// NotFound when there is none; what dup(2) says.
    pub fn get(&self, publish: &Publish) -> io::Result<OwnedFd> {
        let socket = self.0.get(&publish.socket());
        socket.ok_or(io::ErrorKind::NotFound)?.try_clone()
    }
}

/// Relays from `socket` to `target`, for ever.
///
/// # Errors
/// When the socket cannot be used.
pub async fn relay(socket: OwnedFd, target: Target) -> io::Result<()> {
    match target {
        Target::Udp(to) => {
            let connect = move || {
                let far = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
                far.connect(to)?;
                Ok(far)
            };
            relay::udp(UdpSocket::from(socket), connect, Rc::new(Open)).await
        }
        Target::Tcp(to) => tcp(socket, move || TcpStream::connect(to)).await,
        Target::Unix(to) => unix(socket, to).await,
    }
}

async fn unix(socket: OwnedFd, to: PathBuf) -> io::Result<()> {
    let connect = move || {
        let to = to.clone();
        async move { files::connect(&to).await }
    };
    tcp(socket, connect).await
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
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let Ok((mut near, _)) = listener.accept().await else {
            sleep(BREATH).await;
            continue;
        };
        let connecting = connect();
        tokio::task::spawn_local(async move {
            let _place = place;
            let mut far = connecting.await?;
            near.set_nodelay(true)?;
            copy_bidirectional(&mut near, &mut far).await
        });
    }
}
