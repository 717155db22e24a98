//! What is made of labs and lab files, as JSON.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::Document;
use crate::diff::{Edit, Kind};
use crate::lab::{Lab, LinkName, Mac, Name, file};
use crate::supervisor::protocol::{Member, State};

/// What `up` made of a lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Up {
    /// The lab.
    pub lab: Name,
    /// What was done.
    pub outcome: Raised,
    /// What was done to single members of one that ran.
    pub changes: Vec<Edit>,
    /// Its members now.
    pub members: Vec<Member>,
}

/// What `up` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Raised {
    /// There was none, and it was made.
    Made,
    /// It ran, and was changed.
    Changed,
    /// It ran, and was as its file says.
    Unchanged,
}

/// A lab that is down.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Down {
    /// The lab.
    pub lab: Name,
    /// Whether it was up.
    pub was_up: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What became of `nsplay run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Run {
    /// The lab, which is down again.
    pub lab: Name,
    /// The exit code, the command's if it was run.
    pub exit_code: u8,
    /// What was done, one after the other: `up`, each goal that was waited for, the command.
    pub parts: Vec<RunPart>,
    /// The folder with all that is known of it.
    pub artifacts: Option<PathBuf>,
}

/// A part of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunPart {
    /// What.
    pub name: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

/// What `up` would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Plan {
    /// The lab.
    pub lab: Name,
    /// All of it as a shell script.
    pub script: String,
}

/// What `up` would change in a lab that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// The lab.
    pub lab: Name,
    /// The networks that come.
    pub networks: Vec<Name>,
    /// What is done to members; the others are left alone.
    pub changes: Vec<Edit>,
}

/// A lab file with everything in it that was left out.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Config {
    /// Its tables.
    #[schemars(with = "LabFile")]
    pub lab: toml::Table,
}

/// How the schema has a lab file: by the name of the schema that `nsplay config --schema` prints.
pub struct LabFile;

impl JsonSchema for LabFile {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LabFile".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        Schema::new_ref(file::SCHEMA_ID.to_owned())
    }
}

/// What a lab needs from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fetch {
    /// The lab.
    pub lab: Name,
    /// The folder that the files are in; none for a lab that needs none.
    pub folder: Option<PathBuf>,
    /// The files.
    pub files: Vec<Fetched>,
}

/// A file from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fetched {
    /// Where it is in the folder.
    pub file: PathBuf,
    /// Whether it was there already.
    pub was_there: bool,
}

/// The image that was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Image {
    /// The folder that it is in.
    pub folder: PathBuf,
    /// What `uname -r` says on a node.
    pub kernel: String,
    /// The modules in its initrd, sorted.
    pub modules: Vec<String>,
    /// The wanted modules that this kernel does not have.
    pub missing_modules: Vec<String>,
    /// The version of busybox.
    pub busybox: String,
    /// The programs beside busybox.
    pub programs: Vec<String>,
    /// The wanted programs that the host does not have.
    pub missing_programs: Vec<String>,
    /// The size of `vmlinuz`.
    pub vmlinuz_bytes: u64,
    /// The size of `initrd.img`.
    pub initrd_bytes: u64,
}

/// A lab file that was made of what describes a lab elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Import {
    /// The file that it was written to.
    pub output: Option<PathBuf>,
    /// Its text, in TOML.
    pub text: String,
}

/// A lab as a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Graph {
    /// The lab.
    pub lab: Name,
    /// Whether it runs.
    pub up: bool,
    /// Its networks.
    pub networks: Vec<GraphNetwork>,
    /// Its members.
    pub members: Vec<GraphMember>,
}

/// A network in a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GraphNetwork {
    /// Its name.
    pub name: Name,
    /// Its subnet.
    pub subnet: String,
    /// The gateway's address.
    pub gateway: Ipv4Addr,
    /// Its bridge, in the network namespace of the fabric.
    pub bridge: LinkName,
}

/// A member in a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GraphMember {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
    /// What state it is in; none when the lab is not up.
    pub state: Option<State>,
    /// Its links to networks.
    pub links: Vec<GraphLink>,
}

/// A link in a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GraphLink {
    /// The network.
    pub network: Name,
    /// Whose it is.
    pub of: GraphEnd,
    /// Which card of a node, counted from 1.
    pub nic: Option<usize>,
    /// The IP address that it has, or that DHCP keeps for it.
    pub address: Option<Ipv4Addr>,
    /// The MAC address of a node's card.
    pub mac: Option<Mac>,
    /// Where the host reaches it.
    pub published: Vec<SocketAddr>,
}

/// Whose a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GraphEnd {
    /// A service's.
    Service,
    /// A node's BMC's.
    Bmc,
    /// A node's own.
    Nic,
}

impl Graph {
    /// The picture of `lab`; `members` are those of the running one, if it runs.
    #[must_use]
    pub fn of(lab: &Lab, members: Option<&[Member]>) -> Self {
        let networks = lab.networks().map(|network| GraphNetwork {
            name: network.name.clone(),
            subnet: network.subnet.to_string(),
            gateway: network.gateway,
            bridge: network.bridge(),
        });
        // A node is among the members twice, as a machine first.
        let state = |name: &Name| {
            let member = members?.iter().find(|member| member.name == *name)?;
            Some(member.state)
        };
        let services = lab.services().into_iter().map(|seat| GraphMember {
            name: seat.name.clone(),
            kind: Kind::Service,
            state: state(seat.name),
            links: vec![GraphLink {
                network: seat.network.clone(),
                of: GraphEnd::Service,
                nic: None,
                address: Some(seat.address),
                mac: None,
                published: seat.publish,
            }],
        });
        let nodes = lab.nodes.iter().map(|node| {
            let bmc = GraphLink {
                network: node.nic.network.clone(),
                of: GraphEnd::Bmc,
                nic: None,
                address: Some(node.address),
                mac: None,
                published: node.bmc.publish.into_iter().collect(),
            };
            let nics = (1..).zip(node.nics()).map(|(number, nic)| GraphLink {
                network: nic.network.clone(),
                of: GraphEnd::Nic,
                nic: Some(number),
                address: nic.ip,
                mac: Some(nic.mac),
                published: Vec::new(),
            });
            GraphMember {
                name: node.name.clone(),
                kind: Kind::Node,
                state: state(&node.name),
                links: std::iter::once(bmc).chain(nics).collect(),
            }
        });
        Self {
            lab: lab.name.clone(),
            up: members.is_some(),
            networks: networks.collect(),
            members: services.chain(nodes).collect(),
        }
    }
}

impl Document for Up {
    const NAME: &'static str = "up";
}

impl Document for Down {
    const NAME: &'static str = "down";
}

impl Document for Run {
    const NAME: &'static str = "run";
}

impl Document for Plan {
    const NAME: &'static str = "plan";
}

impl Document for Difference {
    const NAME: &'static str = "difference";
}

impl Document for Config {
    const NAME: &'static str = "config";
}

impl Document for Fetch {
    const NAME: &'static str = "fetch";
}

impl Document for Image {
    const NAME: &'static str = "image";
}

impl Document for Import {
    const NAME: &'static str = "import";
}

impl Document for Graph {
    const NAME: &'static str = "graph";
}
