//! The JSON Schema of lab files, against the lab files that there are.

use std::fs;
use std::path::Path;

use jsonschema::{Draft, Validator};
use nsplay::lab::file::{DEFAULT, Origin, load, render, schema};
use serde_json::Value;

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|error| panic!("{error}"));
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .build(&schema)
        .unwrap()
}

fn json(text: &str) -> Value {
    let table: toml::Table = toml::from_str(text).unwrap();
    serde_json::to_value(table).unwrap()
}

/// The `.toml` files of `folder`, each with its stem.
fn files(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    let file = |path: std::path::PathBuf| {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        (stem, fs::read_to_string(path).unwrap())
    };
    paths.map(file).collect()
}

#[track_caller]
fn fits(validator: &Validator, what: &str, text: &str) {
    let errors: Vec<_> = validator
        .iter_errors(&json(text))
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}");
}

#[test]
fn every_lab_that_ships_fits_the_schema_and_so_does_what_config_prints() {
    let validator = validator();
    let manual = include_str!("../docs/lab-file.md")
        .split("```toml\n")
        .skip(1);
    let examples = manual.map(|example| example.split("```").next().unwrap());
    let mut labs = files("configs");
    labs.extend(examples.map(|text| ("the manual".to_owned(), text.to_owned())));
    labs.push(("the default".to_owned(), DEFAULT.to_owned()));
    assert!(labs.len() >= 5);
    for (what, text) in labs {
        fits(&validator, &what, &text);
        let lab = load(&text, &Origin::built_in(None)).unwrap();
        fits(&validator, &what, &render(&lab));
    }
}

#[test]
fn all_that_a_lab_file_can_say_fits_the_schema() {
    let text = r#"
        name = "${LAB:-mine}"
        ssh = false
        [defaults]
        serial = "{n:04}"
        cpus = "${CPUS:-2}"
        soft_timeout = "60s"
        fast_boot = "${FAST:-true}"
        [defaults.bmc.users."o p"]
        privilege = "operator"
        [service.own]
        command = ["${PROGRAM:-true}", ""]
        env = { A = "b" }
        publish = "[::1]:8080:80/udp"
        ready = "http:80"
        [node.a]
        count = 2
        name = "rack-{n:02}"
        mac = "52:54:00:00:00:{n:02x}"
        uuid = "123e4567-e89b-12d3-a456-{n:012}"
        boot = ["disk", "${DEVICE}"]
        nic = "${NIC:-e1000}"
        bmc.password = "pa$$word-of-more-than-16"
        bmc.scenario = [
            { at = "1m", sensor = "Inlet Temp", value = 90, over = "10s" },
            { at = "2m", clear = true },
        ]
        [node.b]
        disk = "16 GiB"
        vnc = "[::1]:5901"
    "#;
    fits(&validator(), "a lab", text);
}

#[test]
fn what_one_value_shows_to_be_wrong_does_not_fit_the_schema() {
    let validator = validator();
    let bad = files("tests/lab-files/bad");
    for stem in [
        "unknown-key",
        "unknown-keys-of-services",
        "unknown-table",
        "wrong-types",
        "choices",
        "credentials",
        "units",
        "values-out-of-range",
        "no-names",
        "no-addresses",
        "no-ports",
        "subnet-without-prefix",
        "pool-is-no-range",
        "bad-macs",
        "identities",
        "scenarios",
        "defaults",
        "counts",
        "own-services",
    ] {
        let (_, text) = bad.iter().find(|(known, _)| known == stem).unwrap();
        assert!(!validator.is_valid(&json(text)), "{stem}");
    }
    for value in [
        "name = \"A\"",
        "defaults.count = 2",
        "node.A = {}",
        "node.a = false",
        "node.a.count = 65",
        "node.a.cpus = \"2\"",
        "node.a.disk = true",
        "node.a.nic = \"e100\"",
        "node.a.memory = \"1GB\"",
        "node.a.serial = \"x\"",
        "node.a.vnc = 5901",
        "node.a.bmc.scenario = [{ when = \"1s\" }]",
        "service.a.command = \"true\"",
        "service.a.publish = \"127.0.0.1:8080\"",
        "service.a.ready = \"udp:53\"",
        "node.a.bmc.users.x = { privilege = \"king\" }",
    ] {
        assert!(!validator.is_valid(&json(value)), "{value}");
    }
}

#[test]
fn an_editor_shows_what_the_manual_says() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let node = &schema["$defs"]["node.NAME"]["properties"];
    assert_eq!(
        node["cpus"]["description"],
        "Virtual CPUs, 1 to 64. Default: 1."
    );
}
