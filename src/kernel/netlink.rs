//! Netlink sockets for the few requests that wait for nothing else: one after the other, without
//! a runtime (netlink(7)).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    socket,
};
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use tokio::io::unix::AsyncFd;

/// What one read takes: the kernel sends no more at once (`NLMSG_GOODSIZE`, and 32 KiB for dumps).
const READ: usize = 64 << 10;

/// Bytes of a message's header.
const HEADER: usize = 16;

/// Types of messages that are netlink's own (`<linux/netlink.h>`).
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// A socket in the network namespace in which it was opened.
#[derive(Debug)]
pub struct Socket(OwnedFd);

/// A message of the kernel, without its header.
#[derive(Debug)]
pub struct Message {
    /// Its type.
    pub kind: u16,
    /// What is in it.
    pub body: Vec<u8>,
}

/// A socket that somebody else has opened.
impl From<OwnedFd> for Socket {
    fn from(opened: OwnedFd) -> Self {
        Self(opened)
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Socket {
    /// Opens a socket for links, addresses and routes (rtnetlink(7)).
    ///
    /// # Errors
    /// What socket(2) says.
    pub fn route() -> io::Result<Self> {
        Self::open(SockProtocol::NetlinkRoute)
    }

    /// Opens a socket for firewall rules.
    ///
    /// # Errors
    /// EPROTONOSUPPORT where the kernel has none.
    pub fn netfilter() -> io::Result<Self> {
        Self::open(SockProtocol::NetlinkNetFilter)
    }

    fn open(protocol: SockProtocol) -> io::Result<Self> {
        let (family, flags) = (AddressFamily::Netlink, SockFlag::SOCK_CLOEXEC);
        let opened = socket(family, SockType::Raw, flags, protocol)?;
        bind(opened.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self(opened))
    }

    /// Sends messages, and waits for `answers` acknowledgements.
    ///
    /// # Errors
    /// The first that the kernel refuses.
    pub fn send(&self, messages: &[u8], answers: usize) -> io::Result<()> {
        send(self.0.as_raw_fd(), messages, MsgFlags::empty())?;
        let mut left = answers;
        while left > 0 {
            for message in self.read()? {
                if message.kind == ERROR {
                    refused(&message)?;
                    left -= 1;
                }
            }
        }
        Ok(())
    }

    /// Sends a request for a list, and returns all of it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn list(&self, request: &[u8]) -> io::Result<Vec<Message>> {
        send(self.0.as_raw_fd(), request, MsgFlags::empty())?;
        let mut all = Vec::new();
        loop {
            for message in self.read()? {
                match message.kind {
                    DONE => return Ok(all),
                    ERROR => refused(&message)?,
                    _ => all.push(message),
                }
            }
        }
    }

    fn read(&self) -> io::Result<Vec<Message>> {
        let mut buffer = vec![0; READ];
        let read = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = &buffer[..read];
        let mut messages = Vec::new();
        while let Some((length, kind)) = header(rest) {
            let body = rest.get(HEADER..length).ok_or(io::ErrorKind::InvalidData)?;
            messages.push(Message {
                kind,
                body: body.to_owned(),
            });
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(messages)
    }

    /// Carries out a request about links, addresses or routes.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn request(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        let bytes = serialized(message, NLM_F_REQUEST | NLM_F_ACK | flags);
        self.send(&bytes, 1)
    }

    /// Lists links, addresses or routes.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn list_routes(
        &self,
        message: RouteNetlinkMessage,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        let bytes = serialized(message, NLM_F_REQUEST | NLM_F_DUMP);
        let mut all = Vec::new();
        for message in self.list(&bytes)? {
            let mut whole = Vec::with_capacity(HEADER + message.body.len());
            let length = HEADER + message.body.len();
            whole.extend(
                u32::try_from(length)
                    .map_err(io::Error::other)?
                    .to_ne_bytes(),
            );
            whole.extend(message.kind.to_ne_bytes());
            whole.extend([0; 10]);
            whole.extend(message.body);
            let parsed = NetlinkMessage::deserialize(&whole).map_err(io::Error::other)?;
            if let NetlinkPayload::InnerMessage(inner) = parsed.payload {
                all.push(inner);
            }
        }
        Ok(all)
    }
}

/// Attributes that are written to the end of a message.
#[derive(Debug)]
pub struct Attributes<'a>(pub &'a mut Vec<u8>);

impl Attributes<'_> {
    /// One, of which `fill` writes the value.
    #[allow(clippy::cast_possible_truncation)]
    pub fn put(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes)) {
        let begun = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        fill(&mut Attributes(self.0));
        let length = (self.0.len() - begun) as u16;
        self.0[begun..begun + 2].copy_from_slice(&length.to_ne_bytes());
        let padded = self.0.len().next_multiple_of(4);
        self.0.resize(padded, 0);
    }

    /// One whose value is a text.
    pub fn text(&mut self, kind: u16, text: &str) {
        self.put(kind, |it| {
            it.0.extend(text.as_bytes());
            it.0.push(0);
        });
    }
}

/// Hears when IPv4 addresses of a network namespace come and go.
#[derive(Debug)]
pub struct Addresses(AsyncFd<OwnedFd>);

impl Addresses {
    /// Opens a socket in the calling thread's network namespace, for [`watch`](Self::watch).
    ///
    /// # Errors
    /// What socket(2) says.
    pub fn open() -> io::Result<OwnedFd> {
        /// `RTMGRP_IPV4_IFADDR` of `<linux/rtnetlink.h>`.
        const ADDRESSES: u32 = 0x10;

        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkRoute;
        let opened = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        bind(opened.as_raw_fd(), &NetlinkAddr::new(0, ADDRESSES))?;
        Ok(opened)
    }

    /// Watches by an open socket.
    ///
    /// # Errors
    /// What epoll_ctl(2) says.
    pub fn watch(socket: OwnedFd) -> io::Result<Self> {
        // SAFETY: the descriptor is moved into the AsyncFd, which closes it after deregistering it.
        let ready = unsafe { AsyncFd::register(socket) }?;
        Ok(Self(ready))
    }

    /// Waits until addresses have come or gone.
    ///
    /// # Errors
    /// What poll(2) says.
    pub async fn changed(&self) -> io::Result<()> {
        self.0.readable().await?.clear_ready();
        let mut buffer = vec![0; READ];
        // What has changed, the caller asks; more than the socket held is heard as an error.
        while !matches!(
            recv(self.0.get_ref().as_raw_fd(), &mut buffer, MsgFlags::empty()),
            Err(Errno::EAGAIN)
        ) {}
        Ok(())
    }
}

fn serialized(message: RouteNetlinkMessage, flags: u16) -> Vec<u8> {
    let mut message = NetlinkMessage::from(message);
    message.header.flags = flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Length and type of the message that `bytes` begin with.
fn header(bytes: &[u8]) -> Option<(usize, u16)> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let length = usize::try_from(length).ok()?;
    (length >= HEADER).then_some((length, kind))
}

/// Whether a message of type [`ERROR`] is one, or an acknowledgement.
fn refused(message: &Message) -> io::Result<()> {
    let code = message.body.get(..4).and_then(|code| code.try_into().ok());
    match i32::from_ne_bytes(code.ok_or(io::ErrorKind::InvalidData)?) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(-code)),
    }
}
