//! `nsplay exec`.

use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use crate::cli;
use crate::client::not_up;
use crate::error::{Failure, SIGNALLED};
use crate::kernel::process::in_namespaces;
use crate::lab::Name;
use crate::rundir::RunDir;

/// Runs a command in a member's network and the lab's PID namespace, so that it ends with the lab.
pub fn run(options: &cli::Exec, lab: &Name) -> Result<u8, Failure> {
    let mut words = options.command.iter();
    let Some(program) = words.next() else {
        return Ok(0);
    };
    let mut command = Command::new(program);
    command.args(words);
    inside(&options.member, lab, &mut command)
}

/// Runs `command` inside, and returns its exit code.
pub fn inside(member: &Name, lab: &Name, command: &mut Command) -> Result<u8, Failure> {
    let dir = RunDir::new(lab);
    let Some(supervisor) = dir.supervisor() else {
        return Err(not_up(&dir));
    };
    let proc = format!("/proc/{}", supervisor.pid);
    let netns = match member.as_str() {
        "fabric" => format!("{proc}/ns/net").into(),
        _ => dir.netns_name(member),
    };
    let open = |path: std::path::PathBuf| {
        File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::refused(
                format!("no member `{member}` in lab `{lab}`"),
                "`nsplay ps` lists them; `fabric` is the network between them",
            ),
            _ => Failure::io(format_args!("enter `{member}`"), &error),
        })
    };
    let (net, pid) = (open(netns)?, open(format!("{proc}/ns/pid").into())?);
    let user = dir.places().user;
    let user = user.map(|_| open(format!("{proc}/ns/user").into()));
    let status = in_namespaces(user.transpose()?, net, pid, command).map_err(|error| {
        let program = command.get_program().to_string_lossy();
        match error.kind() {
            io::ErrorKind::NotFound => Failure::refused(
                format!("cannot run `{program}`: there is no such program on this host"),
                "exec runs a program of this host inside the lab's network",
            ),
            _ => Failure::io(format_args!("run `{program}`"), &error),
        }
    })?;
    // As shells do: 128 and the signal's number.
    let code = status
        .code()
        .unwrap_or_else(|| i32::from(SIGNALLED) + status.signal().unwrap_or_default());
    Ok(u8::try_from(code).unwrap_or(crate::error::FAILED))
}
