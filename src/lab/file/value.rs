//! How single values are spelled: sizes, durations, addresses, choices.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use ipnet::Ipv4Net;
use toml::de::DeValue;

use super::report::shown;
use super::walk::{Wrong, either, nearest};
use crate::lab::mac::BadMac;
use crate::lab::profile::Thousandths;
use crate::lab::{BootDevice, Mac, Name, Root};

/// The spelling of [`Root::Embedded`].
pub(super) const BUILT_IN: &str = "built-in";

/// Below two minutes dnsmasq gives two minutes; a year is nearer to a slip than to a wish.
const LEASE: (u64, u64) = (120, 365 * 86_400);

pub(super) fn text<'v>(value: &'v DeValue, what: &str) -> Result<&'v str, Wrong> {
    value.as_str().ok_or_else(|| Wrong::want(what))
}

pub(super) fn name(value: &DeValue) -> Result<Name, Wrong> {
    const WHAT: &str = "1 to 32 lower-case letters, digits and hyphens, a letter or digit first";
    Name::new(text(value, WHAT)?).map_err(|_| Wrong::want(WHAT))
}

pub(super) fn boolean(value: &DeValue) -> Result<bool, Wrong> {
    value.as_bool().ok_or_else(|| Wrong::want("true or false"))
}

/// One of `choices`, by the word that its `Display` spells.
pub(super) fn choice<T: Copy + Display>(value: &DeValue, choices: &[T]) -> Result<T, Wrong> {
    let words: Vec<String> = choices.iter().map(T::to_string).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    word(value, &words).map(|n| choices[n])
}

/// The index of the one of `words` that `value` is.
pub(super) fn word(value: &DeValue, words: &[&str]) -> Result<usize, Wrong> {
    let list = either(words, '"');
    let typed = text(value, &list)?;
    let found = words.iter().position(|word| *word == typed);
    found.ok_or_else(|| {
        let wrong = Wrong::want(list);
        match nearest(typed, words) {
            Some(near) => wrong.hint(format!("did you mean \"{near}\"?")),
            None => wrong,
        }
    })
}

pub(super) fn power(value: &DeValue) -> Result<bool, Wrong> {
    word(value, &["on", "off"])
        .map(|n| n == 0)
        .map_err(|wrong| match value.as_bool() {
            Some(true) => wrong.hint("write power = \"on\""),
            Some(false) => wrong.hint("write power = \"off\""),
            None => wrong,
        })
}

pub(super) fn cpus(value: &DeValue) -> Result<u8, Wrong> {
    let number = value.as_integer();
    number
        .and_then(|n| u8::from_str_radix(n.as_str(), n.radix()).ok())
        .filter(|n| (1..=64).contains(n))
        .ok_or_else(|| Wrong::want("a whole number from 1 to 64"))
}

pub(super) fn subnet(value: &DeValue) -> Result<Ipv4Net, Wrong> {
    const WHAT: &str = "an IPv4 subnet such as \"192.168.25.0/24\"";
    let typed = text(value, WHAT)?;
    let net: Ipv4Net = typed.parse().map_err(|_| {
        let wrong = Wrong::want(WHAT);
        match typed.parse::<Ipv4Addr>() {
            Ok(address) => wrong.hint(format!("a subnet has a prefix length: \"{address}/24\"")),
            Err(_) => wrong,
        }
    })?;
    if !(8..=29).contains(&net.prefix_len()) {
        let want = "a prefix length from 8 to 29";
        let why = "a /29 is the smallest subnet that holds the gateway, three services, a node and a pool";
        return Err(Wrong::want(want).hint(why));
    }
    if net.addr() != net.network() {
        let hint = format!("write \"{}\"", net.trunc());
        return Err(Wrong::want("the subnet's first address before the slash").hint(hint));
    }
    let special: [Ipv4Net; 3] = [(0, 8), (127, 8), (224, 3)]
        .map(|(first, prefix)| Ipv4Net::new_assert(Ipv4Addr::new(first, 0, 0, 0), prefix));
    if special
        .iter()
        .any(|special| special.contains(&net) || net.contains(special))
    {
        let hint = "take a private one, from 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16";
        return Err(Wrong::want("a subnet whose addresses hosts can have").hint(hint));
    }
    Ok(net)
}

pub(super) fn address(value: &DeValue) -> Result<Ipv4Addr, Wrong> {
    const WHAT: &str = "an IPv4 address such as \"192.168.25.5\"";
    let typed = text(value, WHAT)?;
    typed.parse().map_err(|_| {
        let wrong = Wrong::want(WHAT);
        match typed.parse::<Ipv4Net>() {
            Ok(net) => wrong.hint(format!(
                "the prefix length belongs to [network] subnet alone: \"{}\"",
                net.addr()
            )),
            Err(_) => wrong,
        }
    })
}

pub(super) fn pool(value: &DeValue) -> Result<(Ipv4Addr, Ipv4Addr), Wrong> {
    const WHAT: &str =
        "first and last address with a hyphen between, such as \"192.168.25.100-192.168.25.200\"";
    let typed = text(value, WHAT)?;
    let (first, last) = typed.split_once('-').ok_or_else(|| Wrong::want(WHAT))?;
    let parse = |part: &str| part.trim().parse::<Ipv4Addr>();
    let (Ok(first), Ok(last)) = (parse(first), parse(last)) else {
        return Err(Wrong::want(WHAT));
    };
    if first > last {
        let hint = format!("write \"{last}-{first}\"");
        return Err(Wrong::want("the lower address first").hint(hint));
    }
    Ok((first, last))
}

pub(super) fn mac(value: &DeValue) -> Result<Mac, Wrong> {
    const WHAT: &str = "six hexadecimal pairs such as \"00:aa:bb:cc:dd:ee\"";
    text(value, WHAT)?.parse().map_err(|bad| match bad {
        BadMac::Spelling(_) => Wrong::want(WHAT),
        BadMac::Group(_) => Wrong::want("an address whose first byte is even")
            .hint("an odd first byte marks a group of NICs, which no single NIC can be"),
        BadMac::Zero => Wrong::want("an address that is not all zero"),
    })
}

/// An address and port of the host, or `false` for none.
pub(super) fn publish(value: &DeValue, example: &str) -> Result<Option<SocketAddr>, Wrong> {
    let want = || Wrong::want(format!("\"ADDRESS:PORT\" such as \"{example}\", or false"));
    let typed = match value {
        DeValue::Boolean(false) => return Ok(None),
        DeValue::Integer(port) => {
            return Err(want().hint(format!("write \"127.0.0.1:{}\"", shown(port.as_str()))));
        }
        _ => value.as_str().ok_or_else(want)?,
    };
    let socket: SocketAddr = typed.parse().map_err(|_| {
        let port = typed.trim_start_matches(':');
        match (port.parse::<u16>(), typed.split_once(':')) {
            (Ok(port), _) => want().hint(format!("write \"127.0.0.1:{port}\"")),
            (_, Some(("localhost", port))) => {
                want().hint(format!("write \"127.0.0.1:{}\"", shown(port)))
            }
            (_, Some(("" | "*", port))) => want().hint(format!(
                "for all addresses of the host, write \"0.0.0.0:{}\"",
                shown(port)
            )),
            _ => want(),
        }
    })?;
    let group = match socket.ip() {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    };
    if group {
        return Err(Wrong::want("an address that this host can have"));
    }
    if socket.port() == 0 {
        return Err(Wrong::want("a port from 1 to 65535"));
    }
    Ok(Some(socket))
}

pub(super) fn lease(value: &DeValue) -> Result<Duration, Wrong> {
    match seconds(value, "a duration such as \"1h\", \"30m\" or \"120s\"")? {
        Some(seconds) if (LEASE.0..=LEASE.1).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        Some(seconds) if seconds < LEASE.0 => Err(Wrong::want("2m to 365d")
            .hint("dnsmasq gives no lease below two minutes: write \"2m\"")),
        _ => Err(Wrong::want("2m to 365d")),
    }
}

/// How long something may take, or `false` for as long as it likes.
pub(super) fn patience(value: &DeValue) -> Result<Option<Duration>, Wrong> {
    if value.as_bool() == Some(false) {
        return Ok(None);
    }
    match seconds(value, "a duration such as \"60s\", or false for no end")? {
        Some(seconds) if (1..=86_400).contains(&seconds) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(Wrong::want("1s to 1d")),
    }
}

/// A time up to a day, which may be none at all.
pub(super) fn time(value: &DeValue) -> Result<Duration, Wrong> {
    match seconds(value, "a time such as \"90s\" or \"5m\"")? {
        Some(seconds) if seconds <= 86_400 => Ok(Duration::from_secs(seconds)),
        _ => Err(Wrong::want("0s to 1d")),
    }
}

/// A duration in seconds; none for one that is beyond all counting.
fn seconds(value: &DeValue, what: &str) -> Result<Option<u64>, Wrong> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let (number, unit) = quantity(text(value, what)?, what)?;
    let Some((_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(bad_unit(number, unit, what, &units));
    };
    Ok(number.checked_mul(*scale))
}

/// A size in MiB, within `range`.
pub(super) fn size(value: &DeValue, what: &str, range: (u64, u64)) -> Result<u64, Wrong> {
    let units = [("MiB", 1), ("GiB", 1 << 10), ("TiB", 1 << 20)];
    if let DeValue::Integer(number) = value {
        let hint = format!(
            "a size has a unit: \"{0}MiB\" or \"{0}GiB\"",
            shown(number.as_str())
        );
        return Err(Wrong::want(what).hint(hint));
    }
    let (number, unit) = quantity(text(value, what)?, what)?;
    let Some((_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(bad_unit(number, unit, what, &units));
    };
    number
        .checked_mul(*scale)
        .filter(|mib| (range.0..=range.1).contains(mib))
        .ok_or_else(|| {
            Wrong::want(format!(
                "{} to {}",
                spell_size(range.0),
                spell_size(range.1)
            ))
        })
}

/// Splits `1GiB` into number and unit; blanks between them do no harm.
fn quantity<'v>(typed: &'v str, what: &str) -> Result<(u64, &'v str), Wrong> {
    let digits = typed.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(Wrong::want(what));
    }
    let (number, unit) = typed.split_at(digits);
    // A number that u64 cannot hold is beyond every range here.
    Ok((number.parse().unwrap_or(u64::MAX), unit.trim()))
}

fn bad_unit(number: u64, unit: &str, what: &str, units: &[(&str, u64)]) -> Wrong {
    let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
    let list = either(&names, '`');
    let initial = |name: &str| name.chars().next().map(|c| c.to_ascii_lowercase());
    let alike = names.iter().find(|name| initial(name) == initial(unit));
    let hint = match (unit, alike) {
        ("", _) => format!("the unit is missing: {list}"),
        (unit, _) if unit.contains(|c: char| c.is_ascii_digit()) => {
            format!("write one whole number and one unit: {list}")
        }
        (_, Some(alike)) => format!("did you mean \"{number}{alike}\"?"),
        (unit, None) => format!("the unit `{}` is none of {list}", shown(unit)),
    };
    Wrong::want(what).hint(hint)
}

/// `mib` as a lab file spells it.
pub(super) fn spell_size(mib: u64) -> String {
    match mib {
        mib if mib > 0 && mib % (1 << 20) == 0 => format!("{}TiB", mib >> 20),
        mib if mib > 0 && mib % (1 << 10) == 0 => format!("{}GiB", mib >> 10),
        mib => format!("{mib}MiB"),
    }
}

/// `duration` as a lab file spells it.
pub(super) fn spell_duration(duration: Duration) -> String {
    match duration.as_secs() {
        s if s > 0 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// A folder, relative to that of its lab file; `built-in` for the files in the binary.
pub(super) fn root(value: &DeValue, folder: &Path) -> Result<Root, Wrong> {
    let want = || Wrong::want(format!("a folder, or \"{BUILT_IN}\""));
    let typed = value.as_str().ok_or_else(want)?;
    if typed.is_empty() || typed.chars().any(char::is_control) {
        return Err(want());
    }
    if typed == BUILT_IN {
        return Ok(Root::Embedded);
    }
    let path = folder.join(typed);
    let path: PathBuf = path
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect();
    Ok(Root::Dir(path))
}

/// Where iPXE goes: a URL, or a path below the web root.
pub(super) fn boot_target(value: &DeValue) -> Result<String, Wrong> {
    const WHAT: &str = "a URL, or a path below the web root such as \"boot.ipxe\"";
    let typed = text(value, WHAT)?;
    // DHCP carries it in one option of at most 255 bytes, dnsmasq's file in one line.
    let carried = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\');
    if typed.is_empty() || typed.len() > 255 || !typed.bytes().all(carried) {
        let hint = "1 to 255 ASCII characters; write blanks, quotes and the like as %20, %22, …";
        return Err(Wrong::want(WHAT).hint(hint));
    }
    if !is_url(typed) && typed.split('/').any(|part| part == "..") {
        return Err(Wrong::want("a path that does not leave the web root"));
    }
    Ok(typed.to_owned())
}

/// A domain that names can stand below (RFC 1123, section 2.1).
pub(super) fn domain(value: &DeValue) -> Result<String, Wrong> {
    const WHAT: &str = "a domain such as \"lab.example\"";
    let typed = text(value, WHAT)?;
    let is_label = |label: &str| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let bare = !label.starts_with('-') && !label.ends_with('-');
        (1..=63).contains(&label.len()) && bare && label.bytes().all(allowed)
    };
    // What stands before it has 65 bytes at most: NODE and NETWORK, with their dots.
    if typed.len() > 128 || !typed.split('.').all(is_label) {
        let hint = "write lower-case letters, digits and hyphens, with a dot between two parts";
        return Err(Wrong::want(WHAT).hint(hint));
    }
    Ok(typed.to_owned())
}

/// Whether a boot target stands by itself, without the lab's web server.
pub(super) fn is_url(target: &str) -> bool {
    target.contains("://")
}

/// Something that firmware can boot from.
pub(super) fn boot_device(value: &DeValue) -> Result<BootDevice, Wrong> {
    const WORDS: [&str; 3] = ["network", "disk", "cdrom"];
    let want = || {
        let words = either(&WORDS, '"');
        Wrong::want(format!("{words}, or one with a number such as \"disk2\""))
    };
    let typed = value.as_str().ok_or_else(want)?;
    typed.parse().map_err(|_| {
        let kind = typed.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = &typed[kind.len()..];
        match (nearest(kind, &WORDS), number) {
            (Some(near), "") => want().hint(format!("did you mean \"{near}\"?")),
            (Some(near), "0" | "1") => want().hint(format!("the first one is \"{near}\"")),
            (Some(_) | None, _) => want(),
        }
    })
}

/// A text of an inventory area.
///
/// Its length has 6 bits there, and one of a single byte would be the mark of
/// the area's end (Platform Management FRU Information 1.0, section 13).
pub(super) fn field(value: &DeValue) -> Result<String, Wrong> {
    ascii(value, 2..=63)
}

/// The same, or `""` for none.
pub(super) fn optional_field(value: &DeValue) -> Result<String, Wrong> {
    match value.as_str() {
        Some("") => Ok(String::new()),
        _ => field(value),
    }
}

/// The name of a sensor (IPMI 2.0, section 43.1, ID string).
pub(super) fn sensor_name(value: &DeValue) -> Result<String, Wrong> {
    ascii(value, 2..=16)
}

fn ascii(value: &DeValue, length: RangeInclusive<usize>) -> Result<String, Wrong> {
    let what = format!("{} to {} ASCII characters", length.start(), length.end());
    let typed = text(value, &what)?;
    if !length.contains(&typed.len()) {
        let hint = format!("it has {} bytes", typed.len());
        return Err(Wrong::want(what).hint(hint));
    }
    let printable = typed.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    if !printable || typed.trim() != typed {
        let hint = "leave out control characters, and blanks at both ends";
        return Err(Wrong::want(what).hint(hint));
    }
    Ok(typed.to_owned())
}

/// A UUID, in lower case.
pub(super) fn uuid(value: &DeValue) -> Result<String, Wrong> {
    const WHAT: &str = "a UUID such as \"123e4567-e89b-12d3-a456-426614174000\"";
    let typed = text(value, WHAT)?.to_ascii_lowercase();
    let groups: Vec<&str> = typed.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let hex = groups.concat();
    if lengths != [8, 4, 4, 4, 12] || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Wrong::want(WHAT));
    }
    if hex.bytes().all(|b| b == b'0') {
        return Err(Wrong::want("a UUID that is not all zero"));
    }
    Ok(typed)
}

/// A whole number within `range`.
pub(super) fn whole(value: &DeValue, range: RangeInclusive<u32>) -> Result<u32, Wrong> {
    let number = value.as_integer();
    number
        .and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok())
        .filter(|n| range.contains(n))
        .ok_or_else(|| {
            let (first, last) = (range.start(), range.end());
            Wrong::want(format!("a whole number from {first} to {last}"))
        })
}

/// A number from 0 to `most`, both in thousandths.
pub(super) fn thousandths(value: &DeValue, most: i64) -> Result<i64, Wrong> {
    let what = || format!("a number from 0 to {}", Thousandths(most));
    let number = match value {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(|number| number as f64),
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => None,
    };
    number
        .map(|number: f64| (number * 1000.0).round())
        .filter(|number| (0.0..=most as f64).contains(number))
        .map(|number| number as i64)
        .ok_or_else(|| {
            Wrong::want(what()).hint("a sensor has 8 bits: a greater `step` makes room for more")
        })
}

/// What one count of a sensor is worth, in thousandths.
///
/// A record holds it as a number of 10 bits with its sign, times a power of
/// ten from -8 to 7 (IPMI 2.0, section 36.3).
pub(super) fn step(value: &DeValue) -> Result<i64, Wrong> {
    const WHAT: &str = "a number from 0.001 to 5000";
    let step = thousandths(value, 5_000_000).map_err(|_| Wrong::want(WHAT))?;
    if step < 1 {
        return Err(Wrong::want(WHAT));
    }
    let mut digits = step;
    while digits % 10 == 0 {
        digits /= 10;
    }
    if digits > 511 {
        let hint = "a sensor record has room for 511 times a power of ten";
        return Err(Wrong::want(WHAT).hint(hint));
    }
    Ok(step)
}

/// A user name or password that IPMI and lan.conf can carry.
pub(super) fn credential(value: &DeValue) -> Result<String, Wrong> {
    credential_text(text(value, CREDENTIAL)?)
}

const CREDENTIAL: &str = "1 to 16 ASCII letters, digits and signs";

/// The same of a text.
pub(super) fn credential_text(typed: &str) -> Result<String, Wrong> {
    if typed.is_empty() {
        return Err(Wrong::want(CREDENTIAL));
    }
    if typed.len() > 16 {
        let hint = format!("IPMI 2.0 gives it 16 bytes; this has {}", typed.len());
        return Err(Wrong::want(CREDENTIAL).hint(hint));
    }
    // ipmi_sim 2.0.33 ends a quoted name at a blank: "ASCII password or username
    // doesn't end in '"'"; all other signs let ipmitool in. Quotes and backslashes
    // do too, but not in every shell and log that they pass.
    let carried = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\');
    if !typed.chars().all(carried) {
        let hint = "leave out blanks, quotes, backslashes and control characters";
        return Err(Wrong::want(CREDENTIAL).hint(hint));
    }
    Ok(typed.to_owned())
}
