//! The `nsplay` command.

fn main() {}
