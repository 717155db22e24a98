//! The BMC's watchdog timer (IPMI 2.0, section 27): what is set, when it runs out, and what then.
//!
//! ipmi_sim 2.0.33 has one of its own, which acts behind the node's back over the KCS codec,
//! refuses an NMI before the timeout, answers with bytes of its stack, and logs only the first
//! timeout of each kind. So it is done here. Time comes in as an argument, and the node as a
//! closure; waiting and the event log are [`ffi`](crate::ffi)'s job.

use std::fmt;
use std::time::{Duration, Instant};

use crate::chassis::{APP, Answer, Message};
use crate::protocol::Completion;

/// The commands answered here, as (network function, command).
pub(crate) const COMMANDS: [(u8, u8); 3] = [(APP, RESET), (APP, SET), (APP, GET)];

const RESET: u8 = 0x22;
const SET: u8 = 0x24;
const GET: u8 = 0x25;

/// Reset Watchdog Timer before anything was set: 27.5.
const NOT_INITIALIZED: Completion = Completion(0x80);

/// One count of the timer.
const COUNT: Duration = Duration::from_millis(100);

/// The number of the watchdog's sensor, which the emulator file adds.
const SENSOR: u8 = 0;

/// What happens to the node when time is up (table 27-5, timer actions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    None,
    Reset,
    Off,
    Cycle,
}

/// What happens some seconds before (table 27-5, pre-timeout interrupt).
///
/// There is no system management interrupt, and ipmi_sim lets nobody else raise its messaging
/// interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Warning {
    None,
    Nmi,
}

/// What the node is told by the watchdog; its `Display` is the verb's argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// It is fed: a timeout from now on is meant for the machine as it runs now.
    Armed,
    /// Asks whether the machine still runs that armed it.
    Status,
    Reset,
    Off,
    Cycle,
    Nmi,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Armed => "armed",
            Self::Status => "status",
            Self::Reset => "reset",
            Self::Off => "off",
            Self::Cycle => "cycle",
            Self::Nmi => "nmi",
        })
    }
}

/// What the node says when nobody has fed the watchdog since its start.
const IDLE: &str = "idle";

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    /// What the node is told.
    order: Order,
    /// The three bytes of event data for the log, unless the client wanted none.
    event: Option<[u8; 3]>,
}

/// The timer.
#[derive(Debug)]
pub(crate) struct Watchdog {
    initialized: bool,
    /// Timer use, with the "don't log" bit.
    timer_use: u8,
    /// Timer actions, as they were set.
    actions: u8,
    action: Action,
    warning: Warning,
    /// Seconds before the timeout.
    warn_before: u8,
    /// Expiration flags: bit n for timer use n.
    expired: u8,
    /// The initial countdown, in counts.
    initial: u16,
    running: Option<Running>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    ends: Instant,
    warned: bool,
}

const DONT_LOG: u8 = 1 << 7;
const DONT_STOP: u8 = 1 << 6;
const USE: u8 = 0x07;

impl Default for Watchdog {
    fn default() -> Self {
        Self {
            initialized: false,
            timer_use: 0,
            actions: 0,
            action: Action::None,
            warning: Warning::None,
            warn_before: 0,
            expired: 0,
            initial: 0,
            running: None,
        }
    }
}

impl Watchdog {
    /// Returns the response to `message`, completion code first.
    ///
    /// `ask` tells the node and is called at most once.
    pub(crate) fn respond(
        &mut self,
        message: Message<'_>,
        now: Instant,
        ask: impl FnOnce(Order) -> Answer,
    ) -> Vec<u8> {
        let data = message.data;
        let payload = match message.command {
            RESET => self
                .reset(data, now)
                .and_then(|()| ask(Order::Armed).map(|_| vec![])),
            SET => self
                .follow(ask)
                .and_then(|()| self.set(data, now).map(|()| vec![])),
            GET => self.follow(ask).and_then(|()| self.get(data, now)),
            _ => Err(Completion::INVALID_COMMAND),
        };
        match payload {
            Ok(mut payload) => {
                payload.insert(0, 0x00);
                payload
            }
            Err(Completion(code)) => vec![code],
        }
    }

    /// Does what is due now; call it when [`next`](Self::next) is over. Returns the event data
    /// for the log, if there is to be an entry.
    ///
    /// A machine that was switched or reset since is not meant any more: it refuses, and
    /// nothing has happened.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        ask: impl FnOnce(Order) -> Answer,
    ) -> Option<[u8; 3]> {
        let due = self.due(now)?;
        match ask(due.order) {
            Ok(answer) if answer != IDLE => due.event,
            Ok(_) | Err(_) => {
                self.running = None;
                None
            }
        }
    }

    /// Stops the timer if the machine does not run any more that armed it: power-on and reset
    /// stop it, as a server's firmware does at its start.
    fn follow(&mut self, ask: impl FnOnce(Order) -> Answer) -> Result<(), Completion> {
        if self.running.is_some() && ask(Order::Status)? == IDLE {
            self.running = None;
        }
        Ok(())
    }

    /// 27.6, Set Watchdog Timer. Stops it, unless the client says not to.
    fn set(&mut self, data: &[u8], now: Instant) -> Result<(), Completion> {
        let &[timer_use, actions, warn_before, clear, low, high] = data else {
            return Err(Completion::LENGTH);
        };
        if !matches!(timer_use & USE, 1..=5) {
            return Err(Completion::INVALID_DATA);
        }
        let action = match actions & 0x07 {
            0 => Action::None,
            1 => Action::Reset,
            2 => Action::Off,
            3 => Action::Cycle,
            _ => return Err(Completion::INVALID_DATA),
        };
        let warning = match actions >> 4 & 0x07 {
            0 => Warning::None,
            2 => Warning::Nmi,
            _ => return Err(Completion::INVALID_DATA),
        };
        let initial = u16::from_le_bytes([low, high]);
        // The interval may not be longer than the countdown.
        if warning != Warning::None && u32::from(warn_before) * 10 > u32::from(initial) {
            return Err(Completion::INVALID_DATA);
        }
        (self.action, self.warning) = (action, warning);
        self.initialized = true;
        self.timer_use = timer_use & (DONT_LOG | USE);
        self.actions = actions & 0x77;
        self.warn_before = warn_before;
        self.expired &= !clear;
        self.initial = initial;
        let keeps_running = self.running.is_some() && timer_use & DONT_STOP != 0;
        self.running = keeps_running.then(|| self.whole_countdown(now));
        Ok(())
    }

    /// 27.5, Reset Watchdog Timer: starts it, and starts it again.
    fn reset(&mut self, data: &[u8], now: Instant) -> Result<(), Completion> {
        if !data.is_empty() {
            return Err(Completion::LENGTH);
        }
        if !self.initialized {
            return Err(NOT_INITIALIZED);
        }
        self.running = Some(self.whole_countdown(now));
        Ok(())
    }

    /// 27.7, Get Watchdog Timer.
    fn get(&self, data: &[u8], now: Instant) -> Result<Vec<u8>, Completion> {
        const RUNNING: u8 = 1 << 6;

        if !data.is_empty() {
            return Err(Completion::LENGTH);
        }
        let running = if self.running.is_some() { RUNNING } else { 0 };
        let present = self.running.map_or(0, |running| {
            let left = running.ends.saturating_duration_since(now);
            u16::try_from(left.as_millis().div_ceil(COUNT.as_millis())).unwrap_or(u16::MAX)
        });
        let ([a, b], [c, d]) = (self.initial.to_le_bytes(), present.to_le_bytes());
        Ok(vec![
            self.timer_use | running,
            self.actions,
            self.warn_before,
            self.expired,
            a,
            b,
            c,
            d,
        ])
    }

    /// How long nothing happens; `None` while the timer stands.
    pub(crate) fn next(&self, now: Instant) -> Option<Duration> {
        let running = self.running?;
        let at = match (self.warning, running.warned) {
            (Warning::None, _) | (_, true) => running.ends,
            (Warning::Nmi, false) => running
                .ends
                .checked_sub(Duration::from_secs(self.warn_before.into()))
                .unwrap_or(now),
        };
        Some(at.saturating_duration_since(now))
    }

    /// What is due now; call it when [`next`](Self::next) is over.
    fn due(&mut self, now: Instant) -> Option<Due> {
        if self.next(now)? > Duration::ZERO {
            return None;
        }
        let running = self.running.as_mut()?;
        // Table 42-3, Watchdog 2: the offset, then interrupt type and timer use.
        let (offset, order, interrupt) = match (self.warning, running.warned) {
            (Warning::Nmi, false) => {
                running.warned = true;
                (8, Order::Nmi, 0x2)
            }
            (Warning::None, _) | (Warning::Nmi, true) => {
                self.running = None;
                self.expired |= 1 << (self.timer_use & USE);
                match self.action {
                    // Only whether it still counts.
                    Action::None => (0, Order::Status, 0x0),
                    Action::Reset => (1, Order::Reset, 0x0),
                    Action::Off => (2, Order::Off, 0x0),
                    Action::Cycle => (3, Order::Cycle, 0x0),
                }
            }
        };
        let data2 = interrupt << 4 | self.timer_use & USE;
        let event = (self.timer_use & DONT_LOG == 0).then_some([0xc0 | offset, data2, 0xff]);
        Some(Due { order, event })
    }

    fn whole_countdown(&self, now: Instant) -> Running {
        Running {
            ends: now + COUNT * u32::from(self.initial),
            warned: false,
        }
    }
}

/// The 13 bytes of a system event record behind its type (table 32-1); ipmi_sim sets the time.
pub(crate) fn record(generator: u8, [a, b, c]: [u8; 3]) -> [u8; 13] {
    const FORMAT: u8 = 0x04;
    const WATCHDOG_2: u8 = 0x23;
    const SENSOR_SPECIFIC: u8 = 0x6f;

    [
        0,
        0,
        0,
        0,
        generator,
        0,
        FORMAT,
        WATCHDOG_2,
        SENSOR,
        SENSOR_SPECIFIC,
        a,
        b,
        c,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const OS: u8 = 4;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// One that was set to `actions` after 10 s, with a warning 3 s before, and started.
    fn running(timer_use: u8, actions: u8) -> (Watchdog, Instant) {
        let (mut watchdog, now) = (Watchdog::default(), Instant::now());
        watchdog
            .set(&[timer_use, actions, 3, 0, 100, 0], now)
            .unwrap();
        watchdog.reset(&[], now).unwrap();
        (watchdog, now)
    }

    #[test]
    fn it_runs_out_once_and_says_what_then() {
        for (actions, order, offset) in [
            (0, Order::Status, 0xc0),
            (1, Order::Reset, 0xc1),
            (2, Order::Off, 0xc2),
            (3, Order::Cycle, 0xc3),
        ] {
            let (mut watchdog, now) = running(OS, actions);
            assert_eq!(watchdog.next(now), Some(seconds(10)));
            assert_eq!(watchdog.due(now + seconds(9)), None);
            let event = Some([offset, OS, 0xff]);
            assert_eq!(watchdog.due(now + seconds(10)), Some(Due { order, event }));
            assert_eq!(watchdog.due(now + seconds(20)), None);
            assert_eq!(watchdog.next(now), None);
            // Stopped, and the flag of its use is set.
            let state = watchdog.get(&[], now).unwrap();
            assert_eq!(state, [OS, actions, 3, 1 << OS, 100, 0, 0, 0]);
        }
    }

    #[test]
    fn who_feeds_it_in_time_is_left_alone() {
        let (mut watchdog, now) = running(OS, 1);
        watchdog.reset(&[], now + seconds(9)).unwrap();
        assert_eq!(watchdog.due(now + seconds(10)), None);
        let state = watchdog.get(&[], now + seconds(10)).unwrap();
        assert_eq!(state, [0x40 | OS, 1, 3, 0, 100, 0, 90, 0]);
        assert!(watchdog.due(now + seconds(19)).is_some());
    }

    #[test]
    fn setting_it_stops_it_unless_told_not_to() {
        let (mut watchdog, now) = running(OS, 1);
        watchdog
            .set(&[0x40 | OS, 1, 0, 0, 200, 0], now + seconds(5))
            .unwrap();
        assert_eq!(watchdog.next(now + seconds(5)), Some(seconds(20)));
        watchdog.set(&[OS, 1, 0, 0, 200, 0], now).unwrap();
        assert_eq!(watchdog.next(now), None);
        // One that stands is not started by it.
        watchdog.set(&[0x40 | OS, 1, 0, 0, 200, 0], now).unwrap();
        assert_eq!(watchdog.next(now), None);
    }

    #[test]
    fn a_warning_comes_first() {
        let (mut watchdog, now) = running(OS, 0x21);
        assert_eq!(watchdog.next(now), Some(seconds(7)));
        let warned = watchdog.due(now + seconds(7)).unwrap();
        let (order, event) = (Order::Nmi, Some([0xc8, 0x24, 0xff]));
        assert_eq!(warned, Due { order, event });
        assert_eq!(watchdog.next(now + seconds(7)), Some(seconds(3)));
        let then = watchdog.due(now + seconds(10)).unwrap();
        assert_eq!(then.order, Order::Reset);
    }

    #[test]
    fn who_wants_no_log_entry_gets_none() {
        let (mut watchdog, now) = running(0x80 | OS, 1);
        let due = watchdog.due(now + seconds(10)).unwrap();
        assert_eq!((due.order, due.event), (Order::Reset, None));
    }

    #[test]
    fn a_machine_that_did_not_arm_it_is_left_alone_and_nothing_is_logged() {
        let (mut watchdog, now) = running(OS, 1);
        let refused = |_: Order| Err(Completion(0xd5));
        assert_eq!(watchdog.expire(now + seconds(10), refused), None);
        let (mut watchdog, now) = running(OS, 0);
        let idle = |_: Order| Ok(IDLE.to_owned());
        assert_eq!(watchdog.expire(now + seconds(10), idle), None);
        let (mut watchdog, now) = running(OS, 1);
        let message = Message {
            netfn: APP,
            command: GET,
            channel: 1,
            session: 0,
            sequence: 0,
            data: &[],
        };
        let state = watchdog.respond(message, now, idle);
        assert_eq!(state, [0, OS, 1, 3, 0, 100, 0, 0, 0]);
    }

    #[test]
    fn expiration_flags_stay_until_they_are_cleared() {
        let (mut watchdog, now) = running(OS, 0);
        watchdog.due(now + seconds(10)).unwrap();
        watchdog.set(&[1, 0, 0, 0, 0, 0], now).unwrap();
        assert_eq!(watchdog.get(&[], now).unwrap()[3], 1 << OS);
        watchdog.set(&[1, 0, 0, 1 << OS, 0, 0], now).unwrap();
        assert_eq!(watchdog.get(&[], now).unwrap()[3], 0);
    }

    #[test]
    fn nonsense_is_refused_and_changes_nothing() {
        let (mut watchdog, now) = (Watchdog::default(), Instant::now());
        assert_eq!(watchdog.reset(&[], now), Err(NOT_INITIALIZED));
        for nonsense in [
            [0, 1, 0, 0, 10, 0],
            [6, 1, 0, 0, 10, 0],
            [OS, 4, 0, 0, 10, 0],
            [OS, 0x11, 0, 0, 10, 0],
            [OS, 0x31, 0, 0, 10, 0],
            [OS, 0x21, 2, 0, 10, 0],
        ] {
            let refused = watchdog.set(&nonsense, now);
            assert_eq!(refused, Err(Completion::INVALID_DATA), "{nonsense:?}");
        }
        assert_eq!(watchdog.set(&[OS, 1], now), Err(Completion::LENGTH));
        assert_eq!(watchdog.reset(&[0], now), Err(Completion::LENGTH));
        assert_eq!(watchdog.get(&[0], now), Err(Completion::LENGTH));
        assert_eq!(watchdog.reset(&[], now), Err(NOT_INITIALIZED));
    }
}
