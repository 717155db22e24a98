//! What stands after `=`: the one trait that every directive's value implements.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Condition, Tag, ValueError};

/// A directive's value, or a field of it.
pub(crate) trait Argument: Sized {
    /// Reads the text, in which quoted characters are hidden (see [`quote`](crate::quote)).
    fn read(raw: &str) -> Result<Self, ValueError>;

    /// Renders the text, with quotes where needed.
    fn write(&self) -> String;
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl Argument for $type {
            fn read(raw: &str) -> Result<Self, ValueError> {
                let digits = raw.chars().all(|c| c.is_ascii_digit());
                raw.parse().ok().filter(|_| digits).ok_or_else(|| {
                    ValueError::new("a number", raw, format!("write digits only, from 0 to {}", <$type>::MAX))
                })
            }

            fn write(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
number!(u8, u16, u32);

macro_rules! address {
    ($($type:ty, $kind:literal, $hint:literal;)*) => {$(
        impl Argument for $type {
            fn read(raw: &str) -> Result<Self, ValueError> {
                raw.parse().map_err(|_| ValueError::new($kind, raw, $hint))
            }

            fn write(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
address! {
    Ipv4Addr, "an IPv4 address", "write four decimal bytes, `192.168.25.1`, without quotes";
    Ipv6Addr, "an IPv6 address", "write it like `fd00::1`, without quotes";
    IpAddr, "an address", "write `192.168.25.1` or `fd00::1`, without quotes";
}

/// Fields of a value, taken one after the other.
pub(crate) struct Fields<'a> {
    whole: &'a str,
    rest: Option<&'a str>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(whole: &'a str) -> Self {
        Self {
            whole,
            rest: Some(whole),
        }
    }

    /// Returns what is left, commas included.
    pub(crate) fn rest(&mut self) -> Option<&'a str> {
        self.rest.take()
    }

    /// Returns the next field and leaves it there.
    pub(crate) fn peek(&self) -> Option<&'a str> {
        let rest = self.rest?;
        Some(
            rest.split_once(',')
                .map_or(rest, |(field, _)| field)
                .trim_matches(' '),
        )
    }

    pub(crate) fn next(&mut self) -> Option<&'a str> {
        let field = self.peek()?;
        self.rest = self
            .rest?
            .split_once(',')
            .map(|(_, rest)| rest.trim_start_matches(' '));
        Some(field)
    }

    /// Returns the next field if `read` takes it.
    pub(crate) fn next_if<T>(&mut self, read: impl FnOnce(&'a str) -> Option<T>) -> Option<T> {
        let found = read(self.peek()?)?;
        self.next();
        Some(found)
    }

    /// Returns the next field, or says that `kind` is missing.
    pub(crate) fn need(&mut self, kind: &'static str) -> Result<&'a str, ValueError> {
        match self.next() {
            Some(field) => Ok(field),
            None => Err(ValueError::new(kind, self.whole, "the field is missing")),
        }
    }

    /// Reads the next field if there is one and it is not empty.
    pub(crate) fn optional<T: Argument>(&mut self) -> Result<Option<T>, ValueError> {
        match self.next() {
            None | Some("") => Ok(None),
            Some(field) => T::read(field).map(Some),
        }
    }

    /// Reads the conditions at the front: `tag:a,tag:!b,`.
    pub(crate) fn conditions(&mut self) -> Result<Vec<Condition>, ValueError> {
        let mut conditions = Vec::new();
        while let Some(tag) = self.next_if(|field| field.strip_prefix("tag:")) {
            conditions.push(tag.parse()?);
        }
        Ok(conditions)
    }

    /// Reads the tag to set, with or without `set:`.
    pub(crate) fn set_tag(&mut self) -> Result<Tag, ValueError> {
        let field = self.need("a tag to set")?;
        Tag::new(field.strip_prefix("set:").unwrap_or(field))
    }

    /// Says what is left over, if anything is.
    pub(crate) fn end(&mut self, kind: &'static str) -> Result<(), ValueError> {
        match self.rest() {
            None => Ok(()),
            Some(rest) => Err(ValueError::new(
                kind,
                self.whole,
                format!("`{rest}` is left over"),
            )),
        }
    }
}

/// Joins fields with commas, empty ones included.
pub(crate) fn joined(fields: impl IntoIterator<Item = String>) -> String {
    fields.into_iter().collect::<Vec<_>>().join(",")
}

/// Renders conditions as fields.
pub(crate) fn condition_fields(conditions: &[Condition]) -> Vec<String> {
    conditions.iter().map(Condition::to_string).collect()
}

/// Adds the method that every directive with conditions has.
macro_rules! conditional {
    ($type:ident) => {
        impl $type {
            /// Applies to clients with `condition` only; several must all hold.
            pub fn when(mut self, condition: impl Into<$crate::Condition>) -> Self {
                self.when.push(condition.into());
                self
            }
        }
    };
}
pub(crate) use conditional;
