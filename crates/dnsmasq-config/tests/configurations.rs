//! Whole configurations: what is built is the text that dnsmasq gets.

use std::net::{Ipv4Addr, Ipv6Addr};

use dnsmasq_config::*;

type Fallible = Result<(), Box<dyn std::error::Error>>;

/// The lab that BIOS, UEFI and HTTP boot clients have booted from (dnsmasq 2.90, iPXE, OVMF).
const PXE_LAB: &str = "\
port=0
interface=eth0
bind-interfaces
no-hosts
no-resolv
no-ping
log-dhcp
dhcp-authoritative
dhcp-leasefile=/run/lab/leases
dhcp-range=192.168.25.100,192.168.25.200,255.255.255.0,1h
dhcp-option=option:router,192.168.25.1
enable-tftp
tftp-root=/srv/tftp
dhcp-match=set:ipxe,175
dhcp-match=set:bios,option:client-arch,0
dhcp-match=set:efi64,option:client-arch,7
dhcp-match=set:efi64,option:client-arch,9
dhcp-match=set:efi64http,option:client-arch,16
dhcp-boot=tag:ipxe,http://192.168.25.3/boot.ipxe
dhcp-boot=tag:!ipxe,tag:bios,undionly.kpxe
dhcp-boot=tag:!ipxe,tag:efi64,snponly.efi
dhcp-boot=tag:!ipxe,tag:efi64http,http://192.168.25.3/snponly.efi
dhcp-option-force=tag:!ipxe,tag:efi64http,option:vendor-class,HTTPClient
dhcp-option=tag:ipxe,encap:175,176,1b
enable-ra
quiet-ra
dhcp-range=fd00:c0a8:19::,ra-only,64,1h
dhcp-host=00:aa:bb:cc:dd:ee,node,192.168.25.150
";

fn v4(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 25, last)
}

fn pxe_lab() -> Result<Config, Box<dyn std::error::Error>> {
    let [ipxe, bios, efi64, efi64http] = ["ipxe", "bios", "efi64", "efi64http"].map(Tag::new);
    let (ipxe, bios, efi64, efi64http) = (ipxe?, bios?, efi64?, efi64http?);
    let arch = |tag: &Tag, number| {
        let id = OptionId::named("client-arch")?;
        Match::holding(tag.clone(), id, OptionValue::Number(number, None))
    };
    let boot = |file| BootFile::new(file).map(Boot::new);
    let hour = LeaseTime::from_secs(3600)?;

    let config = Config::builder()
        .with(Directive::Port(0))
        .with(Directive::Interface(InterfaceName::new("eth0")?.into()))
        .with_all([
            Directive::BindInterfaces,
            Directive::NoHosts,
            Directive::NoResolv,
            Directive::NoPing,
            Directive::LogDhcp,
            Directive::DhcpAuthoritative,
        ])
        .with(Directive::DhcpLeaseFile(FilePath::new("/run/lab/leases")?))
        .with(
            Range4::new(v4(100), v4(200))?
                .netmask(Ipv4Addr::new(255, 255, 255, 0))?
                .lease(hour),
        )
        .with(DhcpOption::new(
            OptionId::named("router")?,
            OptionValue::Addresses(vec![v4(1)]),
        )?)
        .with(Directive::EnableTftp(None))
        .with(TftpRoot::from(FilePath::new("/srv/tftp")?))
        .with(Match::sent(ipxe.clone(), OptionId::v4(175)?))
        .with(arch(&bios, 0)?)
        .with(arch(&efi64, 7)?)
        .with(arch(&efi64, 9)?)
        .with(arch(&efi64http, 16)?)
        .with(boot("http://192.168.25.3/boot.ipxe")?.when(ipxe.clone()))
        .with(boot("undionly.kpxe")?.when(!ipxe.clone()).when(bios))
        .with(boot("snponly.efi")?.when(!ipxe.clone()).when(efi64))
        .with(
            boot("http://192.168.25.3/snponly.efi")?
                .when(!ipxe.clone())
                .when(efi64http.clone()),
        )
        .with(Directive::DhcpOptionForce(
            DhcpOption::new(
                OptionId::named("vendor-class")?,
                OptionValue::Text(Text::new("HTTPClient")?),
            )?
            .when(!ipxe.clone())
            .when(efi64http),
        ))
        .with(
            DhcpOption::encapsulated(
                Encapsulation::Option(175),
                OptionId::v4(176)?,
                OptionValue::byte(1),
            )?
            .when(ipxe),
        )
        .with_all([Directive::EnableRa, Directive::QuietRa])
        .with(Range6::advertise("fd00:c0a8:19::".parse()?, RaMode::RaOnly).lifetime(hour))
        .with(
            Host::mac(MacAddr([0x00, 0xaa, 0xbb, 0xcc, 0xdd, 0xee]))
                .hostname(Hostname::new("node")?)
                .address(v4(150)),
        )
        .build()?;
    Ok(config)
}

#[test]
fn the_pxe_lab_is_written_line_by_line() -> Fallible {
    assert_eq!(pxe_lab()?.to_string(), PXE_LAB);
    Ok(())
}

#[test]
fn the_pxe_lab_is_read_with_comments_and_spacing() -> Fallible {
    let spaced: String = PXE_LAB
        .lines()
        .map(|line| format!("\t {}   # why\r\n\n", line.replacen('=', " = ", 1)))
        .collect();
    assert_eq!(format!("# lab\n{spaced}").parse::<Config>()?, pxe_lab()?);
    Ok(())
}

#[test]
fn dns_dhcpv6_and_menus_are_written() -> Fallible {
    let lab = Domain::new("lab.example")?;
    let to: Ipv6Addr = "fd00::1ff".parse()?;
    let config = Config::builder()
        .with(
            Server::new(v4(1))
                .scope(Scope::Domain(lab.clone()))
                .port(5353),
        )
        .with(Local::new(Scope::Domain(lab.clone())))
        .with(Address::new(Scope::Any, Answer::Zero))
        .with(DomainRule::new(lab))
        .with(HostRecord::new(Hostname::new("web")?, v4(3)).address("fd00::3".parse::<Ipv6Addr>()?))
        .with(Range6::new("fd00::100".parse()?, to, 64)?.mode(RaMode::Slaac)?)
        .with(DhcpOption::new(
            OptionId::v6(59)?,
            OptionValue::Text(Text::new("tftp://[fd00::2]/snponly.efi")?),
        )?)
        .with(PxePrompt::new(Text::new("Press F8, or wait")?).timeout(5))
        .with(PxeService::local(PxeArch::X86_PC, Text::new("Local disk")?))
        .with(PxeService::file(
            PxeArch::X86_64_EFI,
            Text::new("iPXE")?,
            BootFile::new("snponly.efi")?,
            None,
        )?)
        .with(
            RaParam::new(InterfaceName::new("eth0")?, 60)?
                .mtu(RaMtu::bytes(1280)?)
                .lifetime(0)?,
        )
        .with(Directive::PidFile(None))
        .with(LogFacility::STDERR)
        .build()?;
    let text = "\
server=/lab.example/192.168.25.1#5353
local=/lab.example/
address=/#/#
domain=lab.example
host-record=web,192.168.25.3,fd00::3
dhcp-range=fd00::100,fd00::1ff,slaac,64
dhcp-option=option6:59,\"tftp://[fd00::2]/snponly.efi\"
pxe-prompt=\"Press F8, or wait\",5
pxe-service=x86PC,\"Local disk\"
pxe-service=x86-64_EFI,iPXE,snponly.efi
ra-param=eth0,mtu:1280,60,0
pid-file
log-facility=-
";
    assert_eq!(config.to_string(), text);
    assert_eq!(text.parse(), Ok(config));
    Ok(())
}

#[test]
fn errors_name_the_line_the_directive_and_the_way_out() {
    let cases = [
        (
            "port=0\ndhcp-rnage=x",
            "line 2: dhcp-rnage: unknown directive; remove it, or look for a spelling mistake (long option names of dnsmasq(8), without dashes)",
        ),
        ("port", "line 1: port: missing value; write `port=...`"),
        (
            "no-ping=1",
            "line 1: no-ping: unexpected value; write `no-ping` alone",
        ),
        (
            "tftp-root=\"/srv",
            "line 1: unclosed quotation mark; add a closing `\"`, or write `\\\"` inside quotes",
        ),
        (
            "port=65536",
            "line 1: port: cannot use `65536` as a number: write digits only, from 0 to 65535",
        ),
        (
            "dhcp-range=192.168.1.9,192.168.1.1",
            "line 1: dhcp-range: cannot use `192.168.1.9,192.168.1.1` as a DHCP range: it ends before it starts",
        ),
        (
            "dhcp-range=10.0.0.1,10.0.1.1,255.255.255.0",
            "line 1: dhcp-range: cannot use `255.255.255.0` as a netmask: the range's start and end are in different subnets",
        ),
        (
            "dhcp-option=option:router,gw",
            "line 1: dhcp-option: cannot use `gw` as an IPv4 address: write four decimal bytes, `192.168.25.1`, without quotes",
        ),
        (
            "dhcp-host=a,10.0.0.1\n\ndhcp-host=b,10.0.0.1",
            "line 3: dhcp-host: cannot reserve 10.0.0.1 twice: give each dhcp-host its own address, or one dhcp-host several MAC addresses",
        ),
        (
            "bind-dynamic\nbind-interfaces",
            "line 2: bind-interfaces: cannot set both bind-interfaces and bind-dynamic: keep one of them",
        ),
        (
            "port=0\nno-poll\nport=0",
            "line 3: port: cannot give port twice: keep one of them",
        ),
        (
            "resolv-file=/a\nresolv-file=/b\nno-poll",
            "line 3: no-poll: cannot read several resolv-file with no-poll: keep one, or drop no-poll",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(text.parse::<Config>().unwrap_err().to_string(), message);
    }
}

#[test]
fn a_list_of_interfaces_becomes_one_directive_each() -> Fallible {
    let config: Config = "interface=eth0, veth*".parse()?;
    assert_eq!(config.to_string(), "interface=eth0\ninterface=veth*\n");
    Ok(())
}

#[test]
fn a_reservation_shows_itself_as_a_line_of_a_hosts_directory() -> Fallible {
    let host = Host::mac(MacAddr([2, 0, 0, 0, 0, 1]))
        .address(v4(9))
        .set(Tag::new("rack")?);
    assert_eq!(host.to_string(), "02:00:00:00:00:01,set:rack,192.168.25.9");
    Ok(())
}

#[test]
fn quoted_text_stays_text() -> Fallible {
    for value in [
        "12", "01:02:03", "10.0.0.1", "a, b", "1b", "-5", "#", "x\"y\\", "tag:a",
    ] {
        let option = DhcpOption::new(OptionId::v4(224)?, OptionValue::Text(Text::new(value)?))?;
        let config = Config::builder().with(option).build()?;
        assert_eq!(config.to_string().parse(), Ok(config), "{value}");
    }
    Ok(())
}

#[test]
fn what_dnsmasq_would_cut_off_is_refused() -> Fallible {
    for value in ["s", "i", "-s"] {
        let text = OptionValue::Text(Text::new(value)?);
        assert!(
            DhcpOption::new(OptionId::v4(224)?, text).is_err(),
            "{value}"
        );
    }
    Ok(())
}

#[test]
fn a_line_that_dnsmasq_would_cut_is_refused() -> Fallible {
    let long = BootFile::new("\"".repeat(255))?;
    let tag = Tag::new("t".repeat(63))?;
    let boot = (0..8).fold(Boot::new(long), |boot, _| boot.when(tag.clone()));
    let error = Config::builder().with(boot).build().unwrap_err();
    assert!(
        matches!(
            error,
            ConfigError::LineTooLong {
                name: "dhcp-boot",
                ..
            }
        ),
        "{error}"
    );
    Ok(())
}
