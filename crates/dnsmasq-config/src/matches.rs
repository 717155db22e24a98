//! Which clients get which tags: dhcp-match, dhcp-vendorclass, dhcp-userclass, dhcp-mac, tag-if, dhcp-ignore.

use crate::argument::{Argument, Fields, condition_fields, conditional, joined};
use crate::option::{fitting, read_value};
use crate::option_value::OptionValue;
use crate::value::MacPattern;
use crate::{Condition, OptionId, Tag, Text, ValueError, quote};

const MATCH: &str = "a match";

#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Option(OptionId, OptionValue),
    Enterprise(u32),
}

/// Sets a tag for clients that send an option (dhcp-match).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    set: Tag,
    subject: Subject,
}

impl Match {
    /// Matches clients that send the option `id`, whatever it holds.
    pub fn sent(set: Tag, id: OptionId) -> Self {
        Self {
            set,
            subject: Subject::Option(id, OptionValue::Empty),
        }
    }

    /// Matches clients whose option `id` holds `value`.
    ///
    /// # Errors
    /// Refuses values that the option cannot hold.
    pub fn holding(set: Tag, id: OptionId, value: OptionValue) -> Result<Self, ValueError> {
        fitting(id, None, &value)?;
        Ok(Self {
            set,
            subject: Subject::Option(id, value),
        })
    }

    /// Matches clients with vendor-identifying options of an IANA enterprise (RFC 3925).
    pub fn enterprise(set: Tag, enterprise: u32) -> Self {
        Self {
            set,
            subject: Subject::Enterprise(enterprise),
        }
    }
}

impl Argument for Match {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(raw);
        let set = fields.set_tag()?;
        let field = fields.need("an option to match")?;
        if let Some(number) = field.strip_prefix("vi-encap:") {
            fields.end(MATCH)?;
            return Ok(Self::enterprise(set, u32::read(number)?));
        }
        let id = OptionId::read(field).ok_or_else(|| {
            ValueError::new(
                MATCH,
                field,
                "write a number, `option:NAME` or `option6:NAME` after one `set:TAG`",
            )
        })??;
        if fields
            .peek()
            .is_some_and(|value| value.contains('*') && value.contains(':'))
        {
            return Err(ValueError::new(
                MATCH,
                raw,
                "`*` in bytes is not supported; write all of them, or leave the value out",
            ));
        }
        let value = read_value(fields.rest(), id, None)?;
        Self::holding(set, id, value)
    }

    fn write(&self) -> String {
        let mut fields = vec![format!("set:{}", self.set)];
        match &self.subject {
            Subject::Option(id, value) => {
                fields.push(id.write());
                fields.extend(value.write());
            }
            Subject::Enterprise(number) => fields.push(format!("vi-encap:{number}")),
        }
        joined(fields)
    }
}

/// Sets a tag for clients whose vendor class contains a text (dhcp-vendorclass, options 60 and 16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorClass {
    /// The tag to set.
    pub set: Tag,
    /// DHCPv6 only: the IANA enterprise number to match as well.
    pub enterprise: Option<u32>,
    /// The text, anywhere in the class.
    pub class: Text,
}

impl Argument for VendorClass {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(raw);
        let set = fields.set_tag()?;
        let first = fields.need("a vendor class")?;
        let (enterprise, class) = match fields.next() {
            None => (None, first),
            Some(class) => {
                let number = first.strip_prefix("enterprise:").ok_or_else(|| {
                    ValueError::new("a vendor class", raw, "put a class with a comma in quotes")
                })?;
                (Some(u32::read(number)?), class)
            }
        };
        fields.end("a vendor class")?;
        Ok(Self {
            set,
            enterprise,
            class: Text::read(class)?,
        })
    }

    fn write(&self) -> String {
        let mut fields = vec![format!("set:{}", self.set)];
        fields.extend(self.enterprise.map(|number| format!("enterprise:{number}")));
        fields.push(self.class.write());
        joined(fields)
    }
}

/// Sets a tag for clients whose user class contains a text (dhcp-userclass, RFC 3004; iPXE says `iPXE`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserClass {
    /// The tag to set.
    pub set: Tag,
    /// The text.
    pub class: Text,
}

impl Argument for UserClass {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(raw);
        let set = fields.set_tag()?;
        let class = Text::read(fields.need("a user class")?)?;
        fields.end("a user class")?;
        Ok(Self { set, class })
    }

    fn write(&self) -> String {
        format!("set:{},{}", self.set, self.class.write())
    }
}

/// Sets a tag for clients whose MAC address has a pattern (dhcp-mac).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacTag {
    /// The tag to set.
    pub set: Tag,
    /// The pattern.
    pub mac: MacPattern,
}

impl Argument for MacTag {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let mut fields = Fields::new(raw);
        let set = fields.set_tag()?;
        let mac = MacPattern::read(fields.need("a MAC address")?)?;
        fields.end("a MAC address")?;
        Ok(Self { set, mac })
    }

    fn write(&self) -> String {
        format!("set:{},{}", self.set, self.mac)
    }
}

/// Sets tags for clients that have others, or lack them (tag-if).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagIf {
    set: Vec<Tag>,
    when: Vec<Condition>,
}
conditional!(TagIf);

impl TagIf {
    /// Sets `set`; without conditions, always.
    pub fn new(set: Tag) -> Self {
        Self {
            set: vec![set],
            when: Vec::new(),
        }
    }

    /// Sets another tag too.
    pub fn and_set(mut self, set: Tag) -> Self {
        self.set.push(set);
        self
    }
}

impl Argument for TagIf {
    fn read(raw: &str) -> Result<Self, ValueError> {
        let (mut set, mut when) = (Vec::new(), Vec::new());
        for field in quote::fields(raw) {
            if let Some(tag) = field.strip_prefix("set:") {
                set.push(Tag::new(tag)?);
            } else if field.starts_with("tag:") {
                when.push(field.parse()?);
            } else {
                return Err(ValueError::new(
                    "a tag rule",
                    field,
                    "write `set:TAG` or `tag:TAG`",
                ));
            }
        }
        if set.is_empty() {
            return Err(ValueError::new(
                "a tag rule",
                raw,
                "it sets nothing; add `set:TAG`",
            ));
        }
        Ok(Self { set, when })
    }

    fn write(&self) -> String {
        let set = self.set.iter().map(|tag| format!("set:{tag}"));
        joined(set.chain(condition_fields(&self.when)))
    }
}

/// Conditions that must all hold, at least one (dhcp-ignore, dhcp-broadcast, dhcp-ignore-names).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions {
    when: Vec<Condition>,
}
conditional!(Conditions);

impl Conditions {
    /// Starts with one condition; [`Conditions::when`] adds more.
    pub fn new(condition: impl Into<Condition>) -> Self {
        Self {
            when: vec![condition.into()],
        }
    }
}

impl Argument for Conditions {
    fn read(raw: &str) -> Result<Self, ValueError> {
        quote::fields(raw)
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(|when| Self { when })
    }

    fn write(&self) -> String {
        joined(condition_fields(&self.when))
    }
}
