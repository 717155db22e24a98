//! What each service of a compose file is in a lab.

use std::rc::Rc;

use super::super::name;
use super::super::yaml::Node;
use super::text::{Mount, mount};

/// What a service of the file becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Dhcp,
    Web,
    Ssh,
    Node,
    Own,
}

/// A service of the file.
pub(super) struct Service {
    pub(super) name: String,
    pub(super) node: Rc<Node>,
    pub(super) kind: Kind,
    /// What shows it.
    pub(super) why: String,
    pub(super) member: String,
}

/// What each service is, by its image, its name and what is mounted into it.
pub(super) fn classify(services: &[(String, Rc<Node>)]) -> Vec<Service> {
    const WORDS: [(Kind, &[&str]); 4] = [
        (Kind::Node, &["infrasim"]),
        (Kind::Dhcp, &["dnsmasq"]),
        (Kind::Web, &["nginx", "httpd", "apache", "lighttpd"]),
        (Kind::Ssh, &["sshd", "openssh"]),
    ];
    let mut found: Vec<Service> = Vec::new();
    for (name_there, node) in services {
        let image = node
            .get("image")
            .and_then(|node| node.text())
            .unwrap_or_default();
        let build = match node.get("build") {
            Some(build) if build.is_table() => build
                .get("context")
                .and_then(|node| node.text())
                .unwrap_or_default(),
            Some(build) => build.text().unwrap_or_default(),
            None => "",
        };
        let called = [
            ("image", image),
            ("build folder", build),
            ("name", name_there.as_str()),
        ];
        let mut kind = (
            Kind::Own,
            "nothing shows that it is one of nsplay's own".to_owned(),
        );
        'found: for (what, text) in called {
            for (of, words) in WORDS {
                if let Some(word) = words.iter().find(|word| text.contains(**word)) {
                    kind = (
                        of,
                        format!("inferred: its {what} `{text}` has `{word}` in it"),
                    );
                    break 'found;
                }
            }
        }
        if kind.0 == Kind::Own
            && let Some(yml) = description(node)
        {
            kind = (
                Kind::Node,
                format!("inferred: {} is mounted into it", yml.source),
            );
        }
        let single = matches!(kind.0, Kind::Dhcp | Kind::Web | Kind::Ssh);
        if single && found.iter().any(|service| service.kind == kind.0) {
            kind = (
                Kind::Own,
                format!("{}, but the lab has one already", kind.1),
            );
        }
        let member = match kind.0 {
            Kind::Dhcp => "dhcp".to_owned(),
            Kind::Web => "web".to_owned(),
            Kind::Ssh => "ssh".to_owned(),
            Kind::Node | Kind::Own => name(name_there, &format!("service{}", found.len() + 1)).0,
        };
        found.push(Service {
            name: name_there.clone(),
            node: Rc::clone(node),
            kind: kind.0,
            why: kind.1,
            member,
        });
    }
    found
}

/// The InfraSIM description that is mounted into a service.
fn description(node: &Node) -> Option<Mount> {
    let volumes = node.get("volumes")?.list();
    volumes
        .iter()
        .filter_map(|volume| mount(volume))
        .find(|mount| {
            let is_yaml = |path: &str| path.ends_with(".yml") || path.ends_with(".yaml");
            is_yaml(&mount.source)
                && (mount.target.contains("infrasim") || mount.target.contains("node_map"))
        })
}
