//! Profiles as people spell them: `profiles/NAME.toml`, and the ones that are built in.

use std::sync::LazyLock;

use toml::de::{DeTable, DeValue};

use super::report::Notes;
use super::value;
use super::walk::{Read, Table, Wrong, either, nearest};
use super::{MOST_BYTES, Origin, Report, spell};
use crate::embedded;
use crate::lab::Name;
use crate::lab::profile::{
    Analog, BiosPart, BoardPart, ChassisPart, Controller, Discrete, Profile, Quantity, Sensor,
    SensorKind,
};

/// The profile of a node for which the lab file names none.
const DEFAULT: &str = "generic";

/// Every table of a profile with its keys.
pub const PROFILE_KEYS: &[(&str, &[&str])] = &[
    ("", PROFILE),
    ("chassis", CHASSIS),
    ("board", BOARD),
    ("bmc", BMC),
    ("bios", BIOS),
    ("sensor", SENSOR),
];

const PROFILE: &[&str] = &[
    "manufacturer",
    "product",
    "part_number",
    "version",
    "chassis",
    "board",
    "bmc",
    "bios",
    "sensor",
];
const CHASSIS: &[&str] = &["form", "part_number"];
const BOARD: &[&str] = &["manufacturer", "product", "part_number"];
const BMC: &[&str] = &["manufacturer_id", "product_id", "firmware"];
const BIOS: &[&str] = &["vendor", "version", "date"];
const SENSOR: &[&str] = &[
    "type",
    "name",
    "number",
    "on",
    "off",
    "step",
    "jitter",
    "lower_non_critical",
    "lower_critical",
    "lower_non_recoverable",
    "upper_non_critical",
    "upper_critical",
    "upper_non_recoverable",
];

/// The thresholds in the order of [`Analog::thresholds`].
const THRESHOLDS: [&str; 6] = [
    "lower_non_critical",
    "lower_critical",
    "lower_non_recoverable",
    "upper_non_critical",
    "upper_critical",
    "upper_non_recoverable",
];

/// Forms of a chassis, with their numbers (DSP0134, table 17).
const FORMS: [(&str, u8); 4] = [
    ("tower", 7),
    ("rack", 23),
    ("blade", 28),
    ("multi-node", 29),
];

/// A profile of the user's, not read yet.
#[derive(Clone, Debug)]
pub struct ProfileFile {
    /// The name of the profile.
    pub name: String,
    /// What messages call the file: `profiles/mine.toml`.
    pub file: String,
    /// What is in it.
    pub text: String,
}

/// The profile of a node, by the key `profile` of its table.
///
/// Always returns one; it is worth something only if nothing was noted.
pub(super) fn of_node(node: &Table, origin: &Origin, notes: &Notes) -> Profile {
    let read = node.read("profile", |value| {
        let names = names(origin);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let list = either(&names, '"');
        let typed = value::text(value, &list)?;
        let hint = || match nearest(typed, &names) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "a profile of your own is a file profiles/NAME.toml beside the lab file".into(),
        };
        let found = named(typed, origin).ok_or_else(|| Wrong::want(&list).hint(hint()))?;
        found.map_err(|report| {
            notes.add_report(&report);
            Wrong::want("a profile that can be read")
        })
    });
    match read {
        Read::Given(profile, _) => profile,
        Read::Bad => built_in(),
        Read::Absent => match named(DEFAULT, origin) {
            Some(Ok(profile)) => profile,
            Some(Err(report)) => {
                notes.add_report(&report);
                built_in()
            }
            None => built_in(),
        },
    }
}

fn built_in() -> Profile {
    let found = BUILT_IN.iter().find(|known| known.name.as_str() == DEFAULT);
    found.expect("the default profile is built in").clone()
}

/// The profiles that are built in, read once: a lab may have many nodes of a kind.
static BUILT_IN: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    let read = |(name, text): &(&str, &str)| {
        load_profile(text, name, name).expect("a test reads every profile that is built in")
    };
    embedded::PROFILES.iter().map(read).collect()
});

/// All profiles that a lab file can name.
fn names(origin: &Origin) -> Vec<String> {
    let own = origin.profiles.iter().map(|file| file.name.clone());
    let built_in = embedded::PROFILES
        .iter()
        .map(|(name, _)| (*name).to_owned());
    let mut names: Vec<String> = own.chain(built_in).collect();
    names.sort();
    names.dedup();
    names
}

fn named(name: &str, origin: &Origin) -> Option<Result<Profile, Report>> {
    let own = origin.profiles.iter().find(|file| file.name == name);
    if let Some(own) = own {
        return Some(load_profile(&own.text, name, &own.file));
    }
    let known = BUILT_IN.iter().find(|known| known.name.as_str() == name)?;
    Some(Ok(known.clone()))
}

/// Reads `text` as the profile `name`; messages call it `file`.
///
/// # Errors
/// All that is wrong with the text.
pub fn load_profile(text: &str, name: &str, file: &str) -> Result<Profile, Report> {
    let notes = Notes::new(file, text);
    if text.len() > MOST_BYTES {
        let message = format!("{file}: this is no profile: 1 MiB is the most");
        notes.add(None, message, None);
        return Err(notes.into_report());
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        spell::syntax(&notes, text, 0, &errors);
        return Err(notes.into_report());
    }
    let profile = profile(table.get_ref(), name, &notes);
    notes.finish(profile)
}

fn profile<'a>(entries: &'a DeTable<'a>, name: &str, notes: &'a Notes<'a>) -> Profile {
    let top = Table::open(notes, "", Some(entries), PROFILE);
    let part = |key: &str, keys| {
        let entries = match top.read_table(key, false) {
            Read::Given(entries, _) => entries,
            Read::Absent | Read::Bad => None,
        };
        Table::open(notes, key, entries, keys)
    };
    let (chassis, board) = (part("chassis", CHASSIS), part("board", BOARD));
    let (bmc, bios) = (part("bmc", BMC), part("bios", BIOS));
    let field = |table: &Table, key: &str| table.read(key, value::optional_field);
    let manufacturer = required(
        top.read("manufacturer", value::field),
        "manufacturer",
        notes,
    );
    let product = required(top.read("product", value::field), "product", notes);
    Profile {
        name: Name::new(name).unwrap_or_else(|_| {
            let message = format!("a profile cannot be called `{name}`");
            let hint = "use lower-case letters, digits and hyphens";
            notes.add(None, message, Some(hint.to_owned()));
            Name::default()
        }),
        part_number: field(&top, "part_number").or_else(String::new).value,
        version: field(&top, "version").or_else(String::new).value,
        chassis: ChassisPart {
            form: chassis.read("form", form).or(23).value,
            part_number: field(&chassis, "part_number").or_else(String::new).value,
        },
        board: BoardPart {
            manufacturer: field(&board, "manufacturer")
                .or_else(|| manufacturer.clone())
                .value,
            product: field(&board, "product").or_else(|| product.clone()).value,
            part_number: field(&board, "part_number").or_else(String::new).value,
        },
        bmc: Controller {
            manufacturer_id: bmc
                .read("manufacturer_id", |v| value::whole(v, 0..=0xf_ffff))
                .or(0)
                .value,
            product_id: bmc
                .read("product_id", |v| value::whole(v, 0..=0xffff))
                .or(0)
                .value as u16,
            firmware: bmc.read("firmware", firmware).or((1, 0)).value,
        },
        bios: BiosPart {
            vendor: field(&bios, "vendor")
                .or_else(|| manufacturer.clone())
                .value,
            version: field(&bios, "version").or_else(|| "1.0".to_owned()).value,
            date: bios
                .read("date", date)
                .or_else(|| "01/01/2024".to_owned())
                .value,
        },
        manufacturer,
        product,
        sensors: sensors(entries, notes),
    }
}

fn required(read: Read<String>, key: &str, notes: &Notes) -> String {
    match read {
        Read::Given(text, _) => text,
        Read::Bad => String::new(),
        Read::Absent => {
            let hint = format!("write {key} = \"…\" before the first table");
            notes.add(Some(0), format!("`{key}` is missing"), Some(hint));
            String::new()
        }
    }
}

fn form(value: &DeValue) -> Result<u8, Wrong> {
    let words = FORMS.map(|(word, _)| word);
    let list = either(&words, '"');
    let typed = value::text(value, &list)?;
    let found = FORMS.iter().find(|(word, _)| *word == typed);
    found
        .map(|(_, number)| *number)
        .ok_or_else(|| Wrong::want(list))
}

/// `MAJOR.MINOR`; the minor part is sent as two decimal digits (section 20.1).
fn firmware(value: &DeValue) -> Result<(u8, u8), Wrong> {
    const WHAT: &str = "a version such as \"2.81\": 0 to 127, a dot, two digits at most";
    let typed = value::text(value, WHAT)?;
    let (major, minor) = typed.split_once('.').ok_or_else(|| Wrong::want(WHAT))?;
    match (major.parse::<u8>(), minor.parse::<u8>()) {
        (Ok(major @ 0..=127), Ok(minor @ 0..=99)) => Ok((major, minor)),
        _ => Err(Wrong::want(WHAT)),
    }
}

/// The form that SMBIOS wants (DSP0134, section 7.1).
fn date(value: &DeValue) -> Result<String, Wrong> {
    const WHAT: &str = "a date as SMBIOS writes it: \"MM/DD/YYYY\"";
    let typed = value::text(value, WHAT)?;
    let shape: String = typed
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    match shape.as_str() {
        "00/00/0000" => Ok(typed.to_owned()),
        _ => Err(Wrong::want(WHAT)),
    }
}

fn sensors<'a>(entries: &'a DeTable<'a>, notes: &'a Notes<'a>) -> Vec<Sensor> {
    const HINT: &str = "a sensor is spelled [[sensor]] and its keys below it";
    let Some(value) = entries.get("sensor") else {
        return Vec::new();
    };
    let at = value.span().start;
    let DeValue::Array(list) = value.get_ref() else {
        let message = "`sensor` is no list of tables".to_owned();
        notes.add(Some(at), message, Some(HINT.to_owned()));
        return Vec::new();
    };
    let mut sensors: Vec<Sensor> = Vec::new();
    for (n, element) in list.iter().enumerate() {
        let at = element.span().start;
        let Some(entries) = element.get_ref().as_table() else {
            let message = "this sensor is no table".to_owned();
            notes.add(Some(at), message, Some(HINT.to_owned()));
            continue;
        };
        let Some(sensor) = sensor(entries, n + 1, at, notes) else {
            continue;
        };
        let twin = sensors.iter().find(|other| {
            other.number == sensor.number || other.name.eq_ignore_ascii_case(&sensor.name)
        });
        if let Some(twin) = twin {
            let message = format!(
                "sensor `{}` (number {}) has the name or number of `{}` (number {})",
                sensor.name, sensor.number, twin.name, twin.number
            );
            notes.add(Some(at), message, None);
        }
        sensors.push(sensor);
    }
    sensors.sort_by_key(|sensor| sensor.number);
    sensors
}

fn sensor<'a>(
    entries: &'a DeTable<'a>,
    place: usize,
    at: usize,
    notes: &'a Notes<'a>,
) -> Option<Sensor> {
    let table = Table::open(notes, &format!("sensor {place}"), Some(entries), SENSOR);
    let missing = |key: &str| {
        let message = format!("sensor {place}: `{key}` is missing");
        notes.add(Some(at), message, None);
    };
    let name = match table.read("name", value::sensor_name) {
        Read::Given(name, _) => name,
        Read::Bad => return None,
        Read::Absent => {
            missing("name");
            return None;
        }
    };
    let default = u32::try_from(place).unwrap_or(u32::MAX);
    let number = table
        .read("number", |v| value::whole(v, 1..=254))
        .or(default);
    let Ok(number @ 1..=254) = u8::try_from(number.value) else {
        let message = format!("sensor {place}: a BMC has room for 254 sensors");
        notes.add(Some(at), message, None);
        return None;
    };
    let kind = match table.read("type", kind) {
        Read::Given(kind, _) => kind,
        Read::Bad => return None,
        Read::Absent => {
            missing("type");
            return None;
        }
    };
    let kind = match kind {
        Kind::Discrete(discrete) => {
            let analog_only = SENSOR
                .iter()
                .filter(|key| !["type", "name", "number"].contains(key));
            for key in analog_only {
                if let Some((key, _)) = entries.get_key_value(*key) {
                    let message = format!(
                        "sensor {place}: `{}` is for a sensor with a value, \"{discrete}\" has states",
                        key.get_ref()
                    );
                    notes.add(Some(key.span().start), message, None);
                }
            }
            SensorKind::Discrete(discrete)
        }
        Kind::Analog(quantity) => SensorKind::Analog(analog(quantity, &table, at, place, notes)?),
    };
    Some(Sensor { number, name, kind })
}

fn analog(
    quantity: Quantity,
    table: &Table,
    at: usize,
    place: usize,
    notes: &Notes,
) -> Option<Analog> {
    let step = match table.read("step", value::step) {
        Read::Given(step, _) => step,
        Read::Bad => return None,
        Read::Absent => 1000,
    };
    // A sensor of 8 bits shows 255 steps at most.
    let within = |value: &DeValue| value::thousandths(value, step * 255);
    let on = match table.read("on", within) {
        Read::Given(on, _) => on,
        Read::Bad => 0,
        Read::Absent => {
            let message = format!("sensor {place}: `on` is missing");
            let hint = "say what it shows when the node is on, such as on = 22";
            notes.add(Some(at), message, Some(hint.to_owned()));
            0
        }
    };
    Some(Analog {
        quantity,
        step,
        on,
        off: table.read("off", within).or(0).value,
        jitter: table.read("jitter", within).or(0).value,
        thresholds: THRESHOLDS.map(|key| match table.read(key, within) {
            Read::Given(value, _) => Some(value),
            Read::Absent | Read::Bad => None,
        }),
    })
}

enum Kind {
    Analog(Quantity),
    Discrete(Discrete),
}

fn kind(value: &DeValue) -> Result<Kind, Wrong> {
    let analog = Quantity::ALL.map(|q| (q.to_string(), Kind::Analog(q)));
    let discrete = Discrete::ALL.map(|d| (d.to_string(), Kind::Discrete(d)));
    let all: Vec<_> = analog.into_iter().chain(discrete).collect();
    let words: Vec<&str> = all.iter().map(|(word, _)| word.as_str()).collect();
    let n = value::word(value, &words)?;
    all.into_iter()
        .nth(n)
        .map(|(_, kind)| kind)
        .ok_or_else(|| Wrong::want("a type"))
}
