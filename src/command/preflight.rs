//! Checks that come before anything is made, all in one report.

mod hardware;
mod user;

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::unistd::{AccessFlags, access, geteuid};

use crate::error::{Failure, Problem};
use crate::faultpoint::point;
use crate::host::packages;
use crate::host::programs::Finder;
use crate::host::routes;
use crate::host::sockets::owner_of;
use crate::host::tools::Tools;
use crate::kernel::kvm::Verdict;
use crate::lab::{Accel, Lab, Root};
use crate::plan::Publish;
use crate::service::dnsmasq::DnsmasqError;
use crate::supervisor;
use crate::ways;

/// What cannot be told to dnsmasq, as a failure.
pub fn untold(error: &DnsmasqError) -> Failure {
    Failure::refused(
        supervisor::chain(error),
        "`nsplay config` prints the lab with all its values",
    )
}

/// What the system forbids who runs this.
pub fn privileges() -> Option<Problem> {
    match geteuid().is_root() {
        true => user::of_root(),
        false => user::of_user(),
    }
}

/// The programs and firmware that are missing, with the command that installs them.
pub fn missing(lab: &Lab, finder: &Finder) -> Option<Vec<Problem>> {
    let mut problems = packages::missing(&packages::wanted(lab), finder)
        .map_or_else(Vec::new, |missing| uninstalled(&missing));
    let own = lab.own.iter().map(|own| (own, own.program()));
    let own = own.filter(|(_, program)| finder.program(&program.to_string_lossy()).is_none());
    problems.extend(own.map(|(own, program)| Problem {
        message: format!(
            "service `{}`: cannot find the program {}",
            own.name,
            program.display()
        ),
        hint: Some("install it, or change the first word of its `command`".to_owned()),
    }));
    (!problems.is_empty()).then_some(problems)
}

fn uninstalled(missing: &packages::Missing) -> Vec<Problem> {
    let mut problems: Vec<Problem> = missing
        .errors()
        .into_iter()
        .map(|message| Problem {
            message,
            hint: None,
        })
        .collect();
    if let Some(last) = problems.last_mut() {
        last.hint = Some(missing.hints().join("\nhint: "));
    }
    problems
}

/// What the lab needs of devices and folders.
pub fn host(lab: &Lab, tools: &Tools) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !lab.nodes.is_empty() {
        problems.extend(user::tun());
    }
    if tools.places.user.is_some() {
        problems.extend(user::beyond(lab, tools));
    }
    if let Verdict::Unusable(why) = &tools.kvm {
        for node in lab.nodes.iter().filter(|node| node.accel == Accel::Kvm) {
            problems.push(Problem {
                message: format!("node `{}` wants KVM: {why}", node.name),
                hint: Some("accel = \"auto\" takes TCG where KVM cannot be used".to_owned()),
            });
        }
    }
    let web = lab.web.iter().map(|web| (&web.name, "root", &web.root));
    // The servers of all networks serve one folder.
    let dhcp = lab
        .dhcp_servers()
        .take(1)
        .map(|dhcp| (&dhcp.name, "tftproot", &dhcp.tftproot));
    for (name, key, root) in web.chain(dhcp) {
        if let Root::Dir(folder) = root
            && let Some((why, hint)) = unreadable(folder)
        {
            problems.push(Problem {
                message: format!(
                    "service `{name}` cannot serve {key} {}: {why}",
                    folder.display()
                ),
                hint: Some(hint),
            });
        }
    }
    problems.extend(hardware::problems(lab, tools));
    problems.extend(ways(lab));
    if let Some(nat) = lab.nat()
        && let Err((message, hint)) = tools.ways.choose(nat)
    {
        let hint = Some(hint);
        problems.push(Problem { message, hint });
    }
    for own in &lab.own {
        if let Some(user) = &own.user
            && !tools.users.contains_key(&own.name)
        {
            problems.push(Problem {
                message: format!("service `{}`: this host has no user `{user}`", own.name),
                hint: Some("name another `user`, or leave it out".to_owned()),
            });
        }
        if let Some(folder) = &own.folder
            && let Some((why, hint)) = unreadable(folder)
        {
            let (name, folder) = (&own.name, folder.display());
            problems.push(Problem {
                message: format!("service `{name}` cannot start in folder {folder}: {why}"),
                hint: Some(hint),
            });
        }
    }
    problems
}

/// Why the host cannot be on the networks that it should be on.
fn ways(lab: &Lab) -> Vec<Problem> {
    let attach: Vec<_> = lab.networks().filter(|network| network.attach).collect();
    if attach.is_empty() {
        return Vec::new();
    }
    let problem = |message, hint: &str| Problem {
        message,
        hint: Some(hint.to_owned()),
    };
    let routes = match routes::list() {
        Ok(routes) => routes,
        Err(error) => {
            let message = format!("cannot list the host's routes: {error}");
            return vec![problem(message, "attach = false leaves the host alone")];
        }
    };
    let mut problems = Vec::new();
    for network in attach {
        if let Some(route) = routes::overlap(&routes, network.subnet) {
            let message = ways::overlaps(network, &route.shown);
            problems.push(problem(
                message,
                "give the network another `subnet`, or leave `attach` out",
            ));
        }
        if lab.host_address(network).is_none() {
            let (name, subnet) = (&network.name, network.subnet);
            let message = format!("network `{name}` has no address left for the host in {subnet}");
            problems.push(problem(message, "leave room beside the pool and `bmcs`"));
        }
    }
    problems
}

/// Why a folder cannot be served, if so, and what to do. The services that serve run as users of
/// their own.
fn unreadable(folder: &Path) -> Option<(String, String)> {
    let shown = folder.display();
    match fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some((
            "there is no such folder".to_owned(),
            format!("mkdir {shown}"),
        )),
        Err(error) => Some((error.to_string(), format!("ls -ld {shown}"))),
        Ok(found) if !found.is_dir() => {
            Some(("it is no folder".to_owned(), format!("ls -ld {shown}")))
        }
        Ok(found) => {
            denied(folder, &found, 0o005).map(|why| (why, format!("chmod -R o+rX {shown}")))
        }
    }
}

/// Why a lab's program may not use a file that it needs `bits` of, of the permissions of others.
///
/// In a lab of a user's all programs are that user's.
fn denied(path: &Path, found: &fs::Metadata, bits: u32) -> Option<String> {
    if geteuid().is_root() {
        let may = found.permissions().mode() & bits == bits;
        return (!may).then(|| "others than its owner may not read it".to_owned());
    }
    let mut wanted = AccessFlags::R_OK;
    wanted.set(AccessFlags::X_OK, bits & 0o001 != 0);
    let denied = access(path, wanted).err();
    denied.map(|_| "you may not read it".to_owned())
}

/// Binds what is to be published, all of it or nothing.
///
/// # Errors
/// Every address that is taken, and by whom.
pub fn bind<'p>(
    published: impl IntoIterator<Item = &'p Publish>,
) -> Result<Vec<OwnedFd>, Vec<Problem>> {
    let (mut sockets, mut problems) = (Vec::new(), Vec::new());
    for publish in published {
        match bind_one(publish) {
            Ok(socket) => sockets.push(socket),
            Err(error) => problems.push(taken(publish, &error)),
        }
    }
    if problems.is_empty() {
        return Ok(sockets);
    }
    Err(problems)
}

/// Binds without SO_REUSEADDR for UDP, with which ipmi_sim would share port 623 silently.
fn bind_one(publish: &Publish) -> io::Result<OwnedFd> {
    let socket = match publish.protocol() {
        "udp" => UdpSocket::bind(publish.host)?.into(),
        _ => TcpListener::bind(publish.host)?.into(),
    };
    point!("up: {} bound", publish.host)?;
    Ok(socket)
}

fn taken(publish: &Publish, error: &io::Error) -> Problem {
    let (host, protocol) = (publish.host, publish.protocol());
    let wanted = format!("cannot publish `{}` on {host}/{protocol}", publish.member);
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let owner = owner_of(host, protocol);
            let owner =
                owner.map_or_else(|| "another process".to_owned(), |owner| owner.to_string());
            Problem {
                message: format!("{wanted}: it belongs to {owner}"),
                hint: Some(format!(
                    "stop it, or choose other ports: --port-offset 1000 makes this one {}",
                    moved(host)
                )),
            }
        }
        io::ErrorKind::AddrNotAvailable => Problem {
            message: format!("{wanted}: this host has no such address"),
            hint: Some("publish on 127.0.0.1, or on 0.0.0.0 for all addresses".to_owned()),
        },
        _ => Problem {
            message: format!("{wanted}: {error}"),
            hint: None,
        },
    }
}

fn moved(host: SocketAddr) -> String {
    match host.port().checked_add(1000) {
        Some(port) => SocketAddr::new(host.ip(), port).to_string(),
        None => "another".to_owned(),
    }
}
