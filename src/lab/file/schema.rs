//! The lab file as a JSON Schema (draft 2020-12), for editors that complete and check.
//!
//! Tables and keys are those that the parser reads, choices those of the types, and descriptions
//! those of the manual. A schema looks at one value at a time: what clashes with what, only
//! [`load`](super::load) tells.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde_json::{Map, Value, json};

use super::fleet::MOST_NODES;
use super::spell::{DEFAULTS, KEYS};
use crate::lab::hardware::ImageFormat;
use crate::lab::own::Restart;
use crate::lab::{
    Accel, DiskBus, Firmware, HttpServer, NetworkBoot, NicModel, Privilege, UefiVars,
};

/// What describes each key, row by row.
const MANUAL: &str = include_str!("../../../docs/lab-file.md");

const NAME: &str = "[a-z0-9][a-z0-9-]{0,31}";
const ADDRESS: &str = "[0-9]{1,3}([.][0-9]{1,3}){3}";
const SIZE: &str = "[0-9]+ *(MiB|GiB|TiB)";
const DURATION: &str = "[0-9]+ *[smhd]";
const SOCKET: &str = "(\\[.*\\]|[0-9.]+):[0-9]{1,5}";
const CREDENTIAL: &str = "[!#-&(-\\[\\]-~]{1,16}";
const FIELD: &str = "[ -~]{2,63}";
const HEX: &str = "[0-9A-Fa-f]";

/// What other schemas call this one.
pub const ID: &str = "urn:nsplay:lab-file";

/// The schema of a lab file, as JSON.
#[must_use]
pub fn schema() -> String {
    let mut whole = object("", keys_of(""));
    let mut definitions = Map::new();
    for (table, keys) in KEYS.iter().filter(|(table, _)| !table.is_empty()) {
        definitions.insert((*table).to_owned(), object(table, keys));
    }
    definitions.insert("defaults".to_owned(), object("node.NAME", DEFAULTS));
    definitions.insert(
        "variable".to_owned(),
        json!({ "type": "string", "pattern": "[$][{]" }),
    );
    let about = [
        (
            "$schema",
            json!("https://json-schema.org/draft/2020-12/schema"),
        ),
        ("$id", json!(ID)),
        ("title", json!("nsplay lab file")),
        ("$defs", Value::Object(definitions)),
    ];
    for (key, value) in about {
        whole[key] = value;
    }
    format!("{whole:#}\n")
}

/// A table that has these keys and no others.
fn object(table: &str, keys: &[&str]) -> Value {
    let described = manual(table);
    let property = |key: &&str| {
        // A test sees to it that each key has a kind.
        let mut kind = kind(table, key).unwrap_or_else(|| json!({}));
        if let Some(text) = described.get(key) {
            kind["description"] = json!(text);
        }
        ((*key).to_owned(), kind)
    };
    let properties: Map<String, Value> = keys.iter().map(property).collect();
    // Below the main network stand the others.
    let others = match table {
        "network" => reference("network.NAME"),
        _ => json!(false),
    };
    json!({ "type": "object", "properties": properties, "additionalProperties": others })
}

fn keys_of(table: &str) -> &'static [&'static str] {
    let found = KEYS.iter().find(|(known, _)| *known == table);
    found.map_or(&[], |(_, keys)| keys)
}

/// What the value of a key looks like; none for a key that is not known here.
fn kind(table: &str, key: &str) -> Option<Value> {
    Some(match (table, key) {
        ("", "network" | "defaults") => reference(key),
        (_, "network") => text(NAME),
        (_, "limits") => reference("limits"),
        ("limits", "memory") => or_false(text(SIZE)),
        ("limits", "cpus") => {
            or_false(json!({ "type": "number", "minimum": 0.01, "maximum": 1024 }))
        }
        ("limits", "pids") => or_false(integer(8, 1 << 22)),
        ("network.NAME", "dhcp") => or_false(reference("network.NAME.dhcp")),
        (_, "dhcp" | "web" | "ssh") => or_false(reference(key)),
        ("", "node") => or_false(tables("node.NAME", Some(NAME))),
        ("", "service") => tables("service.NAME", Some(NAME)),
        ("", "fetch") => tables("fetch.NAME", Some(NAME)),
        (_, "url" | "sums") => text("https?://[!-~]+"),
        (_, "to") => json!({ "type": "string", "minLength": 1 }),
        (_, "sha256") => text(&format!("{HEX}{{64}}")),
        ("service.NAME", "command") => list(json!({ "type": "string" })),
        ("service.NAME", "env") => {
            json!({ "type": "object", "additionalProperties": { "type": "string" } })
        }
        ("service.NAME", "folder") => json!({ "type": "string", "minLength": 1 }),
        ("service.NAME", "publish") => {
            let one = text(&format!("{SOCKET}:[0-9]{{1,5}}(/(tcp|udp))?"));
            or_false(json!({ "anyOf": [one, list(one.clone())] }))
        }
        ("service.NAME", "ready") => {
            text("none|tcp:[0-9]{1,5}|http:[0-9]{1,5}(/[!-~]*)?|(log|exec):.+")
        }
        ("service.NAME", "user") => json!({ "type": ["string", "integer"] }),
        ("service.NAME", "ready_within") => text(DURATION),
        ("service.NAME", "restart") => choice(&Restart::ALL),
        (_, "after") => list(text(&format!("{NAME}(:[a-z]+)?"))),
        ("node.NAME", "bmc") => reference("node.NAME.bmc"),
        ("node.NAME.bmc", "users") => tables("node.NAME.bmc.users.NAME", None),
        ("node.NAME.bmc", "scenario") => list(reference("node.NAME.bmc.scenario")),
        ("", "name") => text(NAME),
        ("node.NAME", "name") => json!({ "type": "string" }),
        ("node.NAME", "count") => integer(1, MOST_NODES),
        ("node.NAME", "cpus") => integer(1, 64),
        ("node.NAME", "cpu") => text("[0-9A-Za-z][-0-9A-Za-z_.,+=]*"),
        ("node.NAME", "disks") => list(reference("node.NAME.disks")),
        ("node.NAME", "iso") => or_false(json!({ "type": "string", "minLength": 1 })),
        ("node.NAME", "tpm") => or_variable(json!({ "enum": [true, false, "crb", "tis"] })),
        ("node.NAME", "uefi_vars") => choice(&UefiVars::ALL),
        ("node.NAME", "qemu_args") => list(json!({ "type": "string" })),
        ("node.NAME", "cmdline") => json!({ "type": "string" }),
        ("node.NAME.disks", "size") => text(SIZE),
        ("node.NAME.disks", "bus") => choice(&DiskBus::ALL),
        ("node.NAME.disks", "format") => choice(&ImageFormat::ALL),
        (_, "subnet") => text(&format!("{ADDRESS}/[0-9]{{1,2}}")),
        (_, "gateway" | "address" | "ip") => text(ADDRESS),
        (_, "mtu") => integer(576, 9000),
        (_, "ipv6") => or_false(choice(&["ra", "dhcpv6"])),
        ("node.NAME", "nics") => list(reference("node.NAME.nics")),
        (_, "pool" | "bmcs") => text(&format!("{ADDRESS} *- *{ADDRESS}")),
        (_, "lease" | "at" | "for" | "over") => text(DURATION),
        (_, "soft_timeout") => or_false(text(DURATION)),
        (_, "memory") => text(SIZE),
        (_, "disk") => or_false(text(SIZE)),
        (_, "publish" | "vnc") => or_false(text(SOCKET)),
        (_, "mac") => text(&format!("{HEX}{{2}}([:-]{HEX}{{2}}){{5}}|.*[{{].*")),
        (_, "uuid") => text(&format!(
            "{HEX}{{8}}(-{HEX}{{4}}){{3}}-{HEX}{{12}}|.*[{{].*"
        )),
        (_, "serial" | "asset_tag") => text(&format!("{FIELD}|.*[{{].*")),
        (_, "manufacturer" | "product" | "part_number") => text(FIELD),
        (_, "user" | "password") => text(CREDENTIAL),
        (_, "network_boot") => choice(&NetworkBoot::ALL),
        ("node.NAME", "boot") => list(text("network[0-9]*|disk[0-9]*|cdrom")),
        (_, "domain") => text("[a-z0-9-]+([.][a-z0-9-]+)*"),
        ("", "include") => list(json!({ "type": "string" })),
        (_, "server") => choice(&HttpServer::ALL),
        (_, "nic" | "model") => choice(&NicModel::ALL),
        (_, "firmware") => choice(&Firmware::ALL),
        (_, "accel") => choice(&Accel::ALL),
        (_, "privilege") => choice(&Privilege::ALL),
        (_, "power") => choice(&["on", "off"]),
        (_, "fast_boot" | "clear" | "dns" | "secure_boot" | "keep" | "attach") => {
            or_variable(json!({ "type": "boolean" }))
        }
        (_, "nat") => or_variable(json!({ "enum": [true, false, "passt", "nft"] })),
        (_, "value") => json!({ "type": ["string", "number"] }),
        (
            _,
            "tftproot" | "root" | "boot" | "profile" | "fault" | "sensor" | "kernel" | "initrd"
            | "base" | "boot_file" | "ipxe",
        ) => {
            json!({ "type": "string", "minLength": 1 })
        }
        _ => return None,
    })
}

fn reference(definition: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{definition}") })
}

fn or_false(kind: Value) -> Value {
    json!({ "anyOf": [kind, { "const": false }] })
}

/// A string with a variable may stand for any value that is no table and no list.
fn or_variable(kind: Value) -> Value {
    json!({ "anyOf": [kind, reference("variable")] })
}

fn integer(least: usize, most: usize) -> Value {
    or_variable(json!({ "type": "integer", "minimum": least, "maximum": most }))
}

/// A string of this pattern, or one with dollars, of which only the environment tells.
fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^({pattern})$|[$]") })
}

fn choice<T: Display>(choices: &[T]) -> Value {
    let words: Vec<String> = choices.iter().map(T::to_string).collect();
    or_variable(json!({ "enum": words }))
}

fn list(element: Value) -> Value {
    json!({ "type": "array", "items": element })
}

/// A table of tables, whose names follow `pattern` if there is one.
fn tables(definition: &str, pattern: Option<&str>) -> Value {
    let mut tables = json!({ "type": "object", "additionalProperties": reference(definition) });
    if let Some(pattern) = pattern {
        tables["propertyNames"] = json!({ "pattern": format!("^{pattern}$") });
    }
    tables
}

/// What the manual says of each key of `table`, as plain text.
fn manual(table: &str) -> BTreeMap<&'static str, String> {
    let title = match table {
        "" => "\n## The file's own keys\n".to_owned(),
        table => format!("\n## `[{table}]`\n"),
    };
    let section = MANUAL.split_once(&title).map_or("", |(_, after)| after);
    let section = section.split("\n## ").next().unwrap_or_default();
    let row = |line: &'static str| {
        let mut cells = line.strip_prefix("| `")?.strip_suffix('|')?.split(" | ");
        let key = cells.next()?.strip_suffix('`')?;
        let what = plain(cells.next()?);
        let text = match cells.next().map(plain).unwrap_or_default() {
            default if default.is_empty() => what,
            default => format!("{what} Default: {default}."),
        };
        Some((key, text))
    };
    section.lines().filter_map(row).collect()
}

/// `markdown` without its links and quotes.
fn plain(markdown: &str) -> String {
    let mut plain = String::new();
    let mut rest = markdown.trim();
    while let Some((before, after)) = rest.split_once("](") {
        let (text, label) = before.rsplit_once('[').unwrap_or((before, ""));
        // The label of a link may hold brackets itself: [`[dhcp]`](#dhcp).
        let (text, label) = match text.strip_suffix("[`") {
            Some(text) => (text, format!("[{label}")),
            None => (text, label.to_owned()),
        };
        plain += text;
        plain += &label;
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    (plain + rest).replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_kind_and_a_description() {
        for (table, keys) in KEYS {
            let described = manual(table);
            for key in *keys {
                assert!(kind(table, key).is_some(), "[{table}] {key} has no kind");
                assert!(described.contains_key(key), "[{table}] {key} has no words");
            }
        }
    }

    #[test]
    fn descriptions_are_plain_text() {
        assert_eq!(plain("a [b](#b) and [`[c]`](#c), `d`"), "a b and [c], d");
        let dhcp = &manual("")["dhcp"];
        assert!(dhcp.starts_with("The table [dhcp], or false for"), "{dhcp}");
    }
}
