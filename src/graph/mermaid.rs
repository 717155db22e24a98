//! The picture for Mermaid: in a Markdown page it stands between ```` ```mermaid ```` and ```` ``` ````.

use std::fmt::Write;

use super::{Graph, Light, escaped, light};

pub(super) fn draw(graph: &Graph) -> String {
    let mut out = "flowchart LR\n".to_owned();
    for (n, bus) in graph.buses.iter().enumerate() {
        let label = format!("{}<br/>{}", escaped(&bus.name), escaped(&bus.subnet));
        let _ = writeln!(out, "  net{n}[[\"{label}\"]]");
    }
    let mut any = false;
    let mut classes: [Vec<String>; 3] = Default::default();
    for (n, seat) in graph.members.iter().enumerate() {
        let mut label = format!("<b>{}</b><br/>{}", escaped(&seat.name), escaped(&seat.what));
        if let Some(state) = seat.state {
            let _ = write!(label, "<br/>{state}");
            let class = match light(state) {
                Light::Green => 0,
                Light::Amber => 1,
                Light::Grey => 2,
            };
            classes[class].push(format!("m{n}"));
        }
        let (open, close) = if seat.is_node { ("[", "]") } else { ("(", ")") };
        let _ = writeln!(out, "  m{n}{open}\"{label}\"{close}");
        for wire in &seat.wires {
            let label = format!("{} {}", wire.end, wire.address);
            let _ = writeln!(
                out,
                "  net{} ---|\"{}\"| m{n}",
                wire.bus,
                escaped(label.trim())
            );
        }
        let on_wires = seat.wires.iter().flat_map(|wire| &wire.published);
        for published in on_wires.chain(&seat.published) {
            any = true;
            let label = escaped(&format!("{}{}", published.host, published.suffix));
            let _ = writeln!(out, "  m{n} -.-|\"{label}\"| host");
        }
    }
    if any {
        out += "  host([\"this host\"])\n";
    }
    let looks = [
        ("works", "#d5f0d5"),
        ("comes", "#fbeac0"),
        ("rests", "#e6e6e6"),
    ];
    for ((class, colour), members) in looks.into_iter().zip(&classes) {
        if !members.is_empty() {
            let _ = writeln!(out, "  classDef {class} fill:{colour},color:#222");
            let _ = writeln!(out, "  class {} {class}", members.join(","));
        }
    }
    out
}
