//! The reverse: a [`Lab`] as a lab file in which every key stands.

use std::fmt::{self, Display, Write};
use std::net::SocketAddr;

use toml::Value;

use super::value::{BUILT_IN, spell_duration, spell_size};
use super::{after, fetch, hardware, limits, netboot, network, nic, own, scenario};
use crate::lab::{Dhcp, Lab, Name, Node, Root, Ssh, Web};

/// Spells `lab` as a lab file that [`load`](super::load) makes the same lab of.
#[must_use]
pub fn render(lab: &Lab) -> String {
    let mut text = String::new();
    write_lab(&mut text, lab).expect("a String takes all that is written");
    text
}

fn write_lab(out: &mut String, lab: &Lab) -> fmt::Result {
    writeln!(
        out,
        "# Every key of this lab, as docs/lab-file.md describes it."
    )?;
    writeln!(out, "name = {}", quoted(&lab.name))?;
    // A `false` belongs to the file's first table, so it stands before all others.
    let absent = [
        ("dhcp", lab.dhcp.is_none()),
        ("web", lab.web.is_none()),
        ("ssh", lab.ssh.is_none()),
        ("node", lab.nodes.is_empty()),
    ];
    for (key, _) in absent.iter().filter(|(_, absent)| *absent) {
        writeln!(out, "{key} = false")?;
    }
    limits::render(out, &lab.limits.lab)?;
    network::render(out, lab)?;
    network::render_more(out, lab)?;
    if let Some(dhcp) = &lab.dhcp {
        write_dhcp(out, dhcp)?;
        write_limits(out, lab, &dhcp.name)?;
    }
    if let Some(web) = &lab.web {
        write_web(out, web)?;
        write_limits(out, lab, &web.name)?;
    }
    if let Some(ssh) = &lab.ssh {
        write_ssh(out, ssh)?;
        write_limits(out, lab, &ssh.name)?;
    }
    lab.own
        .iter()
        .try_for_each(|service| own::render(out, service, &lab.limits.of(&service.name)))?;
    let mut payloads = lab.fetch.iter();
    payloads.try_for_each(|payload| fetch::render(out, payload))?;
    lab.nodes
        .iter()
        .try_for_each(|node| write_node(out, lab, node))
}

fn write_limits(out: &mut String, lab: &Lab, member: &Name) -> fmt::Result {
    writeln!(out, "limits = {}", limits::spelled(&lab.limits.of(member)))
}

fn write_dhcp(out: &mut String, dhcp: &Dhcp) -> fmt::Result {
    let (first, last) = dhcp.pool;
    writeln!(out, "\n[dhcp]")?;
    writeln!(out, "address = {}", quoted(dhcp.address))?;
    writeln!(out, "pool = {}", quoted(format_args!("{first}-{last}")))?;
    writeln!(out, "lease = {}", quoted(spell_duration(dhcp.lease)))?;
    writeln!(out, "tftproot = {}", root(&dhcp.tftproot))?;
    writeln!(out, "boot = {}", quoted(&dhcp.boot))?;
    writeln!(out, "dns = {}", dhcp.dns)?;
    match &dhcp.domain {
        Some(domain) => writeln!(out, "domain = {}", quoted(domain)),
        None => Ok(()),
    }
}

fn write_web(out: &mut String, web: &Web) -> fmt::Result {
    writeln!(out, "\n[web]")?;
    writeln!(out, "network = {}", quoted(&web.network))?;
    writeln!(out, "address = {}", quoted(web.address))?;
    writeln!(out, "root = {}", root(&web.root))?;
    writeln!(out, "server = {}", quoted(web.server))?;
    writeln!(out, "publish = {}", publish(web.publish))
}

fn write_ssh(out: &mut String, ssh: &Ssh) -> fmt::Result {
    writeln!(out, "\n[ssh]")?;
    writeln!(out, "network = {}", quoted(&ssh.network))?;
    writeln!(out, "address = {}", quoted(ssh.address))?;
    writeln!(out, "publish = {}", publish(ssh.publish))
}

fn write_node(out: &mut String, lab: &Lab, node: &Node) -> fmt::Result {
    let boot: Vec<_> = node.boot.iter().map(quoted).collect();
    writeln!(out, "\n[node.{}]", node.name)?;
    writeln!(out, "network = {}", quoted(&node.nic.network))?;
    writeln!(out, "address = {:<25}# its BMC", quoted(node.address))?;
    writeln!(out, "cpus = {}", node.cpus)?;
    writeln!(
        out,
        "memory = {}",
        quoted(spell_size(node.memory_mib.into()))
    )?;
    hardware::render(out, node)?;
    writeln!(out, "nic = {}", quoted(node.nic.model))?;
    writeln!(out, "mac = {}", quoted(node.nic.mac))?;
    if let Some(ip) = node.nic.ip {
        writeln!(out, "ip = {}", quoted(ip))?;
    }
    writeln!(out, "nics = {}", nic::render_more(node))?;
    writeln!(out, "firmware = {}", quoted(node.firmware))?;
    writeln!(out, "boot = [{}]", boot.join(", "))?;
    netboot::render(out, &node.netboot)?;
    writeln!(out, "fast_boot = {}", node.fast_boot)?;
    writeln!(out, "accel = {}", quoted(node.accel))?;
    writeln!(
        out,
        "power = \"{}\"",
        if node.power_on { "on" } else { "off" }
    )?;
    writeln!(out, "after = {}", after::spell(&node.after))?;
    let soft_timeout = match node.soft_timeout {
        Some(patience) => quoted(spell_duration(patience)),
        None => "false".to_owned(),
    };
    writeln!(out, "soft_timeout = {soft_timeout}")?;
    writeln!(out, "vnc = {}", publish(node.vnc))?;
    write_identity(out, node)?;
    write_limits(out, lab, &node.name)?;
    writeln!(out, "\n[node.{}.bmc]", node.name)?;
    writeln!(out, "user = {}", quoted(&node.bmc.user))?;
    writeln!(out, "password = {}", quoted(&node.bmc.password))?;
    writeln!(out, "publish = {}", publish(node.bmc.publish))?;
    let scenario = scenario::spell(&node.bmc.scenario, |text| quoted(text));
    writeln!(out, "scenario = {scenario}")?;
    node.bmc.users.iter().try_for_each(|user| {
        let name = key(&user.name);
        writeln!(out, "\n[node.{}.bmc.users.{name}]", node.name)?;
        writeln!(out, "password = {}", quoted(&user.password))?;
        writeln!(out, "privilege = {}", quoted(user.privilege))
    })
}

fn write_identity(out: &mut String, node: &Node) -> fmt::Result {
    let identity = &node.identity;
    writeln!(out, "profile = {}", quoted(&node.profile.name))?;
    writeln!(out, "manufacturer = {}", quoted(&identity.manufacturer))?;
    writeln!(out, "product = {}", quoted(&identity.product))?;
    // A profile may have none, which is no value for this key.
    if !identity.part_number.is_empty() {
        writeln!(out, "part_number = {}", quoted(&identity.part_number))?;
    }
    writeln!(out, "serial = {}", quoted(&identity.serial))?;
    writeln!(out, "asset_tag = {}", quoted(&identity.asset_tag))?;
    writeln!(out, "uuid = {}", quoted(&identity.uuid))
}

/// A path that is no UTF-8 cannot be spelled in TOML; none comes out of a lab file.
fn root(root: &Root) -> String {
    match root {
        Root::Embedded => quoted(BUILT_IN),
        Root::Dir(path) => quoted(path.display()),
    }
}

fn publish(socket: Option<SocketAddr>) -> String {
    match socket {
        Some(socket) => quoted(socket),
        None => "false".to_owned(),
    }
}

/// `value` as a TOML string in which no variable is filled in.
pub(super) fn quoted(value: impl Display) -> String {
    key(&value.to_string().replace('$', "$$"))
}

/// `name` as a quoted key, in which nothing is.
pub(super) fn key(name: &str) -> String {
    Value::from(name).to_string()
}
