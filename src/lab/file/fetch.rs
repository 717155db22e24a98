//! What a lab needs from elsewhere: `[fetch.NAME]`, read, checked and spelled.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::path::{Component, PathBuf};

use toml::de::DeValue;

use super::render::quoted;
use super::report::{Notes, shown};
use super::spell::LabFile;
use super::value;
use super::walk::{Read, Table, Wrong};
use crate::lab::Name;
use crate::lab::fetch::{Check, Payload};

/// The keys of `[fetch.NAME]`.
pub(super) const FETCH: &[&str] = &["url", "to", "sha256", "sums"];

/// More is no lab but a mirror.
const MOST: usize = 64;

/// The table of a payload.
pub(super) struct FetchFile {
    name: Name,
    /// The byte of its name.
    at: usize,
    url: Read<String>,
    to: Read<PathBuf>,
    sha256: Read<String>,
    sums: Read<String>,
}

/// The payloads of the file, in its order.
pub(super) fn spell(lab: &Table, notes: &Notes) -> Vec<FetchFile> {
    let Read::Given(Some(entries), _) = lab.read_table("fetch", false) else {
        return Vec::new();
    };
    let mut in_order: Vec<_> = entries.iter().collect();
    in_order.sort_by_key(|(key, _)| key.span().start);
    if let Some((one_too_many, _)) = in_order.get(MOST) {
        let message = format!(
            "{} downloads are too many: {MOST} is the most",
            in_order.len()
        );
        notes.add(Some(one_too_many.span().start), message, None);
        in_order.truncate(MOST);
    }
    let mut payloads = Vec::new();
    for (key, value) in in_order {
        let (typed, at) = (key.get_ref().as_ref(), key.span().start);
        let scope = format!("fetch `{}`", shown(typed));
        let (Some(table), Ok(name)) = (value.get_ref().as_table(), Name::new(typed)) else {
            let message = match value.get_ref().is_table() {
                true => format!(
                    "{scope}: a name has 1 to 32 lower-case letters, digits and hyphens, a letter or digit first"
                ),
                false => format!("{scope}: expected a table"),
            };
            let hint = "write [fetch.NAME] and its keys below it";
            notes.add(Some(at), message, Some(hint.to_owned()));
            continue;
        };
        let table = Table::open(notes, &scope, Some(table), FETCH);
        payloads.push(FetchFile {
            name,
            at,
            url: table.read("url", url),
            to: table.read("to", to),
            sha256: table.read("sha256", sha256),
            sums: table.read("sums", url),
        });
    }
    payloads
}

fn url(value: &DeValue) -> Result<String, Wrong> {
    const WHAT: &str = "a URL such as \"https://mirror.example/linux\"";
    let typed = value::text(value, WHAT)?;
    let rest = typed
        .strip_prefix("https://")
        .or_else(|| typed.strip_prefix("http://"));
    let has_path = rest.is_some_and(|rest| {
        rest.split_once('/')
            .is_some_and(|(host, _)| !host.is_empty())
    });
    match has_path && typed.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(typed.to_owned()),
        false => Err(Wrong::want(WHAT)),
    }
}

fn to(value: &DeValue) -> Result<PathBuf, Wrong> {
    const WHAT: &str = "a path below the web root such as \"my-lab/linux\"";
    let typed = PathBuf::from(value::text(value, WHAT)?);
    let inside = typed
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    match inside && typed.file_name().is_some() {
        true => Ok(typed),
        false => Err(Wrong::want(WHAT)),
    }
}

fn sha256(value: &DeValue) -> Result<String, Wrong> {
    const WHAT: &str = "64 hexadecimal digits, as sha256sum prints them";
    let typed = value::text(value, WHAT)?;
    match typed.len() == 64 && typed.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Ok(typed.to_ascii_lowercase()),
        false => Err(Wrong::want(WHAT)),
    }
}

/// Notes that nothing serves what is downloaded, if so.
pub(super) fn check_lab(lab: &LabFile, notes: &Notes) {
    if let Some(first) = lab.fetch.first()
        && lab.web.is_off()
    {
        let message = format!(
            "fetch `{}`: downloads go below the web root, but web = false",
            first.name
        );
        notes.add(
            Some(first.at),
            message,
            Some("leave web = false out".to_owned()),
        );
    }
}

pub(super) fn check(files: Vec<FetchFile>, notes: &Notes) -> Vec<Payload> {
    let mut places: HashMap<PathBuf, Name> = HashMap::new();
    let mut payloads = Vec::new();
    for file in files {
        let note = |at, message: String, hint: Option<&str>| {
            let message = format!("fetch `{}`: {message}", file.name);
            notes.add(Some(at), message, hint.map(str::to_owned));
        };
        for (key, absent) in [("url", file.url.is_absent()), ("to", file.to.is_absent())] {
            if absent {
                let hint = "write url = \"https://…\" and to = \"FOLDER/FILE\"";
                note(file.at, format!("it has no `{key}`"), Some(hint));
            }
        }
        let (mut check, mut url, mut to) = (Check::Origin, String::new(), PathBuf::new());
        if let (Read::Given(..), Read::Given(_, at)) = (&file.sha256, &file.sums) {
            note(
                *at,
                "it has `sha256` and `sums`".to_owned(),
                Some("one of them is enough"),
            );
        }
        if let Read::Given(sums, _) = file.sums {
            check = Check::Sums(sums);
        }
        if let Read::Given(sha256, _) = file.sha256 {
            check = Check::Sha256(sha256);
        }
        if let Read::Given(given, _) = file.url {
            url = given;
        }
        if let Read::Given(given, at) = file.to {
            if let Some(other) = places.insert(given.clone(), file.name.clone()) {
                let message = format!("fetch `{}`: fetch `{other}` goes there too", file.name);
                notes.add(
                    Some(at),
                    message,
                    Some("give one of them another `to`".to_owned()),
                );
            }
            to = given;
        }
        payloads.push(Payload {
            name: file.name,
            url,
            to,
            check,
        });
    }
    payloads.sort_by(|a, b| a.name.cmp(&b.name));
    payloads
}

pub(super) fn render(out: &mut String, payload: &Payload) -> fmt::Result {
    writeln!(out, "\n[fetch.{}]", payload.name)?;
    writeln!(out, "url = {}", quoted(&payload.url))?;
    writeln!(out, "to = {}", quoted(payload.to.display()))?;
    match &payload.check {
        Check::Origin => Ok(()),
        Check::Sha256(digest) => writeln!(out, "sha256 = {}", quoted(digest)),
        Check::Sums(url) => writeln!(out, "sums = {}", quoted(url)),
    }
}
