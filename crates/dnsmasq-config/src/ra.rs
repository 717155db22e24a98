//! Router advertisements per interface: ra-param.

use crate::argument::{Argument, Fields, joined};
use crate::{InterfaceName, InterfacePattern, ValueError};

const KIND: &str = "a router advertisement's parameters";

/// A router's preference among several (RFC 4191); without one it is medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RaPriority {
    /// Before others.
    High,
    /// After others.
    Low,
}

/// The MTU that advertisements carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaMtu(Mtu);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Mtu {
    Off,
    Bytes(u32),
    Of(InterfaceName),
}

impl RaMtu {
    /// None at all.
    pub const OFF: Self = Self(Mtu::Off);

    /// So many bytes, 1280 to 65535.
    ///
    /// # Errors
    /// Refuses other sizes: IPv6 needs 1280 (RFC 8200, section 5).
    pub fn bytes(mtu: u32) -> Result<Self, ValueError> {
        if !(1280..=65535).contains(&mtu) {
            return Err(ValueError::new(
                "an MTU",
                &mtu.to_string(),
                "IPv6 takes 1280 to 65535 bytes",
            ));
        }
        Ok(Self(Mtu::Bytes(mtu)))
    }

    /// The MTU of another interface.
    ///
    /// # Errors
    /// Refuses the names `off` and those of digits only, which mean something else here.
    pub fn of(interface: InterfaceName) -> Result<Self, ValueError> {
        let name = interface.as_str();
        if name.eq_ignore_ascii_case("off") || name.chars().all(|c| c.is_ascii_digit()) {
            return Err(ValueError::new(
                "an MTU",
                name,
                "dnsmasq does not read it as an interface here; rename the interface",
            ));
        }
        Ok(Self(Mtu::Of(interface)))
    }

    fn read(raw: &str) -> Result<Self, ValueError> {
        if raw.eq_ignore_ascii_case("off") {
            Ok(Self::OFF)
        } else if raw.chars().all(|c| c.is_ascii_digit()) {
            Self::bytes(u32::read(raw)?)
        } else {
            Self::of(InterfaceName::read(raw)?)
        }
    }

    fn write(&self) -> String {
        match &self.0 {
            Mtu::Off => "mtu:off".into(),
            Mtu::Bytes(bytes) => format!("mtu:{bytes}"),
            Mtu::Of(interface) => format!("mtu:{interface}"),
        }
    }
}

/// How an interface advertises (ra-param).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaParam {
    interface: InterfacePattern,
    mtu: Option<RaMtu>,
    priority: Option<RaPriority>,
    interval: u16,
    lifetime: Option<u16>,
}

impl RaParam {
    /// Advertises on `interface` every `interval` seconds, 4 to 1800; 0 means dnsmasq's 600.
    ///
    /// # Errors
    /// Refuses other intervals (RFC 4861, section 6.2.1); dnsmasq would clamp them without saying so.
    pub fn new(interface: impl Into<InterfacePattern>, interval: u16) -> Result<Self, ValueError> {
        if interval != 0 && !(4..=1800).contains(&interval) {
            return Err(ValueError::new(
                "an interval",
                &interval.to_string(),
                "write 4 to 1800 seconds, or 0 for 600",
            ));
        }
        Ok(Self {
            interface: interface.into(),
            mtu: None,
            priority: None,
            interval,
            lifetime: None,
        })
    }

    /// Sets the MTU to advertise.
    pub fn mtu(mut self, mtu: RaMtu) -> Self {
        self.mtu = Some(mtu);
        self
    }

    /// Sets the router's preference.
    pub fn priority(mut self, priority: RaPriority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets for how many seconds this machine is a default router; 0: it is none.
    ///
    /// # Errors
    /// Refuses more than 9000 (RFC 4861, section 6.2.1).
    pub fn lifetime(mut self, seconds: u16) -> Result<Self, ValueError> {
        if seconds > 9000 {
            return Err(ValueError::new(
                "a router lifetime",
                &seconds.to_string(),
                "write 0 to 9000 seconds",
            ));
        }
        self.lifetime = Some(seconds);
        Ok(self)
    }
}

impl Argument for RaParam {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(raw);
        let interface = InterfacePattern::read(fields.need(KIND)?)?;
        let mtu = fields
            .next_if(|field| field.strip_prefix("mtu:"))
            .map(RaMtu::read)
            .transpose()?;
        let priority = fields.next_if(|field| match field {
            "high" => Some(RaPriority::High),
            "low" => Some(RaPriority::Low),
            _ => None,
        });
        let mut param = Self::new(interface, u16::read(fields.need("an interval")?)?)?;
        if let Some(lifetime) = fields.next() {
            param = param.lifetime(u16::read(lifetime)?)?;
        }
        fields.end(KIND)?;
        Ok(Self {
            mtu,
            priority,
            ..param
        })
    }

    fn write(&self) -> String {
        let mut fields = vec![self.interface.to_string()];
        fields.extend(self.mtu.as_ref().map(RaMtu::write));
        fields.extend(self.priority.map(|priority| match priority {
            RaPriority::High => "high".to_owned(),
            RaPriority::Low => "low".to_owned(),
        }));
        fields.push(self.interval.to_string());
        fields.extend(self.lifetime.map(|seconds| seconds.to_string()));
        joined(fields)
    }
}
