//! ipmi_sim's configuration and command line (ipmi_sim(1), ipmi_lan(5), ipmi_sim_cmd(5)).

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use super::control::to_hex;
use super::emu;
use crate::cell::Cell;
use crate::lab::{Node, Privilege};
use crate::program::{Probe, Program, TextFile, User};

/// The UDP port of RMCP (DSP0136, section 3.1).
pub const RMCP_PORT: u16 = 623;

/// The TCP port, on the node's own loopback, of the interface that the guest itself has.
pub const KCS_PORT: u16 = 9002;

/// Where the module that ipmi_sim loads is, inside the lab.
pub const MODULE: &str = "/run/lab/ipmi-sim-module.so";

/// The name under which ipmi_sim keeps its state and its log lines appear: the node's, with `-bmc`.
///
/// ipmi_sim and QEMU share the node's namespace but not their log prefix.
#[must_use]
pub fn dir(node: &Node) -> PathBuf {
    Program::dir(&node.name).join("bmc")
}

/// Where ipmi_sim writes users that a client has changed.
#[must_use]
pub fn users_file(node: &Node) -> PathBuf {
    let state = dir(node).join("state/ipmi_sim").join(node.name.as_str());
    state.join("users.mc20")
}

/// The BMC of `node`, whose module asks the node over the descriptor `control`.
#[must_use]
pub fn program(node: &Node, binary: &Path, control: RawFd) -> Program {
    let dir = dir(node);
    let file = |name: &str| dir.join(name);
    let path = |name: &str| file(name).display().to_string();
    Program {
        member: node.name.clone(),
        what: "ipmi_sim".to_owned(),
        argv: vec![
            binary.display().to_string(),
            "-c".to_owned(),
            path("lan.conf"),
            "-f".to_owned(),
            path("bmc.emu"),
            "-s".to_owned(),
            path("state"),
        ],
        env: Vec::new(),
        user: User::Member,
        caps: Vec::new(),
        rereads: Vec::new(),
        cell: Some(Cell {
            reads: vec![PathBuf::from(MODULE)],
            ..Cell::writing([dir.clone()])
        }),
        dirs: vec![dir.clone(), file("state")],
        files: vec![
            TextFile {
                path: file("lan.conf"),
                mode: 0o600,
                text: lan_conf(node, control),
            },
            TextFile {
                path: file("bmc.emu"),
                mode: 0o600,
                text: emu::commands(node),
            },
        ],
        own: None,
        ready: Probe::Rmcp(SocketAddrV4::new(node.address, RMCP_PORT)),
    }
}

/// The BMC's LAN interface, users and module.
fn lan_conf(node: &Node, control: RawFd) -> String {
    let (local, sol) = (Ipv4Addr::LOCALHOST, super::sol::ADDRESS);
    let guid = to_hex(&guid(&node.identity.uuid));
    let name = &node.name;
    let (user, password) = (&node.bmc.user, &node.bmc.password);
    let more: String = (3..)
        .zip(&node.bmc.users)
        .map(|(number, user)| {
            let level = match user.privilege {
                Privilege::Callback => "callback",
                Privilege::User => "user",
                Privilege::Operator => "operator",
                Privilege::Administrator => "admin",
            };
            let (name, password) = (&user.name, &user.password);
            format!("  user {number} true \"{name}\" \"{password}\" {level} 10 md2 md5 straight\n")
        })
        .collect();
    // A `serial` line must be there: without one the watchdog of ipmi_sim
    // 2.0.33 calls through a null pointer. The `sol` line names no history: with one ipmi_sim
    // reads without end, and drops what its client is too slow for. User 1 is the anonymous one.
    format!(
        r#"name "{name}"
loadlib "{MODULE}" "fd={control}"
set_working_mc 0x20
  startlan 1
    addr {local} {RMCP_PORT}
    priv_limit admin
    allowed_auths_callback md2 md5 straight
    allowed_auths_user md2 md5 straight
    allowed_auths_operator md2 md5 straight
    allowed_auths_admin md2 md5 straight
    guid {guid}
  endlan
  serial kcs {local} {KCS_PORT} codec VM
  sol "tcp:{sol}" 115200
  user 1 false "" "" user 10 md2 md5 straight
  user 2 true "{user}" "{password}" admin 10 md2 md5 straight
{more}"#
    )
}

/// A UUID as a GUID: IPMI sends the last byte first (IPMI 2.0, section 20.8).
#[must_use]
pub fn guid(uuid: &str) -> [u8; 16] {
    let digits: String = uuid.chars().filter(|c| *c != '-').collect();
    u128::from_str_radix(&digits, 16)
        .unwrap_or_default()
        .to_le_bytes()
}

/// A log line without the prompt; none for an echo of the commands that it was given, nor for the
/// message that a line is about, which follows it as bytes.
#[must_use]
pub fn tidy(line: &str) -> Option<String> {
    let text = line.trim_start_matches(['>', ' ']).trim_end();
    let is_byte = |word: &str| word.len() == 2 && word.bytes().all(|c| c.is_ascii_hexdigit());
    let is_message =
        text.starts_with("channel=") || text.starts_with("rq_lun=") || text.split(' ').all(is_byte);
    // Every call of ipmitool is a session, and a script has one call a second.
    let is_routine = text.starts_with("Activate session: Session started")
        || text.starts_with("Activate session: Session opened")
        || text.starts_with("Session closed: Closed")
        || text.starts_with("Normal session message failure: no privilege");
    let is_echo = text.is_empty() || emu::is_echo(text);
    (!is_message && !is_routine && !is_echo).then(|| text.to_owned())
}
