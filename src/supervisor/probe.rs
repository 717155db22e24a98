//! Probes: asks a program in its own protocol whether it is ready.
//!
//! The supervisor lives in the fabric, so it asks as any member would.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::beside::Beside;
use crate::bmc::ipmi_sim::RMCP_PORT;
use crate::files;
use crate::program::Probe;
use crate::service::{ProbeMarks, httpd};

/// A program that has not bound its socket yet refuses at once, and is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(4);

/// An answer on one host takes a millisecond or two; a datagram that came too early gets none.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_millis(10);

/// A loaded host takes longer: each attempt waits twice as long as the one before, up to this.
///
/// A connection that was accepted is worth waiting for from the first: sshd
/// executes itself anew for each (9.2), 10 to 20 ms before its banner.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// A user's own service that answers, but not yet as it should, writes each request into its log.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A page may take as long as a client would wait for it.
const PAGE_WITHIN: Duration = Duration::from_secs(5);

/// Waits until a program is ready, for ever: the caller has the deadline.
///
/// `printed` hears of the line that [`Probe::Log`] waits for.
pub async fn answered(beside: &Beside<'_>, marks: ProbeMarks, printed: &Notify) {
    let probe = &beside.program.ready;
    let mut patience = match probe {
        Probe::Dhcp { .. } | Probe::Rmcp(_) => FIRST_ANSWER_WITHIN,
        Probe::Http(_) | Probe::Ssh(_) | Probe::Tcp(_) | Probe::Tpm(_) => ANSWER_WITHIN,
        Probe::Get(..) => PAGE_WITHIN,
        Probe::Started => return,
        Probe::Log(_) => return printed.notified().await,
        Probe::Exec(command) => return beside.succeeds(command).await,
    };
    loop {
        let attempt = async {
            match probe {
                Probe::Dhcp { server, relay } => dhcp(*server, *relay, marks.mac).await,
                Probe::Http(at) => http(*at).await,
                Probe::Ssh(at) => ssh(*at, marks.ssh).await,
                Probe::Rmcp(at) => rmcp(*at).await,
                Probe::Tpm(at) => tpm(at).await,
                Probe::Tcp(at) => TcpStream::connect(at).await.map(drop),
                Probe::Get(at, path) => get(*at, path).await,
                Probe::Started | Probe::Log(_) | Probe::Exec(_) => Ok(()),
            }
        };
        match timeout(patience, attempt).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                if let Probe::Get(..) = probe {
                    sleep(ASK_AGAIN_AFTER).await;
                }
            }
            Ok(Err(_)) => {}
            Err(_) => patience = patience.max((patience * 2).min(ANSWER_WITHIN)),
        }
        sleep(AGAIN_AFTER).await;
    }
}

/// Asks as a relay agent does, so that no node sees a broadcast and no lease is taken
/// (RFC 2131, section 4.1: the answer goes to the agent's port 67).
async fn dhcp(server: Ipv4Addr, relay: Ipv4Addr, mac: crate::lab::Mac) -> io::Result<()> {
    const DISCOVER: [u8; 7] = [53, 1, 1, 255, 0, 0, 0];
    let mut packet = vec![0; 236];
    packet[..8].copy_from_slice(&[1, 1, 6, 1, b'n', b's', b'p', b'l']);
    packet[24..28].copy_from_slice(&relay.octets());
    packet[28..34].copy_from_slice(&mac.octets());
    packet.extend([99, 130, 83, 99]);
    packet.extend(DISCOVER);
    let socket = UdpSocket::bind((relay, 67)).await?;
    socket.connect((server, 67)).await?;
    socket.send(&packet).await?;
    let mut answer = [0; 1500];
    loop {
        let length = socket.recv(&mut answer).await?;
        // BOOTREPLY with our transaction number.
        if length >= 240 && answer[0] == 2 && answer[4..8] == packet[4..8] {
            return Ok(());
        }
    }
}

async fn http(at: SocketAddrV4) -> io::Result<()> {
    let mut stream = TcpStream::connect(at).await?;
    let request = format!("GET {} HTTP/1.0\r\n\r\n", httpd::READY_PATH);
    stream.write_all(request.as_bytes()).await?;
    expect(&mut stream, b"HTTP/1.").await
}

pub(super) async fn get(at: SocketAddrV4, path: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(at).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    // A status line begins `HTTP/1.1 200`.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    if !answer.starts_with(b"HTTP/1.") || !matches!(answer[9], b'2' | b'3') {
        let said = String::from_utf8_lossy(&answer);
        let said = match said.starts_with("HTTP/1.") {
            true => format!("it answers {}", said.get(9..).unwrap_or_default()),
            false => "what answers does not speak HTTP".to_owned(),
        };
        return Err(io::Error::new(io::ErrorKind::InvalidData, said));
    }
    // A server complains when the rest is not taken; one that never ends it has answered all the same.
    let mut nowhere = tokio::io::sink();
    let rest = tokio::io::copy(&mut stream, &mut nowhere);
    let _ = timeout(ANSWER_WITHIN, rest).await;
    Ok(())
}

async fn ssh(at: SocketAddrV4, from: SocketAddrV4) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(from.into())?;
    let mut stream = socket.connect(at.into()).await?;
    // A reset leaves no TIME-WAIT, in which the port could not be used again.
    stream.set_zero_linger()?;
    expect(&mut stream, b"SSH-").await
}

async fn expect(stream: &mut TcpStream, beginning: &[u8]) -> io::Result<()> {
    let mut answer = vec![0; beginning.len()];
    stream.read_exact(&mut answer).await?;
    if answer != beginning {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(())
}

/// CMD_GET_CAPABILITY, whose answer has 64 bits.
async fn tpm(at: &Path) -> io::Result<()> {
    let mut stream = files::connect(at).await?;
    stream.write_all(&1_u32.to_be_bytes()).await?;
    stream.read_exact(&mut [0; 8]).await.map(drop)
}

async fn rmcp(at: SocketAddrV4) -> io::Result<()> {
    const PING: [u8; 12] = [6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 0, 0, 0];
    const PONG: u8 = 0x40;
    let socket = rmcp_socket()?;
    socket.connect(at).await?;
    socket.send(&PING).await?;
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer).await?;
    if length < 12 || answer[8] != PONG {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(())
}

/// Bound to one port for all BMCs and all times: what answers for a BMC remembers each client for a
/// while (`relay`), and so this one once.
fn rmcp_socket() -> io::Result<UdpSocket> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    let from = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, RMCP_PORT);
    bind(socket.as_raw_fd(), &SockaddrIn::from(from))?;
    UdpSocket::from_std(socket.into())
}
