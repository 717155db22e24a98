//! Boot devices that a BMC was told, proved by what boots.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::{Child, Stdio};

use crate::host::Host;
use crate::why::picture;

/// A boot sector that prints a line through INT 10h, which SeaBIOS repeats on the serial line,
/// waits for an `x`, and resets the machine by the keyboard controller. Another key may still be
/// on its way: the space that skips iPXE's banner.
pub const SECTOR: &[u8] = b"\
    \x31\xc0\x8e\xd8\xfc\xbe\x25\x7c\
    \xac\x84\xc0\x74\x09\xb4\x0e\xbb\x07\x00\xcd\x10\xeb\xf2\
    \x30\xe4\xcd\x16\x3c\x78\x75\xf8\xb0\xfe\xe6\x64\xf4\xeb\xfd\
    this is the disk\r\n\0";

pub const DISK: &str = "this is the disk";
const NETWORK: &str = "this is the network";

/// Waits for an `x` and resets the machine, as the boot sector does.
const MENU: &str = "\
#!ipxe
echo this is the network
:wait
prompt --key x || goto wait
reboot
";

const LAB: &str =
    "[node.node1]\ndisk = \"16MiB\"\npower = \"off\"\nboot = [\"network\", \"disk\"]\n";

/// A lab whose node is off, and boots something that says what it is from either device.
fn bios() -> Host {
    let host = Host::new();
    host.write("nsplay.toml", LAB);
    host.write("webroot/boot.ipxe", MENU);
    host.nsplay(&["up", "-d"]).ok();
    let disk = disk(&host);
    disk.write_all_at(SECTOR, 0).unwrap();
    disk.write_all_at(&[0x55, 0xaa], 510).unwrap();
    host
}

fn disk(host: &Host) -> File {
    let path = host.at("/var/lib/nsplay/default/node1/disk.raw");
    File::options().read(true).write(true).open(path).unwrap()
}

/// What has booted so far, by what it said.
fn booted(host: &Host) -> Vec<&'static str> {
    let lines = host.lines("node1");
    let known = |line: &String| {
        [DISK, NETWORK]
            .into_iter()
            .find(|known| line.contains(known))
    };
    lines.iter().filter_map(known).collect()
}

/// Waits until so many systems have booted, and looks which they were.
#[track_caller]
fn boots(host: &Host, expected: &[&str]) {
    host.until(&format!("{expected:?} have booted"), || {
        booted(host).len() >= expected.len()
    });
    assert_eq!(booted(host), expected, "{:#?}", host.lines("node1"));
}

/// Somebody who presses keys on the node's console.
struct Keyboard(Child);

impl Keyboard {
    fn of(host: &Host) -> Self {
        let mut console = host.bounded(env!("CARGO_BIN_EXE_nsplay"));
        let console = console.args(["console", "node1"]);
        let console = console.stdin(Stdio::piped()).stdout(Stdio::null());
        Self(console.spawn().unwrap())
    }

    fn press(&mut self) {
        let keys = self.0.stdin.as_mut().unwrap();
        keys.write_all(b"x").unwrap();
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn choose(host: &Host, words: &str) {
    let words: Vec<&str> = words.split(' ').collect();
    host.ipmitool(&[&["chassis", "bootdev"], &words[..]].concat())
        .ok();
}

/// Whether the boot flags are valid, as a client reads them.
fn is_valid(host: &Host) -> bool {
    host.boot_flags().contains("Boot Flag Valid")
}

fn power(host: &Host, order: &str) {
    host.ipmitool(&["power", order]).ok();
}

#[test]
fn boot_devices_and_options_read_back_as_they_were_set() {
    let host = Host::new();
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    host.nsplay(&["up", "-d"]).ok();
    let devices = [
        ("none", "No override"),
        ("pxe", "Force PXE"),
        ("disk", "Force Boot from default Hard-Drive"),
        (
            "safe",
            "Force Boot from default Hard-Drive, request Safe-Mode",
        ),
        ("diag", "Force Boot from Diagnostic Partition"),
        ("cdrom", "Force Boot from CD/DVD"),
        ("bios", "Force Boot into BIOS Setup"),
        ("floppy", "Force Boot from Floppy/primary removable media"),
    ];
    let options = [
        ("", "only next boot", "BIOS PC Compatible (legacy) boot"),
        (
            "persistent",
            "all future boots",
            "BIOS PC Compatible (legacy) boot",
        ),
        ("efiboot", "only next boot", "BIOS EFI boot"),
        ("persistent,efiboot", "all future boots", "BIOS EFI boot"),
    ];
    let (mut script, mut expected) = (String::new(), Vec::new());
    for (device, selector) in devices {
        for (words, often, way) in options {
            let options = if words.is_empty() {
                String::new()
            } else {
                format!(" options={words}")
            };
            script += &format!("chassis bootdev {device}{options}\nchassis bootparam get 5\n");
            expected.push([
                "Boot Flag Valid".to_owned(),
                format!("Options apply to {often}"),
                way.to_owned(),
                format!("Boot Device Selector : {selector}"),
            ]);
        }
    }
    host.write("script", &script);
    for interface in [&["-I", "lan"][..], &["-I", "lanplus", "-C", "3"]] {
        // One session sets and reads them all.
        let said = host
            .ipmitool(&[interface, &["exec", "script"]].concat())
            .ok();
        let answers: Vec<&str> = said.out.split("Boot parameter version").skip(1).collect();
        assert_eq!(answers.len(), expected.len(), "{}", said.out);
        for (answer, expected) in answers.into_iter().zip(&expected) {
            let lines: Vec<&str> = answer
                .lines()
                .filter_map(|line| line.trim().strip_prefix("- "))
                .map(str::trim)
                .collect();
            for line in expected {
                assert!(lines.contains(&line.as_str()), "no {line:?} in {answer}");
            }
        }
    }
}

#[test]
fn a_choice_counts_once_at_a_power_cycle_or_reset_by_whoever_does_it() {
    let host = bios();
    choose(&host, "disk");
    power(&host, "on");
    boots(&host, &[DISK]);
    assert!(!is_valid(&host));
    // What was for one boot is over, also where the machine is only reset.
    power(&host, "reset");
    boots(&host, &[DISK, NETWORK]);
    choose(&host, "disk");
    assert!(is_valid(&host));
    power(&host, "reset");
    boots(&host, &[DISK, NETWORK, DISK]);
    assert!(!is_valid(&host));
    // The system resets itself.
    let mut keyboard = Keyboard::of(&host);
    keyboard.press();
    boots(&host, &[DISK, NETWORK, DISK, NETWORK]);
    choose(&host, "disk");
    keyboard.press();
    boots(&host, &[DISK, NETWORK, DISK, NETWORK, DISK]);
    assert!(!is_valid(&host));
    let cause = host.ipmitool(&["chassis", "restart_cause"]).ok().out;
    assert!(cause.contains("soft reset"), "{cause}");
    choose(&host, "disk");
    power(&host, "cycle");
    boots(&host, &[DISK, NETWORK, DISK, NETWORK, DISK, DISK]);
    // Taken back before it counted.
    choose(&host, "disk");
    choose(&host, "none");
    power(&host, "cycle");
    boots(&host, &[DISK, NETWORK, DISK, NETWORK, DISK, DISK, NETWORK]);
    let off = host.events("default").into_iter().filter(|event| {
        matches!(event.what, nsplay::event::What::Power { power, .. } if power == nsplay::node::Power::Off)
    });
    // The two cycles; a reset is none, whether it needs another QEMU or not.
    assert_eq!(off.count(), 2);
}

#[test]
fn a_persistent_choice_counts_each_time_also_in_the_next_run_of_the_lab() {
    let host = bios();
    choose(&host, "disk options=persistent");
    power(&host, "on");
    boots(&host, &[DISK]);
    // Nothing is to change, so the guest's own reset stays inside QEMU.
    let qemu = host.process("qemu-system-x86_64");
    let mut keyboard = Keyboard::of(&host);
    keyboard.press();
    boots(&host, &[DISK; 2]);
    assert_eq!(host.process("qemu-system-x86_64"), qemu);
    host.nsplay(&["down"]).ok();
    host.nsplay(&["up", "-d"]).ok();
    assert!(is_valid(&host));
    power(&host, "on");
    boots(&host, &[DISK]);
    power(&host, "cycle");
    boots(&host, &[DISK; 2]);
    // A choice for one boot takes its place.
    choose(&host, "none");
    power(&host, "reset");
    boots(&host, &[DISK, DISK, NETWORK]);
    assert!(!is_valid(&host));
}

#[test]
fn what_a_node_does_not_have_leaves_its_usual_order_and_is_said() {
    let host = bios();
    host.nsplay(&["down"]).ok();
    host.write("nsplay.toml", &LAB.replace("\"network\", ", ""));
    host.nsplay(&["up", "-d"]).ok();
    let mut times = 0;
    for (device, says) in [
        ("cdrom", "boots from the cdrom first, this once"),
        ("floppy", "a floppy, which it does not have"),
        ("diag", "a diagnostic partition, which it does not have"),
        ("bios", "the firmware's setup"),
        ("safe", "boots from the disk first, this once"),
        ("disk options=efiboot", "BIOS firmware has no EFI boot"),
    ] {
        choose(&host, device);
        power(&host, if times == 0 { "on" } else { "cycle" });
        times += 1;
        boots(&host, &vec![DISK; times]);
        host.prints("node1", says, 1);
        assert!(!is_valid(&host), "{device}");
    }
}

#[test]
fn a_uefi_node_boots_from_the_disk_once_and_then_over_the_network() {
    let host = Host::new();
    host.write("nsplay.toml", &format!("{LAB}firmware = \"uefi\"\n"));
    host.write(
        "webroot/boot.ipxe",
        &format!("#!ipxe\necho {NETWORK}\nshell\n"),
    );
    host.nsplay(&["up", "-d"]).ok();
    let application = std::fs::read("/usr/lib/ipxe/ipxe.efi").unwrap();
    efi_system(&disk(&host), &[("EFI/BOOT/BOOTX64.EFI", &application)]);
    let started = "starting Boot0001 \"UEFI QEMU HARDDISK";
    let from_disk = || {
        let lines = host.lines("node1");
        lines.iter().filter(|line| line.contains(started)).count()
    };
    choose(&host, "disk");
    power(&host, "on");
    host.prints("node1", "UEFI firmware has no PC-compatible boot", 1);
    // iPXE is what the disk has, so both ways end with one line; the firmware says which it was.
    host.prints("node1", NETWORK, 1);
    assert_eq!(from_disk(), 1);

    // Its screen is a picture from the first line on; what stands there is on its serial line too.
    let why = host.why("node1", "waiting").to_string();
    assert!(why.contains(NETWORK) && why.contains("iPXE>"), "{why}");
    host.nsplay(&["screenshot", "node1", "uefi.png"]).ok();
    assert_ne!(picture(&host, "uefi.png"), (720, 400));
    host.nsplay(&["screenshot", "node1", "--text"]).fails(
        1,
        &[
            "node1 is in a graphics mode",
            "nsplay screenshot node1 FILE.png",
        ],
    );

    power(&host, "cycle");
    host.prints("node1", NETWORK, 2);
    assert_eq!(from_disk(), 1);
    choose(&host, "disk options=efiboot");
    power(&host, "reset");
    host.prints("node1", started, 2);
}

/// Makes the whole disk a FAT file system with these files; UEFI starts `EFI/BOOT/BOOTX64.EFI`.
pub fn efi_system(disk: &File, files: &[(&str, &[u8])]) {
    fatfs::format_volume(disk, fatfs::FormatVolumeOptions::new()).unwrap();
    let system =
        fatfs::FileSystem::new(disk.try_clone().unwrap(), fatfs::FsOptions::new()).unwrap();
    for (path, bytes) in files {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut folder = system.root_dir();
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            folder = folder.create_dir(part).unwrap();
        }
        folder.create_file(name).unwrap().write_all(bytes).unwrap();
    }
}

#[test]
fn what_the_command_line_chooses_the_bmc_reads_back_and_the_other_way_round() {
    let host = Host::new();
    host.write("nsplay.toml", "[node.node1]\npower = \"off\"\n");
    host.nsplay(&["up", "-d"]).ok();
    let boot = |arguments: &[&str]| host.nsplay(&[&["boot", "node1"], arguments].concat());
    assert_eq!(
        boot(&[]).ok().out,
        "node1: network, disk (as the lab file says)\n"
    );
    let chosen = boot(&["--device", "disk"]).ok().out;
    assert!(chosen.starts_with("node1: disk, network (boots from the disk first, each time"));
    let flags = || {
        host.ipmitool(&["chassis", "bootparam", "get", "5"])
            .ok()
            .out
    };
    let read = flags();
    for said in [
        "Boot Flag Valid",
        "all future boots",
        "Force Boot from default Hard-Drive",
    ] {
        assert!(read.contains(said), "{said}: {read}");
    }
    boot(&["--device", "network", "--once"]).ok();
    let read = flags();
    assert!(
        read.contains("only next boot") && read.contains("Force PXE"),
        "{read}"
    );
    host.ipmitool(&["chassis", "bootdev", "disk"]).ok();
    let json: serde_json::Value = serde_json::from_str(&boot(&["--json"]).ok().out).unwrap();
    assert_eq!(json["order"], serde_json::json!(["disk", "network"]));
    boot(&["--device", "none"]).ok();
    assert!(flags().contains("Boot Flag Invalid"));
    let chosen = boot(&["--device", "cdrom"]).ok().out;
    assert!(
        chosen.starts_with("node1: cdrom, network, disk"),
        "{chosen}"
    );
    boot(&["--once"]).fails(2, &["--device"]);
    host.nsplay(&["boot", "node7"])
        .fails(2, &["no node `node7`"]);
}
