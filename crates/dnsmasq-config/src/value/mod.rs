//! Values: parsed once, right from then on.

mod mac;
mod name;
mod text;
mod time;

pub(crate) use mac::hex_byte;
pub use mac::{MacAddr, MacPattern};
pub use name::{AccountName, Condition, Domain, Hostname, InterfaceName, InterfacePattern, Tag};
pub use text::{BootFile, FilePath, Text};
pub(crate) use time::with_unit;
pub use time::{LeaseTime, Seconds};

/// Declares a string type that a check admits; the check returns the normal form or the reason.
macro_rules! string_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks `value` and keeps it.
            ///
            /// # Errors
            /// Says which rule of the type `value` breaks.
            pub fn new(value: impl AsRef<str>) -> Result<Self, $crate::ValueError> {
                let value = value.as_ref();
                match $check(value) {
                    Ok(value) => Ok(Self(value)),
                    Err(reason) => Err($crate::ValueError::new($kind, value, reason)),
                }
            }

            /// Returns the value without quotes or escapes.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ValueError;

            fn from_str(value: &str) -> Result<Self, Self::Err> {
                Self::new(value)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $crate::ValueError;

            fn try_from(value: &str) -> Result<Self, Self::Error> {
                Self::new(value)
            }
        }
    };
}
pub(crate) use string_type;
