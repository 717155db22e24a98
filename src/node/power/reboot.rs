//! Resets that need another QEMU: the firmware reads its boot order from what QEMU was started
//! with, so a machine that is to boot from elsewhere goes on in a new one.
//!
//! To everybody else that is a reset: the power does not change.

use std::io;

use nix::sys::signal::Signal;

use super::{Door, Keeper, Running};
use crate::node::chassis::Policy;
use crate::node::qmp::Qmp;

/// QMP's word for a reset by the guest, from a QEMU that was told to end at one.
pub(super) const RESET_BY_GUEST: &str = "guest-reset";

/// Table 28-11: a reset that the system did itself.
pub(super) const SOFT_RESET: u8 = 0x0a;

impl Running {
    /// QEMU's monitor, once it has greeted.
    pub(super) async fn qmp(&mut self) -> io::Result<&Qmp> {
        let early = || io::Error::other("QEMU ended before it could be told");
        if self.greeted.is_none() {
            self.greeted = Some((&mut self.qmp).await.unwrap_or_else(|_| Err(early()))?);
        }
        self.greeted.as_deref().ok_or_else(early)
    }
}

impl Keeper {
    /// Whether the next start needs another QEMU than `running`.
    pub(super) fn needs_another(&self, running: Option<&Running>) -> bool {
        let chassis = self.chassis.borrow();
        running.is_some_and(|on| chassis.outgrows(&on.boot, &self.machine.node))
    }

    /// Has QEMU end at the guest's next reset if that needs another QEMU.
    ///
    /// Waiting for QMP's RESET event instead would let the firmware go on in the old order
    /// for as long as the event takes.
    pub(super) async fn prepare_reboot(&self, running: &mut Option<Running>) {
        let end = self.needs_another(running.as_ref());
        let Some(on) = running.as_mut().filter(|on| on.ends_at_reboot != end) else {
            return;
        };
        let told = match on.qmp().await {
            Ok(qmp) => qmp.end_at_reboot(end).await,
            Err(error) => Err(error),
        };
        match told {
            Ok(()) => on.ends_at_reboot = end,
            Err(error) => tracing::warn!(%error, "QEMU does not know of a new boot order"),
        }
    }

    /// Resets the machine by replacing its QEMU.
    pub(super) async fn reset_anew(
        &self,
        door: &Door,
        running: &mut Option<Running>,
    ) -> io::Result<()> {
        if let Some(mut on) = running.take() {
            on.child.signal(Signal::SIGKILL);
            on.child.wait().await;
        }
        let policy = self.chassis.borrow().policy;
        let cause = restart_cause(door, policy);
        *running = Some(self.go_on(&door.to_string(), cause)?);
        Ok(())
    }

    /// Goes on with a machine whose QEMU has ended because the guest reset it.
    pub(super) fn reset_by_guest(&self) -> Option<Running> {
        self.chassis.borrow_mut().boot.system_resets();
        let running = self.go_on("the guest", SOFT_RESET);
        running
            .inspect_err(|error| {
                let text = format!("cannot power reset: {error}");
                self.host.journal.line(self.name(), text);
            })
            .ok()
    }

    fn go_on(&self, by: &str, cause: u8) -> io::Result<Running> {
        self.tell_reset(by.to_owned());
        let running = self.start().inspect_err(|error| {
            self.gone(format!("a failure: {error}"), false);
        })?;
        let mut chassis = self.chassis.borrow_mut();
        chassis.restarts(cause);
        self.memory.keep(&chassis);
        Ok(running)
    }
}

/// Table 28-11: by command, by the watchdog, or by the power coming back.
pub(super) fn restart_cause(door: &Door, policy: Policy) -> u8 {
    match door {
        Door::Bmc | Door::Cli => 1,
        Door::Watchdog => 4,
        Door::Lab | Door::Mains if policy == Policy::Previous => 7,
        Door::Lab | Door::Mains => 6,
        Door::Patience => 0,
    }
}
