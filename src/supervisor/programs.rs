//! What runs in a member: a service, or a node with its BMC.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::rc::Rc;

use tokio::sync::{Notify, oneshot, watch};
use tokio::task::spawn_local;

use super::keep::{Keep, Start, keep};
use super::running::{Comes, Hold, Running};
use super::sensors::Sensors;
use super::server::Server;
use crate::bmc::parameters::Parameters;
use crate::bmc::sol::{self, Sol};
use crate::bmc::{self, Bmc, front, ipmi_sim};
use crate::faultpoint::point;
use crate::lab::{self, Lab, Name};
use crate::node::power::{Door, Node};
use crate::node::qemu::Machine;
use crate::node::{Order, tpm};
use crate::plan;
use crate::program::Program;
use crate::service::own;

/// How a program of a member is cared for.
struct Care {
    /// Stands in front of its lines, when the member has more than one program.
    prefix: &'static str,
    /// Ends it, so that it is started again.
    restart: Rc<Notify>,
    /// Whether it is meant to be silent now.
    excused: Rc<dyn Fn() -> bool>,
}

impl Running {
    /// Runs a service for ever; returns when it first answers, or with why it does not.
    pub(super) async fn serve(&self, name: &Name, hold: Hold) -> Result<(), String> {
        let plan = self.plan();
        self.0
            .gate
            .wait_for(own::after(&plan.lab, name), &self.0.stages)
            .await;
        let (lab, member) = (self.clone(), name.clone());
        // Its files may have changed since it was last started.
        let start = move || {
            Ok(Start {
                program: lab.program(&member)?,
                inherit: Vec::new(),
                speaker: None,
            })
        };
        let care = Care {
            prefix: "",
            restart: Rc::default(),
            excused: Rc::new(|| false),
        };
        self.keep(name, care, hold, start).await?;
        self.0.gate.open(name);
        Ok(())
    }

    /// The program of a service, as the lab has it now.
    fn program(&self, name: &Name) -> io::Result<Program> {
        let plan = self.plan();
        let found = plan.services.iter().find(|service| service.member == *name);
        found.cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Runs a node for ever; returns when its BMC answers and it is on, if it comes on, or with
    /// why that cannot be.
    pub(super) async fn run(
        &self,
        machine: &Machine,
        binary: &Path,
        hold: Hold,
        comes: Comes,
    ) -> Result<(), String> {
        let name = &machine.node.name;
        let server = self.server(machine).await?;
        self.0.servers.add(name.clone(), server.clone());
        // One that is told to be silent is not to be mended.
        let bmc = Rc::clone(&server.bmc);
        let care = Care {
            prefix: "bmc: ",
            restart: Rc::clone(&server.bmc.restart),
            excused: Rc::new(move || bmc.has_faults()),
        };
        let node = server.bmc.node.clone();
        let (machine_of, binary) = (machine.clone(), binary.to_owned());
        let start = move || start_bmc(&machine_of, &binary, &server);
        let on = async {
            if machine.node.tpm.is_some() {
                self.tpm(machine, hold.clone()).await?;
            }
            self.switch(machine, &node, comes).await
        };
        tokio::try_join!(self.keep(name, care, hold.clone(), start), on)?;
        Ok(())
    }

    /// Makes a node, its BMC and its sensors; nothing of it is on yet.
    async fn server(&self, machine: &Machine) -> Result<Server, String> {
        let (plan, host) = (self.plan(), &self.0.host);
        let name = &machine.node.name;
        let node = Node::start(machine.clone(), plan.user(name), host.clone())
            .await
            .and_then(|node| point!("node: {name} prepared").map(|()| node))
            .map_err(|error| format!("cannot prepare node `{name}`: {error}"))?;
        let front = front::start(host, &machine.node, node.clone())
            .and_then(|front| point!("node: {name}: BMC's port open").map(|()| front))
            .map_err(|error| format!("cannot open the BMC's port of node `{name}`: {error}"))?;
        spawn_local(front);
        let netns = host.members.get(name);
        let sol = netns.and_then(|netns| Sol::start(&netns, node.console()));
        let sol = sol.and_then(|sol| point!("node: {name}: SOL's port open").map(|()| sol));
        let sol = sol.map_err(|error| format!("cannot listen for SOL of `{name}`: {error}"))?;
        let sensors = Sensors::follow(&plan.lab, &machine.node, node.clone(), &host.journal);
        let bmc = Rc::new(Bmc {
            name: name.clone(),
            journal: host.journal.clone(),
            node,
            guid: ipmi_sim::guid(&machine.node.identity.uuid),
            lan: RefCell::new(lan(&plan.lab, &machine.node)),
            sol_parameters: RefCell::new(sol::parameters()),
            sol,
            restart: Rc::default(),
        });
        let scenario = watch::Sender::new(machine.node.bmc.scenario.clone());
        Ok(Server {
            bmc,
            sensors,
            scenario: Rc::new(scenario),
        })
    }

    /// Starts the TPM of a machine, and waits until it answers.
    async fn tpm(&self, machine: &Machine, hold: Hold) -> Result<(), String> {
        let name = &machine.node.name;
        let listener = tpm::listen(name, self.plan().user(name))
            .map_err(|error| format!("cannot open the TPM's socket of `{name}`: {error}"))?;
        let machine = machine.clone();
        let start = move || {
            let (program, listener) = tpm::start(&machine, &listener)?;
            Ok(Start {
                program,
                inherit: vec![listener],
                speaker: None,
            })
        };
        let care = Care {
            prefix: "tpm: ",
            restart: Rc::default(),
            excused: Rc::new(|| false),
        };
        self.keep(name, care, hold, start).await
    }

    /// Switches a node on, if it comes on.
    async fn switch(&self, machine: &Machine, node: &Node, comes: Comes) -> Result<(), String> {
        let name = &machine.node.name;
        let is_to_be_on = match comes {
            Comes::AsTheLabSays => node.comes_on(),
            Comes::On => true,
            Comes::Off => false,
        };
        if is_to_be_on {
            self.0
                .gate
                .wait_for(&machine.node.after, &self.0.stages)
                .await;
            let on = node.carry_out(Order::On, Door::Lab).await;
            return on.map_err(|error| format!("node `{name}`: {error}"));
        }
        if machine.node.power_on && comes == Comes::AsTheLabSays {
            let policy = node.chassis().borrow().policy;
            let why = format!("{name} stays off: its power restore policy is {policy}");
            self.0.host.journal.note(why);
        }
        Ok(())
    }

    /// Keeps a program running, and returns when it first answers.
    async fn keep(
        &self,
        member: &Name,
        care: Care,
        hold: Hold,
        start: impl FnMut() -> io::Result<Start> + 'static,
    ) -> Result<(), String> {
        let plan = self.plan();
        let with = Keep {
            host: self.0.host.clone(),
            user: plan.user(member),
            prefix: care.prefix,
            marks: plan.probe_marks(),
            restart: care.restart,
            reread: hold.reread,
            excused: care.excused,
            ending: hold.ending,
        };
        let (tell, ready) = oneshot::channel();
        spawn_local(async move {
            keep(with, start, tell).await;
            hold.ended.notify_one();
        });
        let told = ready
            .await
            .unwrap_or_else(|_| Err("it was stopped".to_owned()));
        told.map_err(|why| format!("`{member}`: {why}"))
    }
}

/// A BMC as it is started this time, with a line of its own to the node.
fn start_bmc(machine: &Machine, binary: &Path, server: &Server) -> io::Result<Start> {
    let (ours, theirs) = bmc::control::pair()?;
    spawn_local(bmc::control::serve(ours, Rc::clone(&server.bmc)));
    let program = ipmi_sim::program(&machine.node, binary, theirs.as_raw_fd());
    Ok(Start {
        program,
        inherit: vec![theirs],
        speaker: Some(server.sensors.clone()),
    })
}

/// The LAN configuration of a node's BMC.
fn lan(lab: &Lab, node: &lab::Node) -> Parameters {
    let network = lab.network(&node.nic.network);
    bmc::lan::parameters(
        (node.address, plan::member_mac(lab, node.address)),
        network.subnet,
        (network.gateway, plan::fabric_mac(lab, network)),
    )
}
