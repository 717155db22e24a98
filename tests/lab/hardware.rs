//! What a node is made of, proved by what its firmware boots and its guest sees.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::boot_devices::{DISK, SECTOR, efi_system};
use crate::host::{Host, ran};

/// The folder of a node's files.
const STATE: &str = "/var/lib/nsplay/default/node1";

/// A raw image with the boot sector of the other tests, which says something of its own.
fn boot_sector(says: &str) -> Vec<u8> {
    let mut image = SECTOR.to_vec();
    let at = image.len() - DISK.len() - 3;
    assert_eq!(says.len(), DISK.len());
    image[at..at + says.len()].copy_from_slice(says.as_bytes());
    image.resize(510, 0);
    image.extend([0x55, 0xaa]);
    image
}

/// A CD (ISO 9660) with nothing but what El Torito needs to start `image`: as it is on BIOS
/// (platform 0), as a FAT file system on UEFI (platform 0xef).
fn bootable_cd(image: &[u8], platform: u8) -> Vec<u8> {
    const SECTOR: usize = 2048;
    let mut cd = vec![0; 20 * SECTOR];
    let mut put = |sector: usize, at: usize, bytes: &[u8]| {
        let at = sector * SECTOR + at;
        cd[at..at + bytes.len()].copy_from_slice(bytes);
    };
    put(16, 0, b"\x01CD001\x01");
    put(17, 0, b"\0CD001\x01EL TORITO SPECIFICATION");
    put(17, 0x47, &19_u32.to_le_bytes());
    put(18, 0, b"\xffCD001\x01");
    // The catalogue: its own entry, whose words add up to zero, and the one to boot from.
    let words = [1_u8, platform, 0, 0];
    put(19, 0, &words);
    put(19, 30, b"\x55\xaa");
    let sum = u16::from_le_bytes([1, platform]).wrapping_add(0xaa55);
    put(19, 28, &sum.wrapping_neg().to_le_bytes());
    let sectors = u16::try_from(image.len().div_ceil(512)).unwrap_or(u16::MAX);
    put(19, 32, &[0x88, 0, 0, 0, 0, 0]);
    put(19, 38, &sectors.to_le_bytes());
    put(19, 40, &20_u32.to_le_bytes());
    cd.extend(image);
    let whole = cd.len().next_multiple_of(SECTOR).max(400 * SECTOR);
    cd.resize(whole, 0);
    let blocks = u32::try_from(whole / SECTOR).unwrap();
    let at = 16 * SECTOR + 80;
    cd[at..at + 4].copy_from_slice(&blocks.to_le_bytes());
    cd[at + 4..at + 8].copy_from_slice(&blocks.to_be_bytes());
    cd
}

/// Bytes of a disk image, as qemu-img reads it with all that lies below.
fn read_image(path: &Path, format: &str, to: &Path) -> Vec<u8> {
    let convert = ran(Command::new("qemu-img")
        .args(["convert", "-U", "-f", format, "-O", "raw"])
        .args([path, to]));
    convert.ok();
    fs::read(to).unwrap()
}

/// Starts at the file system of the image, whose kernel and initrd a lab file can name.
fn image(host: &Host, name: &str) -> PathBuf {
    let to = host.folder().join(name);
    fs::copy(host.at("/var/lib/nsplay/.image").join(name), &to).unwrap();
    to
}

#[test]
fn a_bios_node_boots_from_each_kind_of_disk_and_from_its_cd() {
    let host = Host::new();
    let mut lab = String::from("[defaults]\nmemory = \"64MiB\"\n");
    for bus in ["ahci", "virtio", "nvme", "scsi"] {
        let says = format!("this is {bus:<8}");
        fs::write(host.folder().join(bus), boot_sector(&says)).unwrap();
        lab += &format!(
            "[node.{bus}]\nboot = [\"disk2\"]\ndisks = [{{ size = \"1MiB\" }}, \
             {{ bus = \"{bus}\", base = \"{bus}\", format = \"raw\", size = \"2MiB\" }}]\n"
        );
    }
    let cd = bootable_cd(&boot_sector("this is the CD  "), 0);
    fs::write(host.folder().join("a,b.iso"), cd).unwrap();
    // The files are for others, their folder is not.
    ran(Command::new("chmod").arg("0700").arg(host.folder())).ok();
    lab += "[node.cd]\nboot = [\"network\", \"cdrom\"]\niso = \"a,b.iso\"\nnetwork = false\n";
    let lab = lab.replace(
        "network = false\n",
        "power = \"off\"\nbmc = { publish = \"127.0.0.1:6230\" }\n",
    );
    host.write("nsplay.toml", &lab);
    host.nsplay(&["up", "-d"]).ok();
    let cd = [
        "-H",
        "127.0.0.1",
        "-p",
        "6230",
        "-U",
        "admin",
        "-P",
        "admin",
    ];
    let order = |words: &[&str]| host.run("ipmitool", &[&cd, words].concat()).ok();
    order(&["chassis", "bootdev", "cdrom"]);
    order(&["power", "on"]);
    for bus in ["ahci", "virtio", "nvme", "scsi"] {
        host.prints(bus, &format!("this is {bus}"), 1);
    }
    host.prints("cd", "boots from the cdrom first, this once", 1);
    host.prints("cd", "this is the CD", 1);
}

#[test]
fn a_kernel_of_the_lab_file_sees_each_disk_the_cd_and_the_tpm_and_disks_keep_what_they_should() {
    let host = Host::new();
    image(&host, "vmlinuz");
    image(&host, "initrd.img");
    let at = |name: &str| host.folder().join(name);
    let base = vec![b'b'; 3 << 20];
    fs::write(at("base.raw"), &base).unwrap();
    let convert = [
        "convert",
        "-f",
        "raw",
        "-O",
        "qcow2",
        "base.raw",
        "base.qcow2",
    ];
    host.run("qemu-img", &convert).ok();
    let qcow2 = fs::read(at("base.qcow2")).unwrap();
    fs::write(
        at("cd.iso"),
        bootable_cd(&boot_sector("this is the CD  "), 0),
    )
    .unwrap();
    let lab = "[node.node1]\ncpu = \"qemu64,+rdrand\"\nfirmware = \"bios\"\ntpm = true\n\
        disks = [\n\
        { size = \"4MiB\" },\n\
        { bus = \"virtio\", base = \"base.raw\", format = \"raw\", size = \"5MiB\" },\n\
        { bus = \"nvme\", base = \"base.qcow2\", format = \"qcow2\", keep = false },\n\
        { bus = \"scsi\", size = \"7MiB\", keep = false },\n]\n\
        iso = \"cd.iso\"\nkernel = \"vmlinuz\"\ninitrd = \"initrd.img\"\n\
        cmdline = \"console=ttyS0 nsplay.server=192.168.25.3 nsplay.run=look.sh\"\n\
        qemu_args = [\"-fw_cfg\", \"name=opt/nsplay/test,string=escape hatch\"]\n";
    host.write("nsplay.toml", lab);
    host.write(
        "webroot/look.sh",
        "for disk in sr0 sda sdb vda nvme0n1; do
            until [ -e /sys/class/block/$disk ]; do sleep 0.1; done
            read -r size <\"/sys/class/block/$disk/size\"
            echo \"$size sectors: $disk\"
            [ $disk = sr0 ] || printf written | dd of=/dev/$disk bs=512 seek=1 conv=fsync
        done
        read -r version </sys/class/tpm/tpm0/tpm_version_major
        echo \"the TPM is a $version\"
        grep -m 1 'model name' /proc/cpuinfo
        echo \"first bytes: $(dd if=/dev/nvme0n1 bs=4 count=1)\"
        echo looked\n",
    );
    host.nsplay(&["up", "-d"]).ok();
    let swtpm = host.process("swtpm");
    host.prints("node1", "looked", 1);
    for seen in [
        // Which of the two is found first is not promised.
        "8192 sectors: sd",
        "14336 sectors: sd",
        "10240 sectors: vda",
        "6144 sectors: nvme0n1",
        "1600 sectors: sr0",
        "the TPM is a 2",
        "QEMU Virtual CPU",
        "first bytes: bbbb",
    ] {
        host.prints("node1", seen, 1);
    }
    // The TPM outlives the node's power, and is mended like any other program.
    host.nsplay(&["power", "node1", "off"]).ok();
    assert_eq!(host.process("swtpm"), swtpm);
    host.shell(&format!("kill -9 {swtpm}")).ok();
    host.until("swtpm is there again", || {
        host.processes("swtpm").len() == 1
    });
    let said = host.nsplay(&["inspect", "node1"]).ok().out;
    for line in [
        "1, qemu64,+rdrand",
        "5 MiB, virtio, serial",
        "7 MiB, scsi",
        "TPM             2.0, crb",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    host.nsplay(&["down"]).ok();
    assert!(host.at(STATE).join("tpm/tpm2-00.permall").exists());
    assert_eq!(
        fs::read(at("base.raw")).unwrap(),
        base,
        "the base was written to"
    );
    assert_eq!(
        fs::read(at("base.qcow2")).unwrap(),
        qcow2,
        "the base was written to"
    );
    let written = |name: &str, format: &str| {
        let image = read_image(&host.at(STATE).join(name), format, &at("read"));
        (image.len(), image[512..].starts_with(b"written"))
    };
    assert_eq!(written("disk3.fresh.qcow2", "qcow2"), (3 << 20, true));
    host.write("nsplay.toml", &format!("{lab}power = \"off\"\n"));
    host.nsplay(&["up", "-d"]).ok();
    assert_eq!(written("disk.raw", "raw"), (4 << 20, true));
    assert_eq!(written("disk2.qcow2", "qcow2"), (5 << 20, true));
    assert_eq!(written("disk3.fresh.qcow2", "qcow2"), (3 << 20, false));
    assert_eq!(written("disk4.fresh.raw", "raw"), (7 << 20, false));
    host.nsplay(&["down"]).ok();

    // A base that is no longer what the kept disk was laid over would be another disk.
    fs::write(at("base.raw"), vec![b'c'; 3 << 20]).unwrap();
    host.nsplay(&["up", "-d"]).fails(
        2,
        &[
            "node `node1`: its base",
            "base.raw has changed since",
            "hint: rm /var/lib/nsplay",
        ],
    );
}

#[test]
fn a_base_that_leads_elsewhere_or_is_not_what_it_is_said_to_be_is_refused() {
    let host = Host::new();
    let before = host.inventory();
    let script = "umask 022
        echo secret >secret; chmod 600 secret
        qemu-img create -q -f qcow2 -u -b /etc/shadow -F raw backed.qcow2 1M
        qemu-img create -q -f qcow2 -o data_file=data,data_file_raw=on apart.qcow2 1M
        qemu-img create -q -f qcow2 good.qcow2 2M
        qemu-img create -q -f vmdk disk.vmdk 1M
        truncate -s 1M plain.raw
        mkfifo fifo
        mkdir folder";
    host.shell(script).ok();
    for (disk, words) in [
        (
            "base = \"backed.qcow2\", format = \"qcow2\"",
            &[
                "backed.qcow2 has a backing file itself: /etc/shadow",
                "hint: make one that stands by itself",
            ][..],
        ),
        (
            "base = \"apart.qcow2\", format = \"qcow2\"",
            &["has its data in another file"],
        ),
        (
            "base = \"good.qcow2\", format = \"raw\"",
            &[
                "good.qcow2 is a qcow2 image",
                "hint: write format = \"qcow2\"",
            ],
        ),
        (
            "base = \"disk.vmdk\", format = \"qcow2\"",
            &["disk.vmdk is a VMDK image"],
        ),
        (
            "base = \"plain.raw\", format = \"qcow2\"",
            &["plain.raw is no qcow2 image"],
        ),
        (
            "base = \"good.qcow2\", format = \"qcow2\", size = \"1MiB\"",
            &["holds a disk of 2 MiB, more than its `size`"],
        ),
        (
            "base = \"secret\", format = \"raw\"",
            &["secret: ", " may not read it", "hint: chmod o+r"],
        ),
        (
            "base = \"fifo\", format = \"raw\"",
            &["fifo: it is no regular file"],
        ),
        (
            "base = \"nowhere\", format = \"raw\"",
            &["nowhere: there is no such file"],
        ),
    ] {
        host.write(
            "nsplay.toml",
            &format!("[node.node1]\ndisks = [{{ {disk} }}]\n"),
        );
        host.nsplay(&["up", "-d"]).fails(2, words);
    }
    host.write(
        "nsplay.toml",
        "[node.node1]\ncpu = \"z80\"\nboot = [\"network\"]\niso = \"folder\"\nkernel = \"k\"\ninitrd = \"i\"\n\
         [node.node2]\naccel = \"tcg\"\ncpu = \"host\"\n",
    );
    let words = [
        "node `node1`: its iso",
        "folder: it is no regular file",
        "node `node1`: its kernel",
        "node `node1`: its initrd",
        "QEMU has no CPU model \"z80\"",
        "node `node2`: cpu \"host\" needs KVM",
    ];
    host.nsplay(&["up", "-d"]).fails(2, &words);
    host.is_as_before(&before);
    assert!(!host.at("/var/lib/nsplay/default").exists());
}

/// A FAT disk image of the host with these files.
fn fat(host: &Host, name: &str, mib: u64, files: &[(&str, &[u8])]) {
    let mut options = fs::File::options();
    let options = options.read(true).write(true).create_new(true);
    let disk = options.open(host.folder().join(name)).unwrap();
    disk.set_len(mib << 20).unwrap();
    efi_system(&disk, files);
}

/// Where distributions put what they have signed for Secure Boot: a shim, and the GRUB that it
/// starts.
const SIGNED: [[&str; 3]; 2] = [
    [
        "/usr/lib/shim/shimx64.efi.signed",
        "/boot/efi/EFI/fedora/shimx64.efi",
        "/usr/share/efi/x86_64/shim.efi",
    ],
    [
        "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
        "/boot/efi/EFI/fedora/grubx64.efi",
        "/usr/share/efi/x86_64/grub.efi",
    ],
];

/// The shim and the GRUB of this distribution.
fn signed() -> [Vec<u8>; 2] {
    SIGNED.map(|places| {
        let found = places.into_iter().find_map(|place| fs::read(place).ok());
        found.unwrap_or_else(|| {
            panic!("none of {places:?}: scripts/install-deps --test installs it")
        })
    })
}

#[test]
fn a_secure_node_starts_the_signed_shim_grub_and_kernel_and_nothing_unsigned() {
    let host = Host::new();
    let [shim, grub] = signed();
    let kernel = fs::read(image(&host, "vmlinuz")).unwrap();
    let menu = "echo GRUB was started\nlinux /vmlinuz console=ttyS0 panic=-1\nboot\n";
    let files: [(&str, &[u8]); 5] = [
        ("EFI/BOOT/BOOTX64.EFI", &shim),
        ("EFI/BOOT/grubx64.efi", &grub),
        ("EFI/BOOT/grub.cfg", menu.as_bytes()),
        ("EFI/debian/grub.cfg", menu.as_bytes()),
        ("vmlinuz", &kernel),
    ];
    fat(&host, "signed.img", 32, &files);
    let ipxe = fs::read("/usr/lib/ipxe/ipxe.efi").unwrap();
    fat(&host, "unsigned.img", 8, &[("EFI/BOOT/BOOTX64.EFI", &ipxe)]);
    host.write(
        "nsplay.toml",
        "[node.node1]\nfirmware = \"uefi\"\nsecure_boot = true\ntpm = \"tis\"\n\
         boot = [\"disk2\", \"disk\"]\ndisks = [\n\
         { base = \"signed.img\", format = \"raw\" },\n\
         { base = \"unsigned.img\", format = \"raw\", bus = \"virtio\" },\n]\n",
    );
    host.nsplay(&["up", "-d"]).ok();
    host.prints("node1", "Access Denied", 1);
    host.prints("node1", "GRUB was started", 1);
    host.prints("node1", "Secure boot enabled", 1);
    // The firmware hands over the log of what it has measured into the TPM.
    host.prints("node1", "TPMFinalLog", 1);
    let lines = host.lines("node1");
    assert!(
        !lines.iter().any(|line| line.contains("iPXE")),
        "{lines:#?}"
    );
    let said = host.nsplay(&["inspect", "node1"]).ok().out;
    assert!(said.contains("uefi, Secure Boot"), "{said}");
}

#[test]
fn a_node_installs_a_system_to_its_disk_and_boots_it_from_then_on() {
    let host = Host::new();
    let [_, grub] = signed();
    let [kernel, initrd] =
        ["vmlinuz", "initrd.img"].map(|file| fs::read(image(&host, file)).unwrap());
    let menu = "echo GRUB was started\nlinux /vmlinuz console=ttyS0 quiet nsplay.node=installed\n\
        initrd /initrd.img\nboot\n";
    let files: [(&str, &[u8]); 5] = [
        ("EFI/BOOT/BOOTX64.EFI", &grub),
        ("EFI/BOOT/grub.cfg", menu.as_bytes()),
        ("EFI/debian/grub.cfg", menu.as_bytes()),
        ("vmlinuz", &kernel),
        ("initrd.img", &initrd),
    ];
    fs::create_dir(host.folder().join("webroot")).unwrap();
    fat(&host, "webroot/system.img", 32, &files);
    host.write(
        "webroot/boot.ipxe",
        "#!ipxe\nchain --autofree nsplay/entries.ipxe\n\
         kernel ${nsplay-image}/vmlinuz initrd=initrd.img console=ttyS0 quiet \
         nsplay.server=${nsplay-server} nsplay.node=installer nsplay.run=install.sh || shell\n\
         initrd ${nsplay-image}/initrd.img || shell\nboot\n",
    );
    host.write(
        "webroot/install.sh",
        // Its name is there a little before it can be opened.
        "until head -c 1 /dev/vda >/dev/null 2>&1; do sleep 0.1; done
        wget -q -O - http://192.168.25.3/system.img | dd of=/dev/vda bs=1M conv=fsync && echo all is written\n",
    );
    let lab =
        "[node.node1]\nfirmware = \"uefi\"\ndisks = [{ size = \"64MiB\", bus = \"virtio\" }]\n";
    host.write("nsplay.toml", lab);
    host.nsplay(&["up", "-d"]).ok();
    host.prints("node1", "all is written", 1);
    let to_disk = ["chassis", "bootdev", "disk", "options=persistent,efiboot"];
    host.ipmitool(&to_disk).ok();
    host.ipmitool(&["power", "cycle"]).ok();
    host.prints("node1", "boots from the disk first, each time", 1);
    host.prints("node1", "GRUB was started", 1);
    host.prints("node1", "nsplay: installed is up", 1);
    host.nsplay(&["down"]).ok();
    host.nsplay(&["up", "-d"]).ok();
    host.prints("node1", "GRUB was started", 1);
}

#[test]
fn a_secure_node_loads_the_signed_shim_and_grub_over_tftp() {
    let host = Host::new();
    let [shim, _] = signed();
    let grub = "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed";
    let root = host.folder().join("tftproot");
    fs::create_dir_all(root.join("grub")).unwrap();
    fs::write(root.join("shimx64.efi"), shim).unwrap();
    fs::copy(grub, root.join("grubx64.efi")).unwrap();
    let menu = "echo GRUB was started over the network\nsleep --verbose 60\n";
    fs::write(root.join("grub/grub.cfg"), menu).unwrap();
    let ipxe = fs::read("/usr/lib/ipxe/ipxe.efi").unwrap();
    fat(&host, "unsigned.img", 8, &[("EFI/BOOT/BOOTX64.EFI", &ipxe)]);
    host.write(
        "nsplay.toml",
        "[node.node1]\nfirmware = \"uefi\"\nsecure_boot = true\n\
         network_boot = \"pxe\"\nboot_file = \"shimx64.efi\"\nboot = [\"disk\", \"network\"]\n\
         disks = [{ base = \"unsigned.img\", format = \"raw\" }]\n",
    );
    host.nsplay(&["up", "-d"]).ok();
    host.prints("node1", "Access Denied", 1);
    host.prints("node1", "GRUB was started over the network", 1);
}
