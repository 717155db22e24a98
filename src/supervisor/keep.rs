//! Keeps programs running: starts them, waits until they answer, reports how they end, and starts
//! them again.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::beside::Beside;
use super::probe;
use super::sensors::Sensors;
use super::told;
use crate::event::What;
use crate::faultpoint::{moment, point};
use crate::files;
use crate::kernel::process::{self, Spawn};
use crate::lab::own::Restart;
use crate::lines::Lines;
use crate::node::power::Host;
use crate::program::{Probe, Program, User};
use crate::service::{self, ProbeMarks};

/// nsplay's services answer within 30 ms here; a loaded CI runner has needed seconds.
const READY_WITHIN: Duration = Duration::from_secs(15);

/// How often a program that has answered is asked again.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// The first pause before a program is started again; it doubles each time.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The longest pause for a program that had answered: it works, and somebody can make it end, as
/// one request can ipmi_sim 2.0.33. All others wait for it meanwhile, and for no more than a second.
const LONGEST_PAUSE_AFTER_ANSWER: Duration = Duration::from_millis(400);

/// A program that ran this long was well: its next end is a first one.
const WELL_AFTER: Duration = Duration::from_secs(30);

/// How often a program may end before it has ever answered.
const ATTEMPTS: u32 = 3;

/// What a program printed last is in its pipes when it is reaped.
const LAST_WORDS_WITHIN: Duration = Duration::from_millis(100);

/// How many lines are told of a program that ended.
const LAST_LINES: usize = 5;

/// A program as it is to be started this time, and the descriptors that it inherits.
pub struct Start {
    /// The program.
    pub program: Program,
    /// Kept open until it has started.
    pub inherit: Vec<OwnedFd>,
    /// Who speaks to it; its input is open and empty when nobody does.
    pub speaker: Option<Sensors>,
}

/// What keeping a program needs beside the program.
#[derive(Clone)]
pub struct Keep {
    /// The namespaces, who reaps and who is told.
    pub host: Host,
    /// The user that a member's programs run as.
    pub user: u32,
    /// Stands in front of its lines, when the member has more than one program.
    pub prefix: &'static str,
    /// What the probes ask with, so that their lines can be told from a client's.
    pub marks: ProbeMarks,
    /// Ends the program, so that it is started again.
    pub restart: Rc<Notify>,
    /// Makes the program read its files again (SIGHUP).
    pub reread: Rc<Notify>,
    /// Whether it is meant to be silent now.
    pub excused: Rc<dyn Fn() -> bool>,
    /// Whether it is being ended for good: that is no news, and it is not started again.
    pub ending: Rc<Cell<bool>>,
}

/// How a run of a program ended.
enum Run {
    /// It ended.
    Ended {
        how: String,
        last: Vec<String>,
        had_answered: bool,
    },
    /// It was ended to be started again.
    Restarted,
    /// It did not answer in time, or could not be started: why.
    Useless(String),
}

/// Keeps the program that `start` makes running, until one that is not to be started again ends; `ready` hears when it
/// first answers, or why it does not.
pub async fn keep(
    with: Keep,
    mut start: impl FnMut() -> io::Result<Start>,
    ready: oneshot::Sender<Result<(), String>>,
) {
    let mut ready = Some(ready);
    let mut pause = PAUSE;
    for attempt in 1_u32.. {
        let began = Instant::now();
        let run = match start() {
            Ok(start) => once(&with, &start, &mut ready)
                .await
                .map(|run| (start, run)),
            Err(error) => Err(error),
        };
        if with.ending.get() {
            return;
        }
        if began.elapsed() > WELL_AFTER {
            pause = PAUSE;
        }
        let message = match run {
            Ok((
                start,
                Run::Ended {
                    how,
                    last,
                    had_answered,
                },
            )) => {
                if had_answered {
                    pause = pause.min(LONGEST_PAUSE_AFTER_ANSWER);
                }
                let message = format!("{} {how}{}", start.program.what, evidence(&last));
                let is_last = is_never_restarted(&start.program);
                with.host.journal.say(What::Exited {
                    member: start.program.member,
                    what: start.program.what,
                    how,
                    last,
                    again_ms: (!is_last)
                        .then(|| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
                });
                if is_last {
                    // Whoever waits for it until now waits in vain.
                    if let Some(ready) = ready.take() {
                        let _ = ready.send(Err(message));
                    }
                    return;
                }
                (attempt >= ATTEMPTS).then_some(message)
            }
            Ok((start, Run::Restarted)) => {
                let Program { member, what, .. } = start.program;
                with.host.journal.note(format!("{member}: {what} is reset"));
                continue;
            }
            Ok((_, Run::Useless(message))) => Some(message),
            Err(error) => Some(error.to_string()),
        };
        match (message, ready.take()) {
            (Some(message), Some(ready)) => {
                let _ = ready.send(Err(message));
                return;
            }
            (Some(message), None) => with.host.journal.note(message),
            (None, told) => ready = told,
        }
        sleep(pause).await;
        if with.ending.get() {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Runs a program until it ends.
///
/// # Errors
/// When it cannot be started.
async fn once(
    with: &Keep,
    start: &Start,
    ready: &mut Option<oneshot::Sender<Result<(), String>>>,
) -> io::Result<Run> {
    let (program, journal) = (&start.program, &with.host.journal);
    let (member, what) = (&program.member, &program.what);
    let began = Instant::now();
    let user = match program.user {
        User::Root => None,
        User::Member => Some(with.user),
        User::Host(user) => Some(user),
    };
    write_files(program, user)
        .and_then(|()| point!("start: {member}: {what}: files written"))
        .map_err(|error| told(&format!("write the files of {what}"), &error))?;
    let netns = with.host.members.get(member)?;
    let spawned = process::spawn(&Spawn {
        argv: &program.argv,
        env: &program.env,
        folder: program.folder(),
        netns: Some(netns.as_fd()),
        user,
        groups: &[],
        caps: &program.caps,
        inherit: &start
            .inherit
            .iter()
            .map(AsRawFd::as_raw_fd)
            .collect::<Vec<_>>(),
        cell: program.cell.as_ref(),
        confine: &with.host.confinement.of_program(program)?,
    })
    .map_err(|error| {
        // Which of a name was found is not to be seen in the lab file.
        let path = program.own.as_ref().and(program.argv.first());
        let path = path.map(|path| format!(" ({path})")).unwrap_or_default();
        io::Error::new(error.kind(), format!("cannot start {what}{path}: {error}"))
    })?;
    let pid = spawned.pid;
    let mut child = with.host.reaper.expect(spawned.pid);
    moment!("start: {member}: {what}: started");
    // The end of its input would tell ipmi_sim to end.
    let _silent = match &start.speaker {
        Some(speaker) => {
            speaker.attach(spawned.stdin);
            None
        }
        None => Some(spawned.stdin),
    };
    let last = Rc::new(RefCell::new(VecDeque::new()));
    let printed = Rc::new(Notify::new());
    let pipes = [spawned.stdout, spawned.stderr].map(|pipe| {
        let (journal, member, what) = (journal.clone(), member.clone(), what.clone());
        let (last, prefix, marks) = (Rc::clone(&last), with.prefix, with.marks);
        let (printed, awaited) = (Rc::clone(&printed), awaited(program));
        let is_own = program.own.is_some();
        tokio::task::spawn_local(Lines::follow(pipe, move |line| {
            // What a user's own service prints is the user's, whatever program it is.
            let tidied = match is_own {
                true => Some(line),
                false => service::tidy(&what, &line, marks),
            };
            let Some(line) = tidied else {
                return;
            };
            if awaited.as_ref().is_some_and(|text| line.contains(text)) {
                printed.notify_one();
            }
            remember(&last, line.clone());
            journal.line(&member, format!("{prefix}{line}"));
        }))
    });
    let heard = Rc::clone(&last);
    let beside = Beside {
        program,
        user,
        host: &with.host,
        show: Rc::new(move |line| remember(&heard, line)),
    };
    let told = |exit| format!("{exit}{}", with.host.confinement.explain(member, exit));
    let (how, had_answered) = tokio::select! {
        biased;
        exit = child.wait() => (told(exit), false),
        in_time = answers(with, &beside, &printed) => {
            if !in_time {
                child.signal(Signal::SIGKILL);
                child.wait().await;
                let last: Vec<String> = last.borrow().iter().cloned().collect();
                return Ok(Run::Useless(format!(
                    "{what} did not {} within {} s{}",
                    program.ready,
                    ready_within(program).as_secs(),
                    evidence(&last)
                )));
            }
            moment!("start: {member}: {what}: answers");
            journal.say(What::Ready {
                member: member.clone(),
                what: what.clone(),
                took_ms: began.elapsed().as_secs_f64() * 1000.0,
                pid: Some(pid),
            });
            if let Some(ready) = ready.take() {
                let _ = ready.send(Ok(()));
            }
            loop {
                tokio::select! {
                    exit = child.wait() => break (told(exit), true),
                    () = falls_silent(with, &beside, &printed) => {
                        child.signal(Signal::SIGKILL);
                        child.wait().await;
                        break ("answered no more, and was killed".to_owned(), true);
                    }
                    () = with.reread.notified() => child.signal(Signal::SIGHUP),
                    () = with.restart.notified() => {
                        child.signal(Signal::SIGKILL);
                        child.wait().await;
                        return Ok(Run::Restarted);
                    }
                }
            }
        }
    };
    // Its last words may still be in the pipes; a grandchild may hold them open.
    let _ = timeout(LAST_WORDS_WITHIN, join_all(pipes)).await;
    let last = last.borrow().iter().cloned().collect();
    Ok(Run::Ended {
        how,
        last,
        had_answered,
    })
}

/// Waits until a program answers; false when it should have by now.
async fn answers(with: &Keep, beside: &Beside<'_>, printed: &Notify) -> bool {
    loop {
        let answered = probe::answered(beside, with.marks, printed);
        if timeout(ready_within(beside.program), answered)
            .await
            .is_ok()
        {
            return true;
        }
        if !(with.excused)() {
            return false;
        }
    }
}

/// Waits until a program that has answered does so no more: it was stopped, or is stuck.
///
/// A service of the user's own may be busy, or in a debugger, for as long as it likes; a TPM
/// serves one client, which is QEMU by now.
async fn falls_silent(with: &Keep, beside: &Beside<'_>, printed: &Notify) {
    let is_tpm = matches!(beside.program.ready, Probe::Tpm(_));
    if is_tpm || beside.program.own.is_some() {
        return std::future::pending().await;
    }
    loop {
        sleep(ASK_EVERY).await;
        if !answers(with, beside, printed).await {
            return;
        }
    }
}

fn ready_within(program: &Program) -> Duration {
    let own = program.own.as_ref();
    own.map_or(READY_WITHIN, |own| own.ready_within)
}

fn is_never_restarted(program: &Program) -> bool {
    let own = program.own.as_ref();
    own.is_some_and(|own| own.restart == Restart::Never)
}

/// The text of the line that shows that `program` is ready, if a line does.
fn awaited(program: &Program) -> Option<String> {
    match &program.ready {
        Probe::Log(text) => Some(text.clone()),
        Probe::Dhcp { .. }
        | Probe::Http(_)
        | Probe::Ssh(_)
        | Probe::Rmcp(_)
        | Probe::Tpm(_)
        | Probe::Started
        | Probe::Tcp(_)
        | Probe::Get(..)
        | Probe::Exec(_) => None,
    }
}

/// Keeps `line` as the last of [`LAST_LINES`].
fn remember(last: &RefCell<VecDeque<String>>, line: String) {
    let mut last = last.borrow_mut();
    if last.len() == LAST_LINES {
        last.pop_front();
    }
    last.push_back(line);
}

/// The last lines of a program, as the end of a sentence.
fn evidence(last: &[String]) -> String {
    if last.is_empty() {
        return "; it printed nothing".to_owned();
    }
    format!("; its last lines:\n  {}", last.join("\n  "))
}

/// Makes a program's folders and writes its files, all of them its user's.
fn write_files(program: &Program, user: Option<u32>) -> io::Result<()> {
    for folder in &program.dirs {
        files::make(folder, user)?;
    }
    files::write_texts(&program.files, user)
}
