//! What a member is: everything that a node's inventory, BMC and SMBIOS say, and what a service
//! runs.

pub mod service;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lab::profile::{SensorKind, Thousandths};
use crate::lab::{Disk, Identity, Lab, Name, Nic, Node, Stage, Tpm};
use crate::node::shape::Shape;
use crate::node::{Link, Power, power, storage};

pub use service::Service;

/// A node, as `nsplay inspect` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inspection {
    /// The node.
    pub node: Name,
    /// Its lab.
    pub lab: Name,
    /// Whether it is on; none when the lab is not up.
    pub power: Option<Power>,
    /// How far its boot has come; none when the lab is not up, or it was never on.
    pub stage: Option<Stage>,
    /// What kind of server it shows itself as.
    pub profile: Name,
    /// Its names and numbers.
    #[serde(flatten)]
    pub identity: Identity,
    /// Virtual CPUs.
    pub cpus: u8,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Its network cards.
    pub nics: Vec<Card>,
    /// QEMU's name of the CPU.
    pub cpu: String,
    /// Its disks.
    pub disks: Vec<Drive>,
    /// The image in its CD drive; none when that is empty.
    pub iso: Option<PathBuf>,
    /// The interface of its TPM 2; none for a node without one.
    pub tpm: Option<Tpm>,
    /// Whether its firmware starts only what is signed.
    pub secure_boot: bool,
    /// The firmware that starts it.
    pub firmware: String,
    /// What SMBIOS says of that firmware.
    pub bios: Bios,
    /// Its BMC.
    pub bmc: Controller,
    /// Its sensors, in the order of their numbers.
    pub sensors: Vec<Sensor>,
}

/// What SMBIOS says of a firmware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bios {
    /// Who made it.
    pub vendor: String,
    /// Its version.
    pub version: String,
    /// When it was made, as its maker writes dates.
    pub date: String,
}

/// A network card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Card {
    /// What it is, as a lab file has it.
    #[serde(flatten)]
    pub nic: Nic,
    /// Whether its cable is plugged in; none when the lab is not up.
    pub link: Option<Link>,
    /// What becomes of packets on their way to it; none when all pass at once.
    pub shape: Option<Shape>,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drive {
    /// What it is, as a lab file has it.
    #[serde(flatten)]
    pub disk: Disk,
    /// Its serial number.
    pub serial: String,
}

/// A node's BMC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Controller {
    /// Its address in the lab.
    pub address: Ipv4Addr,
    /// Where the host reaches it.
    pub published: Option<SocketAddr>,
    /// The administrator's name.
    pub user: String,
    /// The IANA enterprise number of who made it.
    pub manufacturer_id: u32,
    /// The maker's number for the product.
    pub product_id: u16,
    /// The firmware's version.
    pub firmware: String,
}

/// A sensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sensor {
    /// Its number.
    pub number: u8,
    /// Its name.
    pub name: String,
    /// Its type, as a profile spells it.
    pub kind: String,
    /// What it shows when the node is on; none for one without a value.
    pub nominal: Option<String>,
    /// The unit of that.
    pub unit: Option<String>,
}

impl Inspection {
    /// Everything about `node` of `lab`, and of the machine that it is when the lab is up: how far
    /// its boot has come, too.
    #[must_use]
    pub fn of(lab: &Lab, node: &Node, runs: Option<&power::Node>, stage: Option<Stage>) -> Self {
        let (profile, bios) = (&node.profile, &node.profile.bios);
        let (major, minor) = profile.bmc.firmware;
        let sensors = profile.sensors.iter().map(|sensor| {
            let (kind, nominal, unit) = match &sensor.kind {
                SensorKind::Discrete(kind) => (kind.to_string(), None, None),
                SensorKind::Analog(analog) => {
                    let (value, unit) = (Thousandths(analog.on), analog.quantity.unit());
                    let kind = analog.quantity.to_string();
                    (kind, Some(value.to_string()), Some(unit.to_string()))
                }
            };
            Sensor {
                number: sensor.number,
                name: sensor.name.clone(),
                kind,
                nominal,
                unit,
            }
        });
        Self {
            node: node.name.clone(),
            lab: lab.name.clone(),
            power: runs.map(power::Node::power),
            stage,
            profile: profile.name.clone(),
            identity: node.identity.clone(),
            cpus: node.cpus,
            memory_mib: node.memory_mib,
            nics: (0..)
                .zip(node.nics())
                .map(|(card, nic)| Card {
                    nic: nic.clone(),
                    link: runs.map(|runs| runs.link(card)),
                    shape: runs.and_then(|runs| runs.shape(card)),
                })
                .collect(),
            cpu: node.cpu.clone(),
            disks: storage::numbered(node)
                .map(|(number, disk)| Drive {
                    disk: disk.clone(),
                    serial: storage::serial(node, number),
                })
                .collect(),
            iso: runs.map_or_else(|| node.iso.clone(), power::Node::medium),
            tpm: node.tpm,
            secure_boot: node.secure_boot,
            firmware: node.firmware.to_string(),
            bios: Bios {
                vendor: bios.vendor.clone(),
                version: bios.version.clone(),
                date: bios.date.clone(),
            },
            bmc: Controller {
                address: node.address,
                published: node.bmc.publish,
                user: node.bmc.user.clone(),
                manufacturer_id: profile.bmc.manufacturer_id,
                product_id: profile.bmc.product_id,
                firmware: format!("{major}.{minor:02}"),
            },
            sensors: sensors.collect(),
        }
    }
}

impl fmt::Display for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { disk, serial } = self;
        if let Some(mib) = disk.size_mib {
            write!(f, "{mib} MiB, ")?;
        }
        write!(f, "{}, serial {serial}", disk.bus)?;
        if !disk.keep {
            write!(f, ", not kept")?;
        }
        match &disk.base {
            Some(base) => write!(f, ", over {}", base.file.display()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |key: &str, value: &dyn fmt::Display| writeln!(f, "{key:<15} {value}");
        let (identity, bmc) = (&self.identity, &self.bmc);
        line("Node", &self.node)?;
        line("Lab", &self.lab)?;
        match self.power {
            Some(power) => line("Power", &power)?,
            None => line("Power", &"the lab is not up")?,
        }
        if let Some(stage) = self.stage {
            line("Boot stage", &stage)?;
        }
        line("Profile", &self.profile)?;
        line("Manufacturer", &identity.manufacturer)?;
        line("Product", &identity.product)?;
        line("Part number", &identity.part_number)?;
        line("Serial", &identity.serial)?;
        line("Asset tag", &identity.asset_tag)?;
        line("UUID", &identity.uuid)?;
        line("CPUs", &format_args!("{}, {}", self.cpus, self.cpu))?;
        line("Memory", &format_args!("{} MiB", self.memory_mib))?;
        if self.disks.is_empty() {
            line("Disk", &"none")?;
        }
        for (n, drive) in self.disks.iter().enumerate() {
            let key = match n {
                0 => "Disk".to_owned(),
                n => format!("Disk {}", n + 1),
            };
            line(&key, drive)?;
        }
        if let Some(iso) = &self.iso {
            line("CD", &iso.display())?;
        }
        if let Some(tpm) = self.tpm {
            line("TPM", &format_args!("2.0, {tpm}"))?;
        }
        for (n, Card { nic, link, shape }) in (1..).zip(&self.nics) {
            let key = match n {
                1 => "NIC".to_owned(),
                n => format!("NIC {n}"),
            };
            let mut text = format!("{}, {}, network {}", nic.model, nic.mac, nic.network);
            if let Some(ip) = nic.ip {
                text = format!("{text}, {ip} by DHCP");
            }
            if *link == Some(Link::Down) {
                text += ", the cable is out";
            }
            if let Some(shape) = shape {
                text = format!("{text}, {shape}");
            }
            line(&key, &text)?;
        }
        let Bios {
            vendor,
            version,
            date,
        } = &self.bios;
        let secure = if self.secure_boot {
            ", Secure Boot"
        } else {
            ""
        };
        line("Firmware", &format_args!("{}{secure}", self.firmware))?;
        line(
            "SMBIOS firmware",
            &format_args!("{vendor} {version}, {date}"),
        )?;
        let at = match bmc.published {
            Some(published) => format!("{}, published on {published}", bmc.address),
            None => bmc.address.to_string(),
        };
        line("BMC", &at)?;
        line(
            "BMC device id",
            &format_args!(
                "manufacturer {}, product {}, firmware {}",
                bmc.manufacturer_id, bmc.product_id, bmc.firmware
            ),
        )?;
        writeln!(f, "Sensors")?;
        for sensor in &self.sensors {
            let nominal = sensor.nominal.as_deref().unwrap_or_default();
            let unit = sensor.unit.as_deref().unwrap_or_default();
            let row = format!(
                "  {:>3} {:<16}  {:<13} {nominal} {unit}",
                sensor.number, sensor.name, sensor.kind
            );
            writeln!(f, "{}", row.trim_end())?;
        }
        Ok(())
    }
}
