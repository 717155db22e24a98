//! The power of a node: the one state machine that owns its QEMU process.
//!
//! Orders from every door come through one channel and are carried out one
//! after the other, so that an `on` that arrives while the node stops is not
//! lost. The state changes only when QEMU has started or has been reaped: it
//! is never told before it is true.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream as StdStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::net::UnixStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use super::boot::{Boot, BootOptions};
use super::chassis::{Chassis, LastEvent};
use super::console::Console;
pub use super::door::Door;
pub use super::host::Host;
use super::memory::Memory;
use super::qemu::{Fds, Machine};
use super::qmp::{self, Qmp, Said};
use super::{Order, Power, serial, storage};
use crate::event::What;
use crate::faultpoint::{moment, point};
use crate::files;
use crate::journal::Journal;
use crate::kernel::process::{self, Spawn};
use crate::kernel::reaper::{Child, Exit};
use crate::kernel::tap;
use crate::lab::{LinkName, Name};
use crate::lines::Lines;
pub use media::Image;

mod cables;
mod deed;
mod light;
mod media;
mod reboot;

use cables::Cables;
use deed::{Asked, Deed};
use media::Drive;
use reboot::{RESET_BY_GUEST, SOFT_RESET, restart_cause};

/// SeaBIOS resets the machine once or twice itself, 35 to 85 ms after it was reset (1.16.2).
const FIRMWARE_RESETS_WITHIN: Duration = Duration::from_secs(2);

/// The BMC's answer to an order is on its way to the client by then.
///
/// It passes through this thread, which starting QEMU keeps busy for some milliseconds, and ending
/// QEMU takes a processor.
const ANSWERED_WITHIN: Duration = Duration::from_millis(2);

/// A client's script sends a few orders at once; a thousand would keep all others waiting for hours.
pub const MOST_WAITING: usize = 8;

/// A node, for those who give it orders and ask how it is.
#[derive(Clone)]
pub struct Node {
    name: Name,
    journal: Journal,
    orders: mpsc::UnboundedSender<Asked>,
    /// For orders from the network that wait.
    places: Arc<Semaphore>,
    /// What tells that the identify light has gone out.
    light: Rc<RefCell<Option<AbortHandle>>>,
    power: watch::Receiver<Power>,
    monitor: watch::Receiver<Option<Rc<Qmp>>>,
    chassis: Rc<RefCell<Chassis>>,
    boot_options: Rc<Notify>,
    memory: Rc<Memory>,
    console: Console,
    cables: Cables,
    drive: Drive,
}

impl Node {
    /// Starts the state machine of a node, which is off.
    ///
    /// # Errors
    /// When its folder, disk or firmware variables cannot be made.
    pub async fn start(machine: Machine, user: u32, host: Host) -> io::Result<Self> {
        storage::furnish(&machine, user, &host).await?;
        let (orders, asked) = mpsc::unbounded_channel();
        let (tell, power) = watch::channel(Power::Off);
        let (lend, monitor) = watch::channel(None);
        let (name, file) = (machine.node.name.clone(), machine.memory());
        let journal = host.journal.clone();
        let memory = Rc::new(Memory::new(file, name.clone(), journal.clone()));
        let chassis = Chassis::new(machine.node.power_on, memory.recall());
        let chassis = Rc::new(RefCell::new(chassis));
        let console = Console::default();
        let boot_options = Rc::new(Notify::new());
        let cables = Cables::default();
        let drive = Drive::new(machine.node.iso.clone());
        let keeper = Keeper {
            user,
            power: tell,
            monitor: lend,
            chassis: Rc::clone(&chassis),
            boot_options: Rc::clone(&boot_options),
            memory: Rc::clone(&memory),
            cables: cables.clone(),
            drive: drive.clone(),
            lines: serial::connect(&machine.node, &console, &host.journal),
            machine,
            host,
        };
        tokio::task::spawn_local(keeper.run(asked));
        Ok(Self {
            name,
            journal,
            orders,
            places: Arc::new(Semaphore::new(MOST_WAITING)),
            light: Rc::default(),
            power,
            monitor,
            chassis,
            boot_options,
            memory,
            console,
            cables,
            drive,
        })
    }

    /// Gives an order without waiting for its end.
    pub fn order(&self, order: Order, door: Door) {
        self.give(order, door, None);
    }

    /// The same for an order that comes from the network; false when [`MOST_WAITING`] of these wait already.
    #[must_use]
    pub fn order_from_afar(&self, order: Order, door: Door) -> bool {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.is_ok_and(|place| {
            self.give(order, door, Some(place));
            true
        })
    }

    fn give(&self, order: Order, door: Door, place: Option<OwnedSemaphorePermit>) {
        let deed = Deed::Power(order, door);
        let done = None;
        // The state machine ends with the lab only.
        let _ = self.orders.send(Asked { deed, done, place });
    }

    /// Gives an order, and waits until it has been carried out.
    ///
    /// # Errors
    /// Why it could not be, for people.
    pub async fn carry_out(&self, order: Order, door: Door) -> Result<(), String> {
        self.ask(Deed::Power(order, door)).await
    }

    async fn ask(&self, deed: Deed) -> Result<(), String> {
        let (done, outcome) = oneshot::channel();
        let done = Some(done);
        let place = None;
        let asked = Asked { deed, done, place };
        let gone = || "the node has ended with its lab".to_owned();
        self.orders.send(asked).map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }

    /// Whether it is on.
    #[must_use]
    pub fn power(&self) -> Power {
        *self.power.borrow()
    }

    /// QEMU's monitor, to look at the screen and to type; waits for a QEMU that has just started.
    ///
    /// # Errors
    /// That the node is off, or goes off meanwhile.
    pub async fn monitor(&self) -> io::Result<Rc<Qmp>> {
        let off = || io::Error::other("the node is off");
        let (mut lent, mut power) = (self.monitor.clone(), self.power.clone());
        let is_off = power.wait_for(|power| *power == Power::Off);
        tokio::select! {
            biased;
            _ = is_off => Err(off()),
            lent = lent.wait_for(Option::is_some) => {
                let lent = lent.map_err(|_| off())?;
                lent.as_ref().map(Rc::clone).ok_or_else(off)
            }
        }
    }

    /// Whether it comes on with its lab.
    #[must_use]
    pub fn comes_on(&self) -> bool {
        self.chassis.borrow().comes_on()
    }

    /// Writes down what has to outlast the lab, after the chassis was changed.
    pub fn remember(&self) {
        self.memory.keep(&self.chassis.borrow());
    }

    /// Changes what its BMC was told about booting.
    pub fn set_boot_options(&self, change: impl FnOnce(&mut BootOptions)) {
        change(&mut self.chassis.borrow_mut().boot);
        self.remember();
        self.boot_options.notify_one();
    }

    /// What its guest prints and reads.
    #[must_use]
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// What its BMC remembers.
    #[must_use]
    pub fn chassis(&self) -> &RefCell<Chassis> {
        &self.chassis
    }
}

/// The state machine.
struct Keeper {
    machine: Machine,
    user: u32,
    host: Host,
    power: watch::Sender<Power>,
    /// Lends QEMU's monitor to who looks at the screen or types.
    monitor: watch::Sender<Option<Rc<Qmp>>>,
    chassis: Rc<RefCell<Chassis>>,
    /// Tells that the boot options have changed.
    boot_options: Rc<Notify>,
    memory: Rc<Memory>,
    /// The cables of its network cards.
    cables: Cables,
    /// The CD drive.
    drive: Drive,
    /// Takes the serial line of each QEMU.
    lines: mpsc::UnboundedSender<UnixStream>,
}

/// A QEMU process, and what belongs to it.
struct Running {
    child: Child,
    /// How it was started.
    boot: Boot,
    /// Whether it ends when the guest resets the machine.
    ends_at_reboot: bool,
    qmp: oneshot::Receiver<io::Result<Rc<Qmp>>>,
    greeted: Option<Rc<Qmp>>,
    /// How many media this QEMU has been given since its start.
    media: u32,
    said: mpsc::Receiver<Said>,
    reason: Option<String>,
    /// When the machine last started.
    began: Instant,
    /// When a soft power-off becomes a hard one.
    patience: Option<tokio::time::Instant>,
}

/// What happened while a node was on.
enum Next {
    Asked(Asked),
    Said(Said),
    Ended(Exit),
    /// The boot options have changed.
    BootOptions,
    /// A soft power-off took too long.
    Impatient,
}

/// Waits until the end of patience; for ever where there is no end.
async fn patience(end: Option<tokio::time::Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

impl Keeper {
    async fn run(self, mut asked: mpsc::UnboundedReceiver<Asked>) {
        let mut running: Option<Running> = None;
        loop {
            let next = match &mut running {
                None => match asked.recv().await {
                    Some(asked) => Next::Asked(asked),
                    None => return,
                },
                Some(on) => tokio::select! {
                    biased;
                    exit = on.child.wait() => Next::Ended(exit),
                    () = patience(on.patience) => Next::Impatient,
                    () = self.boot_options.notified() => Next::BootOptions,
                    asked = asked.recv() => match asked {
                        Some(asked) => Next::Asked(asked),
                        None => return,
                    },
                    // A QEMU that never ceases to talk can be switched off all the same.
                    Some(said) = on.said.recv() => Next::Said(said),
                },
            };
            match next {
                Next::Asked(Asked { deed, done, place }) => {
                    drop(place);
                    let outcome = self.carry_out(deed, &mut running).await;
                    if let Some(done) = done {
                        let _ = done.send(outcome);
                    }
                }
                Next::Said(said) => {
                    if let Some(on) = &mut running {
                        self.heard(said, on);
                    }
                }
                Next::Impatient => self.switch_off(&Door::Patience, &mut running).await,
                Next::Ended(exit) => {
                    if let Some(mut on) = running.take() {
                        running = self.ended(exit, &mut on).await;
                    }
                }
                Next::BootOptions => self.prepare_reboot(&mut running).await,
            }
        }
    }

    fn name(&self) -> &Name {
        &self.machine.node.name
    }

    async fn obey(
        &self,
        order: Order,
        door: &Door,
        running: &mut Option<Running>,
    ) -> io::Result<()> {
        match (order, running.is_some()) {
            (Order::On, true) | (Order::Off, false) => Ok(()),
            (Order::Cycle | Order::Reset | Order::Soft | Order::Diag, false) => {
                Err(io::Error::other("the node is off"))
            }
            (Order::On, false) => {
                *running = Some(self.switch_on(door)?);
                Ok(())
            }
            (Order::Off, true) => {
                self.switch_off(door, running).await;
                Ok(())
            }
            (Order::Cycle, true) => self.replace(door, running).await,
            (Order::Reset, true) if self.needs_another(running.as_ref()) => {
                self.reset_anew(door, running).await
            }
            (Order::Reset | Order::Soft | Order::Diag, true) => match running {
                Some(on) => self.press(order, door, on).await,
                None => Ok(()),
            },
        }
    }

    /// What QEMU does itself, once it has greeted.
    async fn press(&self, order: Order, door: &Door, on: &mut Running) -> io::Result<()> {
        let qmp = on.qmp().await?;
        match order {
            Order::Reset => {
                qmp.system_reset().await?;
                let mut chassis = self.chassis.borrow_mut();
                let cause = restart_cause(door, chassis.policy);
                chassis.restarts(cause);
                drop(chassis);
                on.began = Instant::now();
                self.tell_reset(door.to_string());
                return Ok(());
            }
            Order::Soft => {
                qmp.system_powerdown().await?;
                let patience = self.machine.node.soft_timeout;
                on.patience = patience.map(|patience| tokio::time::Instant::now() + patience);
            }
            Order::Diag => qmp.inject_nmi().await?,
            Order::On | Order::Off | Order::Cycle => {}
        }
        let text = format!("power {order} by {door}");
        self.host.journal.line(self.name(), text);
        Ok(())
    }

    /// Switches on.
    fn switch_on(&self, door: &Door) -> io::Result<Running> {
        let running = self.start()?;
        let mut chassis = self.chassis.borrow_mut();
        chassis.on_since = Some(Instant::now());
        // Table 28-3.
        chassis.last_event = match door {
            Door::Bmc | Door::Cli => LastEvent::Command,
            Door::Mains => LastEvent::AcFailed,
            Door::Watchdog | Door::Lab | Door::Patience => LastEvent::None,
        };
        let cause = restart_cause(door, chassis.policy);
        chassis.restarts(cause);
        chassis.was_on = true;
        drop(chassis);
        self.tell(Power::On, door.to_string());
        Ok(running)
    }

    /// Starts QEMU, which boots as the BMC was told.
    fn start(&self) -> io::Result<Running> {
        let boot = self.chassis.borrow().next_boot(&self.machine.node);
        let netns = self.host.members.get(self.name())?;
        let cards = self.machine.mtus.len();
        let taps: Vec<_> =
            netns.inside(|| (0..cards).map(|n| tap::open(&LinkName::tap(n))).collect())?;
        let (qmp_ours, qmp_qemus) = StdStream::pair()?;
        let (serial_ours, serial_qemus) = serial::pair()?;
        let (medium, image) = self.drive.passed();
        point!("power: {}: devices open", self.name())?;
        let fds = Fds {
            taps: taps.iter().map(AsRawFd::as_raw_fd).collect(),
            qmp: qmp_qemus.as_raw_fd(),
            serial: serial_qemus.as_raw_fd(),
            medium,
        };
        // One that was left by a QEMU that was killed would be in the way.
        let _ = files::remove(&self.machine.vnc());
        let out = self.cables.out();
        let mut argv = self.machine.argv(&boot, &fds);
        // A card has no option for it, and the firmware would be faster than QMP.
        argv.extend((!out.is_empty()).then(|| "-S".to_owned()));
        let spawned = process::spawn(&Spawn {
            argv: &argv,
            env: &[],
            folder: std::path::Path::new("/"),
            netns: Some(netns.as_fd()),
            user: Some(self.user),
            groups: &self.machine.accelerator.group(),
            caps: &[],
            inherit: &[
                fds.taps.as_slice(),
                &[fds.qmp, fds.serial],
                image.as_slice(),
            ]
            .concat(),
            cell: Some(&self.machine.cell()),
            confine: &self.host.confinement.of(self.name())?,
        })?;
        let child = self.host.reaper.expect(spawned.pid);
        moment!("power: {}: QEMU started", self.name());
        // When memory ends a guest goes before the lab that it is part of (proc_pid_oom_score_adj(5)).
        // A kernel that does not let us is no reason for it to stay off.
        let _ = fs::write(format!("/proc/{}/oom_score_adj", spawned.pid), "500");
        for pipe in [spawned.stdout, spawned.stderr] {
            let (journal, name) = (self.host.journal.clone(), self.name().clone());
            let show = move |line: String| {
                // It is joined to ipmi_sim as soon as that is there.
                if !line.contains("Unable to connect character device ipmi") {
                    journal.line(&name, format!("qemu: {line}"));
                }
            };
            tokio::task::spawn_local(Lines::follow(pipe, show));
        }

        let (tell, said) = mpsc::channel(qmp::HEARD);
        let (greet, qmp) = oneshot::channel();
        let monitor = self.monitor.clone();
        monitor.send_replace(None);
        tokio::task::spawn_local(async move {
            let greeted = cables::greet(qmp_ours, tell, &out).await.map(Rc::new);
            monitor.send_replace(greeted.as_ref().ok().map(Rc::clone));
            let _ = greet.send(greeted);
        });
        // Whoever takes it ends with the lab only.
        let _ = self.lines.send(serial_ours);

        self.chassis.borrow_mut().booted(&boot);
        if let Some(text) = &boot.says {
            self.host.journal.line(self.name(), text.clone());
        }
        Ok(Running {
            child,
            ends_at_reboot: boot.once,
            boot,
            qmp,
            greeted: None,
            media: 0,
            said,
            reason: None,
            began: Instant::now(),
            patience: None,
        })
    }

    /// Ends QEMU as a pulled plug ends a machine, and waits until it has gone.
    async fn switch_off(&self, door: &Door, running: &mut Option<Running>) {
        if let Some(mut on) = running.take() {
            on.child.signal(Signal::SIGKILL);
            on.child.wait().await;
            moment!("power: {}: QEMU ended", self.name());
            if *door == Door::Mains {
                // What was on when the mains failed was on at last.
                self.chassis.borrow_mut().last_event = LastEvent::AcFailed;
                self.gone(door.to_string(), true);
            } else {
                self.gone(door.to_string(), false);
            }
        }
    }

    /// Ends QEMU and starts another.
    async fn replace(&self, door: &Door, running: &mut Option<Running>) -> io::Result<()> {
        self.switch_off(door, running).await;
        *running = Some(self.switch_on(door)?);
        Ok(())
    }

    fn heard(&self, said: Said, on: &mut Running) {
        match said {
            Said::Shutdown(reason) => on.reason = Some(reason),
            Said::Reset => {
                self.chassis.borrow_mut().watchdog_armed = false;
                if on.began.elapsed() > FIRMWARE_RESETS_WITHIN {
                    self.chassis.borrow_mut().restarts(SOFT_RESET);
                    self.tell_reset("the guest".to_owned());
                }
                on.began = Instant::now();
            }
            Said::Note(text) => self.host.journal.line(self.name(), text),
        }
    }

    /// QEMU ended without having been told to; the machine goes on in another one after a reset.
    async fn ended(&self, exit: Exit, on: &mut Running) -> Option<Running> {
        // What QEMU said last may still be on its way: its end of the line is closed.
        while let Some(said) = on.said.recv().await {
            self.heard(said, on);
        }
        if exit == Exit::Status(0) && on.reason.as_deref() == Some(RESET_BY_GUEST) {
            return self.reset_by_guest();
        }
        let by = match (exit, on.reason.as_deref()) {
            (Exit::Status(0), Some(reason)) if reason.starts_with("guest") => {
                format!("the guest ({reason})")
            }
            (Exit::Status(0), _) => "QEMU".to_owned(),
            (exit, _) => {
                self.chassis.borrow_mut().last_event = LastEvent::Fault;
                let why = self.host.confinement.explain(self.name(), exit);
                format!("a failure: QEMU {exit}{why}")
            }
        };
        self.gone(by, false);
        None
    }

    fn gone(&self, by: String, was_on: bool) {
        let mut chassis = self.chassis.borrow_mut();
        chassis.off();
        chassis.was_on = was_on;
        drop(chassis);
        self.tell(Power::Off, by);
    }

    fn tell_reset(&self, by: String) {
        let node = self.name().clone();
        self.host.journal.say(What::Reset { node, by });
    }

    fn tell(&self, power: Power, by: String) {
        self.memory.keep(&self.chassis.borrow());
        self.power.send_replace(power);
        self.host.journal.say(What::Power {
            node: self.name().clone(),
            power,
            by,
        });
    }
}
