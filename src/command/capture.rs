//! `nsplay capture`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::fchown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::capture::summary::Summary;
use crate::capture::{self, CaptureFile};
use crate::cli;
use crate::client::not_up;
use crate::error::Failure;
use crate::json::{self, Captured, Packet};
use crate::kernel::netns;
use crate::kernel::packet::{Frame, HANDS_OVER, Instruction, LONGEST, PacketSocket};
use crate::kernel::user;
use crate::lab::network::MAIN;
use crate::lab::{LinkName, Name};
use crate::rundir::{RunDir, Supervisor};
use crate::ui;

/// Shows or writes the packets of links of the lab until enough have come, or the lab ends.
pub fn run(options: &cli::Capture, lab: &Name) -> Result<u8, Failure> {
    if options.json && options.write.as_deref() == Some(Path::new("-")) {
        return Err(Failure::refused(
            "packets and JSON cannot both go to standard output",
            "name a file for the packets, or leave out --json or --write",
        ));
    }
    let dir = RunDir::new(lab);
    let supervisor = dir.supervisor().ok_or_else(|| not_up(&dir))?;
    enter(&dir, &supervisor).map_err(|error| Failure::io("enter the lab", &error))?;
    let (links, filter) = which(options, &dir, &supervisor)?;
    let filter = compile(&filter)?;
    let fail = |error: io::Error| Failure::io("capture", &error);
    let signals = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];
    let signals = SigSet::from_iter(signals);
    signals.thread_block().map_err(|error| fail(error.into()))?;
    let stops = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)
        .map_err(|error| fail(error.into()))?;
    let lab = supervisor.open().map_err(|_| not_up(&dir))?;
    let sockets = links.iter().map(|link| link.listen(&filter));
    let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = links.into_iter().map(|link| link.shown).collect();
    let mut capture = Capture {
        to: Output::open(options, &names)?,
        names,
        sockets,
        ends: Ends {
            stops,
            lab,
            count: options.count,
            at: options
                .lasts
                .map(Duration::from_secs_f64)
                .map(|time| Instant::now() + time),
        },
        taken: 0,
    };
    let from = capture.names.join(", ");
    ui::status(&format!("capturing on {from}; Ctrl-C ends it"));
    let ended = capture.run();
    let lost: u32 = capture
        .sockets
        .iter()
        .filter_map(|one| one.lost().ok())
        .sum();
    let ended = match ended {
        // A reader that has gone (`nsplay capture | head`) is no error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(fail(error)),
        Ok(()) | Err(_) => options.write.clone().filter(|_| options.json),
    };
    if let Some(file) = ended {
        return ui::json(&Captured {
            file,
            links: capture.names,
            packets: capture.taken,
            lost: lost.into(),
        });
    }
    let lost = match lost {
        0 => String::new(),
        lost => format!(", {lost} lost"),
    };
    let to = match &options.write {
        Some(file) if file != Path::new("-") => format!(" in {}", file.display()),
        Some(_) | None => String::new(),
    };
    ui::status(&format!("{} packets{lost}{to}", capture.taken));
    Ok(0)
}

/// A link that is listened to.
struct Link {
    /// The network namespace that it is in.
    netns: PathBuf,
    /// Its name there.
    name: String,
    /// What it is called here: `node1:tap0`.
    shown: String,
}

impl Link {
    fn listen(&self, filter: &[Instruction]) -> Result<PacketSocket, Failure> {
        let opened = File::open(&self.netns).and_then(|inside| {
            netns::inside(inside.as_fd(), || PacketSocket::open(&self.name, filter))
        });
        opened.map_err(|error| match error.raw_os_error() {
            Some(nix::libc::ENODEV) => Failure::refused(
                format!("there is no link `{}`", self.shown),
                format!(
                    "`nsplay exec {} -- ip -br link` lists those that there are",
                    self.shown.split(':').next().unwrap_or("fabric")
                ),
            ),
            _ => Failure::io(format_args!("listen to `{}`", self.shown), &error),
        })
    }
}

/// The links that the first word names, and the words of the filter.
fn which(
    options: &cli::Capture,
    dir: &RunDir,
    supervisor: &Supervisor,
) -> Result<(Vec<Link>, Vec<String>), Failure> {
    let fabric = PathBuf::from(format!("/proc/{}/ns/net", supervisor.pid));
    let bridge = LinkName::fabric().to_string();
    let whole = |name: &str| {
        vec![Link {
            netns: fabric.clone(),
            name: name.to_owned(),
            shown: name.to_owned(),
        }]
    };
    let Some((first, rest)) = options.words.split_first() else {
        return Ok((whole(&bridge), Vec::new()));
    };
    if let Some((member, link)) = first.split_once(':')
        && let Some(netns) = namespace(member, dir, &fabric)
    {
        let link = Link {
            netns,
            name: link.to_owned(),
            shown: first.clone(),
        };
        return Ok((vec![link], rest.to_vec()));
    }
    let inside = |netns: &Path| -> Result<Vec<String>, Failure> {
        let names = || {
            let links = nix::net::if_::if_nameindex()?;
            let names = links.iter().map(|link| link.name().to_string_lossy());
            Ok(names.map(std::borrow::Cow::into_owned).collect())
        };
        let names = File::open(netns).and_then(|netns| netns::inside(netns.as_fd(), names));
        names.map_err(|error| Failure::io(format_args!("enter `{first}`"), &error))
    };
    if first == "fabric" {
        return Ok((whole(&bridge), rest.to_vec()));
    }
    if let Some(netns) = namespace(first, dir, &fabric) {
        let all = inside(&netns)?;
        // A node's packets are its guest's: its cable is the BMC's too.
        let of = |start: &str| -> Vec<&String> {
            all.iter().filter(|name| name.starts_with(start)).collect()
        };
        let mut chosen = of("tap");
        if chosen.is_empty() {
            chosen = of("eth");
        }
        chosen.sort();
        let link = |name: &String| Link {
            netns: netns.clone(),
            name: name.clone(),
            shown: format!("{first}:{name}"),
        };
        return Ok((chosen.into_iter().map(link).collect(), rest.to_vec()));
    }
    let links = inside(&fabric)?;
    let named = [network(first), Some(first.clone())];
    if let Some(link) = named.iter().flatten().find(|link| links.contains(link)) {
        return Ok((whole(link), rest.to_vec()));
    }
    Ok((whole(&bridge), options.words.clone()))
}

/// The bridge that a network of this name would have.
fn network(name: &str) -> Option<String> {
    let bridge = match name {
        MAIN => LinkName::fabric(),
        name => LinkName::bridge(&Name::new(name).ok()?),
    };
    Some(bridge.to_string())
}

/// The network namespace of a member.
fn namespace(member: &str, dir: &RunDir, fabric: &Path) -> Option<PathBuf> {
    if member == "fabric" {
        return Some(fabric.to_owned());
    }
    let path = dir.netns_name(&Name::new(member).ok()?);
    fs::symlink_metadata(&path).is_ok().then_some(path)
}

/// Has tcpdump compile a filter, as the kernel takes it.
fn compile(words: &[String]) -> Result<Vec<Instruction>, Failure> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let filter = words.join(" ");
    let output = Command::new("tcpdump")
        .args(["-ddd", "-y", "EN10MB", "--", &filter])
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::refused(
            "a filter is compiled by tcpdump, which is not installed",
            "install the package tcpdump; without a filter capture needs no other program",
        ),
        _ => Failure::io("run tcpdump", &error),
    })?;
    let said = String::from_utf8_lossy(&output.stdout);
    match capture::instructions(&said) {
        Some(filter) if output.status.success() => Ok(filter),
        _ => {
            let why = String::from_utf8_lossy(&output.stderr);
            let why = why.lines().last().unwrap_or_default();
            let why = why.trim_start_matches("tcpdump: ");
            Err(Failure::refused(
                format!("`{filter}` is no filter: {why}"),
                format!(
                    "`{}` is no member or network either; pcap-filter(7) says what a filter is, \
                     such as `udp port 67`",
                    words[0]
                ),
            ))
        }
    }
}

/// Where packets go.
enum Output {
    /// Lines on standard output.
    Lines(Summary),
    /// Lines of JSON there.
    Json(Summary),
    /// A capture file.
    File(CaptureFile<Box<dyn Write>>),
}

impl Output {
    fn open(options: &cli::Capture, names: &[String]) -> Result<Self, Failure> {
        let Some(file) = options.write.as_deref() else {
            return Ok(match options.json {
                true => Self::Json(Summary::default()),
                false => Self::Lines(Summary::default()),
            });
        };
        let io = |error: io::Error| Failure::io(format_args!("write {}", file.display()), &error);
        let to: Box<dyn Write> = match file.to_str() {
            Some("-") => Box::new(io::stdout()),
            _ => Box::new(create(file).map_err(io)?),
        };
        let to: Box<dyn Write> = Box::new(BufWriter::with_capacity(LONGEST, to));
        Ok(Self::File(CaptureFile::begin(to, names).map_err(io)?))
    }
}

/// Enters the user namespace that the lab of a user is in.
///
/// Who enters it is still who writes files, and reads the lab's descriptors.
fn enter(dir: &RunDir, supervisor: &Supervisor) -> io::Result<()> {
    match dir.places().user {
        Some(_) => user::join(&File::open(format!("/proc/{}/ns/user", supervisor.pid))?),
        None => Ok(()),
    }
}

/// Makes the file, which belongs to who called sudo.
fn create(file: &Path) -> io::Result<File> {
    let made = File::create(file)?;
    if made.metadata()?.is_file() {
        let id = |name| std::env::var(name).ok()?.parse().ok();
        if nix::unistd::geteuid().is_root() {
            fchown(&made, id("SUDO_UID"), id("SUDO_GID"))?;
        }
    }
    Ok(made)
}

/// What ends a capture.
struct Ends {
    stops: SignalFd,
    /// The supervisor.
    lab: OwnedFd,
    count: Option<u64>,
    at: Option<Instant>,
}

struct Capture {
    names: Vec<String>,
    sockets: Vec<PacketSocket>,
    to: Output,
    ends: Ends,
    taken: u64,
}

impl Capture {
    /// Takes packets until something ends it.
    fn run(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; LONGEST];
        loop {
            let over = self.wait()?;
            if over {
                // What came before the end belongs to it, and may not be handed over yet.
                thread::sleep(3 * HANDS_OVER);
            }
            let enough = self.drain(&mut buffer)?;
            if let Output::File(file) = &mut self.to {
                file.flush()?;
            }
            if over || enough {
                return Ok(());
            }
        }
    }

    /// Waits for a packet, and tells whether the end has come.
    fn wait(&self) -> io::Result<bool> {
        let left = self
            .ends
            .at
            .map(|at| at.saturating_duration_since(Instant::now()));
        let left = left.map_or(PollTimeout::NONE, |left| {
            // Rounded up, so that the end is there when the time is.
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let sockets = self.sockets.iter().map(AsFd::as_fd);
        let ends = [self.ends.stops.as_fd(), self.ends.lab.as_fd()];
        let mut fds: Vec<PollFd> = ends
            .into_iter()
            .chain(sockets)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        match poll(&mut fds, left) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ended = fds[..ends.len()].iter().any(|fd| fd.any() == Some(true));
        let late = self.ends.at.is_some_and(|at| Instant::now() >= at);
        Ok(ended || late)
    }

    /// Takes all packets that have come, and tells whether that is enough.
    fn drain(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        for link in 0..self.sockets.len() {
            loop {
                if self.ends.count.is_some_and(|count| self.taken >= count) {
                    return Ok(true);
                }
                let frame = match self.sockets[link].next(buffer) {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    // The link has gone down: a cable that was pulled comes back.
                    Err(error) if error.raw_os_error() == Some(nix::libc::ENETDOWN) => break,
                    Err(error) => return Err(error),
                };
                self.taken += 1;
                take(&mut self.to, &self.names, link, &frame)?;
            }
        }
        Ok(self.ends.count.is_some_and(|count| self.taken >= count))
    }
}

fn take(to: &mut Output, names: &[String], link: usize, frame: &Frame) -> io::Result<()> {
    match to {
        Output::File(file) => file.add(link, frame),
        Output::Json(summary) => {
            let packet = Packet {
                at: u64::try_from(frame.at.as_millis()).unwrap_or(u64::MAX),
                link: names[link].clone(),
                length_bytes: frame.length,
                text: summary.text(frame),
            };
            ui::bytes(json::line(&packet)?.as_bytes())
        }
        Output::Lines(summary) => {
            let width = names.iter().map(String::len).max().unwrap_or_default();
            ui::bytes(summary.line(&names[link], width, frame).as_bytes())
        }
    }
}
