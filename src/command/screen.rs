//! `nsplay screenshot`, `nsplay keys` and `nsplay vnc`.

use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::cli;
use crate::client::Client;
use crate::error::Failure;
use crate::host::programs::Finder;
use crate::json::{Keys, Screenshot, Vnc};
use crate::lab::Name;
use crate::node::keys::{self, Press};
use crate::rundir::RunDir;
use crate::supervisor::protocol::{Member, Reply, Request};
use crate::ui;

/// Writes a picture of a node's screen, or prints its text.
pub fn shoot(options: &cli::Screenshot, lab: &Name) -> Result<u8, Failure> {
    let (dir, node) = (RunDir::new(lab), &options.node);
    let Some(file) = &options.file else {
        let lines = text(&dir, node)?;
        if options.json {
            return ui::json(&Screenshot {
                node: node.clone(),
                file: None,
                lines: Some(lines),
            });
        }
        ui::data(
            &lines
                .iter()
                .map(|line| format!("{line}\n"))
                .collect::<String>(),
        );
        return Ok(0);
    };
    if options.json && file.as_os_str() == "-" {
        return Err(Failure::refused(
            "a picture and JSON cannot both go to standard output",
            "name a file for the picture, or leave out --json",
        ));
    }
    let png = picture(&dir, node)?;
    match file.as_os_str() == "-" {
        true => ui::bytes(&png).map_err(|error| Failure::io("write the picture", &error))?,
        false => std::fs::write(file, png)
            .map_err(|error| Failure::io(format_args!("write {}", file.display()), &error))?,
    }
    if !options.json {
        return Ok(0);
    }
    ui::json(&Screenshot {
        node: node.clone(),
        file: Some(file.clone()),
        lines: None,
    })
}

/// The text that a node's screen shows.
///
/// # Errors
/// When it shows none.
pub fn text(dir: &RunDir, node: &Name) -> Result<Vec<String>, Failure> {
    let request = Request::Screen {
        node: node.clone(),
        text: true,
    };
    let mut text = Vec::new();
    Client::to_lab(dir, &request)?.replies(|reply| {
        if let Reply::Text { lines } = reply {
            text = lines;
        }
    })?;
    Ok(text)
}

/// A picture of a node's screen, as a PNG.
///
/// # Errors
/// When the node is off.
pub fn picture(dir: &RunDir, node: &Name) -> Result<Vec<u8>, Failure> {
    let request = Request::Screen {
        node: node.clone(),
        text: false,
    };
    let broken = |error: std::io::Error| Failure::io("take a picture", &error);
    let mut client = Client::to_lab(dir, &request)?;
    let (width, height) = match client.reply().map_err(broken)? {
        Some(Reply::Picture { width, height }) => (width, height),
        Some(Reply::Refused { message }) => return Err(Failure::failed(message)),
        Some(Reply::Unknown { message }) => return Err(Failure::unknown(message)),
        Some(_) | None => return Err(Failure::failed("the lab ended")),
    };
    let (mut points, mut stream) = client.into_stream().map_err(broken)?;
    stream.read_to_end(&mut points).map_err(broken)?;
    png(width, height, &points)
        .map_err(|error| Failure::failed(format!("cannot take a picture: {error}")))
}

fn png(width: usize, height: usize, points: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width.try_into()?, height.try_into()?);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(points)?;
    writer.finish()?;
    Ok(file)
}

/// Types on a node's keyboard.
pub fn keys(options: &cli::Keys, lab: &Name) -> Result<u8, Failure> {
    let mut presses: Vec<Press> = Vec::new();
    for text in &options.keys {
        let more = keys::parse(text).map_err(|error| {
            Failure::refused(
                error,
                "nsplay keys node1 'linux single<enter>' '<ctrl-alt-delete>'",
            )
        })?;
        presses.extend(more);
    }
    let (node, count) = (options.node.clone(), presses.len());
    let request = Request::Keys {
        node: node.clone(),
        keys: presses,
    };
    Client::to_lab(&RunDir::new(lab), &request)?.replies(|_| {})?;
    match options.json {
        true => ui::json(&Keys {
            node,
            presses: count,
        }),
        false => Ok(0),
    }
}

/// Spells an address as a viewer wants it.
type Spell = fn(SocketAddr) -> String;

/// The viewers that are looked for, and how each is told an address.
const VIEWERS: [(&str, Spell); 6] = [
    ("vncviewer", colons),
    ("xtigervncviewer", colons),
    ("remote-viewer", url),
    ("gvncviewer", display),
    ("vinagre", url),
    ("krdc", url),
];

fn colons(at: SocketAddr) -> String {
    format!("{}::{}", at.ip(), at.port())
}

fn url(at: SocketAddr) -> String {
    format!("vnc://{at}")
}

/// Displays count from port 5900 on.
fn display(at: SocketAddr) -> String {
    format!("{}:{}", at.ip(), i32::from(at.port()) - 5900)
}

/// Starts a viewer, or says where to point one.
pub fn vnc(options: &cli::Vnc, lab: &Name) -> Result<u8, Failure> {
    let dir = RunDir::new(lab);
    let mut nodes: Vec<Member> = Vec::new();
    Client::to_lab(&dir, &Request::Ps)?.replies(|reply| {
        if let Reply::Members { members } = reply {
            nodes = members
                .into_iter()
                .filter(|member| member.what == "qemu")
                .collect();
        }
    })?;
    let found = match &options.node {
        Some(name) => nodes.iter().find(|node| node.name == *name),
        None => nodes.first().filter(|_| nodes.len() == 1),
    };
    let Some(node) = found else {
        let names: Vec<Name> = nodes.into_iter().map(|node| node.name).collect();
        return Err(super::which_node(lab, options.node.as_ref(), &names));
    };
    let Some(at) = node.published.first() else {
        return Err(Failure::refused(
            format!("the screen of `{}` is not published", node.name),
            format!(
                "vnc = \"127.0.0.1:5901\" in [node.{0}], or `nsplay screenshot {0} FILE`",
                node.name
            ),
        ));
    };
    if options.json {
        return ui::json(&Vnc {
            node: node.name.clone(),
            address: *at,
        });
    }
    let finder = Finder::from_env();
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    let viewer = VIEWERS
        .iter()
        .find_map(|(name, address)| Some((finder.program(name)?, address)));
    match viewer.filter(|_| has_display) {
        Some((viewer, address)) => Err(start(&viewer, &address(*at))),
        None => {
            ui::data(&format!("{at}\n"));
            ui::status(&format!(
                "point a VNC viewer there: vncviewer {}; none was started, for {}",
                colons(*at),
                if has_display {
                    "none is installed"
                } else {
                    "this terminal has no display"
                }
            ));
            Ok(0)
        }
    }
}

/// Becomes the viewer; returns only when that fails.
fn start(viewer: &Path, address: &str) -> Failure {
    let error = std::process::Command::new(viewer).arg(address).exec();
    Failure::io(format_args!("start {}", viewer.display()), &error)
}
