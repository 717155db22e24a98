//! What a BMC was told about booting, and what that makes of the next boot (IPMI 2.0, sections
//! 28.12 and 28.13, table 28-14).

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::lab::{BootDevice, Firmware, Node};

/// Boot flags, data 1: there is a choice.
const VALID: u8 = 1 << 7;
/// Boot flags, data 1: for all boots to come, not for the next one only.
const PERSISTENT: u8 = 1 << 6;
/// Boot flags, data 1: an EFI boot, not a PC-compatible one.
const EFI: u8 = 1 << 5;

/// Parameter 3: a choice outlasts a reset or power cycle by the watchdog.
const KEPT_BY_WATCHDOG: u8 = 1 << 2;
/// Parameter 3: a choice outlasts a reset that the system does itself.
const KEPT_BY_SOFT_RESET: u8 = 1 << 1;
/// Parameter 3: a choice waits for longer than [`LAPSES_AFTER`].
const KEPT_WITHOUT_COMMAND: u8 = 1 << 3;
/// The bits of parameter 3.
const CLEARING: u8 = 0x1f;

/// How long a one-time choice waits for a Chassis Control command (table 28-14, parameter 3).
const LAPSES_AFTER: Duration = Duration::from_secs(60);

/// The boot options of one BMC.
#[derive(Debug)]
pub struct BootOptions {
    /// Parameter 5, boot flags.
    flags: [u8; 5],
    /// Parameter 3, boot flag valid bit clearing: what a one-time choice outlasts.
    clearing: u8,
    /// When the choice was made, or a Chassis Control command came after it.
    waits_since: Option<Instant>,
}

/// What the machine does at one start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Where the firmware looks for something to boot, in this order.
    pub order: Vec<BootDevice>,
    /// Whether it starts the kernel that the lab file names, in place of looking.
    pub kernel: bool,
    /// Whether the start after this one is another, so that this one's QEMU must not live to see
    /// it.
    pub once: bool,
    /// What became of a choice, for the log.
    pub says: Option<String>,
}

impl Boot {
    /// A start that nobody has chosen anything for.
    #[must_use]
    pub fn usual(node: &Node) -> Self {
        Self {
            order: node.boot.clone(),
            kernel: node.kernel.is_some(),
            once: false,
            says: None,
        }
    }
}

impl Boot {
    /// Whether a machine that was started in this way can start in that way too: QEMU tells its
    /// firmware once.
    #[must_use]
    pub fn serves(&self, other: &Self) -> bool {
        (&self.order, self.kernel) == (&other.order, other.kernel)
    }
}

/// What a BMC is told to boot from, of all that IPMI knows, where a node can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// PXE.
    Network,
    /// The disk; of several, the one that the node would boot from first.
    Disk,
    /// The CD.
    Cdrom,
}

/// What the boot device selector stands for (boot flags, data 2, bits 5:2).
enum Selected {
    /// No override.
    Nothing,
    /// Something that the node has, and what is not possible about it.
    Device(BootDevice, &'static str),
    /// Something that no node has.
    Missing(&'static str),
}

fn selected(flags: [u8; 5], node: &Node) -> Selected {
    // Of several, the one that the node would boot from first.
    let first = |of_kind: fn(&BootDevice) -> bool| node.boot.iter().copied().find(of_kind);
    let network = first(|device| matches!(device, BootDevice::Network(_)));
    let disk = first(|device| matches!(device, BootDevice::Disk(_)));
    let disk = disk.unwrap_or(BootDevice::Disk(1));
    match flags[1] >> 2 & 0xf {
        0 => Selected::Nothing,
        1 => Selected::Device(network.unwrap_or(BootDevice::Network(1)), ""),
        2 | 3 if node.disks.is_empty() => Selected::Missing("a disk, which it does not have"),
        2 => Selected::Device(disk, ""),
        // The mode is the operating system's to know.
        3 => Selected::Device(disk, "; there is no safe mode"),
        4 => Selected::Missing("a diagnostic partition, which it does not have"),
        5 => Selected::Device(BootDevice::Cdrom, ""),
        6 => Selected::Missing("the firmware's setup, which cannot be entered this way"),
        7..=9 | 11 => Selected::Missing("remote media, which it does not have"),
        15 => Selected::Missing("a floppy, which it does not have"),
        _ => Selected::Missing("a device that IPMI does not know"),
    }
}

impl BootOptions {
    /// Boot options of which a BMC has kept the flags.
    ///
    /// Parameter 3 says that a choice outlasts everything, until a client clears a bit of it:
    /// tools that set a boot device and come back with a power command after more than a minute
    /// find many servers patient, and are not served by one that forgets in silence.
    #[must_use]
    pub fn new(flags: [u8; 5]) -> Self {
        Self {
            flags,
            clearing: CLEARING,
            waits_since: None,
        }
    }

    /// Parameter 5 as it counts now.
    #[must_use]
    pub fn flags(&self, now: Instant) -> [u8; 5] {
        let mut flags = self.flags;
        if self.has_lapsed(now) {
            flags[0] &= !VALID;
        }
        flags
    }

    /// Sets parameter 5.
    pub fn choose(&mut self, flags: [u8; 5], now: Instant) {
        self.flags = flags;
        self.waits_since = Some(now);
    }

    /// Chooses what `node` boots from first, as Set System Boot Options does; none is its usual order.
    ///
    /// # Errors
    /// What it does not have.
    pub fn prefer(
        &mut self,
        choice: Option<Choice>,
        once: bool,
        node: &Node,
        now: Instant,
    ) -> Result<(), &'static str> {
        let Some(choice) = choice else {
            self.choose([0; 5], now);
            return Ok(());
        };
        let selector = match choice {
            Choice::Network => 1,
            Choice::Disk if node.disks.is_empty() => return Err("it has no disk"),
            Choice::Disk => 2,
            Choice::Cdrom => 5,
        };
        let persistent = if once { 0 } else { PERSISTENT };
        let way = match node.firmware {
            Firmware::Bios => 0,
            Firmware::Uefi => EFI,
        };
        self.choose([VALID | persistent | way, selector << 2, 0, 0, 0], now);
        Ok(())
    }

    /// Parameter 3.
    #[must_use]
    pub fn clearing(&self) -> u8 {
        self.clearing
    }

    /// Sets parameter 3.
    pub fn set_clearing(&mut self, bits: u8) {
        self.clearing = bits & CLEARING;
    }

    /// A Chassis Control command came, after which a choice waits anew.
    pub fn commanded(&mut self, now: Instant) {
        self.flags = self.flags(now);
        self.waits_since = Some(now);
    }

    /// The watchdog resets or cycles the machine.
    pub fn watchdog_acts(&mut self) {
        self.outlasts(KEPT_BY_WATCHDOG);
    }

    /// The system resets itself.
    pub fn system_resets(&mut self) {
        self.outlasts(KEPT_BY_SOFT_RESET);
    }

    fn outlasts(&mut self, bit: u8) {
        if self.clearing & bit == 0 {
            self.spend();
        }
    }

    /// What the next start of `node` does.
    #[must_use]
    pub fn next(&self, node: &Node, now: Instant) -> Boot {
        let flags = self.flags(now);
        let mut boot = Boot::usual(node);
        if flags[0] & VALID == 0 {
            return boot;
        }
        let (first, but) = match selected(flags, node) {
            Selected::Nothing => return boot,
            Selected::Device(first, but) => (first, but),
            Selected::Missing(what) => {
                boot.says = Some(format!("the BMC asks for {what}: boots in the usual order"));
                return boot;
            }
        };
        boot.order.retain(|device| *device != first);
        boot.order.insert(0, first);
        let persistent = flags[0] & PERSISTENT != 0;
        boot.kernel = false;
        boot.once = !persistent && !boot.serves(&Boot::usual(node));
        let often = if persistent { "each time" } else { "this once" };
        let way = match (node.firmware, flags[0] & EFI != 0) {
            (Firmware::Bios, true) => "; BIOS firmware has no EFI boot",
            (Firmware::Uefi, false) => "; UEFI firmware has no PC-compatible boot",
            (Firmware::Bios, false) | (Firmware::Uefi, true) => "",
        };
        let says = format!("boots from the {first} first, {often}, for the BMC{but}{way}");
        boot.says = Some(says);
        boot
    }

    /// Whether a choice for the next start only is there.
    #[must_use]
    pub fn waits(&self, now: Instant) -> bool {
        self.flags(now)[0] & (VALID | PERSISTENT) == VALID
    }

    /// Takes a choice back that was for one start.
    pub fn spend(&mut self) {
        if self.flags[0] & PERSISTENT == 0 {
            self.flags[0] &= !VALID;
        }
    }

    fn has_lapsed(&self, now: Instant) -> bool {
        let too_long = |since| now.saturating_duration_since(since) > LAPSES_AFTER;
        self.clearing & KEPT_WITHOUT_COMMAND == 0
            && self.flags[0] & PERSISTENT == 0
            && self.waits_since.is_some_and(too_long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::file::{Origin, load};

    const NETWORK: BootDevice = BootDevice::Network(1);
    const DISK: BootDevice = BootDevice::Disk(1);

    fn node(firmware: Firmware, boot: &[BootDevice]) -> Node {
        let lab = load("[node.node1]\n", &Origin::built_in(None)).unwrap();
        let mut node = lab.nodes[0].clone();
        (node.firmware, node.boot) = (firmware, boot.to_vec());
        node
    }

    fn told(first: u8, selector: u8) -> BootOptions {
        let mut options = BootOptions::new([0; 5]);
        options.choose([first, selector << 2, 0, 0, 0], Instant::now());
        options
    }

    #[test]
    fn a_one_time_choice_is_spent_by_one_boot() {
        let (node, now) = (node(Firmware::Bios, &[NETWORK, DISK]), Instant::now());
        let mut options = told(VALID, 2);
        let boot = options.next(&node, now);
        assert_eq!((&boot.order[..], boot.once), (&[DISK, NETWORK][..], true));
        assert!(options.waits(now));
        options.spend();
        assert!(!options.waits(now));
        assert_eq!(options.flags(now), [0, 2 << 2, 0, 0, 0]);
        assert_eq!(options.next(&node, now), Boot::usual(&node));
    }

    #[test]
    fn a_persistent_choice_stays() {
        let (node, now) = (node(Firmware::Bios, &[DISK]), Instant::now());
        let mut options = told(VALID | PERSISTENT, 1);
        for _ in 0..2 {
            let boot = options.next(&node, now);
            assert_eq!((&boot.order[..], boot.once), (&[NETWORK, DISK][..], false));
            options.spend();
        }
    }

    #[test]
    fn what_a_node_cannot_do_is_said_and_leaves_its_usual_order() {
        let mut bare = node(Firmware::Uefi, &[NETWORK]);
        for selector in [3, 4, 6, 7, 8, 9, 10, 11, 12, 15] {
            let boot =
                told(VALID, selector).next(&node(Firmware::Bios, &[NETWORK, DISK]), Instant::now());
            assert_eq!(boot.order == [NETWORK, DISK], selector != 3, "{selector}");
            assert!(boot.says.is_some(), "{selector}");
        }
        bare.disks = Vec::new();
        let boot = told(VALID | EFI, 2).next(&bare, Instant::now());
        assert_eq!(boot.order, [NETWORK]);
        assert!(
            boot.says
                .unwrap()
                .contains("a disk, which it does not have")
        );
        let boot = told(VALID, 0).next(&bare, Instant::now());
        assert_eq!(boot, Boot::usual(&bare));
    }

    #[test]
    fn of_several_devices_the_first_in_the_order_is_meant() {
        let (second, cd) = (BootDevice::Disk(2), BootDevice::Cdrom);
        let node = node(Firmware::Bios, &[NETWORK, cd, second, DISK]);
        let order = |selector| told(VALID, selector).next(&node, Instant::now()).order;
        assert_eq!(order(2), [second, NETWORK, cd, DISK]);
        assert_eq!(order(5), [cd, NETWORK, second, DISK]);
        assert_eq!(order(1), node.boot);
    }

    #[test]
    fn a_choice_goes_before_the_kernel_of_the_lab_file() {
        let mut node = node(Firmware::Bios, &[NETWORK, DISK]);
        node.kernel = Some(crate::lab::Kernel {
            file: "/vmlinuz".into(),
            initrd: None,
            cmdline: String::new(),
        });
        assert!(Boot::usual(&node).kernel);
        let boot = told(VALID, 1).next(&node, Instant::now());
        assert!(!boot.kernel && boot.once);
        let boot = told(VALID | PERSISTENT, 1).next(&node, Instant::now());
        assert!(!boot.kernel && !boot.once);
    }

    #[test]
    fn the_other_firmwares_way_is_said_and_not_gone() {
        for (firmware, flags, says) in [
            (Firmware::Bios, VALID | EFI, Some("no EFI boot")),
            (Firmware::Bios, VALID, None),
            (Firmware::Uefi, VALID | EFI, None),
            (Firmware::Uefi, VALID, Some("no PC-compatible boot")),
        ] {
            let node = node(firmware, &[NETWORK, DISK]);
            let boot = told(flags, 2).next(&node, Instant::now());
            assert_eq!(boot.order, [DISK, NETWORK]);
            let said = boot.says.unwrap();
            assert_eq!(said.contains("; "), says.is_some(), "{said}");
            assert!(said.contains(says.unwrap_or_default()), "{said}");
        }
    }

    #[test]
    fn a_choice_lapses_after_a_minute_without_a_command_if_a_client_wants_so() {
        let now = Instant::now();
        let later = now + LAPSES_AFTER + Duration::from_millis(1);
        for (flags, clearing, lapses) in [
            (VALID, CLEARING, false),
            (VALID, CLEARING & !KEPT_WITHOUT_COMMAND, true),
            (VALID | PERSISTENT, 0, false),
        ] {
            let mut options = BootOptions::new([0; 5]);
            options.set_clearing(clearing);
            options.choose([flags, 2 << 2, 0, 0, 0], now);
            assert_eq!(options.flags(now)[0], flags);
            assert_eq!(options.flags(later)[0] & VALID == 0, lapses, "{flags:x}");
        }
    }

    #[test]
    fn a_command_has_a_choice_wait_anew_and_brings_none_back() {
        let now = Instant::now();
        let (soon, late) = (now + LAPSES_AFTER / 2, now + LAPSES_AFTER * 3 / 2);
        let mut options = BootOptions::new([0; 5]);
        options.set_clearing(0);
        options.choose([VALID, 2 << 2, 0, 0, 0], now);
        options.commanded(soon);
        assert!(options.waits(late));
        options.commanded(late + LAPSES_AFTER);
        assert!(!options.waits(late + LAPSES_AFTER));
    }

    #[test]
    fn what_restarts_the_machine_takes_a_choice_along_if_a_client_wants_so() {
        let now = Instant::now();
        for clearing in [CLEARING, KEPT_BY_WATCHDOG, KEPT_BY_SOFT_RESET] {
            for (kept_by, event) in [
                (KEPT_BY_WATCHDOG, BootOptions::watchdog_acts as fn(&mut _)),
                (KEPT_BY_SOFT_RESET, BootOptions::system_resets),
            ] {
                let mut options = told(VALID, 2);
                options.set_clearing(clearing);
                event(&mut options);
                assert_eq!(options.waits(now), clearing & kept_by != 0);
            }
        }
    }
}
