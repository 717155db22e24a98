//! The command line. The doc comments are the help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::lab::{Fault, Name};

mod act;
mod run;
mod see;

pub use act::*;
pub use run::*;
pub use see::*;

/// The bare-metal lab that runs anywhere Linux runs
///
/// One network with DHCP, TFTP, PXE, HTTP and SSH on it, and a virtual server
/// that PXE-boots and obeys its BMC: made in namespaces, gone without a trace.
#[derive(Debug, Parser)]
#[command(name = "nsplay", version, max_term_width = 100)]
pub struct Cli {
    /// Name of the lab; two labs of different names run side by side
    #[arg(short, long, global = true, value_name = "NAME", value_parser = Name::new)]
    pub project: Option<Name>,
    /// Say more on standard error
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Print nothing but errors and what was asked for
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the lab and run it
    Up(Up),
    /// Make the lab, run a command, and take the lab down whatever happens
    Run(Run),
    /// Remove the lab and everything it left on this host
    Down {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the members of the lab
    Ps(Ps),
    /// Show what the programs of the lab cost: processors and memory
    Top {
        /// Print JSON, once
        #[arg(long)]
        json: bool,
    },
    /// List the labs of this host
    Ls {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell what this host lacks for labs, what that costs, and how it is mended
    Doctor(Doctor),
    /// Remove what labs have left that ended without sweeping up
    Prune(Prune),
    /// Wait until something has come about: a boot stage, health, a page, a line
    Wait(Wait),
    /// Say why a node does not boot, and what to do
    Why(Why),
    /// Show what happens: power, stages, programs that come and go
    Events(Events),
    /// Take a picture of a node's screen
    Screenshot(Screenshot),
    /// Type on a node's keyboard
    Keys(Keys),
    /// Show a node's screen in the VNC viewer that is installed
    Vnc(Vnc),
    /// Draw how a node boots, stage by stage
    Timeline(Timeline),
    /// Show what the members print
    Logs(Logs),
    /// Attach this terminal to the serial console of a node
    Console(Console),
    /// Run a command of this host inside the network of a member
    Exec(Exec),
    /// Open a shell of this host inside the network of a member, or of the whole lab
    Shell(Shell),
    /// Show or write the packets of a member or of a network
    Capture(Capture),
    /// Start a member that is stopped; a node is switched on
    Start(OneMember),
    /// Stop a member until it is started; a node is switched off, and its BMC stays
    Stop(OneMember),
    /// Stop a member and start it again; a node is switched off and on
    Restart(OneMember),
    /// Put this host on a network of the lab, so that it reaches members and nodes
    Attach(Way),
    /// Take this host off a network of the lab, or off all
    Detach(Way),
    /// Tell a node to power on, off, cycle or reset
    Power(Power),
    /// Choose what a node boots from, or print it
    Boot(Boot),
    /// Pull the cable of a node's network card, plug it in, or print whether it is
    Link(Link),
    /// Put an image into a node's CD drive, take it out, or print what is in it
    Media(Media),
    /// Make the BMC of a node measure and report what it should
    #[command(subcommand)]
    Bmc(Bmc),
    /// Print what a member is: a node's names, numbers and sensors, or what a service runs
    Inspect(Inspect),
    /// Draw the lab: networks, members, and what the host reaches
    Graph(Graph),
    /// Print what `up` would do, as shell commands
    Plan(Plan),
    /// Print the lab file with everything in it that was left out
    Config(Config),
    /// Build what nodes boot when they have nothing else
    #[command(subcommand)]
    Image(Image),
    /// Download what a lab needs from elsewhere
    Fetch(Fetch),
    /// Print a lab file of what describes a lab elsewhere
    #[command(subcommand)]
    Import(Import),
    /// Print completions for a shell, or write manual pages or the schemas of JSON
    #[command(subcommand)]
    Generate(Generate),
    /// Run as the supervisor of a lab
    #[command(hide = true)]
    Supervise {
        /// A descriptor that holds the plan
        handover: i32,
    },
}

/// Which lab file, and how it is changed.
#[derive(Args, Debug, Default)]
pub struct FileOptions {
    /// The lab file; without one `nsplay.toml` in this folder, else the built-in lab
    ///
    /// May be given several times: what a later file says goes before what an earlier one does.
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Add this to every published port, so that a second lab finds its own free
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port_offset: u16,
}

/// `nsplay up`.
#[derive(Args, Debug)]
pub struct Up {
    /// Which lab.
    #[command(flatten)]
    pub lab: FileOptions,
    /// Return when the lab is up, and leave it running
    #[arg(short, long)]
    pub detach: bool,
    /// Print JSON: what happens, line for line; with --detach what the lab is then
    #[arg(long)]
    pub json: bool,
}

/// `nsplay fetch`.
#[derive(Args, Debug)]
pub struct Fetch {
    /// The lab file, or the name of one here or in `configs`; without one `nsplay.toml`
    ///
    /// Several lie over one another, as for `nsplay up -f`.
    #[arg(value_name = "LAB")]
    pub labs: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `nsplay plan`.
#[derive(Args, Debug)]
pub struct Plan {
    /// Print what `up` would change in the lab that runs instead
    #[arg(long)]
    pub diff: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which lab.
    #[command(flatten)]
    pub lab: FileOptions,
}

/// `nsplay config`.
#[derive(Args, Debug)]
pub struct Config {
    /// Which lab.
    #[command(flatten)]
    pub lab: FileOptions,
    /// Print a JSON Schema of lab files instead, for editors that complete and check them
    #[arg(long, conflicts_with_all = ["files", "port_offset", "json"])]
    pub schema: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `nsplay logs`.
#[derive(Args, Debug)]
pub struct Logs {
    /// Go on with what is still to come
    #[arg(short, long)]
    pub follow: bool,
    /// Only what was printed so long ago at most, such as 30s or 5m
    #[arg(long, value_name = "TIME", value_parser = see::time)]
    pub since: Option<std::time::Duration>,
    /// Only these members
    #[arg(value_name = "MEMBER", value_parser = Name::new)]
    pub members: Vec<Name>,
    /// Print JSON, one event on a line, of which those of the kind `log` are lines
    #[arg(long)]
    pub json: bool,
}

/// `nsplay console`.
#[derive(Args, Debug)]
pub struct Console {
    /// The node; may be left out when the lab has one
    #[arg(value_parser = Name::new)]
    pub node: Option<Name>,
}

/// `nsplay exec`.
#[derive(Args, Debug)]
pub struct Exec {
    /// The member, or `fabric` for the network between them
    #[arg(value_parser = Name::new)]
    pub member: Name,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<std::ffi::OsString>,
}

/// `nsplay capture`.
#[derive(Args, Debug)]
pub struct Capture {
    /// A member, a network or a link, then a filter such as `udp port 67`
    ///
    /// A service is its eth0, a node the TAP devices of its guest, a network all that passes its
    /// bridge; MEMBER:LINK is any link of a member, such as node1:br-bmc. Without one it is
    /// `main`, the network of all labs. The filter is tcpdump's, which compiles it.
    #[arg(value_name = "TARGET] [FILTER")]
    pub words: Vec<String>,
    /// Write a pcapng file instead of lines; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// End after so many packets
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after so long
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub lasts: Option<f64>,
    /// Print JSON, one packet on a line; with --write, what came of it
    #[arg(long)]
    pub json: bool,
}

/// `nsplay start`, `stop` and `restart`.
#[derive(Args, Debug)]
pub struct OneMember {
    /// The member
    #[arg(value_parser = Name::new)]
    pub member: Name,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `nsplay attach` and `nsplay detach`.
#[derive(Args, Debug)]
pub struct Way {
    /// The network; without one `attach` takes the main one, `detach` all
    #[arg(value_parser = Name::new)]
    pub network: Option<Name>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `nsplay power`.
#[derive(Args, Debug)]
pub struct Power {
    /// The node
    #[arg(value_parser = Name::new)]
    pub node: Name,
    /// What to do
    pub order: PowerOrder,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What a node can be told or asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PowerOrder {
    /// Power up
    On,
    /// Power down at once
    Off,
    /// Print whether it is on
    Status,
    /// Power down, then up
    Cycle,
    /// Reset
    Reset,
    /// Press the power button, which the guest may ignore
    Soft,
    /// Send a diagnostic interrupt
    Diag,
}

/// `nsplay bmc`.
#[derive(Debug, Subcommand)]
pub enum Bmc {
    /// Make a sensor show a value or a state, until it is cleared
    Set {
        /// The node
        #[arg(value_parser = Name::new)]
        node: Name,
        /// The name of the sensor; `nsplay bmc sensors NODE` lists them
        sensor: String,
        /// A number in the sensor's unit, two as FROM..TO, or states such as `presence,failure`
        value: String,
        /// How long the way to that value takes
        #[arg(long, value_name = "SECONDS", value_parser = seconds)]
        over: Option<f64>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Add an event to the log of the BMC
    Event {
        /// The node
        #[arg(value_parser = Name::new)]
        node: Name,
        /// The name of the sensor
        sensor: Option<String>,
        /// A state of the sensor, a threshold such as `upper-critical`, or the offset of either
        event: Option<String>,
        /// The event ends instead of beginning
        #[arg(long)]
        deassert: bool,
        /// The 13 bytes after the record's type, in hexadecimal; the time is the BMC's
        #[arg(long, value_name = "HEX", conflicts_with_all = ["sensor", "event", "deassert"])]
        raw: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give the BMC a fault; without one, list those that it has
    ///
    /// unreachable: no request reaches it over the network.
    /// slow=500ms: each answer comes so much later.
    /// loss=30%: so many datagrams are lost, each way.
    /// sessions-full: no session can be opened.
    /// cold-reset: it restarts, and is away for 2 s or as long as --for says.
    /// power-loss: the mains fail; at the end the power restore policy decides.
    /// stuck-power: power orders are accepted, and nothing happens.
    /// ignored-boot-device: the boot device reads back, and is not booted from.
    #[command(verbatim_doc_comment)]
    Fault {
        /// The node
        #[arg(value_parser = Name::new)]
        node: Name,
        /// The fault
        fault: Option<Fault>,
        /// How long it lasts; else until `nsplay bmc clear NODE`
        #[arg(long = "for", value_name = "SECONDS", value_parser = seconds, requires = "fault")]
        lasts: Option<f64>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End everything that was set, and all faults
    Clear {
        /// The node
        #[arg(value_parser = Name::new)]
        node: Name,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the sensors and what they show
    Sensors {
        /// The node
        #[arg(value_parser = Name::new)]
        node: Name,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A time in seconds, up to a day.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|n| (0.0..=86_400.0).contains(n));
    seconds.ok_or_else(|| "expected seconds, 0 to 86400".to_owned())
}

/// `nsplay inspect`.
#[derive(Args, Debug)]
pub struct Inspect {
    /// The member
    #[arg(value_parser = Name::new)]
    pub member: Name,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which lab, when it is not the running one.
    #[command(flatten)]
    pub lab: FileOptions,
}

/// `nsplay image`.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// Build the image from a kernel and busybox of this distribution
    Build {
        /// A kernel other than the newest that is installed
        #[arg(long, value_name = "FILE")]
        kernel: Option<PathBuf>,
        /// The folder that receives it, other than the one that labs look in
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `nsplay import`.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// Of the description of an InfraSIM node
    Infrasim(ImportOptions),
    /// Of a playground for docker compose
    Compose(ImportOptions),
}

/// What is imported, and where it goes.
#[derive(Args, Debug)]
pub struct ImportOptions {
    /// The YAML file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write the lab file here instead of printing it; what is there already stays
    #[arg(short, long, value_name = "LAB")]
    pub output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `nsplay generate`.
#[derive(Debug, Subcommand)]
pub enum Generate {
    /// Print what completes nsplay's verbs and options in a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write it and one for each verb
    Man {
        /// The folder that receives them; it is made if need be
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Write the schemas of what `--json` prints
    Schemas {
        /// The folder that receives them; it is made if need be
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// `nsplay graph`.
#[derive(Args, Debug)]
pub struct Graph {
    /// Which lab.
    #[command(flatten)]
    pub lab: FileOptions,
    /// In which form.
    #[command(flatten)]
    pub form: GraphForm,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The forms of a picture; none of them is text.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct GraphForm {
    /// Print it for Graphviz
    #[arg(long)]
    pub dot: bool,
    /// Print it for Mermaid, which Markdown pages show
    #[arg(long)]
    pub mermaid: bool,
    /// Print it as an SVG
    #[arg(long)]
    pub svg: bool,
}

/// `nsplay ps`.
#[derive(Args, Debug)]
pub struct Ps {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Go on: on a terminal alive, else again whenever something has changed
    #[arg(short, long)]
    pub watch: bool,
}

/// `nsplay prune`.
#[derive(Args, Debug)]
pub struct Prune {
    /// Also remove the disks and logs of labs that do not run
    #[arg(long)]
    pub disks: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `nsplay doctor`.
#[derive(Args, Debug)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Run the commands that mend what is wrong, after asking
    #[arg(long)]
    pub fix: bool,
    /// Do not ask
    #[arg(short, long, requires = "fix")]
    pub yes: bool,
}
