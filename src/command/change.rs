//! Changes of a lab that runs: what `nsplay up` does then, and `nsplay plan --diff` shows.

use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::{preflight, up};
use crate::client::Client;
use crate::diff::{Diff, Edit, diff};
use crate::error::{Cause, FAILED, Failure, Problem};
use crate::event::What;
use crate::faultpoint::point;
use crate::host::tools::Tools;
use crate::kernel::{mount, passing};
use crate::lab::Lab;
use crate::plan::{Plan, plan_again};
use crate::rundir::RunDir;
use crate::supervisor::change::{DONE, gained};
use crate::supervisor::furnish;
use crate::supervisor::protocol::{Outcome, Reply, Request, Snapshot};
use crate::ui::{self, Printer};

/// A lab that changes again and again between two looks at it is left alone.
const ATTEMPTS: u32 = 5;

/// The lab as it is to be, on this host.
pub struct Wanted<'w> {
    /// What its file says.
    pub lab: &'w Lab,
    /// What the host has for it.
    pub tools: &'w Tools,
    /// Where it runs.
    pub dir: &'w RunDir,
    /// Whether standard output is for JSON.
    pub json: bool,
}

impl Wanted<'_> {
    /// Changes the running lab into this one, and says what was done; none when there is no running
    /// lab.
    ///
    /// # Errors
    /// What cannot be changed, before anything is touched; and what did not succeed.
    pub fn apply(&self) -> Result<Option<Vec<Edit>>, Failure> {
        for _ in 0..ATTEMPTS {
            let Some(snapshot) = self.running()? else {
                return Ok(None);
            };
            let new = self.plan(&snapshot)?;
            let diff = self.diff(&snapshot, &new)?;
            if diff.is_empty() {
                self.write_keys(&snapshot)?;
                let name = self.dir.lab();
                ui::status(&format!("lab `{name}` is up, and is what its file says"));
                return Ok(Some(Vec::new()));
            }
            let descriptors = descriptors(&snapshot.plan, &new, &diff)?;
            ui::status(diff.to_string().trim_end());
            let Some(outcomes) = self.ask(&snapshot, descriptors)? else {
                continue;
            };
            told(&outcomes)?;
            return Ok(Some(outcomes.into_iter().map(|done| done.edit).collect()));
        }
        Err(Failure::failed(format!(
            "lab `{}` was changed by others each time that this was to change it; nothing was done",
            self.dir.lab()
        )))
    }

    /// What would have to be done to the running lab.
    ///
    /// # Errors
    /// When there is none, or what cannot be changed.
    pub fn difference(&self) -> Result<Diff, Failure> {
        let Some(snapshot) = self.running()? else {
            return Err(crate::client::not_up(self.dir));
        };
        let new = self.plan(&snapshot)?;
        self.diff(&snapshot, &new)
    }

    /// The running lab, once it is up; none when nobody answers for it, or nobody any more.
    fn running(&self) -> Result<Option<Snapshot>, Failure> {
        let reach = |error| Failure::io(format_args!("reach lab `{}`", self.dir.lab()), &error);
        let mut client = match Client::ask(self.dir, &Request::Running) {
            Ok(client) => client,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(reach(error)),
        };
        match client.reply() {
            Ok(Some(Reply::Running(snapshot))) => Ok(Some(*snapshot)),
            Ok(Some(Reply::Refused { message })) => {
                let problem = Problem {
                    message,
                    hint: Some("run it again with sudo".to_owned()),
                };
                Err(Failure::all(vec![problem]).because(Cause::Permission))
            }
            Ok(None) => Ok(None),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(reach(error)),
            Ok(Some(_)) => Err(Failure::failed("the lab speaks another protocol")),
        }
    }

    fn plan(&self, snapshot: &Snapshot) -> Result<Plan, Failure> {
        let kept = &snapshot.plan.users;
        plan_again(self.lab, self.tools, &snapshot.keys, kept)
            .map_err(|error| preflight::untold(&error))
    }

    fn diff(&self, snapshot: &Snapshot, new: &Plan) -> Result<Diff, Failure> {
        let name = self.dir.lab();
        diff(&snapshot.plan, new, &snapshot.amiss).map_err(|refused| {
            let problems = refused.into_iter().map(|what| Problem {
                message: format!("cannot change while lab `{name}` runs: {what}"),
                hint: None,
            });
            let mut problems: Vec<Problem> = problems.collect();
            if let Some(last) = problems.last_mut() {
                let down = format!("`nsplay -p {name} down` takes it down, and `up` makes it anew");
                last.hint = Some(down);
            }
            Failure::all(problems)
        })
    }

    /// Passes the change to the supervisor, and shows what happens; none when the lab has become
    /// another meanwhile.
    fn ask(
        &self,
        snapshot: &Snapshot,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Option<Vec<Outcome>>, Failure> {
        let hear = |error| Failure::io("hear of the lab", &error);
        let request = Request::Change {
            revision: snapshot.revision,
            descriptors: descriptors.len(),
        };
        let mut client = Client::to_lab(self.dir, &request)?;
        let mut printer = Printer::new();
        loop {
            match client.reply().map_err(hear)? {
                Some(Reply::GoOn) => {
                    self.write_keys(snapshot)?;
                    let socket = client.socket().map_err(hear)?;
                    point!("change: supervisor asked").map_err(hear)?;
                    passing::send(&socket, &descriptors).map_err(hear)?;
                    point!("change: descriptors sent").map_err(hear)?;
                }
                Some(Reply::Event(event)) => match &event.what {
                    What::Note { text } if text.starts_with(DONE) => {}
                    What::Log { .. } if self.json => {}
                    _ => printer.event(&event),
                },
                Some(Reply::Changed { outcomes }) => return Ok(Some(outcomes)),
                Some(Reply::Stale) => return Ok(None),
                Some(Reply::Refused { message } | Reply::Unknown { message }) => {
                    return Err(Failure::all(vec![Problem {
                        message,
                        hint: None,
                    }]));
                }
                Some(_) => {}
                None => return Err(Failure::failed("the lab ended while it was changed")),
            }
        }
    }

    /// Writes where the lab's sshd is known by which key.
    fn write_keys(&self, snapshot: &Snapshot) -> Result<(), Failure> {
        up::write_known_hosts(self.dir, self.lab, &snapshot.keys)
            .map_err(|error| Failure::io("write the lab's known_hosts", &error))
    }
}

/// Whether nobody answers for a lab.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// Everything that the supervisor cannot make itself, all of it or nothing: the plan, the sockets
/// of the host, and mounts of what the host has.
fn descriptors(old: &Plan, new: &Plan, diff: &Diff) -> Result<Vec<OwnedFd>, Failure> {
    let pass = |error| Failure::io("write the plan down", &error);
    let plan = memfd_create("nsplay-plan", MFdFlags::MFD_CLOEXEC).map_err(|e| pass(e.into()))?;
    let mut file = fs::File::from(plan);
    serde_json::to_vec(new)
        .map_err(io::Error::from)
        .and_then(|text| file.write_all(&text))
        .and_then(|()| io::Seek::rewind(&mut file))
        .map_err(pass)?;
    let mut all = vec![OwnedFd::from(file)];
    all.extend(preflight::bind(gained(old, new)).map_err(Failure::all)?);
    for bind in furnish::gained(old, new, diff) {
        let source = bind.source.display();
        let tree = match mount::detached(&bind.source) {
            // The lab of a user sees all that it does not have a place of its own for.
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied
                    && !mount::hides(&bind.source) =>
            {
                mount::open_path(&bind.source).map(OwnedFd::from)
            }
            tree => tree,
        };
        all.push(tree.map_err(|error| {
            Failure::refused(
                format!("cannot show {source} to the lab that runs: {error}"),
                "`nsplay down`, then `nsplay up` makes it anew",
            )
        })?);
    }
    Ok(all)
}

/// Says what of a change did not succeed.
fn told(outcomes: &[Outcome]) -> Result<(), Failure> {
    let problems = outcomes.iter().filter_map(|outcome| {
        let why = outcome.failed.as_ref()?;
        Some(Problem {
            message: format!("not done: {}: {why}", outcome.edit),
            hint: None,
        })
    });
    let mut problems: Vec<Problem> = problems.collect();
    if problems.is_empty() {
        return Ok(());
    }
    let done = outcomes.iter().filter(|outcome| outcome.failed.is_none());
    let done: Vec<String> = done.map(|done| format!("\n  {}", done.edit)).collect();
    let done = match done.is_empty() {
        true => "nothing else was to be done".to_owned(),
        false => format!("done all the same:{}", done.concat()),
    };
    if let Some(last) = problems.last_mut() {
        last.hint = Some(format!("`up` tries it again; {done}"));
    }
    Err(Failure {
        problems,
        code: FAILED,
        cause: Cause::Other,
    })
}
