//! Profiles: the ones that ship, and what is refused in one that a user writes.

use std::fs;
use std::path::{Path, PathBuf};

use nsplay::embedded;
use nsplay::lab::file::{Origin, PROFILE_KEYS, ProfileFile, load, load_profile};
use nsplay::lab::profile::{SensorKind, Thousandths};

#[test]
fn every_profile_that_ships_is_read_and_is_what_is_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/profiles");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let profile = load_profile(&text, &name, &name).unwrap_or_else(|report| panic!("{report}"));
        insta::assert_snapshot!(name.clone(), format!("{profile:#?}"));
        let built_in = embedded::PROFILES.iter().find(|(known, _)| *known == name);
        assert_eq!(
            built_in.map(|(_, text)| *text),
            Some(text.as_str()),
            "{name} is built in"
        );
        seen += 1;
    }
    assert_eq!(seen, embedded::PROFILES.len());
}

#[test]
fn a_machine_that_is_on_crosses_no_threshold_of_its_own() {
    for (name, text) in embedded::PROFILES {
        let profile = load_profile(text, name, name).unwrap();
        for sensor in &profile.sensors {
            let SensorKind::Analog(analog) = &sensor.kind else {
                continue;
            };
            for value in [
                analog.on - analog.jitter,
                analog.on,
                analog.on + analog.jitter,
            ] {
                // What counts is what eight bits make of it.
                let shown = i64::from(analog.raw(value)) * analog.step;
                let crossed = analog.crossed(shown);
                assert_eq!(
                    crossed,
                    [false; 6],
                    "{name}: {} at {}",
                    sensor.name,
                    Thousandths(shown)
                );
            }
        }
    }
}

#[test]
fn a_profile_of_the_users_goes_before_one_that_is_built_in() {
    let own = |name: &str, text: &str| ProfileFile {
        name: name.to_owned(),
        file: format!("profiles/{name}.toml"),
        text: text.to_owned(),
    };
    let origin = Origin {
        profiles: vec![
            own("generic", "manufacturer = \"Mine\"\nproduct = \"All\"\n"),
            own("new", "manufacturer = \"Mine\"\nproduct = \"New\"\n"),
        ],
        folder: PathBuf::from("/"),
        ..Origin::built_in(None)
    };
    let lab = load("[node.a]\n[node.b]\nprofile = \"new\"\n", &origin).unwrap();
    assert_eq!(lab.nodes[0].identity.product, "All");
    assert_eq!(lab.nodes[1].identity.product, "New");
    assert_eq!(lab.nodes[1].profile.board.manufacturer, "Mine");
}

#[test]
fn a_bad_profile_is_refused_with_all_that_is_wrong_with_it() {
    let text = r#"product = "X"
colour = "red"
[chassis]
form = "round"
[bmc]
manufacturer_id = 16777216
firmware = "2"
[bios]
date = "2024-01-01"
[[sensor]]
type = "temperature"
name = "One"
on = 300
upper_critical = 256
[[sensor]]
type = "fan"
name = "one"
step = 0.0001
[[sensor]]
type = "fann"
name = "Three"
[[sensor]]
type = "power-supply"
name = "one"
on = 1
[[sensor]]
name = "A name of seventeen"
"#;
    let origin = Origin {
        profiles: vec![ProfileFile {
            name: "bad".to_owned(),
            file: "profiles/bad.toml".to_owned(),
            text: text.to_owned(),
        }],
        file: "lab.toml".to_owned(),
        ..Origin::built_in(None)
    };
    let lab = "[node.a]\nprofile = \"bad\"\n[node.b]\nprofile = \"bad\"\n";
    let report = load(lab, &origin).unwrap_err();
    insta::assert_snapshot!(report);
}

#[test]
fn every_key_of_a_profile_is_documented() {
    let docs = include_str!("../docs/profiles.md");
    for (table, keys) in PROFILE_KEYS {
        for key in *keys {
            assert!(docs.contains(&format!("`{key}`")), "[{table}] {key}");
        }
    }
}
