//! The picture as an SVG: networks are bars from the top down, members cards to the right of them,
//! and each of a card's lines that is a wire goes to its bar. What the host reaches is outermost.

use std::fmt::Write;

use super::{Graph, Light, Seat, escaped, light};

/// Pixels. Text is not measured: a card has room for the longest line there is, 40 characters.
const MARGIN: usize = 24;
const TITLE: usize = 44;
const BUS_WIDTH: usize = 172;
const BUS_HEAD: usize = 58;
const CARD_WIDTH: usize = 330;
const CARD_HEAD: usize = 30;
const LINE: usize = 20;
const CARD_FOOT: usize = 8;
const GAP: usize = 14;
const HOST_WIDTH: usize = 230;

/// Colours of networks that people with any eyes tell apart (Okabe and Ito, 2008).
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

fn colour(bus: usize) -> &'static str {
    COLOURS[bus % COLOURS.len()]
}

fn bus_x(bus: usize) -> usize {
    MARGIN + bus * BUS_WIDTH + (BUS_WIDTH - 12) / 2
}

fn height(seat: &Seat) -> usize {
    CARD_HEAD + seat.wires.len() * LINE + CARD_FOOT
}

pub(super) fn draw(graph: &Graph) -> String {
    let cards = MARGIN + graph.buses.len() * BUS_WIDTH + 16;
    let top = MARGIN + TITLE + BUS_HEAD + GAP;
    let tall: usize = graph.members.iter().map(|seat| height(seat) + GAP).sum();
    let bottom = top + tall;
    let reaches = |seat: &Seat| {
        let on_wires = seat.wires.iter().any(|wire| !wire.published.is_empty());
        on_wires || !seat.published.is_empty()
    };
    let host = graph.members.iter().any(reaches);
    let host_x = cards + CARD_WIDTH + 40;
    let width = match host {
        true => host_x + HOST_WIDTH + MARGIN,
        false => cards + CARD_WIDTH + MARGIN,
    };
    let tall = bottom + MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{tall}\" \
         viewBox=\"0 0 {width} {tall}\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\" \
         font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"{width}\" height=\"{tall}\" fill=\"#ffffff\"/>\n"
    );
    let up = if graph.up { ", up" } else { "" };
    text(
        &mut out,
        MARGIN,
        MARGIN + 16,
        "font-size=\"18\" font-weight=\"bold\"",
        &format!("{}{up}", graph.lab),
    );
    for (n, bus) in graph.buses.iter().enumerate() {
        let (x, y, colour) = (MARGIN + n * BUS_WIDTH, MARGIN + TITLE, colour(n));
        let wide = BUS_WIDTH - 12;
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{BUS_HEAD}\" rx=\"6\" fill=\"{colour}\"/>"
        );
        let white = "fill=\"#ffffff\"";
        text(
            &mut out,
            x + 10,
            y + 20,
            &format!("{white} font-weight=\"bold\""),
            &bus.name,
        );
        text(&mut out, x + 10, y + 36, white, &bus.subnet);
        let bridge = format!("{}  {}", bus.bridge, bus.gateway);
        text(
            &mut out,
            x + 10,
            y + 51,
            &format!("{white} font-size=\"10\""),
            &bridge,
        );
        let (middle, from) = (bus_x(n), y + BUS_HEAD);
        let end = bottom - GAP;
        let _ = writeln!(
            out,
            "<line x1=\"{middle}\" y1=\"{from}\" x2=\"{middle}\" y2=\"{end}\" stroke=\"{colour}\" stroke-width=\"5\" stroke-linecap=\"round\"/>"
        );
    }
    if host {
        let (y, end) = (MARGIN + TITLE, bottom - GAP);
        let _ = writeln!(
            out,
            "<line x1=\"{host_x}\" y1=\"{y}\" x2=\"{host_x}\" y2=\"{end}\" stroke=\"#999\" stroke-width=\"2\" stroke-dasharray=\"5 4\"/>"
        );
        text(
            &mut out,
            host_x + 10,
            y + 20,
            "fill=\"#555\" font-weight=\"bold\"",
            "this host",
        );
    }
    let mut y = top;
    for seat in &graph.members {
        card(&mut out, seat, cards, y, host_x);
        y += height(seat) + GAP;
    }
    out + "</svg>\n"
}

fn card(out: &mut String, seat: &Seat, x: usize, y: usize, host_x: usize) {
    let tall = height(seat);
    let fill = if seat.is_node { "#fbf7ef" } else { "#f3f6fa" };
    let right = x + CARD_WIDTH;
    // Wires first, so that the card covers where they end.
    for (n, wire) in seat.wires.iter().enumerate() {
        let (bus, at) = (bus_x(wire.bus), y + CARD_HEAD + n * LINE + LINE / 2);
        let colour = colour(wire.bus);
        let _ = writeln!(
            out,
            "<line x1=\"{bus}\" y1=\"{at}\" x2=\"{x}\" y2=\"{at}\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <circle cx=\"{bus}\" cy=\"{at}\" r=\"5\" fill=\"#ffffff\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
        let shown: Vec<String> = wire
            .published
            .iter()
            .map(|published| format!("{}{}", published.host, published.suffix))
            .collect();
        reached(out, &shown.join("  "), right, at, host_x);
    }
    let screen: Vec<String> = seat
        .published
        .iter()
        .map(|published| format!("{}{}", published.host, published.suffix))
        .collect();
    reached(out, &screen.join("  "), right, y + CARD_HEAD / 2, host_x);
    let _ = writeln!(
        out,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{CARD_WIDTH}\" height=\"{tall}\" rx=\"6\" fill=\"{fill}\" stroke=\"#8a8f98\"/>"
    );
    text(
        out,
        x + 12,
        y + 20,
        "font-weight=\"bold\" font-size=\"13\"",
        &seat.name,
    );
    let mut what = seat.what.clone();
    if let Some(state) = seat.state {
        let dot = match light(state) {
            Light::Green => "#2e9e44",
            Light::Amber => "#e0a100",
            Light::Grey => "#9aa0a6",
        };
        what = format!("{what}, {state}");
        let (cx, cy) = (right - 14, y + 16);
        let _ = writeln!(
            out,
            "<circle cx=\"{cx}\" cy=\"{cy}\" r=\"5\" fill=\"{dot}\"/>"
        );
    }
    let edge = if seat.state.is_some() {
        right - 26
    } else {
        right - 12
    };
    text(
        out,
        edge,
        y + 20,
        "text-anchor=\"end\" fill=\"#555\"",
        &what,
    );
    for (n, wire) in seat.wires.iter().enumerate() {
        let line = y + CARD_HEAD + n * LINE + 14;
        text(out, x + 12, line, "fill=\"#555\"", &wire.end);
        let mono = "text-anchor=\"end\" font-family=\"DejaVu Sans Mono, Menlo, monospace\" font-size=\"11\"";
        text(out, right - 12, line, mono, &wire.address);
    }
}

/// A line from a card to the host.
fn reached(out: &mut String, shown: &str, from: usize, y: usize, host_x: usize) {
    if shown.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "<line x1=\"{from}\" y1=\"{y}\" x2=\"{host_x}\" y2=\"{y}\" stroke=\"#999\" stroke-dasharray=\"3 3\"/>\n\
         <circle cx=\"{host_x}\" cy=\"{y}\" r=\"4\" fill=\"#ffffff\" stroke=\"#777\" stroke-width=\"2\"/>"
    );
    let mono = "font-family=\"DejaVu Sans Mono, Menlo, monospace\" font-size=\"11\"";
    text(out, host_x + 12, y + 4, mono, shown);
}

fn text(out: &mut String, x: usize, y: usize, look: &str, shown: &str) {
    let shown = escaped(shown);
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" {look}>{shown}</text>");
}
