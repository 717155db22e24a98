//! The lab as a picture, in each form.

use std::process::Command;

use nsplay::graph::Graph;
use nsplay::lab::Lab;
use nsplay::lab::file::{DEFAULT, Origin, load};
use nsplay::supervisor::protocol::{Member, State};

fn lab(text: &str) -> Lab {
    load(text, &Origin::built_in(None)).unwrap_or_else(|report| panic!("{report}"))
}

/// The members of the default lab while it runs, as its supervisor tells them.
fn members() -> Vec<Member> {
    let member = |name: &str, what: &str, state: &str| {
        let text = format!(
            r#"{{"name": "{name}", "runs": "{what}", "state": "{state}", "address": "192.168.25.2",
                "since": "1970-01-01T00:00:00.000Z", "restarts": 0, "published": [], "identify": false}}"#
        );
        serde_json::from_str(&text).unwrap()
    };
    vec![
        member("dhcp", "dnsmasq", "ready"),
        member("web", "lighttpd", "restarting"),
        member("ssh", "sshd", "ready"),
        member("node1", "qemu", "off"),
        member("node1", "ipmi_sim", "ready"),
    ]
}

fn plain(text: &str, _: State) -> String {
    text.to_owned()
}

#[track_caller]
fn assert_drawn(name: &str, drawn: String) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(format!("graph__{name}"), drawn);
    });
}

#[test]
fn the_default_lab_is_drawn_in_each_form() {
    let graph = Graph::of(&lab(DEFAULT), None);
    assert_drawn("text", graph.text(&plain));
    assert_drawn("dot", graph.dot());
    assert_drawn("mermaid", graph.mermaid());
    assert_drawn("svg", graph.svg());
}

#[test]
fn what_runs_is_marked() {
    let graph = Graph::of(&lab(DEFAULT), Some(&members()));
    assert_drawn(
        "running",
        graph.text(&|text, state| format!("<{state}>{text}</>")),
    );
    for drawn in [graph.dot(), graph.mermaid(), graph.svg()] {
        for state in ["ready", "restarting", "off"] {
            assert!(drawn.contains(state), "{state}: {drawn}");
        }
    }
}

/// What hangs off a network in the text is as much as the lab has.
#[test]
fn nobody_is_left_out_of_a_large_lab() {
    let lab = lab("[node.n]\ncount = 64\n");
    let graph = Graph::of(&lab, None);
    for drawn in [
        graph.text(&plain),
        graph.dot(),
        graph.mermaid(),
        graph.svg(),
    ] {
        for node in &lab.nodes {
            assert!(drawn.contains(&node.address.to_string()), "{}", node.name);
        }
    }
}

#[test]
fn one_form_is_drawn_at_a_time() {
    let run = |arguments: &[&str]| {
        let mut nsplay = Command::new(env!("CARGO_BIN_EXE_nsplay"));
        let done = nsplay
            .arg("graph")
            .args(arguments)
            .current_dir("/")
            .output()
            .unwrap();
        (
            done.status.code().unwrap(),
            String::from_utf8(done.stdout).unwrap(),
        )
    };
    assert_eq!(run(&["--dot", "--svg"]).0, 2);
    let (code, text) = run(&[]);
    assert_eq!(code, 0);
    assert!(
        !text.contains('\u{1b}'),
        "no colour goes into a pipe: {text}"
    );
    assert!(run(&["--svg"]).1.starts_with("<svg "));
}
