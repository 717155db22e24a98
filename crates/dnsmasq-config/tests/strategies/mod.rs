//! Proptest strategies: any value of every directive.

mod dhcp;
mod rest;
mod value;

use dnsmasq_config::{Config, Directive};
use proptest::prelude::*;

/// Any directive; every name of [`Directive::NAMES`] comes up.
pub fn directive() -> impl Strategy<Value = Directive> {
    prop_oneof![4 => dhcp::directive(), 3 => rest::directive(), 1 => rest::flag()]
}

/// Up to 60 directives that go together.
pub fn config() -> impl Strategy<Value = Config> {
    prop::collection::vec(directive(), 0..60).prop_map(|directives| {
        let mut config = Config::default();
        for directive in directives {
            // What contradicts the directives before it is left out.
            if let Ok(more) = config.clone().into_builder().with(directive).build() {
                config = more;
            }
        }
        config
    })
}
