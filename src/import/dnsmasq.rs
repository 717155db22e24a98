//! What dnsmasq is told, in a file or on its command line.

use std::net::Ipv4Addr;

use super::draft::{Table, string};

/// What was found in all that dnsmasq is told.
#[derive(Default)]
pub(super) struct Found {
    /// The folder that it serves over TFTP, as the container sees it.
    pub(super) tftp_root: Option<String>,
    pub(super) hosts: Vec<Host>,
    has_dns: bool,
    no_dns: bool,
}

/// A reservation.
pub(super) struct Host {
    /// In lower case.
    pub(super) mac: Option<String>,
    pub(super) ip: Option<Ipv4Addr>,
    pub(super) name: Option<String>,
    /// Where it stands.
    pub(super) place: String,
    pub(super) typed: String,
}

impl Found {
    /// Reads a configuration file, line by line, into the table `[dhcp]`.
    pub(super) fn read(&mut self, file: &str, text: &str, table: &mut Table) {
        let name = file.rsplit('/').next().unwrap_or(file);
        for (n, line) in text.lines().enumerate() {
            let line = line.split(" #").next().unwrap_or_default().trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            self.option(
                key.trim(),
                value.trim(),
                &format!("{name}:{}", n + 1),
                table,
            );
        }
        self.has_dns = true;
    }

    /// Reads the options of a command line.
    pub(super) fn arguments(&mut self, words: &[String], place: &str, table: &mut Table) {
        for word in words {
            if let Some(option) = word.strip_prefix("--") {
                let (key, value) = option.split_once('=').unwrap_or((option, ""));
                self.option(key, value, place, table);
                self.has_dns = true;
            }
        }
    }

    /// Says last what all of it together means.
    pub(super) fn finish(&mut self, table: &mut Table) {
        if self.has_dns && !self.no_dns {
            table.set(
                "dns",
                "true",
                "dnsmasq answers DNS unless port=0 stands there",
            );
        }
    }

    fn option(&mut self, key: &str, value: &str, place: &str, table: &mut Table) {
        match key {
            "dhcp-range" if !table.has("pool") => range(value, place, table),
            "dhcp-host" => self.host(value, place),
            "dhcp-boot" => boot(value, place, table),
            "tftp-root" => self.tftp_root = value.split(',').next().map(str::to_owned),
            "port" if value == "0" => self.no_dns = true,
            "domain" => {
                let domain = value.split(',').next().unwrap_or_default();
                table.set("domain", string(domain), place);
            }
            _ => {
                let why = match key {
                    "enable-tftp" | "dhcp-authoritative" | "no-daemon" | "keep-in-foreground"
                    | "log-dhcp" | "log-facility" | "log-queries" | "no-ping" | "no-resolv"
                    | "no-hosts" | "bind-interfaces" | "bind-dynamic" | "interface"
                    | "except-interface" | "listen-address" | "user" | "group"
                    | "dhcp-leasefile" | "pid-file" | "conf-file" => "nsplay decides that itself",
                    "dhcp-match" | "dhcp-userclass" | "dhcp-vendorclass" | "pxe-service"
                    | "pxe-prompt" => "nsplay tells BIOS, UEFI and iPXE clients apart itself",
                    "dhcp-option" | "dhcp-option-force" => {
                        "nsplay gives out the gateway and, with DNS, itself"
                    }
                    "dhcp-range" => "there is one pool",
                    _ => "nsplay has nothing like it",
                };
                let value = if value.is_empty() {
                    String::new()
                } else {
                    format!("={value}")
                };
                table.note(format!("no counterpart ({place}): {key}{value}; {why}"));
            }
        }
    }

    fn host(&mut self, value: &str, place: &str) {
        let mut host = Host {
            mac: None,
            ip: None,
            name: None,
            place: place.to_owned(),
            typed: value.to_owned(),
        };
        for part in value.split(',').map(str::trim) {
            if part.matches(':').count() == 5 && !part.contains("id:") {
                host.mac = Some(part.to_ascii_lowercase());
            } else if let Ok(ip) = part.parse() {
                host.ip = Some(ip);
            } else if !part.contains(':') && lease(part).is_none() && part != "ignore" {
                host.name = Some(part.to_owned());
            }
        }
        self.hosts.push(host);
    }
}

fn range(value: &str, place: &str, table: &mut Table) {
    let parts: Vec<&str> = value.split(',').map(str::trim).collect();
    let addresses = parts.iter().filter_map(|part| part.parse().ok());
    let addresses: Vec<Ipv4Addr> = addresses.collect();
    let [first, last, ..] = addresses.as_slice() else {
        table.note(format!(
            "no counterpart ({place}): dhcp-range={value}; a pool has a first and a last IPv4 address"
        ));
        return;
    };
    table.set("pool", string(&format!("{first}-{last}")), place);
    match parts.last().and_then(|part| lease(part)) {
        Some(lease) => table.set("lease", string(&lease), place),
        None if parts.last() == Some(&"infinite") => {
            table.set(
                "lease",
                "\"365d\"",
                format!("{place}: infinite; the longest there is"),
            );
        }
        None => {}
    }
}

/// A lease time, if `part` is one; dnsmasq's numbers without a unit are seconds.
fn lease(part: &str) -> Option<String> {
    let digits = part.trim_end_matches(['s', 'm', 'h', 'd', 'w']);
    let number: u64 = digits.parse().ok()?;
    match &part[digits.len()..] {
        "" => Some(format!("{number}s")),
        "w" => Some(format!("{}d", number.checked_mul(7)?)),
        unit if unit.len() == 1 => Some(format!("{number}{unit}")),
        _ => None,
    }
}

/// Only what iPXE is sent to is said in a lab file.
fn boot(value: &str, place: &str, table: &mut Table) {
    let mut for_ipxe = false;
    let mut file = None;
    for part in value.split(',').map(str::trim) {
        match part.split_once(':') {
            Some(("tag" | "net" | "set", tag)) => {
                for_ipxe |= tag.to_ascii_lowercase().contains("ipxe") && !tag.starts_with('!');
            }
            _ if file.is_none() => file = Some(part),
            _ => {}
        }
    }
    let file = file.unwrap_or_default();
    let is_script = file.starts_with("http://") || file.ends_with(".ipxe");
    if (for_ipxe || is_script) && !file.is_empty() && !table.has("boot") {
        let why = match for_ipxe {
            true => place.to_owned(),
            false => format!("{place}; inferred: it looks like a script of iPXE"),
        };
        table.set("boot", string(file), why);
        return;
    }
    table.note(format!(
        "no counterpart ({place}): dhcp-boot={value}; nsplay sends BIOS and UEFI clients to iPXE"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_times_keep_their_length() {
        let told: Vec<_> = ["3600", "12h", "2w", "90s", "infinite", "h", "12hh"]
            .into_iter()
            .map(|part| lease(part).unwrap_or_default())
            .collect();
        assert_eq!(told, ["3600s", "12h", "14d", "90s", "", "", ""]);
    }

    #[test]
    fn a_reservation_is_read_in_any_order() {
        let mut found = Found::default();
        found.host("set:w,52:54:00:AA:00:01,worker1,10.0.0.21,12h", "a.conf:1");
        let host = &found.hosts[0];
        assert_eq!(host.mac.as_deref(), Some("52:54:00:aa:00:01"));
        assert_eq!(host.ip, Some(Ipv4Addr::new(10, 0, 0, 21)));
        assert_eq!(host.name.as_deref(), Some("worker1"));
    }
}
