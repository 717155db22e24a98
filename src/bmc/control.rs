//! What the module in ipmi_sim's process asks, and what the node answers.
//!
//! [`question`](super::question) reads the words. A question is answered at once; what an order
//! takes longer goes on behind.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use tokio::net::UnixDatagram;
use tokio::time::sleep;

use super::Bmc;
use super::question::{Light, Question, Watchdog};
use crate::lab::Fault;
use crate::node::boot::BootOptions;
use crate::node::chassis::{Identify, LastEvent};
use crate::node::power::{Door, Node};
use crate::node::{Order, Power};

/// No question is longer.
const MOST: usize = 256;

/// The answer to Cold Reset is on its way by then.
const ANSWERED_WITHIN: Duration = Duration::from_millis(100);

/// Commands that the module passes on as they are: network function and command (IPMI 2.0,
/// appendix G).
const COLD_RESET: (u8, u8) = (0x06, 0x02);
/// A BMC of software has no warmer way.
const WARM_RESET: (u8, u8) = (0x06, 0x03);
const GET_SELF_TEST_RESULTS: (u8, u8) = (0x06, 0x04);
const GET_SYSTEM_GUID: (u8, u8) = (0x06, 0x37);
const SET_LAN_CONFIGURATION: (u8, u8) = (0x0c, 0x01);
const GET_LAN_CONFIGURATION: (u8, u8) = (0x0c, 0x02);
const SET_SOL_CONFIGURATION: (u8, u8) = (0x0c, 0x21);
const GET_SOL_CONFIGURATION: (u8, u8) = (0x0c, 0x22);

/// Completion codes of IPMI 2.0, table 5-2.
const NOT_IN_THIS_STATE: u8 = 0xd5;
const NODE_BUSY: u8 = 0xc0;
const INVALID_COMMAND: u8 = 0xc1;

/// Both ends of the line between a node and its module: ours, and the one that ipmi_sim inherits.
///
/// # Errors
/// What socketpair(2) says.
pub fn pair() -> io::Result<(UnixDatagram, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    // SOCK_SEQPACKET keeps datagrams apart like SOCK_DGRAM, and shows the other end's closing.
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    let ours = StdDatagram::from(ours);
    ours.set_nonblocking(true)?;
    Ok((UnixDatagram::from_std(ours)?, theirs))
}

/// Answers the module's questions until ipmi_sim has gone.
///
/// # Errors
/// What the socket says.
pub async fn serve(line: UnixDatagram, bmc: Rc<Bmc>) -> io::Result<()> {
    let mut question = [0; MOST];
    loop {
        let length = line.recv(&mut question).await?;
        if length == 0 {
            return Ok(());
        }
        let question = String::from_utf8_lossy(&question[..length]);
        let (number, words) = question.split_once(' ').unwrap_or((&question, ""));
        let answer = match Question::read(words).and_then(|question| answer(question, &bmc)) {
            Ok(payload) if payload.is_empty() => format!("{number} ok"),
            Ok(payload) => format!("{number} ok {payload}"),
            Err(code) => format!("{number} error {code:02x}"),
        };
        line.send(answer.as_bytes()).await?;
    }
}

/// The payload of the answer, or its completion code.
fn answer(question: Question, bmc: &Rc<Bmc>) -> Result<String, u8> {
    let node = &bmc.node;
    match question {
        Question::Status => return Ok(status(node)),
        Question::Power(order) => power(order, node)?,
        Question::Watchdog(Watchdog::Armed) => {
            node.chassis().borrow_mut().watchdog_armed = node.power() == Power::On;
        }
        Question::Watchdog(Watchdog::Status) => {
            let armed = node.chassis().borrow().watchdog_armed;
            return Ok(if armed { "armed" } else { "idle" }.to_owned());
        }
        Question::Watchdog(Watchdog::Acts(order)) => watchdog_acts(order, node)?,
        Question::Identify(light) => node.identify(match light {
            Light::Off => Identify::Off,
            Light::On => Identify::Forced,
            Light::For(time) => Identify::Until(Instant::now() + time),
        }),
        Question::SetPolicy(policy) => {
            node.chassis().borrow_mut().set_policy(policy);
            node.remember();
        }
        Question::RestartCause => {
            return Ok(format!("{:02x}", node.chassis().borrow().restart_cause));
        }
        Question::PowerOnHours => {
            return Ok(format!("1 {}", node.chassis().borrow().minutes_on()));
        }
        Question::BootFlags => {
            return Ok(to_hex(&node.chassis().borrow().boot.flags(Instant::now())));
        }
        Question::SetBootFlags(flags) => {
            node.set_boot_options(|boot| boot.choose(flags, Instant::now()));
        }
        Question::BootClearing => {
            return Ok(format!("{:02x}", node.chassis().borrow().boot.clearing()));
        }
        Question::SetBootClearing(bits) => node.set_boot_options(|boot| boot.set_clearing(bits)),
        Question::Sol(true) => bmc.sol.begin(),
        Question::Sol(false) => bmc.sol.end(),
        Question::Ipmi {
            command,
            channel,
            data,
        } => return ipmi(command, channel, &data, bmc).map(|answer| to_hex(&answer)),
    }
    Ok(String::new())
}

/// Answers a command that the module passes on as it is; the completion code is no part of it.
fn ipmi(command: (u8, u8), channel: u8, data: &[u8], bmc: &Rc<Bmc>) -> Result<Vec<u8>, u8> {
    /// Get Self Test Results, section 20.4: no error, all self tests passed.
    const PASSED: [u8; 2] = [0x55, 0x00];

    match command {
        COLD_RESET | WARM_RESET => {
            let bmc = Rc::clone(bmc);
            let resets = |bmc: &Bmc| bmc.node.chassis().borrow().faults.has(Fault::ColdReset);
            // Who is told a thousand times to reset resets once.
            if !resets(&bmc) {
                tokio::task::spawn_local(async move {
                    sleep(ANSWERED_WITHIN).await;
                    if !resets(&bmc) {
                        bmc.begin(Fault::ColdReset, None);
                    }
                });
            }
            Ok(Vec::new())
        }
        GET_SELF_TEST_RESULTS => Ok(PASSED.to_vec()),
        GET_SYSTEM_GUID => Ok(bmc.guid.to_vec()),
        SET_LAN_CONFIGURATION => bmc.lan.borrow_mut().set(channel, data),
        GET_LAN_CONFIGURATION => bmc.lan.borrow().get(channel, data),
        SET_SOL_CONFIGURATION => bmc.sol_parameters.borrow_mut().set(channel, data),
        GET_SOL_CONFIGURATION => bmc.sol_parameters.borrow().get(channel, data),
        _ => Err(INVALID_COMMAND),
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn status(node: &Node) -> String {
    let chassis = node.chassis().borrow();
    let event = match chassis.last_event {
        LastEvent::None => "none",
        LastEvent::Command => "ipmi",
        LastEvent::AcFailed => "ac-failed",
        LastEvent::Fault => "fault",
    };
    let light = match chassis.identifies() {
        Identify::Off => "off",
        Identify::Until(_) => "timed",
        Identify::Forced => "force",
    };
    let (power, policy) = (node.power(), chassis.policy);
    format!("{power} policy={policy} event={event} identify={light}")
}

fn power(order: Order, node: &Node) -> Result<(), u8> {
    node.set_boot_options(|boot| boot.commanded(Instant::now()));
    // Section 28.3: on when on and off when off succeed, the others need power.
    if node.power() == Power::Off && !matches!(order, Order::On | Order::Off) {
        return Err(NOT_IN_THIS_STATE);
    }
    let stuck = node.chassis().borrow().faults.has(Fault::StuckPower);
    if stuck || node.order_from_afar(order, Door::Bmc) {
        return Ok(());
    }
    Err(NODE_BUSY)
}

/// The watchdog acts on the machine that it was armed by, and on no later one.
fn watchdog_acts(order: Order, node: &Node) -> Result<(), u8> {
    if !node.chassis().borrow().watchdog_armed {
        return Err(NOT_IN_THIS_STATE);
    }
    if matches!(order, Order::Reset | Order::Cycle) {
        node.set_boot_options(BootOptions::watchdog_acts);
    }
    node.order(order, Door::Watchdog);
    Ok(())
}
