//! All that is known of a run, in a folder, so that a red job is understood without its host.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::said::{self, Asked};
use super::versions;
use crate::client::Client;
use crate::command::screen;
use crate::event::What;
use crate::files::Folder;
use crate::inspect::service::{HIDDEN, is_secret, without_secrets};
use crate::journal;
use crate::json;
use crate::lab::{Lab, Name, Node, file};
use crate::program::LAB_DIR;
use crate::progress::timeline::Timeline;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};

/// A lease is a line, and a server gives 1000 of them at most (dnsmasq(8), `--dhcp-lease-max`).
const LARGEST_LEASES: u64 = 1 << 20;

/// Captures the packets of the lab's network into `folder`; ends with the lab.
pub fn capture(folder: &Path, dir: &RunDir) -> Option<Child> {
    fs::create_dir_all(folder).ok()?;
    let mut capture = own(dir);
    capture
        .args(["capture", "-w"])
        .arg(folder.join("network.pcapng"));
    quiet(&mut capture).spawn().ok()
}

/// This program, for the lab of `dir`.
fn own(dir: &RunDir) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(["-p", dir.lab().as_str()]);
    command
}

fn quiet(command: &mut Command) -> &mut Command {
    let null = Stdio::null;
    command.stdin(null()).stdout(null()).stderr(null())
}

/// Writes everything; the lab is still there.
///
/// # Errors
/// The first thing that could not be written, after all others were.
pub fn write(folder: &Path, lab: &Lab, dir: &RunDir, capture: Option<Child>) -> io::Result<()> {
    let mut outcome = Ok(());
    let mut put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, bytes));
        if outcome.is_ok() {
            outcome = written;
        }
    };
    // A BMC that is to fail answers late: all are asked at once, and heard at the end.
    let logs: Vec<_> = lab.nodes.iter().map(|node| event_log(dir, node)).collect();
    put("lab.toml", file::render(&without_passwords(lab)).as_bytes());
    put("versions.txt", versions::of(lab).as_bytes());
    for node in &lab.nodes {
        let name = &node.name;
        if let Some(text) = why(dir, name) {
            put(&format!("why/{name}.txt"), text.as_bytes());
        }
        if let Ok(png) = screen::picture(dir, name) {
            put(&format!("screens/{name}.png"), &png);
        }
        if let Ok(lines) = screen::text(dir, name) {
            put(
                &format!("screens/{name}.txt"),
                (lines.join("\n") + "\n").as_bytes(),
            );
        }
        if let Some(bytes) = serial(dir, name) {
            put(&format!("serial/{name}.bin"), &bytes);
        }
    }
    if let Some(supervisor) = dir.supervisor() {
        for dhcp in lab.dhcp_servers() {
            // What dnsmasq has there is dnsmasq's to choose.
            let folder = PathBuf::from(format!("/proc/{}/root{LAB_DIR}", supervisor.pid));
            let leases = Folder::open(&folder)
                .and_then(|folder| folder.below(Path::new(dhcp.name.as_str())))
                .and_then(|folder| folder.read(OsStr::new("leases"), LARGEST_LEASES));
            if let Ok(leases) = leases {
                put(&format!("leases/{}.txt", dhcp.name), &leases);
            }
        }
    }
    for (node, log) in lab.nodes.iter().zip(logs) {
        let said = log.and_then(Asked::answer);
        let text = said.unwrap_or_else(|| "the BMC did not answer\n".to_owned());
        put(&format!("sel/{}.txt", node.name), text.as_bytes());
    }
    // The log comes last, so that it has all of it.
    let events: Vec<_> = journal::read(&dir.log())?.collect();
    let log: Result<String, _> = events.iter().map(json::line).collect();
    if let Ok(log) = log {
        put("events.jsonl", log.as_bytes());
    }
    let mut lines: BTreeMap<&Name, String> = BTreeMap::new();
    for event in &events {
        if let What::Log { member, text } = &event.what {
            let log = lines.entry(member).or_default();
            log.push_str(text);
            log.push('\n');
        }
    }
    for (member, text) in lines {
        put(&format!("logs/{member}.log"), text.as_bytes());
    }
    for node in &lab.nodes {
        let timeline = Timeline::of(&node.name, events.iter());
        put(
            &format!("timelines/{}.txt", node.name),
            timeline.to_string().as_bytes(),
        );
    }
    if let Some(mut capture) = capture {
        // It writes what it has when it is told to end.
        if let Ok(pid) = i32::try_from(capture.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        said::waits(&mut capture, Instant::now() + said::WITHIN);
    }
    outcome
}

fn why(dir: &RunDir, node: &Name) -> Option<String> {
    let node = node.clone();
    let mut text = None;
    let client = Client::ask(dir, &Request::Why { node }).ok()?;
    let asked = client.replies(|reply| {
        if let Reply::Why(answer) = reply {
            text = Some(answer.to_string());
        }
    });
    asked.ok().and(text)
}

/// What is kept of a node's serial line, as the guest sent it.
fn serial(dir: &RunDir, node: &Name) -> Option<Vec<u8>> {
    let request = Request::Console {
        node: Some(node.clone()),
        past: true,
    };
    let mut client = Client::ask(dir, &request).ok()?;
    let Ok(Some(Reply::Console { .. })) = client.reply() else {
        return None;
    };
    let (mut bytes, mut stream) = client.into_stream().ok()?;
    stream.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Asks a BMC for its event log; the password is in no argument that others see.
fn event_log(dir: &RunDir, node: &Node) -> Option<Asked> {
    let address = node.address.to_string();
    let mut command = own(dir);
    command.args(["exec", "fabric", "--", "ipmitool", "-H", &address]);
    command.args(["-U", &node.bmc.user, "-f", "/dev/stdin", "sel", "elist"]);
    Asked::start(&mut command, &format!("{}\n", node.bmc.password))
}

/// The lab for the eyes of all who see a job's artifacts.
fn without_passwords(lab: &Lab) -> Lab {
    let mut lab = lab.clone();
    for node in &mut lab.nodes {
        let users = node.bmc.users.iter_mut().map(|user| &mut user.password);
        for password in users.chain([&mut node.bmc.password]) {
            HIDDEN.clone_into(password);
        }
    }
    for own in &mut lab.own {
        own.command = without_secrets(&own.command);
        for (_, value) in own.env.iter_mut().filter(|(name, _)| is_secret(name)) {
            HIDDEN.clone_into(value);
        }
    }
    lab
}
