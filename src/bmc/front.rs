//! The front: stands between the network and ipmi_sim, for what happens before a command is
//! dispatched.
//!
//! ipmi_sim listens on the loopback of the node's namespace only; clients reach
//! the node's address, and the front there. It answers what ipmi_sim 2.0.33
//! does not (the query for cipher suites), refuses what it should not accept
//! (a session without a password), and shows the faults that a BMC is told to
//! have. Everything inside of a session passes unread.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::rc::Rc;
use std::time::Duration;

use super::ipmi_sim::RMCP_PORT;
use super::rmcp::{self, Packet, Rakp1};
use super::users::Users;
use crate::lab::{self, Fault};
use crate::node::power::{Host, Node};
use crate::relay::{self, Fate, Gate};

/// So many sessions may be half open; a client that leaves it at that is forgotten then.
const MOST_OPENING: usize = 64;

struct Front {
    node: Node,
    users: Users,
    /// The numbers of sessions that are being opened, ipmi_sim's and the client's.
    opening: RefCell<VecDeque<([u8; 4], [u8; 4])>>,
}

impl Front {
    /// The refusal of a privilege level above the user's limit, which ipmi_sim 2.0.33 looks at
    /// in sessions of IPMI 1.5 only.
    fn refusal(&self, wish: Rakp1<'_>) -> Option<Vec<u8>> {
        let limit = self.users.limit(wish.user)?;
        let opening = self.opening.borrow();
        let (_, console) = opening.iter().find(|(own, _)| *own == wish.session)?;
        (wish.level > limit).then(|| wish.too_high(*console))
    }
}

impl Gate for Front {
    fn forth(&self, datagram: &[u8]) -> Fate {
        let faults = &mut self.node.chassis().borrow_mut().faults;
        let full = faults.has(Fault::SessionsFull);
        let Some(after) = faults.delay() else {
            return Fate::Lose;
        };
        match rmcp::read(datagram) {
            Packet::CipherSuites(request) => Fate::Answer(request.cipher_suites()),
            Packet::Open(session) if !session.is_offered() => {
                Fate::Answer(session.no_cipher_suite())
            }
            Packet::Open(session) if full => Fate::Answer(session.no_session_left()),
            Packet::Challenge(request) if full => Fate::Answer(request.no_session_left()),
            Packet::Rakp1(wish) => match self.refusal(wish) {
                Some(refusal) => Fate::Answer(refusal),
                None => Fate::Pass(after),
            },
            // One of these in a session with MD5 kills ipmi_sim 2.0.33, and lan.conf allows no
            // session in which one would be right.
            Packet::Unauthenticated => Fate::Lose,
            Packet::Open(_) | Packet::Challenge(_) | Packet::Other => Fate::Pass(after),
        }
    }

    fn back(&self, datagram: &[u8]) -> Fate {
        if let Some(numbers) = rmcp::opened(datagram) {
            let mut opening = self.opening.borrow_mut();
            opening.truncate(MOST_OPENING - 1);
            opening.push_front(numbers);
        }
        // What was slow on its way in is not slowed again.
        match self.node.chassis().borrow_mut().faults.delay() {
            Some(_) => Fate::Pass(Duration::ZERO),
            None => Fate::Lose,
        }
    }
}

/// Opens the port of a node's BMC, and returns what serves it for ever.
///
/// # Errors
/// When the address cannot be bound.
pub fn start(
    host: &Host,
    node: &lab::Node,
    machine: Node,
) -> io::Result<impl Future<Output = io::Result<()>> + use<>> {
    let (members, name, address) = (Rc::clone(&host.members), node.name.clone(), node.address);
    let near = members
        .get(&name)?
        .inside(|| UdpSocket::bind((address, RMCP_PORT)))?;
    let connect = move || {
        members.get(&name)?.inside(|| {
            let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            far.connect((Ipv4Addr::LOCALHOST, RMCP_PORT))?;
            Ok(far)
        })
    };
    let front = Front {
        node: machine,
        users: Users::of(node),
        opening: RefCell::default(),
    };
    Ok(relay::udp(near, connect, Rc::new(front)))
}
