//! The image, built from this host's kernel and booted under emulation: what it says,
//! what it obeys, and that the menu offers it. Needs qemu-system-x86, a full kernel
//! (linux-image-amd64), busybox-static, xz and zstd; without one of them it fails.

#[path = "image/guest.rs"]
mod guest;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use guest::{Folder, Guest, Web};
use nsplay::image::boot_entries::{Entry, Script, discover};
use nsplay::image::{Built, Compression, ImageError, Options, Progress, build};

const MAC: &str = "00:aa:bb:cc:dd:ee";

/// The image, built once for all tests.
fn image() -> &'static Built {
    static IMAGE: OnceLock<(Folder, Built)> = OnceLock::new();
    &IMAGE
        .get_or_init(|| {
            let folder = Folder::new();
            let built = quietly(&Options::new(folder.path().join("image"))).unwrap();
            (folder, built)
        })
        .1
}

fn quietly(options: &Options) -> Result<Built, ImageError> {
    build(options, &mut |_| {})
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Boots the image without firmware, with this kernel command line and these devices.
fn boot(command_line: &str, devices: &str) -> Guest {
    let image = image();
    let append = format!("console=tty0 console=ttyS0,115200 quiet {command_line}");
    let mut arguments = words(devices);
    for (option, value) in [
        ("-kernel", image.vmlinuz().display().to_string()),
        ("-initrd", image.initrd().display().to_string()),
        ("-append", append),
    ] {
        arguments.extend([option.to_owned(), value]);
    }
    Guest::start(&arguments)
}

/// One card behind QEMU's own DHCP server, which calls the guest node1.
fn card(model: &str) -> String {
    format!("-netdev user,id=n,hostname=node1 -device {model},netdev=n,mac={MAC}")
}

#[test]
fn a_node_comes_up_says_so_and_reports_itself() {
    let web = Web::serve(|_| BTreeMap::new());
    let server = web.address();
    let mut guest = boot(
        &format!("nsplay.node=worker7 nsplay.server={server}"),
        &card("e1000e"),
    );
    let kernel = &image().kernel;
    guest.shows(&format!(
        "nsplay: worker7 is up: 10.0.2.15 ({MAC}), kernel {kernel}, "
    ));
    web.is_asked(&format!(
        "GET /nsplay/hello?node=worker7&address=10.0.2.15&mac={MAC} "
    ));
    guest.shows("worker7:/# ");
    guest.types("echo 6x7=$((6*7))");
    guest.shows("6x7=42");
}

#[test]
fn a_node_runs_what_its_server_gives_it_and_has_ipmitool() {
    assert!(
        image().programs.iter().any(|name| name == "ipmitool"),
        "scripts/install-deps installs it"
    );
    let web = Web::serve(|_| {
        let script = "echo ran once; ipmitool -V; ipmitool -V | tr a-z A-Z";
        [("jobs/mine.sh".to_owned(), script.as_bytes().to_vec())].into()
    });
    let server = web.address();
    let guest = boot(
        &format!("nsplay.server={server} nsplay.run=jobs/mine.sh"),
        &card("e1000e"),
    );
    guest.shows("ipmitool version ");
    let all = guest.shows("IPMITOOL VERSION ");
    assert_eq!(all.matches("ran once").count(), 1, "{all}");
}

#[test]
fn a_node_takes_its_name_from_dhcp_and_obeys_the_power_button() {
    let guest = boot("", &card("e1000e"));
    guest.shows("nsplay: node1 is up: 10.0.2.15");
    guest.press_power_button();
    guest.ends();
}

#[test]
fn poweroff_and_reboot_work_at_the_shell() {
    for command in ["poweroff", "reboot"] {
        let mut guest = boot("", &card("virtio-net-pci"));
        guest.shows("node1:/# ");
        guest.types(command);
        guest.shows(&format!("nsplay: {command}"));
        guest.ends();
    }
}

#[test]
fn every_kind_of_card_comes_up() {
    let mut devices = String::new();
    let models = ["e1000e", "virtio-net-pci", "e1000", "vmxnet3", "rtl8139"];
    let macs: Vec<_> = (1..=models.len())
        .map(|n| format!("00:aa:bb:cc:dd:0{n}"))
        .collect();
    for (n, (model, mac)) in models.iter().zip(&macs).enumerate() {
        let net = format!("192.168.{n}.0/24");
        devices +=
            &format!(" -netdev user,id=n{n},net={net} -device {model},netdev=n{n},mac={mac}");
    }
    let guest = boot("", &devices);
    for mac in macs {
        guest.shows(&format!(" ({mac}), kernel"));
    }
}

#[test]
fn without_dhcp_a_node_says_so_and_gives_a_shell() {
    let mut guest = boot(
        "nsplay.node=lonely",
        "-netdev hubport,hubid=0,id=n -device e1000e,netdev=n",
    );
    guest.shows("nsplay: lonely: no DHCP answer yet on eth0; still trying");
    guest.shows("lonely:/# ");
    guest.types("echo 6x7=$((6*7))");
    guest.shows("6x7=42");
}

#[test]
fn a_node_without_a_card_says_so_and_gives_a_shell() {
    let guest = boot("", "");
    guest.shows("nsplay: node: no network card that this image has a driver for");
    guest.shows("node:/# ");
}

/// What a lab serves: the menu of the repository, entries.ipxe, and the entries' files.
fn lab(entries: &[Entry], default: &str, timeout_ms: u32) -> Web {
    Web::serve(|server| {
        let script = Script {
            server,
            entries,
            default: Some(default),
            timeout_ms: Some(timeout_ms),
            internet: false,
        };
        let menu = include_bytes!("../webroot/boot.ipxe").to_vec();
        let mut files = BTreeMap::from([
            ("boot.ipxe".to_owned(), menu),
            ("nsplay/entries.ipxe".to_owned(), script.to_string().into()),
        ]);
        for (served, source) in entries.iter().flat_map(|entry| &entry.files) {
            files.insert(format!("nsplay/{served}"), fs::read(source).unwrap());
        }
        files
    })
}

/// Boots from the network: the card's iPXE gets the menu's URL from DHCP. SeaBIOS
/// repeats the screen on the serial line where a machine has no graphics.
fn netboot(web: &Web) -> Guest {
    let url = format!("http://{}/boot.ipxe", web.address());
    Guest::start(&words(&format!(
        "-machine graphics=off -boot n -netdev user,id=n,hostname=node1,bootfile={url} \
         -device e1000e,netdev=n,mac={MAC}"
    )))
}

#[test]
fn the_menu_boots_the_image_at_once_where_the_lab_says_so() {
    let entries = discover(Some(&image().output), Path::new("/nonexistent"));
    let web = lab(&entries, "image", 0);
    let guest = netboot(&web);
    guest.shows("nsplay: node1 is up: 10.0.2.15");
    let requests = web.is_asked(&format!(
        "GET /nsplay/hello?node=node1&address=10.0.2.15&mac={MAC} "
    ));
    assert!(
        requests.contains("GET /nsplay/image/vmlinuz "),
        "{requests}"
    );
}

#[test]
fn the_menu_offers_what_is_there_and_nothing_else() {
    let entries = discover(Some(&image().output), Path::new("/nonexistent"));
    let guest = netboot(&lab(&entries, "memtest", 60_000));
    let screen = guest.shows("iPXE shell");
    assert!(screen.contains("nsplay image"), "{screen}");
    assert!(screen.contains("Local disk"), "{screen}");
    for absent in ["memtest86+", "Debian", "netboot.xyz"] {
        assert!(!screen.contains(absent), "{absent} is offered:\n{screen}");
    }
}

#[test]
fn an_image_that_is_half_there_is_not_offered() {
    let folder = Folder::new();
    folder.write("vmlinuz", b"");
    assert_eq!(discover(Some(folder.path()), Path::new("/nonexistent")), []);
}

#[test]
fn the_newest_installer_and_both_memtests_are_found() {
    let root = Folder::new();
    root.write("boot/memtest86+x64.bin", b"");
    root.write("boot/memtest86+x64.efi", b"");
    for release in ["9", "12", "13"] {
        let folder =
            format!("usr/lib/debian-installer/images/{release}/amd64/text/debian-installer/amd64");
        root.write(&format!("{folder}/linux"), b"");
        if release != "13" {
            root.write(&format!("{folder}/initrd.gz"), b"");
        }
    }
    let entries = discover(None, root.path());
    let titles: Vec<_> = entries.iter().map(|entry| entry.title.as_str()).collect();
    assert_eq!(titles, ["memtest86+", "memtest86+", "Debian 12 installer"]);
    assert_eq!(entries[1].files[0].0, "memtest-efi/memtest.efi");
}

#[test]
fn building_twice_gives_the_same_bytes() {
    let folder = Folder::new();
    for compression in [Compression::None, Compression::Gzip] {
        let once = |name: &str| {
            let mut options = Options::new(folder.path().join(name));
            options.compression = compression;
            let built = quietly(&options).unwrap();
            [built.vmlinuz(), built.initrd(), built.manifest()].map(|path| fs::read(path).unwrap())
        };
        assert!(once("a") == once("b"), "{compression:?} differs");
    }
    let names: Vec<_> = fs::read_dir(folder.path().join("a"))
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(names.len(), 3, "a build leaves three files: {names:?}");
}

#[test]
fn packed_modules_give_the_same_image() {
    let image = image();
    let tree = Path::new("/lib/modules").join(&image.kernel);
    let dep = fs::read_to_string(tree.join("modules.dep")).unwrap();
    assert!(
        dep.contains("/e1000e.ko:"),
        "this test needs a kernel with plain modules"
    );
    let expected = fs::read(image.initrd()).unwrap();
    for (suffix, packer) in [
        ("xz", "xz --check=crc32"),
        ("zst", "zstd -q --rm"),
        ("gz", "gzip"),
    ] {
        let packed = Folder::new();
        packed.write(
            "modules.dep",
            dep.replace(".ko", &format!(".ko.{suffix}")).as_bytes(),
        );
        for index in ["modules.alias", "modules.builtin"] {
            packed.write(index, &fs::read(tree.join(index)).unwrap());
        }
        for file in dep.lines().filter_map(|line| line.split(':').next()) {
            let name = file.rsplit('/').next().unwrap().replace('-', "_");
            if image
                .modules
                .iter()
                .any(|module| name == format!("{module}.ko"))
            {
                packed.write(file, &fs::read(tree.join(file)).unwrap());
                let packer = words(packer);
                let status = Command::new(&packer[0])
                    .args(&packer[1..])
                    .arg(packed.path().join(file))
                    .status()
                    .unwrap_or_else(|error| panic!("{} has to be installed: {error}", packer[0]));
                assert!(status.success());
            }
        }
        let output = Folder::new();
        let mut options = Options::new(output.path());
        options.module_tree = Some(packed.path().to_owned());
        let built = quietly(&options).unwrap();
        assert!(
            fs::read(built.initrd()).unwrap() == expected,
            ".ko.{suffix} differs"
        );
    }
}

/// A file with the header of a kernel of this version.
fn kernel(version: &str) -> Vec<u8> {
    let mut bytes = vec![0; 0x300];
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x20f] = 1;
    bytes.extend_from_slice(version.as_bytes());
    bytes.extend_from_slice(b" (someone) #1 SMP\0");
    bytes
}

/// Which kernel is taken of those in `root`, which has no busybox to go on with.
fn chosen(root: &Folder) -> Option<String> {
    let mut options = Options::new(root.path().join("image"));
    options.root = root.path().to_owned();
    let mut chosen = None;
    let error = build(&options, &mut |progress| {
        if let Progress::Kernel { version, .. } = progress {
            chosen = Some(version);
        }
    });
    assert!(error.is_err());
    chosen
}

#[test]
fn a_full_kernel_is_taken_before_a_newer_cloud_one() {
    let root = Folder::new();
    for (version, nic) in [
        ("6.1.0-9-amd64", "e1000e"),
        ("6.1.0-56-amd64", "e1000e"),
        ("6.1.0-57-cloud-amd64", "virtio_net"),
    ] {
        root.write(&format!("boot/vmlinuz-{version}"), &kernel(version));
        root.write(
            &format!("lib/modules/{version}/modules.dep"),
            format!("k/{nic}.ko:\n").as_bytes(),
        );
    }
    assert_eq!(chosen(&root).as_deref(), Some("6.1.0-56-amd64"));
}

#[test]
fn a_kernel_is_found_under_any_name_and_in_its_module_tree() {
    for (path, version) in [
        ("boot/vmlinuz-lts", "6.6.60-0-lts"),
        (
            "lib/modules/6.12.1-200.fc41.x86_64/vmlinuz",
            "6.12.1-200.fc41.x86_64",
        ),
    ] {
        let root = Folder::new();
        root.write(path, &kernel(version));
        root.write(
            &format!("lib/modules/{version}/modules.dep"),
            b"k/e1000e.ko.zst:\n",
        );
        assert_eq!(chosen(&root).as_deref(), Some(version));
    }
}

/// The error and hint of a build in `root`, which stands as ROOT in them.
fn refusal(root: &Folder, change: impl FnOnce(&mut Options)) -> String {
    let mut options = Options::new(root.path().join("image"));
    options.root = root.path().to_owned();
    change(&mut options);
    let error = quietly(&options).unwrap_err();
    let hint = error.hint().unwrap_or_default();
    format!("{error}\nhint: {hint}").replace(&root.path().display().to_string(), "ROOT")
}

#[test]
fn what_is_missing_is_named_with_the_package_to_install() {
    let root = Folder::new();
    root.write("usr/bin/apt-get", b"");
    assert_eq!(
        refusal(&root, |_| {}),
        "cannot find a kernel in ROOT/boot or ROOT/lib/modules\n\
         hint: install one: apt install linux-image-amd64"
    );
    root.write("boot/vmlinuz-6.1", &kernel("6.1"));
    assert_eq!(
        refusal(&root, |_| {}),
        "cannot find the modules of kernel ROOT/boot/vmlinuz-6.1: there is no ROOT/lib/modules/6.1/modules.dep\n\
         hint: install a full kernel (not a cloud or virtual one) and its modules: apt install linux-image-amd64"
    );
    root.write("lib/modules/6.1/modules.dep", b"k/ext4.ko:\n");
    assert_eq!(
        refusal(&root, |_| {}),
        "cannot use kernel ROOT/boot/vmlinuz-6.1: no driver of a node's network card is in ROOT/lib/modules/6.1\n\
         hint: install a full kernel (not a cloud or virtual one) and its modules: apt install linux-image-amd64"
    );
    root.write("lib/modules/6.1/modules.dep", b"k/e1000e.ko:\n");
    assert_eq!(
        refusal(&root, |_| {}),
        "cannot find busybox in ROOT\nhint: install a full one: apt install busybox-static"
    );
    root.write("usr/bin/fish", b"#!/bin/sh\n");
    let fish = root.path().join("usr/bin/fish");
    assert_eq!(
        refusal(&root, |options| options.kernel = Some(fish)),
        "cannot find a kernel's version in ROOT/usr/bin/fish: it is no x86 bzImage\n\
         hint: give the kernel as a distribution packages it, often called vmlinuz"
    );
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let folder = Folder::new();
    folder.write("file", b"");
    let output = folder.path().join("file/image");
    let error = quietly(&Options::new(&output)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot write {}", output.display())
    );
}
