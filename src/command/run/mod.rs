//! `nsplay run`: a lab for as long as a command takes, for CI.
//!
//! The lab is held by a connection of this process, so that it is gone when this process is,
//! however that came about. So is all that the command has started, by its [`Mark`].

mod artifacts;
mod environment;
mod junit;
mod output;
mod said;
mod versions;

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use super::{down, up};
use crate::cli;
use crate::client::Client;
use crate::error::{FAILED, Failure, SIGNALLED};
use crate::event::What;
use crate::host::programs;
use crate::json;
use crate::kernel::mark::Mark;
use crate::kernel::process::dies_with_us;
use crate::lab::{Lab, Name};
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Reply, Request};
use crate::ui::{self, Printer};

/// How long a command may take to end after a signal; a CI system kills soon after.
const ENDS_WITHIN: Duration = Duration::from_secs(4);

/// A part of a run, for the report.
struct Part {
    name: String,
    took: Duration,
    /// Why it failed, if it did.
    failed: Option<String>,
    /// The end of what it printed.
    printed: String,
}

/// Makes the lab, waits, runs the command, and takes the lab down whatever happens.
pub fn run(options: &cli::Run, project: Option<&Name>) -> Result<u8, Failure> {
    let began = Instant::now();
    let mark = Mark::new().map_err(|error| Failure::io("make a mark", &error))?;
    let begun = places(options)
        .and_then(|()| runnable(&options.command))
        .and_then(|()| awaitable(options, project))
        .and_then(|()| up::held(&options.lab, project, mark));
    let begun = match begun {
        Ok(begun) => begun,
        Err(failure) => {
            // What a CI system shows is the report.
            if let Some(file) = &options.junit {
                let name = project.cloned().unwrap_or_default();
                // What cannot be written has been told, or is no news beside this.
                let _ = junit::write(file, &name, &[part("up", began, Some(&failure))]);
            }
            return Err(failure);
        }
    };
    let (lab, dir) = (begun.lab, begun.dir);
    let mark = begun.leash.as_ref().map(|leash| leash.mark().clone());
    let stop = Stop::on(begun.stops, mark);
    let stop = stop.map_err(|error| Failure::io("wait for signals", &error))?;
    let mut parts = Vec::new();
    let run = Run {
        options,
        lab: &lab,
        dir: &dir,
        stop: &stop,
    };
    let outcome = run.in_lab(begun.client, began, &mut parts);
    if let Some(leash) = begun.leash {
        leash.end();
    }
    down::end(&dir)?;
    if let Some(file) = &options.junit {
        junit::write(file, &lab.name, &parts)?;
    }
    let code = match stop.signal() {
        Some(signal) => of_signal(signal as i32),
        None => outcome?,
    };
    if options.json {
        let parts = parts.into_iter().map(|part| json::RunPart {
            name: part.name,
            took_ms: part.took.as_millis() as u64,
            failed: part.failed.map(|why| {
                let why = why.strip_prefix("error: ").unwrap_or(&why);
                why.trim_end().to_owned()
            }),
        });
        ui::json(&json::Run {
            lab: lab.name.clone(),
            exit_code: code,
            parts: parts.collect(),
            artifacts: options.artifacts.clone(),
        })?;
    }
    Ok(code)
}

/// Refuses to wait for a node that the lab does not have.
fn awaitable(options: &cli::Run, project: Option<&Name>) -> Result<(), Failure> {
    let named: Vec<&Name> = options
        .waits
        .iter()
        .filter_map(|it| it.node.as_ref())
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    let lab = super::lab(&options.lab, project)?;
    let nodes: Vec<Name> = lab.nodes.into_iter().map(|node| node.name).collect();
    match named.into_iter().find(|name| !nodes.contains(name)) {
        Some(unknown) => Err(super::which_node(&lab.name, Some(unknown), &nodes)),
        None => Ok(()),
    }
}

/// Makes the folders of what a run leaves, and makes sure that it can be written.
fn places(options: &cli::Run) -> Result<(), Failure> {
    let made = |folder: &Path| {
        fs::create_dir_all(folder).map_err(|error| {
            Failure::refused(
                format!("cannot make the folder {}: {error}", folder.display()),
                "--artifacts and --junit name a place that can be written",
            )
        })
    };
    if let Some(folder) = &options.artifacts {
        made(folder)?;
    }
    let Some(file) = &options.junit else {
        return Ok(());
    };
    if let Some(folder) = file.parent().filter(|path| !path.as_os_str().is_empty()) {
        made(folder)?;
    }
    let opened = OpenOptions::new().append(true).create(true).open(file);
    opened.map(drop).map_err(|error| {
        Failure::refused(
            format!("cannot write {}: {error}", file.display()),
            "--junit names a file, such as out/junit.xml",
        )
    })
}

/// Makes sure that a command can be run, before anything is made for it.
fn runnable(command: &[OsString]) -> Result<(), Failure> {
    let Some(program) = command.first().map(Path::new) else {
        return Ok(());
    };
    let shown = program.display();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_path = program.components().count() > 1;
    let found: Vec<PathBuf> = match is_path {
        true => vec![program.to_owned()],
        // As execvp(3) looks for it.
        false => std::env::split_paths(&path)
            .map(|folder| folder.join(program))
            .collect(),
    };
    if found.iter().any(|path| programs::is_executable(path)) {
        return Ok(());
    }
    if let Some(there) = found.iter().find(|path| path.is_file()) {
        return Err(Failure::refused(
            format!("cannot run `{shown}`: it is not executable"),
            format!("chmod +x {}", there.display()),
        ));
    }
    let hint = match is_path {
        true => "a path begins in this folder, or with a slash",
        false => "a script in this folder is ./SCRIPT",
    };
    Err(Failure::refused(
        format!("cannot run `{shown}`: there is no such program on this host"),
        hint,
    ))
}

/// As shells do: 128 and the signal's number.
fn of_signal(signal: i32) -> u8 {
    u8::try_from(i32::from(SIGNALLED) + signal).unwrap_or(FAILED)
}

struct Run<'a> {
    options: &'a cli::Run,
    lab: &'a Lab,
    dir: &'a RunDir,
    stop: &'a Stop,
}

impl Run<'_> {
    /// Everything between up and down; the lab lives as long as `client` does, which is until this process
    /// ends or takes the lab down.
    fn in_lab(
        &self,
        mut client: Client,
        began: Instant,
        parts: &mut Vec<Part>,
    ) -> Result<u8, Failure> {
        self.stop.listens(client.socket().ok());
        let mut capture = None;
        let came_up = self.comes_up(&mut client, &mut capture);
        parts.push(part("up", began, came_up.as_ref().err()));
        self.stop.listens(None);
        // What happens from now on is in the log; nobody reads it here, and the lab must not wait.
        let listens = move || while let Ok(Some(_)) = client.reply() {};
        let listening = thread::Builder::new().stack_size(64 << 10).spawn(listens);
        let outcome = came_up
            .and_then(|()| {
                let began = listening.map(drop);
                began.map_err(|error| Failure::io("listen to the lab", &error))
            })
            .and_then(|()| self.waits(parts))
            .and_then(|()| self.commands(parts));
        if let Err(failure) = &outcome {
            ui::failure(failure);
        }
        if let Some(folder) = &self.options.artifacts {
            let written = artifacts::write(folder, self.lab, self.dir, capture);
            written.unwrap_or_else(|error| {
                ui::error(&format!(
                    "cannot write all of {}: {error}",
                    folder.display()
                ));
            });
        }
        Ok(outcome.unwrap_or_else(|failure| failure.code))
    }

    /// Waits until the lab is up.
    fn comes_up(&self, client: &mut Client, capture: &mut Option<Child>) -> Result<(), Failure> {
        let mut printer = Printer::of_lab(self.lab);
        let ended = || Failure::failed(format!("lab `{}` ended before it was up", self.lab.name));
        loop {
            let reply = client
                .reply()
                .map_err(|error| Failure::io("hear of the lab", &error))?;
            let Some(Reply::Event(event)) = reply else {
                return Err(ended());
            };
            match &event.what {
                What::Failed { message } => return Err(up::failed(self.lab, message.clone())),
                What::Down { .. } => return Err(ended()),
                // Members' lines would be taken for the command's output.
                What::Log { .. } => continue,
                What::Made { .. } if capture.is_none() && self.options.artifacts.is_some() => {
                    let folder = self.options.artifacts.as_deref();
                    *capture = folder.and_then(|folder| artifacts::capture(folder, self.dir));
                }
                _ => {}
            }
            printer.event(&event);
            if let What::Up { .. } = event.what {
                return Ok(());
            }
        }
    }

    fn waits(&self, parts: &mut Vec<Part>) -> Result<(), Failure> {
        for awaited in &self.options.waits {
            let began = Instant::now();
            let request = Request::Wait {
                nodes: awaited.node.iter().cloned().collect(),
                goal: awaited.goal.clone(),
                within_ms: u64::try_from(self.options.timeout.as_millis()).unwrap_or(u64::MAX),
            };
            let waited = Client::to_lab(self.dir, &request).and_then(|client| {
                self.stop.listens(client.socket().ok());
                client.replies(|_| {})
            });
            parts.push(part(
                &format!("wait {awaited}"),
                began,
                waited.as_ref().err(),
            ));
            waited?;
        }
        Ok(())
    }

    fn commands(&self, parts: &mut Vec<Part>) -> Result<u8, Failure> {
        let began = Instant::now();
        let mut printed = String::new();
        let ran = self.command(&mut printed);
        let words = self
            .options
            .command
            .iter()
            .map(|word| word.to_string_lossy());
        let name = words.collect::<Vec<_>>().join(" ");
        let failed = match &ran {
            Ok(0) => None,
            Ok(code) => Some(Failure::failed(format!("it ended with status {code}"))),
            Err(failure) => Some(Failure::failed(failure.to_string())),
        };
        let part = part(&name, began, failed.as_ref());
        parts.push(Part { printed, ..part });
        ran
    }

    /// Runs the command; `printed` receives the end of what it prints, where that is kept.
    fn command(&self, printed: &mut String) -> Result<u8, Failure> {
        let mut words = self.options.command.iter();
        let Some(program) = words.next() else {
            return Ok(0);
        };
        let mut command = Command::new(program);
        command.args(words);
        command.envs(environment::of(self.lab, self.dir));
        if let Some(mark) = &self.stop.mark {
            command.env(Mark::NAME, mark.value());
        }
        let shown = program.to_string_lossy();
        let (artifacts, apart) = (self.options.artifacts.as_deref(), self.options.json);
        let is_kept = artifacts.is_some() || self.options.junit.is_some();
        let mut output = None;
        if is_kept {
            let file = artifacts.map(|folder| folder.join("command.log"));
            let passed = output::passes(&mut command, apart, file.as_deref());
            output = Some(
                passed.map_err(|error| Failure::io("pass on what the command prints", &error))?,
            );
        } else if apart {
            let stderr = std::io::stderr().as_fd().try_clone_to_owned();
            let stderr = stderr.map_err(|error| Failure::io("run the command", &error))?;
            command.stdout(stderr);
        }
        let child = dies_with_us(&mut command).spawn();
        let mut child =
            child.map_err(|error| Failure::io(format_args!("run `{shown}`"), &error))?;
        // It has the ends of the pipes that are the command's.
        drop(command);
        self.stop.ends(&child);
        let status = child.wait();
        self.stop.forget();
        if let Some(output) = output {
            *printed = output.end();
        }
        let status = status.map_err(|error| Failure::io("wait for the command", &error))?;
        let signal = status.signal().map(of_signal);
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(signal.or(code).unwrap_or(FAILED))
    }
}

fn part(name: &str, began: Instant, failed: Option<&Failure>) -> Part {
    Part {
        name: name.to_owned(),
        took: began.elapsed(),
        failed: failed.map(ToString::to_string),
        printed: String::new(),
    }
}

/// What a signal ends: the connection that is waited at, or the command.
#[derive(Clone)]
struct Stop {
    now: Arc<Mutex<Stopping>>,
    /// What all that the command has started is marked with.
    mark: Option<Mark>,
}

#[derive(Default)]
struct Stopping {
    signal: Option<Signal>,
    socket: Option<UnixStream>,
    child: Option<Pid>,
}

impl Stop {
    /// Acts on one of `stops`, on a thread that ends with the process.
    fn on(stops: SigSet, mark: Option<Mark>) -> std::io::Result<Self> {
        let now = Arc::default();
        let stop = Self { now, mark };
        let acts = stop.clone();
        thread::Builder::new().stack_size(64 << 10).spawn(move || {
            if let Ok(signal) = stops.wait() {
                acts.act(signal);
            }
        })?;
        Ok(stop)
    }

    fn act(&self, signal: Signal) {
        {
            let mut stopping = self.lock();
            stopping.signal = Some(signal);
            if let Some(socket) = &stopping.socket {
                let _ = socket.shutdown(std::net::Shutdown::Both);
            }
            if let Some(child) = stopping.child {
                self.send(child, signal);
            }
        }
        thread::sleep(ENDS_WITHIN);
        if let Some(child) = self.lock().child {
            self.send(child, Signal::SIGKILL);
        }
    }

    /// Sends a signal to the command, and to all that it has started: a shell that a signal ends
    /// does not pass it on.
    fn send(&self, child: Pid, signal: Signal) {
        let _ = kill(child, signal);
        if let Some(mark) = &self.mark {
            mark.signal(signal, Some(child.as_raw()));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stopping> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self) -> Option<Signal> {
        self.lock().signal
    }

    /// A signal ends what is waited for at `socket`.
    fn listens(&self, socket: Option<UnixStream>) {
        let mut stopping = self.lock();
        if let (Some(_), Some(socket)) = (stopping.signal, &socket) {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
        stopping.socket = socket;
    }

    /// A signal ends the command.
    fn ends(&self, child: &Child) {
        let mut stopping = self.lock();
        stopping.socket = None;
        let pid = i32::try_from(child.id()).ok().map(Pid::from_raw);
        if let (Some(signal), Some(pid)) = (stopping.signal, pid) {
            self.send(pid, signal);
        }
        stopping.child = pid;
    }

    fn forget(&self) {
        self.lock().child = None;
    }
}
