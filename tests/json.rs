//! What `--json` prints: each verb has it or says why not, and each document has a schema that is
//! committed, strict, and true of the examples in the manual.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nsplay::examples;
use nsplay::json::{DOCUMENTS, Prints, VERBS, of_verb};
use serde_json::{Value, json};

#[path = "json/validator.rs"]
mod validator;

use validator::{check, problems};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json")
}

fn nsplay(arguments: &[&str]) -> Output {
    let mut nsplay = Command::new(env!("CARGO_BIN_EXE_nsplay"));
    nsplay.args(arguments).output().unwrap()
}

/// The verbs that need none below them, and whether each takes `--json`.
fn verbs() -> Vec<(String, bool)> {
    fn below(command: &clap::Command, before: &str, verbs: &mut Vec<(String, bool)>) {
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let name = format!("{before}{}", verb.get_name());
            // One that may stand alone says with its own --json what those below it do.
            match verb.is_subcommand_required_set() {
                true => below(verb, &format!("{name} "), verbs),
                false => {
                    let takes = verb
                        .get_arguments()
                        .any(|arg| arg.get_long() == Some("json"));
                    verbs.push((name, takes));
                }
            }
        }
    }
    let mut verbs = Vec::new();
    below(&examples::command(), "", &mut verbs);
    verbs
}

#[test]
fn every_verb_prints_documents_that_have_schemas_or_says_why_it_has_none() {
    let known: BTreeSet<&str> = DOCUMENTS.iter().map(|document| document.name).collect();
    assert_eq!(known.len(), DOCUMENTS.len(), "two documents of one name");
    let verbs = verbs();
    for (verb, takes_json) in &verbs {
        let words: Vec<&str> = verb.split(' ').collect();
        let documents = match of_verb(&words) {
            None => panic!(
                "`nsplay {verb}` is not in VERBS: say in src/json/verbs.rs which documents its \
                 --json prints (src/json/ has their types), and in docs/json.md what they are"
            ),
            Some(Prints::Nothing(why)) => {
                assert!(
                    !takes_json,
                    "`nsplay {verb}` has --json, and none for: {why}"
                );
                continue;
            }
            Some(Prints::One(documents)) => documents.to_vec(),
            Some(Prints::Lines(line, others)) => [&[line], others].concat(),
        };
        assert!(*takes_json, "`nsplay {verb}` has no --json: src/cli.rs");
        for document in documents {
            assert!(
                known.contains(document),
                "`nsplay {verb}` prints {document:?}, which is not in src/json/schema.rs"
            );
        }
    }
    for (verb, _) in VERBS {
        assert!(
            verbs.iter().any(|(known, _)| known == verb),
            "no verb {verb}"
        );
    }
}

#[test]
fn the_manual_has_a_row_for_every_verb_and_names_every_schema() {
    let manual = fs::read_to_string(folder().with_extension("md")).unwrap();
    for (verb, prints) in VERBS {
        let row = manual
            .lines()
            .find(|line| line.starts_with(&format!("| `{verb}")));
        let row = row.unwrap_or_else(|| panic!("docs/json.md has no row for `{verb}`"));
        let documents = match prints {
            Prints::Nothing(why) => {
                assert!(row.contains(why), "{row}: {why}");
                continue;
            }
            Prints::One(documents) => documents.to_vec(),
            Prints::Lines(line, others) => [&[*line], *others].concat(),
        };
        for document in documents {
            let link = format!("[{document}](json/{document}.schema.json)");
            assert!(row.contains(&link), "{link} is not in: {row}");
        }
    }
}

#[test]
fn the_schemas_in_the_manual_are_those_of_this_version() {
    let fresh = std::env::temp_dir().join(format!("nsplay-schemas-{}", std::process::id()));
    let done = nsplay(&["generate", "schemas", fresh.to_str().unwrap()]);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let files = |folder: &Path| -> BTreeSet<(String, String)> {
        let paths = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let schemas = paths.filter(|path| path.to_string_lossy().ends_with(".schema.json"));
        let file = |path: PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        };
        schemas.map(file).collect()
    };
    let (now, committed) = (files(&fresh), files(&folder()));
    fs::remove_dir_all(&fresh).unwrap();
    let stale = now.symmetric_difference(&committed).map(|(name, _)| name);
    let stale: BTreeSet<&String> = stale.collect();
    assert!(
        stale.is_empty(),
        "{stale:?} are not as this version has them: `nsplay generate schemas docs/json` writes \
         them. A field that is gone or means another thing needs the next VERSION of its document."
    );
}

#[test]
fn schemas_are_schemas_and_leave_nothing_open() {
    /// Objects with named fields that allow others.
    fn open(schema: &Value, at: &str, part: bool, found: &mut Vec<String>) {
        match schema {
            Value::Object(keywords) => {
                let fields = keywords.get("properties").and_then(Value::as_object);
                let closed = ["additionalProperties", "unevaluatedProperties"];
                if fields.is_some()
                    && !part
                    && !closed.iter().any(|word| keywords.contains_key(*word))
                {
                    found.push(at.to_owned());
                }
                for (word, inside) in keywords {
                    // Branches beside fields add to them, and are closed with them.
                    let part =
                        fields.is_some() && ["oneOf", "anyOf", "allOf"].contains(&word.as_str());
                    match inside {
                        Value::Array(branches) => branches
                            .iter()
                            .for_each(|branch| open(branch, &format!("{at}/{word}"), part, found)),
                        inside => open(inside, &format!("{at}/{word}"), false, found),
                    }
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {}
        }
    }
    for document in DOCUMENTS {
        let schema: Value = serde_json::from_str(&(document.schema)()).unwrap();
        let name = document.name;
        jsonschema::draft202012::meta::validate(&schema)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut found = Vec::new();
        open(&schema, name, false, &mut found);
        assert!(found.is_empty(), "these are open: {found:?}");
    }
}

#[test]
fn a_wrong_document_does_not_fit() {
    let member = json!({
        "name": "web", "runs": "lighttpd", "state": "ready", "pid": 7,
        "address": "192.168.25.3", "since": "2026-11-25T20:00:00.000Z", "restarts": 0,
        "published": ["127.0.0.1:8080"], "identify": false, "stage": null,
    });
    let good = json!({ "schema": "nsplay/ps/1", "lab": "default", "members": [member] });
    assert_eq!(problems(&good), Vec::<String>::new());
    let wrong = |change: &dyn Fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(!problems(&bad).is_empty(), "{bad}");
    };
    wrong(&|bad| bad["schema"] = json!("nsplay/ps/2"));
    wrong(&|bad| bad["schema"] = json!("nsplay/top/1"));
    wrong(&|bad| bad["extra"] = json!(1));
    wrong(&|bad| bad["lab"] = json!("No Name"));
    wrong(&|bad| bad["members"][0]["extra"] = json!(1));
    wrong(&|bad| bad["members"][0]["state"] = json!("Ready"));
    wrong(&|bad| bad["members"][0]["since"] = json!(1_790_000_000_000_u64));
    wrong(&|bad| bad["members"][0]["restarts"] = json!(-1));
    wrong(&|bad| {
        bad["members"][0].as_object_mut().unwrap().remove("stage");
    });
    let event = json!({
        "schema": "nsplay/event/1", "at": "2026-11-25T20:00:00.000Z",
        "event": "power", "node": "node1", "power": "on", "by": "nsplay up",
    });
    assert_eq!(problems(&event), Vec::<String>::new());
    for (field, value) in [
        ("power", json!("up")),
        ("member", json!("web")),
        ("event", json!("link")),
    ] {
        let mut bad = event.clone();
        bad[field] = value;
        assert!(!problems(&bad).is_empty(), "{bad}");
    }
    let config = json!({ "schema": "nsplay/config/1", "lab": { "nde": {} } });
    assert!(
        !problems(&config).is_empty(),
        "the lab file's own schema is asked too"
    );
}

#[test]
fn the_examples_in_the_manual_are_documents() {
    let manual = fs::read_to_string(folder().with_extension("md")).unwrap();
    let examples = manual.split("```json\n").skip(1);
    let examples: Vec<&str> = examples
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(examples.len() >= 3);
    for example in examples {
        check("docs/json.md", example);
    }
    for document in DOCUMENTS {
        let file = folder().join(format!("examples/{}.json", document.name));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| {
            panic!("{}: {error}; tests/lab/json.rs writes it", file.display())
        });
        let documents = check(document.name, &text);
        let tag = documents[0]["schema"].as_str().unwrap();
        assert!(
            tag.starts_with(&format!("nsplay/{}/", document.name)),
            "{tag}"
        );
    }
}

/// What needs no lab: a verb of each sort, and each sort of error that there is without one.
#[test]
fn verbs_and_errors_without_a_lab_are_documents() {
    let missing = ["-p", "nobody-has-this-lab"];
    for (arguments, code, kind) in [
        (&["config", "--json"][..], 0, ""),
        (&["graph", "--json"], 0, ""),
        (&["plan", "--json"], 0, ""),
        (&["ls", "--json"], 0, ""),
        (&["doctor", "--json"], 0, ""),
        (&["down", "--json"], 0, ""),
        (&["inspect", "web", "--json"], 0, ""),
        (&["inspect", "node1", "--json"], 0, ""),
        (&["fetch", "--json"], 0, ""),
        (
            &["import", "infrasim", "tests/import/node.yml", "--json"],
            0,
            "",
        ),
        (&["ps", "--json"], 2, "not-up"),
        (&["events", "--json"], 2, "not-up"),
        (&["power", "node1", "off", "--json"], 2, "not-up"),
        (&["power", "node1", "of", "--json"], 2, "usage"),
        (&["console", "--json"], 2, "usage"),
        (&["inspect", "web2", "--json"], 2, "unknown"),
        (
            &[
                "plan",
                "-f",
                "tests/lab-files/bad/all-problems-at-once.toml",
                "--json",
            ],
            2,
            "lab-file",
        ),
        (&["screenshot", "node1", "-", "--json"], 2, "refused"),
    ] {
        let done = nsplay(&[&missing, arguments].concat());
        let out = String::from_utf8(done.stdout).unwrap();
        let err = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {out}{err}");
        let documents = check(&format!("{arguments:?}"), &out);
        let [document] = &documents[..] else {
            panic!("{arguments:?} prints {} documents", documents.len());
        };
        if code == 0 {
            continue;
        }
        assert_eq!(document["schema"], "nsplay/error/1", "{out}");
        assert_eq!(document["kind"], kind, "{out}");
        assert_eq!(document["exit_code"], code);
        assert!(!out.trim().contains('\n'), "it is a line: {out}");
        assert!(err.starts_with("error: "), "people are told too: {err}");
        if kind == "lab-file" {
            assert!(document["errors"].as_array().unwrap().len() > 1);
            assert!(document["errors"][0]["place"]["line"].is_u64(), "{out}");
        }
    }
}
