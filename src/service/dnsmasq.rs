//! dnsmasq: DHCP, TFTP and router advertisements (dnsmasq(8)).

mod dns;
mod own;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use dnsmasq_config::{
    Boot, BootFile, Config, ConfigError, DhcpOption, Directive, Encapsulation, FilePath, Host,
    Hostname, InterfaceName, LeaseTime, MacAddr, Match, OptionId, OptionValue, RaMode, Range4,
    Range6, Tag, Text, TftpRoot, UserClass, ValueError,
};

use crate::cell::Cell;
use crate::lab::network::ETHERNET_MTU;
use crate::lab::{Dhcp, Ipv6, Lab, LinkName, Mac, Name, Nat, Nic, Node};
use crate::program::{Cap, Probe, Program, TextFile, User};

pub use own::script as own_script;

/// A value of the lab file that dnsmasq cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum DnsmasqError {
    /// One value.
    #[error("cannot tell dnsmasq about this lab")]
    Value(#[from] ValueError),
    /// Values that do not go together.
    #[error("cannot tell dnsmasq about this lab")]
    Config(#[from] ConfigError),
}

/// The iPXE binaries that DHCP names, below the TFTP root.
pub const BIOS_FILE: &str = "undionly.kpxe";
/// The same for 64-bit UEFI.
pub const UEFI_FILE: &str = "snponly.efi";

/// How many files are sent at once over TFTP.
///
/// A client that never acknowledges has a place for half a minute (2.90), and as many requests as
/// this wait in the socket: fewer places would keep others waiting for several times as long.
const TRANSFERS: u16 = 300;

/// The folder that is served over TFTP.
#[must_use]
pub fn root(dhcp: &Dhcp) -> PathBuf {
    Program::served(&dhcp.name).join("root")
}

/// The IPv6 network that router advertisements name: a unique local one (RFC 4193).
///
/// iPXE solicits routers and waits 13 to 16 s when none answers. The fifth
/// and sixth byte are the IPv4 subnet's, so the lab's addresses look alike.
#[must_use]
pub fn ula(subnet: ipnet::Ipv4Net) -> Ipv6Addr {
    let [a, b, c, _] = subnet.network().octets();
    Ipv6Addr::new(
        0xfd00,
        u16::from_be_bytes([a, b]),
        u16::from(c),
        0,
        0,
        0,
        0,
        0,
    )
}

/// dnsmasq's own address in [`ula`].
#[must_use]
pub fn own_ipv6(subnet: ipnet::Ipv4Net) -> Ipv6Addr {
    nth_ipv6(subnet, 2)
}

fn nth_ipv6(subnet: ipnet::Ipv4Net, n: u16) -> Ipv6Addr {
    let [a, b, c, d, e, f, g, _] = ula(subnet).segments();
    Ipv6Addr::new(a, b, c, d, e, f, g, n)
}

/// What of the host matters to dnsmasq.
#[derive(Clone, Copy, Debug)]
pub struct On<'a> {
    /// Its program.
    pub binary: &'a Path,
    /// Whether the host has IPv6 at all.
    pub ipv6: bool,
    /// Servers of DNS that the lab reaches by its way out.
    pub resolvers: &'a [Ipv4Addr],
    /// The nodes that have an iPXE script of their own.
    pub scripts: &'a BTreeSet<Name>,
}

/// dnsmasq on one network of `lab`.
///
/// # Errors
/// A value of the lab file that dnsmasq cannot be told.
pub fn program(lab: &Lab, dhcp: &Dhcp, on: On) -> Result<Program, DnsmasqError> {
    let dir = Program::dir(&dhcp.name);
    let config_file = dir.join("dnsmasq.conf");
    let hosts_file = dir.join("hosts");
    let argv = [
        on.binary.display().to_string(),
        "--keep-in-foreground".to_owned(),
        "--log-facility=-".to_owned(),
        format!("--conf-file={}", config_file.display()),
    ];
    Ok(Program {
        member: dhcp.name.clone(),
        what: "dnsmasq".to_owned(),
        argv: argv.into(),
        env: Vec::new(),
        user: User::Member,
        caps: vec![Cap::NetBindService, Cap::NetAdmin, Cap::NetRaw],
        files: vec![
            TextFile {
                path: config_file,
                mode: 0o644,
                text: config(lab, dhcp, &dir, on)?.to_string(),
            },
            TextFile {
                path: hosts_file.clone(),
                mode: 0o644,
                text: hosts(lab, dhcp, on.scripts)?,
            },
        ],
        rereads: vec![hosts_file],
        cell: Some(Cell::writing([dir.clone()])),
        dirs: vec![dir],
        own: None,
        ready: Probe::Dhcp {
            server: dhcp.address,
            relay: lab.network(&dhcp.network).gateway,
        },
    })
}

/// Who the nodes are, in a file that dnsmasq reads again: a node that comes or goes while the lab
/// runs costs the others no answer.
fn hosts(lab: &Lab, dhcp: &Dhcp, scripts: &BTreeSet<Name>) -> Result<String, DnsmasqError> {
    let mut text = String::new();
    for node in &lab.nodes {
        let here = node.nics().filter(|nic| nic.network == dhcp.network);
        for (n, nic) in here.enumerate() {
            let host = own::Own::of(node, scripts).mark(reservation(node, n, nic)?, node)?;
            let host = Directive::from(host).to_string();
            // The file has the values only.
            text.push_str(host.split_once('=').map_or(&host, |(_, value)| value));
            text.push('\n');
        }
    }
    Ok(text)
}

fn config(lab: &Lab, dhcp: &Dhcp, dir: &Path, on: On) -> Result<Config, DnsmasqError> {
    let lease = LeaseTime::from_secs(u32::try_from(dhcp.lease.as_secs()).unwrap_or(u32::MAX))?;
    let path = |path: &Path| FilePath::new(path.display().to_string());
    let (first, last) = dhcp.pool;
    let network = lab.network(&dhcp.network);
    let subnet = network.subnet;
    let mut config = Config::builder()
        .with(Directive::Interface(
            InterfaceName::new(LinkName::eth0().as_str())?.into(),
        ))
        .with_all([
            Directive::BindInterfaces,
            Directive::NoHosts,
            Directive::NoResolv,
            // dnsmasq would ping an address for 3 s before it offers it.
            Directive::NoPing,
            Directive::DhcpAuthoritative,
        ])
        .with(Directive::DhcpLeaseFile(path(&dir.join("leases"))?))
        .with(Directive::DhcpHostsFile(path(&dir.join("hosts"))?))
        .with(
            Range4::new(first, last)?
                .netmask(subnet.netmask())?
                .lease(lease),
        )
        .with_all(dns::directives(lab, dhcp, on.resolvers)?)
        .with(DhcpOption::new(
            OptionId::named("router")?,
            OptionValue::Addresses(vec![network.gateway]),
        )?)
        .with(Directive::EnableTftp(None))
        .with(Directive::TftpMax(TRANSFERS))
        .with(TftpRoot::from(path(&root(dhcp))?))
        .with_all(boot(lab, dhcp, on.scripts)?);
    if network.mtu != ETHERNET_MTU {
        let mtu = OptionValue::Number(network.mtu.into(), None);
        let mtu = DhcpOption::new(OptionId::named("mtu")?, mtu)?;
        // iPXE reopens a card whose MTU grows, and loses what it was given (1.0.0+git-20190125).
        config = config.with(mtu.when(!Tag::new("ipxe")?));
    }
    // One that is a server of DNS itself is who guests ask.
    if network.nat != Nat::Off && !dhcp.dns && !on.resolvers.is_empty() {
        config = config.with(DhcpOption::new(
            OptionId::named("dns-server")?,
            OptionValue::Addresses(on.resolvers.to_vec()),
        )?);
    }
    let addresses = match network.ipv6 {
        Ipv6::Off => None,
        Ipv6::Ra => Some(Range6::advertise(ula(subnet), RaMode::RaOnly)),
        Ipv6::Dhcpv6 => {
            let (first, last) = (nth_ipv6(subnet, 0x1000), nth_ipv6(subnet, 0xffff));
            Some(Range6::new(first, last, 64)?)
        }
    };
    if let Some(addresses) = addresses.filter(|_| on.ipv6) {
        // The MTU that routers advertise is that of dnsmasq's own link.
        config = config
            .with_all([Directive::EnableRa, Directive::QuietRa])
            .with(addresses.lifetime(lease));
        if network.ipv6 == Ipv6::Dhcpv6 {
            config = config.with_all(boot_ipv6(lab, dhcp)?);
        }
    }
    Ok(config.build()?)
}

/// What a node's `n`th network card on this network is called, and what is kept for it.
fn reservation(node: &Node, n: usize, nic: &Nic) -> Result<Host, ValueError> {
    let name = Hostname::new(name_of_card(node, n))?;
    let host = Host::mac(MacAddr(nic.mac.octets())).hostname(name);
    Ok(match nic.ip {
        Some(ip) => host.address(ip),
        None => host,
    })
}

/// The host name of a node's `n`th network card on one network: the node's own for the first.
///
/// Of two cards with one name, dnsmasq would take it from the one that came first.
fn name_of_card(node: &Node, n: usize) -> String {
    match n {
        0 => node.name.to_string(),
        n => format!("{}-nic{}", node.name, n + 1),
    }
}

/// What clients boot that speak IPv6 (RFC 5970): UEFI loads iPXE, which loads its script.
fn boot_ipv6(lab: &Lab, dhcp: &Dhcp) -> Result<Vec<Directive>, DnsmasqError> {
    let (ipxe, efi64) = (Tag::new("ipxe6")?, Tag::new("efi64-6")?);
    let url = |url: String| {
        let text = OptionValue::Text(Text::new(url)?);
        DhcpOption::new(OptionId::named6("bootfile-url")?, text)
    };
    let tftp = own_ipv6(lab.network(&dhcp.network).subnet);
    let class = UserClass {
        set: ipxe.clone(),
        class: Text::new("iPXE")?,
    };
    // Its architecture is option 61 here (RFC 5970, section 3.3), 7 as in IPv4.
    let arch = Match::holding(
        efi64.clone(),
        OptionId::v6(61)?,
        OptionValue::Bytes(vec![0, 7]),
    )?;
    let loader = url(format!("tftp://[{tftp}]/{UEFI_FILE}"))?;
    let script = url(target_url(
        &dhcp.boot,
        lab.web.as_ref().map(|web| web.address),
    ))?;
    Ok(vec![
        class.into(),
        arch.into(),
        loader.when(efi64).when(!ipxe.clone()).into(),
        script.when(ipxe).into(),
    ])
}

/// What each kind of client boots (RFC 4578, section 2.1, and the IANA list of architectures).
fn boot(lab: &Lab, dhcp: &Dhcp, scripts: &BTreeSet<Name>) -> Result<Vec<Directive>, DnsmasqError> {
    let tag = |name| Tag::new(name);
    let (ipxe, bios, efi64, http) = (tag("ipxe")?, tag("bios")?, tag("efi64")?, tag("efi64http")?);
    let arch = |tag: &Tag, number| {
        let id = OptionId::named("client-arch")?;
        Match::holding(tag.clone(), id, OptionValue::Number(number, None))
    };
    let own = lab.nodes.iter().map(|node| own::Own::of(node, scripts));
    // dnsmasq takes one of several that fit, so these must not fit nodes that have their own.
    let others = |boot: Boot, tag: &str, own: bool| -> Result<Boot, ValueError> {
        Ok(match own {
            true => boot.when(!Tag::new(tag)?),
            false => boot,
        })
    };
    let (own_file, own_script) = own.fold((false, false), |(file, script), own| {
        (file || own.file, script || own.script)
    });
    let file = |name: &str| others(Boot::new(BootFile::new(name)?), own::FILE, own_file);
    let web = lab.web.as_ref().map(|web| web.address);
    let menu = Boot::new(BootFile::new(target_url(&dhcp.boot, web))?);
    let menu = others(menu, own::SCRIPT, own_script)?;
    let mut directives: Vec<Directive> = vec![
        Match::sent(ipxe.clone(), OptionId::v4(175)?).into(),
        arch(&bios, 0)?.into(),
        arch(&efi64, 7)?.into(),
        arch(&efi64, 9)?.into(),
        arch(&http, 16)?.into(),
        menu.when(ipxe.clone()).into(),
        file(BIOS_FILE)?.when(!ipxe.clone()).when(bios).into(),
        file(UEFI_FILE)?.when(!ipxe.clone()).when(efi64).into(),
    ];
    if let Some(web) = web {
        let class = DhcpOption::new(
            OptionId::named("vendor-class")?,
            OptionValue::Text(Text::new("HTTPClient")?),
        )?;
        directives.extend([
            file(&format!("http://{web}/{UEFI_FILE}"))?
                .when(!ipxe.clone())
                .when(http.clone())
                .into(),
            Directive::DhcpOptionForce(class.when(!ipxe.clone()).when(http)),
        ]);
    }
    // iPXE's own option: no proxy DHCP server is there to wait for (2 to 3 s).
    let no_proxy = DhcpOption::encapsulated(
        Encapsulation::Option(175),
        OptionId::v4(176)?,
        OptionValue::byte(1),
    )?;
    directives.push(no_proxy.when(ipxe).into());
    directives.extend(own::boot(lab, scripts)?);
    Ok(directives)
}

/// Where a client is sent: a URL stays as it is, a path is the web server's.
fn target_url(target: &str, web: Option<Ipv4Addr>) -> String {
    match web {
        Some(web) if !target.contains("://") => {
            format!("http://{web}/{}", target.trim_start_matches('/'))
        }
        _ => target.to_owned(),
    }
}

/// A log line without what is known already (`dnsmasq-dhcp[12]: `); none for one that only the
/// probe of `mac` caused, or that says how dnsmasq was compiled.
#[must_use]
pub fn tidy(line: &str, mac: Mac) -> Option<String> {
    let text = match line.split_once("]: ") {
        Some((program, text)) if program.starts_with("dnsmasq") => text,
        _ => line,
    };
    if text.contains(&mac.to_string()) || text.starts_with("compile time options") {
        return None;
    }
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_only_what_is_new() {
        let mac = Mac::derived("probe");
        assert_eq!(
            tidy(
                "dnsmasq-dhcp[7]: DHCPDISCOVER(eth0) 00:aa:bb:cc:dd:ee ",
                mac
            )
            .unwrap(),
            "DHCPDISCOVER(eth0) 00:aa:bb:cc:dd:ee "
        );
        let probe = format!("dnsmasq-dhcp[7]: DHCPOFFER(eth0) 192.168.25.7 {mac}");
        assert_eq!(tidy(&probe, mac), None);
    }
}
