//! The commands, one file each.

mod attach;
mod bmc;
mod boot;
mod capture;
mod change;
mod config;
mod console;
mod doctor;
mod down;
mod exec;
mod fetch;
mod generate;
mod graph;
mod image;
mod import;
mod inspect;
mod link;
mod logs;
mod ls;
mod media;
mod order;
mod plan;
mod power;
mod preflight;
mod prune;
mod ps;
mod run;
mod screen;
mod shell;
mod timeline;
mod top;
mod up;
mod wait;
mod why;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::bmc::bank::Bank;
use crate::cli::{Command, FileOptions};
use crate::error::{Cause, Failure, Problem, no_such};
use crate::host::places::Places;
use crate::host::unprivileged;
use crate::lab::file::{self, Origin, ProfileFile, Report, Source};
use crate::lab::{Lab, Moved, Name, Occupied};
use crate::supervisor::protocol::Deed;

/// A lab file is a page or two; more than this is none.
const LARGEST_LAB_FILE: u64 = 1 << 20;

/// Runs a command, and returns its exit code.
///
/// # Errors
/// What the user is to be told.
pub fn run(command: &Command, project: Option<&Name>) -> Result<u8, Failure> {
    let name = || match project {
        Some(name) => name.clone(),
        None => name_here(),
    };
    Places::of_caller().are_kept().map_err(|error| {
        let hint = "set XDG_RUNTIME_DIR to a folder that only you can write to";
        Failure::refused(error.to_string(), hint)
    })?;
    match command {
        Command::Run(options) => run::run(options, project),
        Command::Up(options) => up::run(options, project),
        Command::Down { json } => down::run(*json, &name()),
        Command::Wait(options) => wait::run(options, &name()),
        Command::Why(options) => why::run(options, &name()),
        Command::Events(options) => logs::events(options, &name()),
        Command::Screenshot(options) => screen::shoot(options, &name()),
        Command::Keys(options) => screen::keys(options, &name()),
        Command::Vnc(options) => screen::vnc(options, &name()),
        Command::Timeline(options) => timeline::run(options, &name()),
        Command::Ps(options) => ps::run(options, &name()),
        Command::Top { json } => top::run(*json, &name()),
        Command::Ls { json } => ls::run(*json),
        Command::Doctor(options) => doctor::run(options),
        Command::Prune(options) => prune::run(options),
        Command::Logs(options) => logs::run(options, &name()),
        Command::Console(options) => console::run(options, &name()),
        Command::Exec(options) => exec::run(options, &name()),
        Command::Shell(options) => shell::run(options, &name()),
        Command::Attach(options) => attach::attach(options, &name()),
        Command::Detach(options) => attach::detach(options, &name()),
        Command::Capture(options) => capture::run(options, &name()),
        Command::Start(options) => order::run(options, Deed::Start, &name()),
        Command::Stop(options) => order::run(options, Deed::Stop, &name()),
        Command::Restart(options) => order::run(options, Deed::Restart, &name()),
        Command::Power(options) => power::run(options, &name()),
        Command::Boot(options) => boot::run(options, &name()),
        Command::Link(options) => link::run(options, &name()),
        Command::Media(options) => media::run(options, &name()),
        Command::Bmc(options) => bmc::run(options, &name()),
        Command::Inspect(options) => inspect::run(options, project),
        Command::Plan(options) => plan::run(options, project),
        Command::Config(options) => config::run(options, project),
        Command::Image(options) => image::run(options),
        Command::Fetch(options) => fetch::run(options, project),
        Command::Graph(options) => graph::run(options, project),
        Command::Generate(verb) => generate::run(verb),
        Command::Import(verb) => import::run(verb),
        Command::Supervise { .. } => Ok(0),
    }
}

/// Says which nodes there are instead of the one that was asked for.
fn which_node(lab: &Name, asked: Option<&Name>, nodes: &[Name]) -> Failure {
    match (asked, nodes) {
        (_, []) => Failure::unknown(format!("lab `{lab}` has no node")),
        (Some(asked), _) => Failure::unknown(no_such("node", asked, nodes)),
        (None, _) => {
            let names: Vec<&str> = nodes.iter().map(Name::as_str).collect();
            let message = format!("lab `{lab}` has more than one node");
            Failure::refused(message, format!("name one of: {}", names.join(", ")))
        }
    }
}

/// The name of the lab in the current folder; a file that cannot be read names none.
fn name_here() -> Name {
    let lab = lab(&FileOptions::default(), None);
    lab.map_or_else(|_| Name::default(), |lab| lab.name)
}

/// Reads the lab that the options name.
///
/// # Errors
/// All that is wrong with the lab file.
fn lab(options: &FileOptions, project: Option<&Name>) -> Result<Lab, Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::io("tell which folder this is", &error))?;
    let own = PathBuf::from("nsplay.toml");
    let files = match options.files.as_slice() {
        [] if own.is_file() => vec![own],
        files => files.to_vec(),
    };
    let sources = files.iter().map(|path| source(path, &here));
    let mut sources = sources.collect::<Result<Vec<_>, _>>()?.into_iter();
    let mut origin = Origin::built_in(project.cloned());
    let text = match sources.next() {
        None => file::DEFAULT.to_owned(),
        Some(first) => {
            (origin.file, origin.folder) = (first.file, first.folder);
            first.text
        }
    };
    origin.overlays = sources.collect();
    origin.open = self::text;
    origin.variables = variables();
    // What is in the current folder wins over what is built in, and what is beside a lab file over
    // both; of several files the last one's.
    let folders: Vec<&Path> = files
        .iter()
        .rev()
        .map(|file| file.parent().unwrap_or(Path::new("")))
        .chain([Path::new("")])
        .collect();
    let beside = |name: &str| {
        let mut found = folders.iter().map(|folder| here.join(folder).join(name));
        found.find(|folder| folder.is_dir())
    };
    origin.webroot = beside("webroot");
    origin.tftproot = beside("tftproot");
    origin.profiles = profiles(&folders)?;
    let lab = file::load(&text, &origin).map_err(refuse)?;
    check_scenarios(&lab)?;
    lab.with_port_offset(options.port_offset)
        .map_err(|error| Failure::refused(error.to_string(), "choose a smaller --port-offset"))
}

/// Moves the ports that who runs nsplay may not publish, and says which.
fn permitted(lab: Lab) -> Result<(Lab, Vec<Moved>), Failure> {
    lab.with_ports_from(unprivileged::first())
        .map_err(|occupied| {
            let problem = |occupied: Occupied| Problem {
                message: occupied.to_string(),
                hint: Some(occupied.hint()),
            };
            Failure::all(occupied.into_iter().map(problem).collect())
        })
}

/// Refuses what a sensor could not show when its time comes.
fn check_scenarios(lab: &Lab) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for node in &lab.nodes {
        let mut bank = Bank::new(&node.profile);
        for act in &node.bmc.scenario {
            let crate::lab::Deed::Sensor {
                sensor,
                value,
                over,
            } = &act.deed
            else {
                continue;
            };
            let over = over.map(|over| over.as_secs_f64());
            if let Err(refusal) = bank.hold(0.0, sensor, value, over) {
                let at = act.at.as_secs();
                problems.push(Problem {
                    message: format!("BMC of node `{}`: scenario at {at} s: {refusal}", node.name),
                    hint: None,
                });
            }
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::all(problems))
}

/// A lab file and its folder.
fn source(path: &Path, here: &Path) -> Result<Source, Failure> {
    let text = text(path).map_err(|error| {
        Failure::refused(
            format!("cannot read lab file {}: {error}", path.display()),
            "-f names a lab file; without it the built-in lab is used",
        )
    })?;
    let absolute = here.join(path);
    Ok(Source {
        file: path.display().to_string(),
        folder: absolute.parent().unwrap_or(here).to_owned(),
        text,
    })
}

/// The user's own profiles: `profiles/NAME.toml` in each of `folders`, of which the first wins.
fn profiles(folders: &[&Path]) -> Result<Vec<ProfileFile>, Failure> {
    let mut found: Vec<ProfileFile> = Vec::new();
    for folder in folders {
        let folder = folder.join("profiles");
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| {
                path.extension().is_some_and(|ending| ending == "toml") && path.is_file()
            })
            .collect();
        paths.sort();
        for path in paths {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if found.iter().any(|known| known.name == name) {
                continue;
            }
            let file = path.display().to_string();
            let text = text(&path).map_err(|error| {
                Failure::refused(
                    format!("cannot read profile {file}: {error}"),
                    "move it out of the folder if it is none",
                )
            })?;
            found.push(ProfileFile { name, file, text });
        }
    }
    Ok(found)
}

/// The environment's variables, as far as they are text.
fn variables() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = fs::File::open(path)?;
    file.take(LARGEST_LAB_FILE + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn refuse(report: Report) -> Failure {
    let problems = report.problems.iter().map(|problem| Problem {
        message: match &problem.place {
            Some(place) => format!("{place}: {}", problem.message),
            None => problem.message.clone(),
        },
        hint: problem.hint.clone(),
    });
    let failure = Failure::all(problems.collect());
    failure.because(Cause::LabFile(report))
}
