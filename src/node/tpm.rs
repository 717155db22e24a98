//! A node's TPM: swtpm(8), which lives as long as the lab, as a real one outlives its power.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::lchown;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use super::qemu::{self, Machine};
use crate::cell::Cell;
use crate::lab::Name;
use crate::program::{Probe, Program, User};

/// Where QEMU finds the TPM of `node`.
#[must_use]
pub fn socket(node: &Name) -> PathBuf {
    qemu::dir(node).join("tpm.sock")
}

/// Opens the socket that every swtpm of a node takes over: QEMU can connect to it at any time,
/// and is served when swtpm is there.
///
/// # Errors
/// When it cannot be made.
pub fn listen(node: &Name, user: u32) -> io::Result<OwnedFd> {
    let path = socket(node);
    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    lchown(&path, Some(user), Some(user))?;
    Ok(listener.into())
}

/// swtpm, with its inherited socket under this number.
#[must_use]
pub fn program(machine: &Machine, socket: RawFd) -> Program {
    let node = &machine.node.name;
    let state = machine.state.join("tpm");
    Program {
        member: node.clone(),
        what: "swtpm".to_owned(),
        argv: vec![
            machine.swtpm.display().to_string(),
            "socket".to_owned(),
            "--tpm2".to_owned(),
            "--tpmstate".to_owned(),
            format!("dir={},mode=0600", state.display()),
            "--ctrl".to_owned(),
            format!("type=unixio,fd={socket}"),
        ],
        env: Vec::new(),
        user: User::Member,
        caps: Vec::new(),
        files: Vec::new(),
        rereads: Vec::new(),
        cell: Some(Cell::writing([state.clone()])),
        dirs: vec![state],
        ready: Probe::Tpm(self::socket(node)),
        own: None,
    }
}

/// The same with a copy of `listener`, to be inherited.
///
/// # Errors
/// When there are no more descriptors.
pub fn start(machine: &Machine, listener: &OwnedFd) -> io::Result<(Program, OwnedFd)> {
    let copy = listener.try_clone()?;
    Ok((program(machine, copy.as_raw_fd()), copy))
}
