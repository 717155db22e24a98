//! QMP: QEMU's monitor, over a socket that QEMU inherits.

mod limited;

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use qapi::futures::{QapiService, QmpStreamTokio};
use qapi::qmp::{self, Event};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::timeout;

use self::limited::Limited;
use super::Link;
use crate::kernel::passing;

/// QEMU answers in milliseconds; one that is stopped (SIGSTOP) never does.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// QEMU greets 50 to 80 ms after it is started; a loaded CI runner has needed seconds.
const GREET_WITHIN: Duration = Duration::from_secs(20);

/// How much of what QEMU says on its own waits for the node: it says a line or two at a time.
pub const HEARD: usize = 256;

/// A connection to a QEMU that has greeted.
pub struct Qmp {
    /// How many stops and starts are ours, and not worth a line.
    ours: Rc<Cell<u32>>,
    service: QapiService<QmpStreamTokio<WriteHalf<UnixStream>>>,
    /// The same socket, for descriptors.
    socket: StdStream,
}

/// What QEMU said on its own that a node acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The machine stops: why, in QMP's word (`guest-shutdown`, `guest-panic`).
    Shutdown(String),
    /// The machine starts again without a new QEMU.
    Reset,
    /// Something that belongs into the log.
    Note(String),
}

impl Qmp {
    /// Waits for QEMU's greeting, and passes on what it says to `said`.
    ///
    /// # Errors
    /// TimedOut, or what the socket says.
    pub async fn greet(socket: StdStream, said: mpsc::Sender<Said>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let ours = UnixStream::from_std(socket.try_clone()?)?;
        let (read, write) = tokio::io::split(ours);
        let greeting = async {
            QmpStreamTokio::open_split(Limited::new(read), write)
                .await?
                .negotiate()
                .await
        };
        let stream = timeout(GREET_WITHIN, greeting).await??;
        let (service, events) = stream.into_parts();
        let ours = Rc::default();
        tokio::task::spawn_local(listen(events, said, Rc::clone(&ours)));
        Ok(Self {
            ours,
            service,
            socket,
        })
    }

    /// Resets the machine.
    ///
    /// # Errors
    /// TimedOut, or what QEMU says.
    pub async fn system_reset(&self) -> io::Result<()> {
        self.execute(qmp::system_reset {}).await
    }

    /// Presses the ACPI power button.
    ///
    /// # Errors
    /// TimedOut, or what QEMU says.
    pub async fn system_powerdown(&self) -> io::Result<()> {
        self.execute(qmp::system_powerdown {}).await
    }

    /// Injects an NMI into all CPUs.
    ///
    /// # Errors
    /// TimedOut, or what QEMU says.
    pub async fn inject_nmi(&self) -> io::Result<()> {
        self.execute(qmp::inject_nmi {}).await
    }

    /// Plugs or pulls the cable of the `card`th network card, counted from 0.
    ///
    /// # Errors
    /// TimedOut, or what QEMU says.
    pub async fn set_link(&self, card: usize, link: Link) -> io::Result<()> {
        let name = format!("nic{card}");
        let up = link == Link::Up;
        self.execute(qmp::set_link { name, up }).await
    }

    /// Gives QEMU a descriptor, which it opens as `/dev/fdset/SET`.
    ///
    /// # Errors
    /// TimedOut, or what sendmsg(2) or QEMU says.
    pub(super) async fn add_fd(&self, set: i64, fd: OwnedFd) -> io::Result<()> {
        // QEMU takes the descriptor that came last, with whatever bytes (qemu_chr_fe_get_msgfd).
        passing::send(&self.socket, &[fd])?;
        let (fdset_id, opaque) = (Some(set), None);
        self.execute(qmp::add_fd { fdset_id, opaque }).await
    }

    /// Starts a machine that was told to wait (`-S`).
    ///
    /// # Errors
    /// TimedOut, or what QEMU says.
    pub async fn begin(&self) -> io::Result<()> {
        self.ours.set(self.ours.get() + 1);
        self.execute(qmp::cont {}).await
    }

    /// Has QEMU end itself, or start again by itself, when the guest resets the machine.
    ///
    /// # Errors
    /// TimedOut, or what QEMU says.
    pub async fn end_at_reboot(&self, end: bool) -> io::Result<()> {
        let reboot = if end {
            qmp::RebootAction::shutdown
        } else {
            qmp::RebootAction::reset
        };
        self.execute(qmp::set_action {
            reboot: Some(reboot),
            shutdown: None,
            panic: None,
            watchdog: None,
        })
        .await
    }

    /// Carries a command of the monitor for people out, and returns what it prints.
    ///
    /// # Errors
    /// TimedOut, or what QEMU says.
    pub(super) async fn monitor(&self, command_line: String) -> io::Result<String> {
        let command = qmp::human_monitor_command {
            cpu_index: None,
            command_line,
        };
        self.ask(command).await
    }

    /// Does something while the guest stands still.
    ///
    /// # Errors
    /// TimedOut, or what QEMU says.
    pub(super) async fn while_stopped<T>(
        &self,
        act: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        if !self.ask(qmp::query_status {}).await?.running {
            return act.await;
        }
        self.ours.set(self.ours.get() + 2);
        self.execute(qmp::stop {}).await?;
        let done = act.await;
        self.execute(qmp::cont {}).await?;
        done
    }

    pub(super) async fn execute<C: qapi::qmp::QmpCommand>(&self, command: C) -> io::Result<()> {
        self.ask(command).await.map(drop)
    }

    /// Carries a command out, and returns the answer.
    ///
    /// # Errors
    /// TimedOut, or what QEMU says.
    pub(super) async fn ask<C: qapi::qmp::QmpCommand>(&self, command: C) -> io::Result<C::Ok> {
        match timeout(ANSWER_WITHIN, self.service.execute(command)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(io::Error::other(error)),
            Err(late) => Err(late.into()),
        }
    }
}

type Events = qapi::futures::QapiEvents<QmpStreamTokio<Limited<ReadHalf<UnixStream>>>>;

async fn listen(events: Events, said: mpsc::Sender<Said>, ours: Rc<Cell<u32>>) {
    let mut events = std::pin::pin!(events);
    while let Some(Ok(event)) = events.next().await {
        let heard = match event {
            Event::SHUTDOWN { data, .. } => Said::Shutdown(spelled(&data.reason)),
            Event::RESET { .. } => Said::Reset,
            Event::GUEST_PANICKED { .. } => Said::Note("the guest panicked".to_owned()),
            Event::POWERDOWN { .. } => Said::Note("ACPI power button pressed".to_owned()),
            Event::BLOCK_IO_ERROR { data, .. } => {
                Said::Note(format!("disk error: {}", data.reason))
            }
            Event::STOP { .. } | Event::RESUME { .. } if ours.get() > 0 => {
                ours.set(ours.get() - 1);
                continue;
            }
            Event::STOP { .. } => Said::Note("QEMU stopped the guest".to_owned()),
            Event::RESUME { .. } => Said::Note("QEMU resumed the guest".to_owned()),
            _ => continue,
        };
        // A QEMU that says more than anybody can hear is not its usual self.
        if let Err(TrySendError::Closed(_)) = said.try_send(heard) {
            return;
        }
    }
}

/// QMP's own word for a value of one of its enumerations.
fn spelled(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "unknown".to_owned(),
    }
}
