//! How the schemas have texts of ours.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::lab::{BootDevice, Fault, LinkName, Mac, Name};

macro_rules! text {
    ($($type:ty, $name:literal, $what:literal, $pattern:literal;)+) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $what, "pattern": $pattern })
            }
        }
    )+};
}

text! {
    Name, "Name", "The name of a lab, a member or a network.", "^[a-z0-9][a-z0-9-]{0,31}$";
    Mac, "Mac", "A MAC address.", "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$";
    LinkName, "LinkName", "The name of a network link.", "^[^/ ]{1,15}$";
    BootDevice, "BootDevice", "Something to boot from; the second disk is `disk2`.",
        "^((network|disk)([2-9]|[1-9][0-9]+)?|cdrom)$";
    Fault, "Fault", "A fault of a BMC, as the command line spells it.",
        "^(unreachable|slow=[0-9]+ms|loss=[0-9]+%|sessions-full|cold-reset|power-loss|stuck-power|ignored-boot-device)$";
}
