//! What a command finds of the lab in its environment.

use std::net::SocketAddr;

use crate::lab::{Lab, Name};
use crate::rundir::RunDir;

/// The lab's facts, by the names of variables: a member `node-1` becomes `NODE_1`.
pub fn of(lab: &Lab, dir: &RunDir) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut put = |name: &str, value: String| all.push((format!("NSPLAY_{name}"), value));
    put("LAB", lab.name.to_string());
    put("DIR", dir.path().display().to_string());
    put("LOG", dir.log().display().to_string());
    put("SSH_KEY", dir.ssh_key().display().to_string());
    put("SSH_KNOWN_HOSTS", dir.known_hosts().display().to_string());
    put("SUBNET", lab.network.subnet.to_string());
    put("GATEWAY", lab.network.gateway.to_string());
    let nodes: Vec<_> = lab.nodes.iter().map(|node| node.name.to_string()).collect();
    put("NODES", nodes.join(" "));
    let at = |name: &str, socket: Option<SocketAddr>, put: &mut dyn FnMut(&str, String)| {
        if let Some(socket) = socket {
            put(&format!("{name}_HOST"), socket.ip().to_string());
            put(&format!("{name}_PORT"), socket.port().to_string());
        }
    };
    for seat in lab.services() {
        let name = variable(seat.name);
        put(&format!("{name}_ADDRESS"), seat.address.to_string());
    }
    if let Some(web) = &lab.web {
        at("WEB", web.publish, &mut put);
    }
    if let Some(ssh) = &lab.ssh {
        at("SSH", ssh.publish, &mut put);
    }
    for node in &lab.nodes {
        let name = variable(&node.name);
        put(&format!("{name}_MAC"), node.nic.mac.to_string());
        put(&format!("{name}_BMC_ADDRESS"), node.address.to_string());
        put(&format!("{name}_BMC_USER"), node.bmc.user.clone());
        put(&format!("{name}_BMC_PASSWORD"), node.bmc.password.clone());
        at(&format!("{name}_BMC"), node.bmc.publish, &mut put);
        at(&format!("{name}_VNC"), node.vnc, &mut put);
    }
    all
}

fn variable(name: &Name) -> String {
    name.as_str().to_uppercase().replace('-', "_")
}
