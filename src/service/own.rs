//! Services of the user's own: any program, as its member's unprivileged user.

use std::net::SocketAddrV4;
use std::path::PathBuf;

use crate::host::tools::Tools;
use crate::lab::own::Readiness;
use crate::lab::{Awaited, Lab, Name, OwnService};
use crate::program::{Manners, Probe, Program, User};

/// A program without it finds no other one.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program that serves; its plain name stands for one that the host does not have.
#[must_use]
pub fn program(own: &OwnService, tools: &Tools) -> Program {
    let home = Program::dir(&own.name);
    let inside = folder(own).map(|(inside, _)| inside);
    let relative = own.command.first().filter(|typed| {
        let typed = std::path::Path::new(typed);
        typed.is_relative() && typed.components().count() > 1
    });
    let binary = match (&inside, relative, tools.own.get(&own.name)) {
        (Some(inside), Some(typed), _) => inside.join(typed),
        (_, _, Some(found)) => found.clone(),
        (_, _, None) => own.program(),
    };
    let mut argv = own.command.clone();
    if let Some(first) = argv.first_mut() {
        *first = binary.display().to_string();
    }
    let defaults = [
        ("HOME".to_owned(), home.display().to_string()),
        ("PATH".to_owned(), PATH.to_owned()),
    ];
    // The last one of a name is the one that counts.
    let env = defaults.into_iter().chain(own.env.iter().cloned());
    let at = |port| SocketAddrV4::new(own.address, port);
    Program {
        member: own.name.clone(),
        what: own.what(),
        argv,
        env: env.collect(),
        user: tools
            .users
            .get(&own.name)
            .map_or(User::Member, |user| User::Host(*user)),
        caps: Vec::new(),
        files: Vec::new(),
        rereads: Vec::new(),
        dirs: vec![home],
        cell: None,
        ready: match &own.ready {
            Readiness::Started => Probe::Started,
            Readiness::Tcp(port) => Probe::Tcp(at(*port)),
            Readiness::Http { port, path } => Probe::Get(at(*port), path.clone()),
            Readiness::Log(text) => Probe::Log(text.clone()),
            Readiness::Exec(command) => Probe::Exec(command.clone()),
        },
        own: Some(Manners {
            folder: inside.unwrap_or_else(|| PathBuf::from("/")),
            ready_within: own.ready_within,
            restart: own.restart,
        }),
    }
}

/// The folder that it starts in, if any: where it is inside the lab, and on the host.
#[must_use]
pub fn folder(own: &OwnService) -> Option<(PathBuf, PathBuf)> {
    let folder = own.folder.clone()?;
    Some((Program::dir(&own.name).join("folder"), folder))
}

/// What the service `member` waits for before it is started.
#[must_use]
pub fn after<'l>(lab: &'l Lab, member: &Name) -> &'l [Awaited] {
    let own = lab.own.iter().find(|own| own.name == *member);
    own.map_or(&[], |own| &own.after)
}
