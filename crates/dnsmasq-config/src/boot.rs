//! What clients boot: dhcp-boot, pxe-prompt, pxe-service.

use std::net::Ipv4Addr;

use crate::argument::{Argument, Fields, condition_fields, conditional, joined};
use crate::{BootFile, Condition, Hostname, Text, ValueError};

/// A TFTP server, by address or by a name that dnsmasq looks up when a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootServer {
    /// Its address.
    Address(Ipv4Addr),
    /// Its name.
    Name(Hostname),
}

impl From<Ipv4Addr> for BootServer {
    fn from(address: Ipv4Addr) -> Self {
        Self::Address(address)
    }
}

impl From<Hostname> for BootServer {
    fn from(name: Hostname) -> Self {
        Self::Name(name)
    }
}

impl Argument for BootServer {
    fn read(raw: &str) -> Result<Self, ValueError> {
        match raw.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => Hostname::read(raw).map(Self::Name),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Name(name) => name.to_string(),
        }
    }
}

/// The file that a client boots and where it is (dhcp-boot).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    when: Vec<Condition>,
    file: BootFile,
    server_name: Option<Hostname>,
    server: Option<BootServer>,
}
conditional!(Boot);

impl Boot {
    /// Boots `file` from this dnsmasq's TFTP server, or from the URL that it is.
    pub fn new(file: BootFile) -> Self {
        Self {
            when: Vec::new(),
            file,
            server_name: None,
            server: None,
        }
    }

    /// Sets the name of the server, for the BOOTP `sname` field (64 bytes with the final zero).
    pub fn server_name(mut self, name: Hostname) -> Self {
        self.server_name = Some(name);
        self
    }

    /// Boots from another TFTP server.
    pub fn server(mut self, server: impl Into<BootServer>) -> Self {
        self.server = Some(server.into());
        self
    }
}

impl Argument for Boot {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(raw);
        let when = fields.conditions()?;
        let file = BootFile::read(fields.need("a boot file")?)?;
        let server_name = fields.optional()?;
        let server = fields.optional()?;
        fields.end("a boot file")?;
        Ok(Self {
            when,
            file,
            server_name,
            server,
        })
    }

    fn write(&self) -> String {
        let mut fields = condition_fields(&self.when);
        fields.push(self.file.write());
        if self.server_name.is_some() || self.server.is_some() {
            fields.push(
                self.server_name
                    .as_ref()
                    .map(Hostname::write)
                    .unwrap_or_default(),
            );
        }
        fields.extend(self.server.as_ref().map(BootServer::write));
        joined(fields)
    }
}

/// What PXE clients show before the menu, and for how long (pxe-prompt).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PxePrompt {
    when: Vec<Condition>,
    prompt: Text,
    timeout: Option<u8>,
}
conditional!(PxePrompt);

impl PxePrompt {
    /// Shows `prompt` until a key is pressed.
    pub fn new(prompt: Text) -> Self {
        Self {
            when: Vec::new(),
            prompt,
            timeout: None,
        }
    }

    /// Takes the first entry after so many seconds; 0 at once, 255 never.
    pub fn timeout(mut self, seconds: u8) -> Self {
        self.timeout = Some(seconds);
        self
    }
}

impl Argument for PxePrompt {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(raw);
        let when = fields.conditions()?;
        let prompt = Text::read(fields.need("a prompt")?)?;
        let timeout = fields.optional()?;
        fields.end("a prompt")?;
        Ok(Self {
            when,
            prompt,
            timeout,
        })
    }

    fn write(&self) -> String {
        let mut fields = condition_fields(&self.when);
        fields.push(self.prompt.write());
        fields.extend(self.timeout.map(|seconds| seconds.to_string()));
        joined(fields)
    }
}

/// A PXE client architecture, as the client sends it in option 93 (RFC 4578, and IANA's later ones).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PxeArch(pub u16);

/// dnsmasq's names; the position is the number.
const ARCHES: [&str; 12] = [
    "x86PC",
    "PC98",
    "IA64_EFI",
    "Alpha",
    "Arc_x86",
    "Intel_Lean_Client",
    "IA32_EFI",
    "x86-64_EFI",
    "Xscale_EFI",
    "BC_EFI",
    "ARM32_EFI",
    "ARM64_EFI",
];

impl PxeArch {
    /// BIOS.
    pub const X86_PC: Self = Self(0);
    /// UEFI on 32-bit x86.
    pub const IA32_EFI: Self = Self(6);
    /// UEFI on x86-64.
    pub const X86_64_EFI: Self = Self(7);
    /// UEFI on x86-64 as some firmware calls it: EFI byte code.
    pub const BC_EFI: Self = Self(9);
    /// UEFI on 32-bit ARM.
    pub const ARM32_EFI: Self = Self(10);
    /// UEFI on 64-bit ARM.
    pub const ARM64_EFI: Self = Self(11);
    /// UEFI on x86-64, booting over HTTP.
    pub const X86_64_HTTP: Self = Self(16);
}

impl Argument for PxeArch {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let named = (0..)
            .zip(ARCHES)
            .find(|(_, name)| name.eq_ignore_ascii_case(raw));
        match named {
            Some((number, _)) => Ok(Self(number)),
            None => u16::read(raw).map(Self).map_err(|_| {
                ValueError::new(
                    "a PXE architecture",
                    raw,
                    format!("write a number or one of {}", ARCHES.join(", ")),
                )
            }),
        }
    }

    fn write(&self) -> String {
        ARCHES
            .get(usize::from(self.0))
            .map_or_else(|| self.0.to_string(), |name| (*name).to_owned())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Local,
    Type(u16, Option<BootServer>),
    File(BootFile, Option<BootServer>),
}

/// An entry of the PXE menu (pxe-service).
///
/// The clients' own menu is old: dnsmasq sends `file.0` for the base name `file` unless it has a suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PxeService {
    when: Vec<Condition>,
    arch: PxeArch,
    menu: Text,
    target: Target,
}
conditional!(PxeService);

impl PxeService {
    fn with(arch: PxeArch, menu: Text, target: Target) -> Self {
        Self {
            when: Vec::new(),
            arch,
            menu,
            target,
        }
    }

    /// Boots from the local disk.
    pub fn local(arch: PxeArch, menu: Text) -> Self {
        Self::with(arch, menu, Target::Local)
    }

    /// Boots the file with this base name.
    ///
    /// # Errors
    /// Refuses a name of digits only: it would be a service type.
    pub fn file(
        arch: PxeArch,
        menu: Text,
        file: BootFile,
        server: Option<BootServer>,
    ) -> Result<Self, ValueError> {
        if file.as_str().chars().all(|c| c.is_ascii_digit()) {
            return Err(ValueError::new(
                "a boot file",
                file.as_str(),
                "dnsmasq reads digits as a service type; add a letter",
            ));
        }
        Ok(Self::with(arch, menu, Target::File(file, server)))
    }

    /// Asks a boot server for this service type; without a server, by broadcast.
    ///
    /// Type 0 is the local disk.
    pub fn service_type(
        arch: PxeArch,
        menu: Text,
        number: u16,
        server: Option<BootServer>,
    ) -> Self {
        Self::with(arch, menu, Target::Type(number, server))
    }
}

impl Argument for PxeService {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(raw);
        let when = fields.conditions()?;
        let arch = PxeArch::read(fields.need("a PXE architecture")?)?;
        let menu = Text::read(fields.need("a menu text")?)?;
        let mut service = match fields.next() {
            None => Self::local(arch, menu),
            Some(target) => {
                let server = fields.optional()?;
                let file = BootFile::read(target)?;
                match file.as_str().chars().all(|c| c.is_ascii_digit()) {
                    true => Self::service_type(arch, menu, u16::read(file.as_str())?, server),
                    false => Self::file(arch, menu, file, server)?,
                }
            }
        };
        fields.end("a PXE service")?;
        service.when = when;
        Ok(service)
    }

    fn write(&self) -> String {
        let mut fields = condition_fields(&self.when);
        fields.extend([self.arch.write(), self.menu.write()]);
        let server = match &self.target {
            Target::Local => &None,
            Target::Type(number, server) => {
                fields.push(number.to_string());
                server
            }
            Target::File(file, server) => {
                fields.push(file.write());
                server
            }
        };
        fields.extend(server.as_ref().map(BootServer::write));
        joined(fields)
    }
}
