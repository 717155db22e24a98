//! The picture on a terminal: each network a line downwards, its members to the right of it.

use std::fmt::Write;

use super::{Graph, Published};
use crate::supervisor::protocol::State;

pub(super) fn draw(graph: &Graph, paint: &dyn Fn(&str, State) -> String) -> String {
    let mut out = String::new();
    let up = if graph.up { ", up" } else { "" };
    let _ = writeln!(out, "lab {}{up}", graph.lab);
    for (n, bus) in graph.buses.iter().enumerate() {
        let _ = writeln!(
            out,
            "\n{}  {}  gateway {}  bridge {}\n│",
            bus.name, bus.subnet, bus.gateway, bus.bridge
        );
        let rows = rows(graph, n);
        let width = |column: usize| {
            let lengths = rows.iter().map(|row| row.cells[column].chars().count());
            lengths.max().unwrap_or_default()
        };
        let widths = [0, 1, 2, 3].map(width);
        let last = rows.iter().rposition(|row| row.first).unwrap_or_default();
        for (nth, row) in rows.iter().enumerate() {
            let fork = match (row.first, nth >= last) {
                (true, false) => "├─",
                (true, true) => "└─",
                (false, false) => "│ ",
                (false, true) => "  ",
            };
            let mut line = fork.to_owned();
            for (column, (cell, width)) in row.cells.iter().zip(widths).enumerate() {
                let padding = " ".repeat(width - cell.chars().count());
                let shown = match row.state {
                    Some(state) if column == 0 && row.first => paint(cell, state),
                    Some(_) | None => cell.clone(),
                };
                let _ = write!(line, " {shown}{padding} ");
            }
            let state = row.state.filter(|_| row.first);
            if let Some(state) = state {
                let _ = write!(line, " {:<10}", state.to_string());
            } else if graph.up {
                let _ = write!(line, " {:<10}", "");
            }
            for published in &row.published {
                let _ = write!(line, "  ◄ {}{}", published.host, published.suffix);
            }
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
    out
}

struct Row<'g> {
    /// The member, what it is, where the wire ends in it, and the address there.
    cells: [String; 4],
    first: bool,
    state: Option<State>,
    published: Vec<&'g Published>,
}

/// A row for each wire to the network.
fn rows(graph: &Graph, bus: usize) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for seat in &graph.members {
        let wires = seat.wires.iter().filter(|wire| wire.bus == bus);
        for (n, wire) in wires.enumerate() {
            let first = n == 0;
            let shown = |text: &str| {
                if first {
                    text.to_owned()
                } else {
                    String::new()
                }
            };
            // The screen of a node is on no wire: it stands where its first one is.
            let is_first_wire = std::ptr::eq(wire, &seat.wires[0]);
            let screen = seat.published.iter().filter(|_| is_first_wire);
            rows.push(Row {
                cells: [
                    shown(&seat.name),
                    shown(&seat.what),
                    wire.end.clone(),
                    wire.address.clone(),
                ],
                first,
                state: seat.state,
                published: wire.published.iter().chain(screen).collect(),
            });
        }
    }
    rows
}
