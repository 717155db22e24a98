//! The picture for Graphviz: `nsplay graph --dot | dot -Tpng -o lab.png`.

use std::fmt::Write;

use super::{Graph, Light, light};

pub(super) fn draw(graph: &Graph) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "graph {} {{", quoted(&graph.lab));
    let _ = writeln!(
        out,
        "  graph [rankdir=LR, fontname=\"sans-serif\", ranksep=1.2];"
    );
    let _ = writeln!(
        out,
        "  node [fontname=\"sans-serif\", fontsize=11, shape=box];"
    );
    let _ = writeln!(out, "  edge [fontname=\"sans-serif\", fontsize=9];");
    for (n, bus) in graph.buses.iter().enumerate() {
        let label = quoted(&format!("{}\n{}\n{}", bus.name, bus.subnet, bus.bridge));
        let _ = writeln!(
            out,
            "  net{n} [label={label}, style=filled, fillcolor=\"#dbe7f5\", shape=box3d];"
        );
    }
    let mut any = false;
    for (n, seat) in graph.members.iter().enumerate() {
        let mut label = format!("{}\n{}", seat.name, seat.what);
        let mut look = if seat.is_node {
            "shape=component"
        } else {
            "shape=box"
        }
        .to_owned();
        if let Some(state) = seat.state {
            let _ = write!(label, "\n{state}");
            let colour = match light(state) {
                Light::Green => "#d5f0d5",
                Light::Amber => "#fbeac0",
                Light::Grey => "#e6e6e6",
            };
            let _ = write!(look, ", style=filled, fillcolor=\"{colour}\"");
        }
        let _ = writeln!(out, "  m{n} [label={}, {look}];", quoted(&label));
        for wire in &seat.wires {
            let label = quoted(&format!("{}\n{}", wire.end, wire.address));
            let _ = writeln!(out, "  net{} -- m{n} [label={label}];", wire.bus);
        }
        let on_wires = seat.wires.iter().flat_map(|wire| &wire.published);
        for published in on_wires.chain(&seat.published) {
            any = true;
            let label = quoted(&format!("{}{}", published.host, published.suffix));
            let _ = writeln!(out, "  m{n} -- host [label={label}, style=dashed];");
        }
    }
    if any {
        let _ = writeln!(out, "  host [label=\"this host\", shape=ellipse];");
    }
    out + "}\n"
}

/// A string of Graphviz, in which line breaks are escapes.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.trim_start_matches('\n').replace('\n', "\\n"))
}
