//! The whole way from power-on to a Linux that says it is up.

use crate::host::Host;

#[test]
fn a_node_boots_over_pxe_and_boots_again_after_a_power_cycle() {
    let host = Host::new();
    host.nsplay(&["up", "-d"]).ok();
    host.prints("node1", "nsplay: node1 is up: 192.168.25.1", 1);
    for (member, line) in [
        ("dhcp", "DHCPDISCOVER(eth0) 00:aa:bb:cc:dd:ee"),
        ("dhcp", "DHCPOFFER(eth0) 192.168.25.1"),
        ("web", "GET /boot.ipxe 200"),
        ("web", "GET /nsplay/image/vmlinuz 200"),
        ("web", "GET /nsplay/image/initrd.img 200"),
    ] {
        host.prints(member, line, 1);
    }
    // It has told the lab, in its own words.
    host.prints(
        "web",
        "GET /nsplay/hello?node=node1&address=192.168.25.1",
        1,
    );

    host.ipmitool(&["power", "cycle"]).ok();
    host.prints("web", "GET /boot.ipxe 200", 2);
    host.prints("node1", "nsplay: node1 is up: 192.168.25.1", 2);

    // The guest obeys the power button, and its going shows.
    host.ipmitool(&["power", "soft"]).ok();
    host.is_switched("off", "the guest (guest-shutdown)");
    assert_eq!(
        host.ipmitool(&["power", "status"]).ok().out,
        "Chassis Power is off\n"
    );
}

#[test]
fn a_uefi_node_boots_over_pxe_too() {
    let host = Host::new();
    host.write("nsplay.toml", "[node.node1]\nfirmware = \"uefi\"\n");
    host.nsplay(&["up", "-d"]).ok();
    host.prints("node1", "nsplay: node1 is up: 192.168.25.1", 1);
}

#[test]
fn the_disk_outlives_the_lab() {
    let host = Host::new();
    host.write(
        "nsplay.toml",
        "[node.node1]\ndisk = \"16MiB\"\npower = \"off\"\n",
    );
    host.nsplay(&["up", "-d"]).ok();
    let disk = host.at("/var/lib/nsplay/default/node1/disk.raw");
    assert_eq!(std::fs::metadata(&disk).unwrap().len(), 16 << 20);
    assert_eq!(
        host.nsplay(&["power", "node1", "status"]).ok().out,
        "node1: off\n"
    );
    host.nsplay(&["down"]).ok();
    std::fs::write(&disk, "mine").unwrap();
    host.nsplay(&["up", "-d"]).ok();
    assert!(std::fs::read(&disk).unwrap().starts_with(b"mine"));
}
