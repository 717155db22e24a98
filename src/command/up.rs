//! `nsplay up`.

use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Instant;

use nix::sys::signal::{SigSet, Signal};

use super::change::Wanted;
use super::{down, fetch, preflight};
use crate::cli;
use crate::client::Client;
use crate::diff::Edit;
use crate::doctor;
use crate::error::{FAILED, Failure};
use crate::event::What;
use crate::faultpoint::point;
use crate::files;
use crate::host::programs::Finder;
use crate::host::tools::Tools;
use crate::host::{denials, packages};
use crate::json::{self, Raised};
use crate::kernel::mark::Mark;
use crate::kernel::process::close_inherited;
use crate::kernel::signals::{Held, exit_code};
use crate::lab::{Lab, Moved, Name};
use crate::plan::{Plan, plan};
use crate::rundir::{Lock, RunDir};
use crate::service::sshd_keys::Keys;
use crate::supervisor::launch::{Launch, Leash, launch};
use crate::supervisor::protocol::{Reply, Request};
use crate::ui::{self, Printer};

/// A lab that has begun.
pub struct Begun {
    /// The lab.
    pub lab: Lab,
    /// Its places.
    pub dir: RunDir,
    /// Its connection, on which its events come.
    pub client: Client,
    /// The signals that are held back.
    pub stops: SigSet,
    /// The command that is run beside it, if it was made for one.
    pub leash: Option<Leash>,
}

/// Makes the lab, and shows it until it is up, or until it ends; changes one that runs.
pub fn run(options: &cli::Up, project: Option<&Name>) -> Result<u8, Failure> {
    let hold = !options.detach;
    let wanted = Wish::read(&options.lab, project)?;
    let (lock, held) = match wanted.claim(options.json)? {
        Claim::Lock(lock, held) => (lock, held),
        Claim::Changed(changes) if options.json => return tell(&wanted.dir, changes),
        Claim::Changed(_) => return Ok(0),
    };
    let begun = wanted.begin(lock, held, hold, None)?;
    let Begun {
        lab,
        dir,
        client,
        stops,
        leash: _,
    } = begun;
    let stopped = stop_on(stops, &client, &dir).map_err(|error| {
        let _ = down::end(&dir);
        Failure::io("wait for signals", &error)
    })?;
    let ended = watch(client, options, &lab, &dir);
    let signal = stopped();
    match (ended, signal) {
        (_, Some(signal)) => {
            down::end(&dir)?;
            Ok(exit_code(signal))
        }
        (Ok(0), None) if options.json && !hold => told(&dir, Raised::Made, Vec::new()),
        (Ok(code), None) => Ok(code),
        (Err(failure), None) => {
            down::end(&dir)?;
            Err(failure)
        }
    }
}

/// Begins a lab that lives as long as the connection that is returned, on which its events come.
/// The signals that are returned are held back. `mark` is what a command will have that is run
/// beside it.
///
/// # Errors
/// All that is wrong; nothing is left then.
pub fn held(
    options: &cli::FileOptions,
    project: Option<&Name>,
    mark: Mark,
) -> Result<Begun, Failure> {
    let wanted = Wish::read(options, project)?;
    let Some((lock, held)) = wanted.lock()? else {
        let name = wanted.dir.lab();
        return Err(Failure::refused(
            format!("lab `{name}` is up already"),
            format!("`nsplay -p {name} down` takes it down; -p OTHER makes another one beside it"),
        ));
    };
    wanted.begin(lock, held, true, Some(mark))
}

/// What became of the attempt to have a lab to oneself.
enum Claim {
    /// There was none: it is for the holder of this lock to make, without being interrupted.
    Lock(Lock, Held),
    /// It ran, and is now as its file says; this was done.
    Changed(Vec<Edit>),
}

/// A lab that is to be, and that this host can have.
struct Wish {
    lab: Lab,
    tools: Tools,
    dir: RunDir,
    moved: Vec<String>,
}

impl Wish {
    fn read(options: &cli::FileOptions, project: Option<&Name>) -> Result<Self, Failure> {
        // The watcher would hold them as long as the lab lives: a CI job waits for its pipe to close.
        close_inherited();
        let lab = super::lab(options, project)?;
        let (lab, moved) = super::permitted(lab)?;
        Ok(Self {
            dir: RunDir::own(&lab.name),
            tools: check(&lab, options)?,
            lab,
            moved: moved.iter().map(Moved::to_string).collect(),
        })
    }

    /// Takes the lab's lock; none when somebody has it. Who has it is not interrupted: a signal
    /// takes what is made down again.
    fn lock(&self) -> Result<Option<(Lock, Held)>, Failure> {
        let dir = &self.dir;
        let held = Held::back().map_err(|error| Failure::io("hold signals back", &error))?;
        let make = |error| match dir.places().user {
            None => Failure::io(format_args!("make {}", dir.path().display()), &error),
            Some(_) => Failure::refused(
                format!("cannot make {}: {error}", dir.path().display()),
                "XDG_RUNTIME_DIR and XDG_STATE_HOME, or HOME, name folders of your own",
            ),
        };
        let Some(lock) = dir.claim().map_err(make)? else {
            return Ok(None);
        };
        dir.clear().map_err(|error| {
            let _ = dir.sweep();
            make(error)
        })?;
        Ok(Some((lock, held)))
    }

    /// Takes the lab's lock, or changes the lab that runs into this one.
    fn claim(&self, json: bool) -> Result<Claim, Failure> {
        let Self {
            lab, tools, dir, ..
        } = self;
        let until = Instant::now() + down::LET_GO;
        loop {
            if let Some((lock, held)) = self.lock()? {
                return Ok(Claim::Lock(lock, held));
            }
            let wanted = Wanted {
                lab,
                tools,
                dir,
                json,
            };
            if let Some(changes) = wanted.apply()? {
                return Ok(Claim::Changed(changes));
            }
            // Who has the lock does not listen yet, or any more.
            if Instant::now() > until {
                return Err(down::held(dir));
            }
            thread::sleep(down::AGAIN);
        }
    }

    /// The plan of a lab that is made, and what it publishes.
    fn decide(&self) -> Result<(Plan, Keys, Vec<OwnedFd>), Failure> {
        let keys = Keys::generate().map_err(|error| Failure::failed(error.to_string()))?;
        let plan = plan(&self.lab, &self.tools, &keys);
        let mut plan = plan.map_err(|error| preflight::untold(&error))?;
        plan.notes.extend(self.moved.iter().cloned());
        let sockets = preflight::bind(&plan.publish).map_err(Failure::all)?;
        Ok((plan, keys, sockets))
    }

    /// Begins the lab, which lives as long as the connection that is returned if that is to hold
    /// it.
    fn begin(
        self,
        lock: Lock,
        held: Held,
        hold: bool,
        mark: Option<Mark>,
    ) -> Result<Begun, Failure> {
        let (plan, keys, published) = self.decide().inspect_err(|_| {
            let _ = self.dir.sweep();
        })?;
        let Self { lab, dir, .. } = self;
        let owner = owner();
        let control = prepare(&dir, &lab, &keys, owner).map_err(|error| {
            let _ = dir.sweep();
            Failure::io(format_args!("prepare {}", dir.path().display()), &error)
        })?;
        if let Some(signal) = held.came() {
            let _ = dir.sweep();
            let told = format!("{signal} came before lab `{}` was made", lab.name);
            return Err(Failure {
                code: exit_code(signal),
                ..Failure::failed(told)
            });
        }
        let launched = launch(
            Launch {
                plan,
                keys,
                owner,
                control,
                published,
                lock,
                mark,
            },
            &dir,
        );
        let leash = launched.map_err(|error| {
            let _ = down::end(&dir);
            Failure::io("start the supervisor", &error)
        })?;
        let asked = Client::ask(&dir, &Request::Up { hold });
        let asked = asked.and_then(|client| point!("up: supervisor asked").map(|()| client));
        let client = asked.map_err(|error| {
            let _ = down::end(&dir);
            match super::change::is_gone(&error) {
                true => ended(&lab, &dir),
                false => Failure::io("reach the supervisor", &error),
            }
        })?;
        Ok(Begun {
            lab,
            dir,
            client,
            stops: held.for_good(),
            leash,
        })
    }
}

/// Everything that can be wrong before anything is made.
fn check(lab: &Lab, options: &cli::FileOptions) -> Result<Tools, Failure> {
    let finder = Finder::from_env();
    let mut problems: Vec<_> = preflight::privileges().into_iter().collect();
    problems.extend(preflight::missing(lab, &finder).into_iter().flatten());
    let tools = Tools::find(lab, &finder);
    problems.extend(preflight::host(lab, &tools));
    problems.extend(fetch::missing(lab, &options.files));
    if !problems.is_empty() {
        return Err(Failure::all(problems));
    }
    Ok(tools)
}

/// Who besides root may use the lab: who called sudo.
fn owner() -> u32 {
    let this = nix::unistd::geteuid();
    let caller = std::env::var("SUDO_UID")
        .ok()
        .and_then(|uid| uid.parse().ok())
        // `sudo -u USER` has it too.
        .filter(|_| this.is_root());
    caller.unwrap_or_else(|| this.as_raw())
}

/// Makes the control socket and the key for SSH.
fn prepare(dir: &RunDir, lab: &Lab, keys: &Keys, owner: u32) -> io::Result<OwnedFd> {
    write_known_hosts(dir, lab, keys)?;
    point!("up: known_hosts written")?;
    files::write(
        &dir.ssh_key(),
        0o600,
        Some(owner),
        keys.user_private.as_bytes(),
    )?;
    point!("up: key written")?;
    let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(dir.control());
    nix::sys::stat::umask(before);
    point!("up: control socket bound")?;
    chown(dir.control(), Some(owner), None)?;
    Ok(listener?.into())
}

/// Writes the key of the lab's sshd, as ssh(1) looks it up where it is published.
pub(super) fn write_known_hosts(dir: &RunDir, lab: &Lab, keys: &Keys) -> io::Result<()> {
    match lab.ssh.as_ref().and_then(|ssh| ssh.publish) {
        Some(at) => {
            let known = format!("{}\n", keys.known_host(at));
            files::write(&dir.known_hosts(), 0o644, None, known.as_bytes())
        }
        None => Ok(()),
    }
}

/// Prints what was done to a lab that ran.
fn tell(dir: &RunDir, changes: Vec<Edit>) -> Result<u8, Failure> {
    let outcome = match changes.is_empty() {
        true => Raised::Unchanged,
        false => Raised::Changed,
    };
    told(dir, outcome, changes)
}

/// Prints what was done, and what the lab is now, as JSON.
fn told(dir: &RunDir, outcome: Raised, changes: Vec<Edit>) -> Result<u8, Failure> {
    ui::json(&json::Up {
        lab: dir.lab().clone(),
        outcome,
        changes,
        members: Client::to_lab(dir, &Request::Ps)?.members()?,
    })
}

/// Shows events until the lab is up, or until it ends.
fn watch(mut client: Client, options: &cli::Up, lab: &Lab, dir: &RunDir) -> Result<u8, Failure> {
    let hold = !options.detach;
    let mut printer = match options.json && hold {
        true => Printer::new(),
        false => Printer::of_lab(lab),
    };
    loop {
        let reply = client
            .reply()
            .map_err(|error| Failure::io("hear of the lab", &error))?;
        match reply {
            Some(Reply::Event(event)) => {
                if let What::Failed { message } = event.what {
                    return Err(failed(lab, message));
                }
                match (options.json, &event.what) {
                    (true, _) if hold => printer.json(&event),
                    // Standard output is for what comes at the end.
                    (true, What::Log { .. }) => {}
                    (true | false, _) => printer.event(&event),
                }
                match event.what {
                    What::Up { .. } => introduce(lab, dir),
                    What::Down { .. } => return Ok(FAILED),
                    _ => {}
                }
            }
            Some(Reply::Refused { message } | Reply::Unknown { message }) => {
                return Err(Failure::failed(message));
            }
            Some(
                Reply::Members { .. }
                | Reply::Power { .. }
                | Reply::Boot { .. }
                | Reply::Console { .. }
                | Reply::Nodes { .. }
                | Reply::Links { .. }
                | Reply::Media { .. }
                | Reply::Sensors { .. }
                | Reply::Faults { .. }
                | Reply::Attached { .. }
                | Reply::Detached { .. }
                | Reply::Inspection(_)
                | Reply::Why(_)
                | Reply::Picture { .. }
                | Reply::Text { .. }
                | Reply::Running(_)
                | Reply::GoOn
                | Reply::Stale
                | Reply::Changed { .. }
                | Reply::Service(_),
            ) => {}
            Some(Reply::Done) if !hold => return Ok(0),
            Some(Reply::Done) | None => {
                // Its last words come after its last answer.
                let _ = down::end(dir);
                return Err(ended(lab, dir));
            }
        }
    }
}

/// Why a lab failed, with what may be behind it: a program that is too old, or what the system denies.
pub fn failed(lab: &Lab, message: String) -> Failure {
    let wanted = packages::wanted(lab);
    let mut behind = doctor::wrong(&wanted, &Finder::from_env());
    let own = lab
        .own
        .iter()
        .map(|own| own.program().display().to_string());
    let programs: Vec<String> = wanted
        .iter()
        .map(|wanted| wanted.need.to_string())
        .chain(own)
        .collect();
    behind.extend(denials::of_late(&programs));
    let mut failure = Failure::failed(message);
    if let Some(last) = failure.problems.last_mut().filter(|_| !behind.is_empty()) {
        last.hint = Some(behind.join("\nhint: "));
    }
    failure
}

/// What became of a supervisor that has ended without a word: that is in its log.
fn ended(lab: &Lab, dir: &RunDir) -> Failure {
    let log = dir.supervisor_log();
    let last = fs::read_to_string(&log).unwrap_or_default();
    let (name, log) = (&lab.name, log.display());
    Failure::failed(match last.trim() {
        "" => {
            format!("the supervisor of lab `{name}` was killed: it ended without a word in {log}")
        }
        last => format!(
            "the supervisor of lab `{name}` ended; {log} says:\n  {}",
            last.replace('\n', "\n  ")
        ),
    })
}

/// Says how to reach what is up.
fn introduce(lab: &Lab, dir: &RunDir) {
    if let Some(at) = lab.ssh.as_ref().and_then(|ssh| ssh.publish) {
        let (key, port) = (dir.ssh_key(), at.port());
        ui::status(&format!(
            "    ssh -p {port} -i {} -o UserKnownHostsFile={} lab@{}",
            key.display(),
            dir.known_hosts().display(),
            at.ip()
        ));
    }
    for node in &lab.nodes {
        if let Some(at) = node.bmc.publish {
            let port = match at.port() {
                623 => String::new(),
                port => format!(" -p {port}"),
            };
            let (user, ip) = (&node.bmc.user, at.ip());
            // A password that somebody chose is not for a CI job's log.
            let password = match node.bmc.password.as_str() {
                "admin" => "admin",
                _ => "…",
            };
            ui::status(&format!(
                "    ipmitool -H {ip}{port} -U {user} -P {password} power status"
            ));
        }
        if let Some(at) = node.vnc {
            ui::status(&format!(
                "    vncviewer {}::{}    ({})",
                at.ip(),
                at.port(),
                node.name
            ));
        }
    }
}

/// Hangs the client up when one of `stops` comes; the function that it returns tells which did.
///
/// The thread ends with the process.
fn stop_on(
    stops: SigSet,
    client: &Client,
    dir: &RunDir,
) -> io::Result<impl FnOnce() -> Option<Signal> + use<>> {
    let socket = client.socket()?;
    let (tell, told) = std::sync::mpsc::channel();
    let dir = dir.clone();
    thread::Builder::new().stack_size(64 << 10).spawn(move || {
        if let Ok(signal) = stops.wait() {
            let _ = tell.send(signal);
            // The lab says goodbye over the same connection; who doesn't answer is hung up on.
            let by = signal.to_string();
            if Client::ask(&dir, &Request::Down { by }).is_err() {
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
    })?;
    Ok(move || told.try_recv().ok())
}
