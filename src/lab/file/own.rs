//! Services of the user's own: `[service.NAME]`, read, checked and spelled.

use std::fmt::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::addresses::Claimant;
use super::after;
use super::limits::{self, LimitsFile};
use super::network::Networks;
use super::ports::{Ports, Protocol};
use super::render::{key, quoted};
use super::report::{Notes, shown};
use super::value::{self, spell_duration};
use super::walk::{At, Item, Read, Table, Wrong};
use crate::lab::own::{OwnService, Published, Readiness, Restart, Transport};
use crate::lab::{Awaited, Limits, Name, Root};

/// The keys of `[service.NAME]`.
pub(super) const OWN: &[&str] = &[
    "command",
    "env",
    "user",
    "folder",
    "network",
    "address",
    "publish",
    "ready",
    "ready_within",
    "after",
    "restart",
    "limits",
];

/// More is no lab but a slip.
const MOST: usize = 64;

/// As long as nsplay's own services have; the manual names it.
const READY_WITHIN: Duration = Duration::from_secs(15);

/// The table of a service.
pub(super) struct OwnFile {
    pub(super) name: Name,
    /// The byte of its name.
    pub(super) at: usize,
    pub(super) network: Read<Name>,
    pub(super) address: Read<Ipv4Addr>,
    command: Read<Vec<(String, usize)>>,
    env: Vec<(String, String)>,
    user: Read<String>,
    folder: Read<PathBuf>,
    publish: Read<Vec<(Option<Published>, usize)>>,
    ready: Read<Readiness>,
    ready_within: Read<Duration>,
    pub(super) after: Read<Vec<(Awaited, usize)>>,
    restart: Read<Restart>,
    pub(super) limits: LimitsFile,
}

/// The services of the file, in its order.
pub(super) fn spell(lab: &Table, folders: &[&Path], notes: &Notes) -> Vec<OwnFile> {
    let Read::Given(Some(entries), _) = lab.read_table("service", false) else {
        return Vec::new();
    };
    let mut in_order: Vec<_> = entries.iter().collect();
    in_order.sort_by_key(|(key, _)| key.span().start);
    if let Some((one_too_many, _)) = in_order.get(MOST) {
        let message = format!(
            "{} services are too many: {MOST} is the most",
            in_order.len()
        );
        notes.add(Some(one_too_many.span().start), message, None);
        in_order.truncate(MOST);
    }
    let mut services = Vec::new();
    for (key, value) in in_order {
        let (typed, at) = (key.get_ref().as_ref(), key.span().start);
        let scope = format!("service `{}`", shown(typed));
        let (Some(table), Ok(name)) = (value.get_ref().as_table(), Name::new(typed)) else {
            let message = match value.get_ref().is_table() {
                true => format!(
                    "{scope}: a name has 1 to 32 lower-case letters, digits and hyphens, a letter or digit first"
                ),
                false => format!("{scope}: expected a table"),
            };
            let hint = "write [service.NAME] and its keys below it";
            notes.add(Some(at), message, Some(hint.to_owned()));
            continue;
        };
        let table = Table::open(notes, &scope, Some(table), OWN);
        services.push(OwnFile {
            name,
            at,
            network: table.read("network", value::name),
            address: table.read("address", value::address),
            command: table.read_list("command", "[\"busybox\", \"nc\", \"-l\"]", word),
            env: env(&table, &scope, notes),
            user: table.read("user", user),
            folder: table.read_at("folder", |v, at| folder(v, folders[notes.file_of(at)])),
            publish: table.read_one_or_more("publish", publish),
            ready: table.read("ready", ready),
            ready_within: table.read("ready_within", within),
            after: after::read(&table),
            restart: table.read("restart", |v| value::choice(v, &Restart::ALL)),
            limits: limits::spell(&table, &format!("limits of {scope}"), notes),
        });
    }
    services
}

/// A word of a command, which execve(2) ends at a NUL.
fn word(value: &DeValue) -> Result<String, Wrong> {
    let typed = value::text(value, "a string")?;
    match typed.contains('\0') {
        true => Err(Wrong::want("a string without NUL")),
        false => Ok(typed.to_owned()),
    }
}

fn env(table: &Table, scope: &str, notes: &Notes) -> Vec<(String, String)> {
    let Read::Given(Some(entries), _) = table.read_table("env", false) else {
        return Vec::new();
    };
    let mut env = Vec::new();
    for (key, value) in entries {
        let name = key.get_ref().as_ref();
        let problem = match value.get_ref().as_str() {
            _ if name.is_empty() || name.contains(['=', '\0']) => {
                "is no name of a variable: it must not be empty or hold `=`"
            }
            Some(text) if !text.contains('\0') => {
                env.push((name.to_owned(), text.to_owned()));
                continue;
            }
            Some(_) | None => "expected a string",
        };
        let message = format!("{scope}: env: `{}`: {problem}", shown(name));
        let hint = "write env = { KEY = \"value\" }".to_owned();
        notes.add(Some(key.span().start), message, Some(hint));
    }
    env.sort();
    env
}

/// A user of this host, by name or number.
fn user(value: &DeValue) -> Result<String, Wrong> {
    let want = || Wrong::want("a user of this host, by name or number");
    let typed = match (value.as_str(), value.as_integer()) {
        (Some(typed), _) => typed.to_owned(),
        (None, Some(number)) => number.as_str().to_owned(),
        (None, None) => return Err(want()),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if typed.is_empty() || typed.starts_with('-') || !typed.bytes().all(plain) {
        return Err(want());
    }
    match typed == "root" || typed.parse() == Ok(0_u32) {
        true => {
            Err(want().hint("the lab's services are not root: what needs root belongs in a node"))
        }
        false => Ok(typed),
    }
}

fn folder(value: &DeValue, from: &Path) -> Result<PathBuf, Wrong> {
    match value::root(value, from)? {
        Root::Dir(path) => Ok(path),
        Root::Embedded => Err(Wrong::want("a folder of this host")),
    }
}

fn publish(value: &DeValue) -> Result<Option<Published>, Wrong> {
    const EXAMPLE: &str = "127.0.0.1:8080:80/tcp";
    let want = || {
        Wrong::want(format!(
            "\"ADDRESS:PORT:PORT_OF_THE_SERVICE\" such as \"{EXAMPLE}\", or false"
        ))
    };
    if value.as_bool() == Some(false) {
        return Ok(None);
    }
    let typed = value.as_str().ok_or_else(want)?;
    let (rest, transport) = match typed.rsplit_once('/') {
        None => (typed, Transport::Tcp),
        Some((rest, "tcp")) => (rest, Transport::Tcp),
        Some((rest, "udp")) => (rest, Transport::Udp),
        Some(_) => return Err(want().hint("a port ends in /tcp or /udp")),
    };
    let (host, port) = rest.rsplit_once(':').ok_or_else(want)?;
    let port = port_number(port).ok_or_else(want)?;
    let host = value::publish(&DeValue::String(host.into()), EXAMPLE).map_err(|_| {
        let lacks_one = rest.parse::<std::net::SocketAddr>().is_ok();
        match lacks_one {
            true => want().hint(format!(
                "after the host's port stands the service's: \"{rest}:{port}\""
            )),
            false => want(),
        }
    })?;
    Ok(host.map(|host| Published {
        host,
        port,
        transport,
    }))
}

fn port_number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

fn ready(value: &DeValue) -> Result<Readiness, Wrong> {
    let want = || {
        Wrong::want(
            "\"tcp:PORT\", \"http:PORT/PATH\", \"log:TEXT\" of a line that it prints, \
             \"exec:COMMAND\" of a shell, or \"none\"",
        )
    };
    let typed = value.as_str().ok_or_else(want)?;
    let read = match typed.split_once(':') {
        None if typed == "none" => Some(Readiness::Started),
        Some(("tcp", port)) => port_number(port).map(Readiness::Tcp),
        Some(("http", rest)) => {
            let (port, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let path = if path.is_empty() { "/" } else { path };
            let is_path = path.bytes().all(|b| b.is_ascii_graphic());
            let port = port_number(port).filter(|_| is_path);
            port.map(|port| Readiness::Http {
                port,
                path: path.to_owned(),
            })
        }
        Some(("log", text)) if !text.is_empty() && !text.contains('\n') => {
            Some(Readiness::Log(text.to_owned()))
        }
        Some(("exec", command)) if !command.trim().is_empty() && !command.contains('\0') => {
            Some(Readiness::Exec(command.to_owned()))
        }
        _ => None,
    };
    read.ok_or_else(want)
}

fn within(value: &DeValue) -> Result<Duration, Wrong> {
    match value::time(value)? {
        Duration::ZERO => Err(Wrong::want("1s to 1d")),
        within => Ok(within),
    }
}

/// The services as they are, with these addresses; what cannot be is noted.
pub(super) fn check(
    files: Vec<OwnFile>,
    seats: Vec<(Name, Ipv4Addr)>,
    ports: &mut Ports,
    notes: &Notes,
) -> Vec<OwnService> {
    let mut services: Vec<_> = files
        .into_iter()
        .zip(seats)
        .map(|(file, seat)| service(file, seat, ports, notes))
        .collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    services
}

fn service(
    file: OwnFile,
    (network, address): (Name, Ipv4Addr),
    ports: &mut Ports,
    notes: &Notes,
) -> OwnService {
    let who = format!("service `{}`", file.name);
    let folder = file.folder.or_else(PathBuf::new);
    let folder = Some(folder.value).filter(|path| !path.as_os_str().is_empty());
    check_command(&file.command, folder.is_some(), &who, file.at, notes);
    let publish = published(file.publish, &who, ports);
    let by_port = || {
        let is_tcp = |publish: &&Published| publish.transport == Transport::Tcp;
        let first = publish.iter().find(is_tcp);
        first.map_or(Readiness::Started, |publish| Readiness::Tcp(publish.port))
    };
    OwnService {
        network,
        address,
        command: names(file.command),
        env: file.env,
        folder,
        ready: file.ready.or_else(by_port).value,
        user: Some(file.user.or_else(String::new).value).filter(|user| !user.is_empty()),
        publish,
        ready_within: file.ready_within.or(READY_WITHIN).value,
        after: names(file.after),
        restart: file.restart.or(Restart::Always).value,
        name: file.name,
    }
}

/// The ports that the service `who` publishes.
fn published(
    read: Read<Vec<(Option<Published>, usize)>>,
    who: &str,
    ports: &mut Ports,
) -> Vec<Published> {
    let mut all = Vec::new();
    for (publish, at) in read.or_else(Vec::new).value {
        let Some(publish) = publish else { continue };
        let protocol = match publish.transport {
            Transport::Tcp => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
        };
        let host = Item {
            value: Some(publish.host),
            at: At::File(at),
        };
        let inside = format!(":{}/{}", publish.port, publish.transport);
        ports.take_for(who, "publish", protocol, host, inside);
        all.push(publish);
    }
    all
}

/// A list without its places.
pub(super) fn names<T>(read: Read<Vec<(T, usize)>>) -> Vec<T> {
    let list = read.or_else(Vec::new).value;
    list.into_iter().map(|(name, _)| name).collect()
}

fn check_command(
    command: &Read<Vec<(String, usize)>>,
    has_folder: bool,
    who: &str,
    at: usize,
    notes: &Notes,
) {
    let hint = "write command = [\"PROGRAM\", \"ARGUMENT\", …]".to_owned();
    match command {
        Read::Bad => {}
        Read::Absent => {
            let message = format!("{who}: it has no `command`");
            notes.add(Some(at), message, Some(hint));
        }
        Read::Given(words, at) => match words.first() {
            Some((program, at)) if program.contains('/') => {
                if !program.starts_with('/') && !has_folder {
                    let message = format!(
                        "{who}: `command` names the program {program}, but no `folder` that it is in",
                        program = shown(program)
                    );
                    let hint = "write folder = \".\" for the lab file's own folder";
                    notes.add(Some(*at), message, Some(hint.to_owned()));
                }
            }
            Some((program, _)) if !program.is_empty() => {}
            Some(_) | None => {
                let message = format!("{who}: `command` names no program");
                notes.add(Some(*at), message, Some(hint));
            }
        },
    }
}

pub(super) fn render(out: &mut String, service: &OwnService, limits: &Limits) -> fmt::Result {
    let list = |words: &[String]| {
        let words: Vec<_> = words.iter().map(quoted).collect();
        format!("[{}]", words.join(", "))
    };
    let env = service.env.iter();
    let env: Vec<_> = env
        .map(|(name, value)| format!("{} = {}", key(name), quoted(value)))
        .collect();
    writeln!(out, "\n[service.{}]", service.name)?;
    writeln!(out, "command = {}", list(&service.command))?;
    writeln!(out, "env = {{ {} }}", env.join(", "))?;
    if let Some(user) = &service.user {
        writeln!(out, "user = {}", quoted(user))?;
    }
    if let Some(folder) = &service.folder {
        writeln!(out, "folder = {}", quoted(folder.display()))?;
    }
    writeln!(out, "network = {}", quoted(&service.network))?;
    writeln!(out, "address = {}", quoted(service.address))?;
    match service.publish.as_slice() {
        [] => writeln!(out, "publish = false")?,
        [publish] => writeln!(out, "publish = {}", quoted(publish))?,
        more => {
            let words: Vec<_> = more.iter().map(Published::to_string).collect();
            writeln!(out, "publish = {}", list(&words))?;
        }
    }
    writeln!(out, "ready = {}", quoted(&service.ready))?;
    let within = spell_duration(service.ready_within);
    writeln!(out, "ready_within = {}", quoted(within))?;
    writeln!(out, "after = {}", after::spell(&service.after))?;
    writeln!(out, "restart = {}", quoted(service.restart))?;
    writeln!(out, "limits = {}", limits::spelled(limits))
}

/// The networks that services are on, and who claims which address there.
pub(super) fn claimants(
    files: &mut [OwnFile],
    networks: &Networks,
) -> Vec<(Option<usize>, Claimant)> {
    let claim = |file: &mut OwnFile| {
        let who = format!("service `{}`", file.name);
        let place = networks.place(&who, &file.network);
        let claimant = Claimant {
            who,
            at: file.at,
            address: std::mem::replace(&mut file.address, Read::Absent),
            is_bmc: false,
        };
        (place, claimant)
    };
    files.iter_mut().map(claim).collect()
}
