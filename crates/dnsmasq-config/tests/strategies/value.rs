//! Values.

use std::net::IpAddr;

use dnsmasq_config::*;
use proptest::prelude::*;

pub fn tag() -> impl Strategy<Value = Tag> {
    "[A-Za-z0-9_.-]{1,12}".prop_map(|name| Tag::new(name).unwrap())
}

pub fn condition() -> impl Strategy<Value = Condition> {
    (tag(), any::<bool>()).prop_map(|(tag, set)| if set { tag.into() } else { !tag })
}

pub fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    prop::collection::vec(condition(), 0..4)
}

/// Text with everything that could confuse a parser.
fn awkward(max: usize) -> impl Strategy<Value = String> {
    let chars = format!("[ ,\"\\\\#=:;.*\\[\\]/'0-9a-zA-Zé日-]{{1,{max}}}");
    prop_oneof![
        proptest::string::string_regex(&chars).unwrap(),
        "[0-9]{1,4}[bsihm]?",
        "-?[0-9]{1,3}(\\.[0-9]{1,3}){3}",
        "[0-9a-f]{2}(:[0-9a-f]{2}){1,6}",
        "(tag|set|net|id|encap|option|vendor|enterprise):[a-z0-9]{1,4}",
        "(static|proxy|ignore|infinite|local|off|high|extra|-|#|--[si])",
        "\\PC{1,20}",
    ]
}

pub fn text() -> impl Strategy<Value = Text> {
    let controls = "[\t\n\r\u{8}\u{1b}a ]{1,6}";
    prop_oneof![4 => awkward(40), 1 => controls.prop_map(String::from)]
        .prop_filter_map("text", |text| Text::new(text).ok())
}

pub fn path() -> impl Strategy<Value = FilePath> {
    (any::<bool>(), awkward(60)).prop_filter_map("path", |(root, path)| {
        FilePath::new(if root { format!("/{path}") } else { path }).ok()
    })
}

pub fn boot_file() -> impl Strategy<Value = BootFile> {
    prop_oneof![
        awkward(60),
        "http://[0-9]{1,3}\\.[0-9]{1,3}\\.1\\.2(:[0-9]{2,4})?/[a-z./?&=,#-]{0,20}",
        "[a-z]{1,8}\\.(kpxe|efi|0)",
    ]
    .prop_filter_map("boot file", |file| BootFile::new(file).ok())
}

pub fn interface() -> impl Strategy<Value = InterfaceName> {
    "[A-Za-z0-9_.-]{1,15}".prop_filter_map("interface", |name| InterfaceName::new(name).ok())
}

pub fn interfaces() -> impl Strategy<Value = InterfacePattern> {
    "[A-Za-z0-9_.-]{1,14}\\*?".prop_filter_map("interface", |name| InterfacePattern::new(name).ok())
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9_-]{1,12}(\\.[A-Za-z0-9-]{1,8}){0,2}",
        "[0-9]{1,3}[smhdwSMHDWx]{0,2}",
        "(tag|ignore|infinite|static|xn--caf-dma|AB--c|off|s|i|ab|1b)",
    ]
}

pub fn hostname() -> impl Strategy<Value = Hostname> {
    name().prop_filter_map("host name", |name| Hostname::new(name).ok())
}

pub fn domain() -> impl Strategy<Value = Domain> {
    name().prop_filter_map("domain", |name| Domain::new(name).ok())
}

pub fn account() -> impl Strategy<Value = AccountName> {
    "[a-z_][a-z0-9_-]{0,10}".prop_map(|name| AccountName::new(name).unwrap())
}

pub fn mac() -> impl Strategy<Value = MacPattern> {
    any::<[Option<u8>; 6]>().prop_map(MacPattern)
}

pub fn seconds() -> impl Strategy<Value = Seconds> {
    (0..=2_147_483_647u32).prop_map(|seconds| Seconds::new(seconds).unwrap())
}

pub fn lease() -> impl Strategy<Value = LeaseTime> {
    let some = prop_oneof![
        120..=1000u32,
        (2..5000u32).prop_map(|minutes| minutes * 60),
        120..=2_147_483_647u32
    ];
    prop_oneof![
        some.prop_map(|seconds| LeaseTime::from_secs(seconds).unwrap()),
        Just(LeaseTime::INFINITE),
    ]
}

pub fn address() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>()
}
