//! Runs shell commands beside a service of the user's own: as its user, in its namespace and folder.

use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::sleep;

use crate::kernel::process::{self, Spawn};
use crate::kernel::reaper::{Child, Exit};
use crate::lines::Lines;
use crate::node::power::Host;
use crate::program::Program;

/// A command may be a client that takes a while to start, and writes a line into the service's log.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Where commands run.
pub struct Beside<'a> {
    /// The program that they run beside.
    pub program: &'a Program,
    /// Whom it runs as.
    pub user: Option<u32>,
    /// The namespaces and who reaps.
    pub host: &'a Host,
    /// Hears what the commands print.
    pub show: Rc<dyn Fn(String)>,
}

impl Beside<'_> {
    /// Runs `command` until it succeeds, for ever: the caller has the deadline, and ends what
    /// still runs by dropping this.
    pub async fn succeeds(&self, command: &str) {
        loop {
            match self.start(command) {
                Ok(mut running) => {
                    if running.0.wait().await == Exit::Status(0) {
                        return;
                    }
                }
                Err(error) => (self.show)(format!("cannot run a shell: {error}")),
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    fn start(&self, command: &str) -> io::Result<Running> {
        let argv = ["/bin/sh", "-c", command].map(str::to_owned);
        let netns = self.host.members.get(&self.program.member)?;
        let confine = self.host.confinement.of_program(self.program)?;
        let spawned = process::spawn(&Spawn {
            argv: &argv,
            env: &self.program.env,
            folder: self.program.folder(),
            netns: Some(netns.as_fd()),
            user: self.user,
            groups: &[],
            caps: &[],
            inherit: &[],
            cell: self.program.cell.as_ref(),
            confine: &confine,
        })?;
        for pipe in [spawned.stdout, spawned.stderr] {
            let show = Rc::clone(&self.show);
            tokio::task::spawn_local(Lines::follow(pipe, move |line| show(line)));
        }
        Ok(Running(self.host.reaper.expect(spawned.pid)))
    }
}

/// A command, which ends with this value together with all that it has started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.signal_group(Signal::SIGKILL);
    }
}
