//! All that is known of a run, in a folder, so that a red job is understood without its host.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::client::Client;
use crate::command::screen;
use crate::event::What;
use crate::host::programs::Finder;
use crate::journal;
use crate::json;
use crate::lab::{Lab, Name, file};
use crate::progress::timeline::Timeline;
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};

/// A program that says its version, or a BMC its log, takes a tenth of that.
const SAID_WITHIN: Duration = Duration::from_secs(5);

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
    put("lab.toml", file::render(lab).as_bytes());
    put("versions.txt", versions(lab).as_bytes());
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
        let mut sel = own(dir);
        let (address, bmc) = (node.address.to_string(), &node.bmc);
        sel.args(["exec", "fabric", "--", "ipmitool", "-H", &address]);
        sel.args(["-U", &bmc.user, "-P", &bmc.password, "sel", "elist"]);
        if let Some(text) = said(&mut sel) {
            put(&format!("sel/{name}.txt"), text.as_bytes());
        }
    }
    if let Some(supervisor) = dir.supervisor() {
        for dhcp in lab.dhcp_servers() {
            let leases = format!("/proc/{}/root/run/lab/{}/leases", supervisor.pid, dhcp.name);
            if let Ok(leases) = fs::read(leases) {
                put(&format!("leases/{}.txt", dhcp.name), &leases);
            }
        }
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
        waits(&mut capture, SAID_WITHIN);
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

/// The versions of all programs that a lab runs, a few lines of each.
fn versions(lab: &Lab) -> String {
    let mut text = format!("nsplay {}\n", env!("CARGO_PKG_VERSION"));
    if let Ok(kernel) = fs::read_to_string("/proc/version") {
        text.push_str(&kernel);
    }
    let finder = Finder::from_env();
    let mut programs = vec![
        ("dnsmasq", "--version"),
        ("sshd", "-V"),
        ("ipmitool", "-V"),
        ("lighttpd", "-v"),
        ("nginx", "-v"),
        ("apache2", "-v"),
    ];
    if !lab.nodes.is_empty() {
        programs.push(("qemu-system-x86_64", "--version"));
    }
    for (program, option) in programs {
        if let Some(path) = finder.program(program)
            && let Some(said) = said(Command::new(path).arg(option))
        {
            let first = said.lines().find(|line| !line.trim().is_empty());
            text.push_str(&format!("{program}: {}\n", first.unwrap_or_default()));
        }
    }
    text
}

/// What a command prints; none for one that cannot be run, or takes too long.
fn said(command: &mut Command) -> Option<String> {
    use std::io::Read;

    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    // More than a pipe holds is no version and no event log of a test.
    let ended = waits(&mut child, SAID_WITHIN);
    let mut text = String::new();
    if ended {
        child.stdout.take()?.read_to_string(&mut text).ok()?;
        if text.trim().is_empty() {
            child.stderr.take()?.read_to_string(&mut text).ok()?;
        }
    }
    ended.then_some(text)
}

/// Waits for the end of a child, which is killed when it takes longer.
fn waits(child: &mut Child, within: Duration) -> bool {
    let end = Instant::now() + within;
    while Instant::now() < end {
        if let Ok(Some(_)) = child.try_wait() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}
