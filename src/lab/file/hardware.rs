//! What a node is made of, read, checked and spelled: CPU, disks, CD, kernel, firmware, TPM.

use std::fmt::{self, Write};
use std::path::{Component, Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::own::names;
use super::render::quoted;
use super::report::Notes;
use super::spell::DISK_SIZE;
use super::value::{self, spell_size};
use super::walk::{Read, Table, Wrong};
use crate::lab::hardware::{Base, ImageFormat};
use crate::lab::{Disk, DiskBus, Firmware, Kernel, Node, Tpm, UefiVars};

/// The keys of a disk.
pub(super) const DISK: &[&str] = &["size", "bus", "keep", "base", "format"];

const EXAMPLE: &str = "[{ size = \"8GiB\", bus = \"virtio\" }]";

/// A node boots from one of them, and few need more than a pair of each kind.
const MOST_DISKS: usize = 16;

/// QEMU's q35 has six SATA ports; the CD drive has the last one.
const MOST_AHCI: usize = 5;

/// Linux reads 2048 bytes of it on x86 (COMMAND_LINE_SIZE).
const MOST_CMDLINE: usize = 2047;

/// Without a console on the serial line nothing of the kernel would be seen there.
const CMDLINE: &str = "console=ttyS0";

/// What the table of a node says of its hardware.
pub(super) struct HardwareFile {
    cpu: Read<String>,
    disk: Read<Option<u64>>,
    disks: Read<Vec<DiskFile>>,
    iso: Read<Option<PathBuf>>,
    kernel: Read<PathBuf>,
    initrd: Read<PathBuf>,
    cmdline: Read<String>,
    secure_boot: Read<bool>,
    tpm: Read<Option<Tpm>>,
    uefi_vars: Read<UefiVars>,
    qemu_args: Read<Vec<(String, usize)>>,
    /// Whether `disk` or `disks` goes before the other, as it stands nearer to the node.
    short_wins: Option<bool>,
}

struct DiskFile {
    /// The byte of its table.
    at: usize,
    size_mib: Read<u64>,
    bus: Read<DiskBus>,
    keep: Read<bool>,
    base: Read<PathBuf>,
    format: Read<ImageFormat>,
}

/// What [`HardwareFile`] makes of a node.
pub(super) struct Hardware {
    pub(super) cpu: String,
    pub(super) disks: Vec<Disk>,
    pub(super) iso: Option<PathBuf>,
    pub(super) kernel: Option<Kernel>,
    pub(super) secure_boot: bool,
    pub(super) tpm: Option<Tpm>,
    pub(super) uefi_vars: UefiVars,
    pub(super) qemu_args: Vec<String>,
}

/// Reads `table`; `folders` are those of the files, `nearness` how near to the node a byte stands.
pub(super) fn spell(
    table: &Table,
    scope: &str,
    folders: &[&Path],
    nearness: impl Fn(usize) -> (bool, usize),
    notes: &Notes,
) -> HardwareFile {
    let folder = |at| folders[notes.file_of(at)];
    let disk = table.read("disk", |v| match v.as_bool() {
        Some(false) => Ok(None),
        _ => value::size(
            v,
            "a size such as \"8GiB\", or false for no disk",
            DISK_SIZE,
        )
        .map(Some),
    });
    let disks_at = table.byte_of("disks");
    let disks = match disks_at {
        None => Read::Absent,
        Some(at) => {
            let tables = table.read_tables("disks", EXAMPLE).into_iter();
            let disk = |(n, (entries, at))| {
                let scope = format!("{scope}: disk {}", n + 1);
                disk_of(entries, at, &scope, &folder, notes)
            };
            Read::Given(tables.enumerate().map(disk).collect(), at)
        }
    };
    let short_wins = match (&disk, disks_at) {
        (Read::Given(_, at), Some(disks)) if nearness(*at) != nearness(disks) => {
            Some(nearness(*at) > nearness(disks))
        }
        _ => None,
    };
    HardwareFile {
        cpu: table.read("cpu", cpu),
        disk,
        disks,
        iso: table.read_at("iso", |v, at| match v.as_bool() {
            Some(false) => Ok(None),
            _ => file(v, folder(at), "a file, or false for an empty CD drive").map(Some),
        }),
        kernel: table.read_at("kernel", |v, at| file(v, folder(at), "a file")),
        initrd: table.read_at("initrd", |v, at| file(v, folder(at), "a file")),
        cmdline: table.read("cmdline", cmdline),
        secure_boot: table.read("secure_boot", value::boolean),
        tpm: table.read("tpm", |v| match v.as_bool() {
            Some(false) => Ok(None),
            Some(true) => Ok(Some(Tpm::Crb)),
            None => value::choice(v, &Tpm::ALL)
                .map(Some)
                .map_err(|wrong| Wrong::want(format!("true, false, {}", wrong.expected))),
        }),
        uefi_vars: table.read("uefi_vars", |v| value::choice(v, &UefiVars::ALL)),
        qemu_args: table.read_list("qemu_args", "[\"-device\", \"usb-tablet\"]", argument),
        short_wins,
    }
}

fn disk_of<'f>(
    entries: &DeTable,
    at: usize,
    scope: &str,
    folder: &impl Fn(usize) -> &'f Path,
    notes: &Notes,
) -> DiskFile {
    let table = Table::open(notes, scope, Some(entries), DISK);
    DiskFile {
        at,
        size_mib: table.read("size", |v| {
            value::size(v, "a size such as \"8GiB\"", DISK_SIZE)
        }),
        bus: table.read("bus", |v| value::choice(v, &DiskBus::ALL)),
        keep: table.read("keep", value::boolean),
        base: table.read_at("base", |v, at| file(v, folder(at), "a file")),
        format: table.read("format", |v| value::choice(v, &ImageFormat::ALL)),
    }
}

/// A file, relative to the folder of its lab file.
fn file(value: &DeValue, folder: &Path, what: &str) -> Result<PathBuf, Wrong> {
    let typed = value::text(value, what)?;
    if typed.is_empty() || typed.chars().any(char::is_control) {
        return Err(Wrong::want(what));
    }
    let path = folder.join(typed);
    let parts = path.components();
    Ok(parts.filter(|part| *part != Component::CurDir).collect())
}

/// A model as QEMU's `-cpu` takes it, features and all: `host`, `qemu64,+ssse3`.
fn cpu(value: &DeValue) -> Result<String, Wrong> {
    const WHAT: &str = "a CPU model of QEMU such as \"max\" or \"Skylake-Server,-avx512f\"";
    let typed = value::text(value, WHAT).map_err(|wrong| match value.as_integer() {
        Some(number) => wrong.hint(format!("how many it has is `cpus = {number}`")),
        None => wrong,
    })?;
    let carried = |c: char| c.is_ascii_alphanumeric() || "-_.,+=".contains(c);
    let starts = typed.starts_with(|c: char| c.is_ascii_alphanumeric());
    match starts && typed.len() <= 255 && typed.chars().all(carried) {
        true => Ok(typed.to_owned()),
        false => {
            Err(Wrong::want(WHAT).hint("qemu-system-x86_64 -cpu help lists models and features"))
        }
    }
}

fn cmdline(value: &DeValue) -> Result<String, Wrong> {
    let what = format!("a kernel command line of at most {MOST_CMDLINE} bytes");
    let typed = value::text(value, &what)?;
    match typed.len() <= MOST_CMDLINE && !typed.chars().any(char::is_control) {
        true => Ok(typed.to_owned()),
        false => Err(Wrong::want(what)),
    }
}

/// An argument, which execve(2) ends at a NUL.
fn argument(value: &DeValue) -> Result<String, Wrong> {
    const WHAT: &str = "one argument of QEMU, a string";
    let typed = value::text(value, WHAT)?;
    match typed.contains('\0') {
        true => Err(Wrong::want(WHAT)),
        false => Ok(typed.to_owned()),
    }
}

impl HardwareFile {
    /// The hardware of node `who`; what cannot be is noted.
    pub(super) fn check(self, firmware: Firmware, who: &str, notes: &Notes) -> Hardware {
        let kernel = kernel(self.kernel, self.initrd, self.cmdline, who, notes);
        if let (Firmware::Bios, Read::Given(true, at)) = (firmware, &self.secure_boot) {
            let message = format!("{who}: `secure_boot` is UEFI's, and its firmware is BIOS");
            let hint = "write firmware = \"uefi\" beside it";
            notes.add(Some(*at), message, Some(hint.to_owned()));
        }
        Hardware {
            cpu: self.cpu.or_else(|| "max".to_owned()).value,
            disks: disks(self.disk, self.disks, self.short_wins, who, notes),
            iso: self.iso.or(None).value,
            kernel,
            secure_boot: self.secure_boot.or(false).value,
            tpm: self.tpm.or(None).value,
            uefi_vars: self.uefi_vars.or(UefiVars::Keep).value,
            qemu_args: names(self.qemu_args),
        }
    }
}

fn disks(
    short: Read<Option<u64>>,
    long: Read<Vec<DiskFile>>,
    short_wins: Option<bool>,
    who: &str,
    notes: &Notes,
) -> Vec<Disk> {
    let (files, at) = match (&short, long, short_wins) {
        (Read::Given(_, at), Read::Given(..), None) => {
            let message = format!("{who}: it has `disk` and `disks`");
            let hint = "`disk` is short for one of `disks`: leave it out";
            notes.add(Some(*at), message, Some(hint.to_owned()));
            return Vec::new();
        }
        (_, Read::Given(files, at), None | Some(false)) => (files, at),
        (_, Read::Absent | Read::Bad, _) | (_, Read::Given(..), Some(true)) => {
            let size = short.or(Some(8 << 10)).value;
            return size.map(Disk::usual).into_iter().collect();
        }
    };
    if files.len() > MOST_DISKS {
        let message = format!(
            "{who}: {} disks are too many: {MOST_DISKS} is the most",
            files.len()
        );
        notes.add(Some(at), message, None);
    }
    let files = files.into_iter().enumerate();
    let disks: Vec<Disk> = files
        .map(|(n, file)| disk(file, &format!("{who}: disk {}", n + 1), notes))
        .collect();
    let ahci = disks.iter().filter(|disk| disk.bus == DiskBus::Ahci);
    let ahci = ahci.count();
    if ahci > MOST_AHCI {
        let message =
            format!("{who}: {ahci} disks with bus \"ahci\" are too many: {MOST_AHCI} is the most");
        let hint = "give some of them bus = \"scsi\"";
        notes.add(Some(at), message, Some(hint.to_owned()));
    }
    disks
}

fn disk(file: DiskFile, scope: &str, notes: &Notes) -> Disk {
    let add = |at, message: String, hint: &str| notes.add(Some(at), message, Some(hint.to_owned()));
    match (&file.base, &file.format) {
        (Read::Given(_, at), Read::Absent) => {
            let message = format!("{scope}: its `base` needs a `format`, which is never guessed");
            add(*at, message, "write format = \"qcow2\" or format = \"raw\"");
        }
        (Read::Absent, Read::Given(_, at)) => {
            let message = format!("{scope}: `format` goes with `base`, whose format it is");
            add(*at, message, "leave it out, or name the `base`");
        }
        _ => {}
    }
    if let (Read::Absent, Read::Absent) = (&file.base, &file.size_mib) {
        let message = format!("{scope}: it has neither `size` nor `base`");
        add(file.at, message, "write size = \"8GiB\"");
    }
    let optional = |read: Read<u64>| match read {
        Read::Given(size, _) => Some(size),
        Read::Absent | Read::Bad => None,
    };
    let base = match (file.base, file.format) {
        (Read::Given(file, _), Read::Given(format, _)) => Some(Base { file, format }),
        _ => None,
    };
    Disk {
        size_mib: optional(file.size_mib),
        bus: file.bus.or(DiskBus::Ahci).value,
        keep: file.keep.or(true).value,
        base,
    }
}

fn kernel(
    kernel: Read<PathBuf>,
    initrd: Read<PathBuf>,
    cmdline: Read<String>,
    who: &str,
    notes: &Notes,
) -> Option<Kernel> {
    let file = match kernel {
        Read::Given(file, _) => file,
        Read::Bad => return None,
        Read::Absent => {
            let lost = |key: &str, at| {
                let message = format!("{who}: `{key}` goes with `kernel`");
                let hint = "name the kernel too, such as kernel = \"vmlinuz\"";
                notes.add(Some(at), message, Some(hint.to_owned()));
            };
            if let Read::Given(_, at) = initrd {
                lost("initrd", at);
            }
            if let Read::Given(_, at) = cmdline {
                lost("cmdline", at);
            }
            return None;
        }
    };
    let initrd = match initrd {
        Read::Given(file, _) => Some(file),
        Read::Absent | Read::Bad => None,
    };
    Some(Kernel {
        file,
        initrd,
        cmdline: cmdline.or_else(|| CMDLINE.to_owned()).value,
    })
}

pub(super) fn render(out: &mut String, node: &Node) -> fmt::Result {
    writeln!(out, "cpu = {}", quoted(&node.cpu))?;
    let disks: Vec<String> = node.disks.iter().map(spell_disk).collect();
    writeln!(out, "disks = [{}]", disks.join(", "))?;
    match &node.iso {
        Some(iso) => writeln!(out, "iso = {}", quoted(iso.display()))?,
        None => writeln!(out, "iso = false")?,
    }
    if let Some(kernel) = &node.kernel {
        writeln!(out, "kernel = {}", quoted(kernel.file.display()))?;
        if let Some(initrd) = &kernel.initrd {
            writeln!(out, "initrd = {}", quoted(initrd.display()))?;
        }
        writeln!(out, "cmdline = {}", quoted(&kernel.cmdline))?;
    }
    writeln!(out, "secure_boot = {}", node.secure_boot)?;
    match node.tpm {
        Some(tpm) => writeln!(out, "tpm = {}", quoted(tpm))?,
        None => writeln!(out, "tpm = false")?,
    }
    writeln!(out, "uefi_vars = {}", quoted(node.uefi_vars))?;
    let arguments: Vec<_> = node.qemu_args.iter().map(quoted).collect();
    writeln!(out, "qemu_args = [{}]", arguments.join(", "))
}

fn spell_disk(disk: &Disk) -> String {
    let mut keys = Vec::new();
    if let Some(mib) = disk.size_mib {
        keys.push(format!("size = {}", quoted(spell_size(mib))));
    }
    keys.push(format!("bus = {}, keep = {}", quoted(disk.bus), disk.keep));
    if let Some(base) = &disk.base {
        let (file, format) = (quoted(base.file.display()), quoted(base.format));
        keys.push(format!("base = {file}, format = {format}"));
    }
    format!("{{ {} }}", keys.join(", "))
}
