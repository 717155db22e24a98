//! The TFTP server: its root, its ports.

use crate::argument::{Argument, Fields};
use crate::{FilePath, InterfaceName, ValueError};

/// The directory whose files are served, for all interfaces or one (tftp-root).
///
/// dnsmasq does not start if it is missing (exit status 3), unless `tftp-no-fail` is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TftpRoot {
    /// The directory.
    pub path: FilePath,
    /// The interface; `None` for those without a root of their own.
    pub interface: Option<InterfaceName>,
}

impl From<FilePath> for TftpRoot {
    fn from(path: FilePath) -> Self {
        Self {
            path,
            interface: None,
        }
    }
}

impl Argument for TftpRoot {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(raw);
        let path = FilePath::read(fields.need("a TFTP root")?)?;
        let interface = fields.optional()?;
        fields.end("a TFTP root")?;
        Ok(Self { path, interface })
    }

    fn write(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{},{interface}", self.path.write()),
            None => self.path.write(),
        }
    }
}

/// What each client's own TFTP root is named after (tftp-unique-root).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UniqueRoot {
    /// Its IP address.
    Ip,
    /// Its MAC address, `01-23-45-67-89-ab`.
    Mac,
}

impl Argument for UniqueRoot {
    fn read(raw: &str) -> Result<Self, ValueError> {
        match raw.to_ascii_lowercase().as_str() {
            "ip" => Ok(Self::Ip),
            "mac" => Ok(Self::Mac),
            _ => Err(ValueError::new("a unique root", raw, "write `ip` or `mac`")),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Ip => "ip".into(),
            Self::Mac => "mac".into(),
        }
    }
}

/// UDP ports from the first to the last, both included (tftp-port-range).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Makes a range.
    ///
    /// # Errors
    /// Refuses port 0 and a `last` below `first`; dnsmasq would swap them without saying so.
    pub fn new(first: u16, last: u16) -> Result<Self, ValueError> {
        if first == 0 || last < first {
            return Err(ValueError::new(
                "a port range",
                &format!("{first},{last}"),
                "write the lower port first, from 1",
            ));
        }
        Ok(Self { first, last })
    }
}

impl Argument for PortRange {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(raw);
        let first = u16::read(fields.need("a port range")?)?;
        let last = u16::read(fields.need("a port range")?)?;
        fields.end("a port range")?;
        Self::new(first, last)
    }

    fn write(&self) -> String {
        format!("{},{}", self.first, self.last)
    }
}
