//! What CI runs of scripts/ci, as it stands: the steps of the GitHub Action and of GitLab's template,
//! one after the other, in a job's environment.

use std::path::{Path, PathBuf};

use crate::host::{Host, Ran, ran};

const LAB: &str = "node = false\nssh = false\n[web]\nserver = \"busybox\"\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/ci")
}

/// The mappings and lists of a YAML file as paths, such as `runs.steps.4.env.NSPLAY_LAB`, with their
/// values: as much of YAML as these files have.
fn yaml(file: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    let mut at: Vec<(usize, String)> = Vec::new();
    let mut counts: Vec<(usize, usize)> = Vec::new();
    let mut all = Vec::new();
    for line in text.lines() {
        let mut rest = line.trim_start();
        if rest.is_empty() || rest.starts_with('#') {
            continue;
        }
        let mut indent = line.len() - rest.len();
        at.retain(|(column, _)| *column < indent || (*column == indent && rest.starts_with("- ")));
        if let Some(item) = rest.strip_prefix("- ") {
            // The item before, of the same list.
            at.retain(|(column, key)| *column < indent || key.parse::<usize>().is_err());
            counts.retain(|(column, _)| *column <= indent);
            match counts.last_mut() {
                Some((column, count)) if *column == indent => *count += 1,
                _ => counts.push((indent, 0)),
            }
            at.push((indent, counts.last().unwrap().1.to_string()));
            (rest, indent) = (item, indent + 2);
        } else {
            counts.retain(|(column, _)| *column < indent);
        }
        let plain = |text: &str| match text.chars().next() {
            Some('\'') => text.trim_matches('\'').replace("''", "'"),
            Some('"') => text.trim_matches('"').to_owned(),
            _ => text.to_owned(),
        };
        let path = |key: Option<&str>| {
            let keys = at.iter().map(|(_, key)| key.as_str()).chain(key);
            keys.collect::<Vec<_>>().join(".")
        };
        match rest.split_once(':') {
            Some((key, "")) => at.push((indent, key.to_owned())),
            Some((key, value)) if value.starts_with(' ') && !rest.starts_with('\'') => {
                all.push((path(Some(key)), plain(value.trim())));
            }
            _ => all.push((path(None), plain(rest))),
        }
    }
    all
}

/// The values below a path, in order, with what follows it in theirs.
fn below<'y>(yaml: &'y [(String, String)], path: &str) -> Vec<(&'y str, &'y str)> {
    let of = |(key, value): &'y (String, String)| Some((key.strip_prefix(path)?, value.as_str()));
    yaml.iter().filter_map(of).collect()
}

/// A cache that holds the program of these tests, for these sources; and a job's empty files.
fn cached(host: &Host) {
    let key = ran(&mut host.bounded(folder().join("key").to_str().unwrap())).ok();
    host.shell("mkdir .nsplay-ci").ok();
    let bin = env!("CARGO_BIN_EXE_nsplay");
    host.shell(&format!("ln -s {bin} .nsplay-ci/nsplay")).ok();
    host.write(".nsplay-ci/nsplay.key", &key.out);
}

fn kept(host: &Host, name: &str) -> String {
    let path = host.folder().join("nsplay-artifacts").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs the steps of the action as GitHub does: its expressions are put in, and a step that fails is
/// the last but for those that are run always.
fn action(host: &Host, inputs: &[(&str, &str)]) -> Ran {
    let yaml = yaml("action.yml");
    let workspace = host.folder().to_str().unwrap();
    let evaluated = |text: &str| {
        let mut text = text.replace("${{ github.workspace }}", workspace);
        for (key, default) in below(&yaml, "inputs.") {
            let Some(input) = key.strip_suffix(".default") else {
                continue;
            };
            let given = inputs.iter().find(|(name, _)| *name == input);
            let value = given.map_or(default, |(_, value)| value);
            text = text.replace(&format!("${{{{ inputs.{input} }}}}"), value);
        }
        for (input, value) in inputs {
            text = text.replace(&format!("${{{{ inputs.{input} }}}}"), value);
        }
        assert!(!text.contains("${{"), "{text}");
        text
    };
    let mut last = None;
    for step in 0.. {
        let step = format!("runs.steps.{step}.");
        let keys = below(&yaml, &step);
        if keys.is_empty() {
            break;
        }
        let Some((_, script)) = keys.iter().find(|(key, _)| *key == "run") else {
            continue;
        };
        let mut command = host.bounded("env");
        command.arg(format!("GITHUB_ACTION_PATH={}", folder().display()));
        command.arg(format!("GITHUB_OUTPUT={workspace}/outputs"));
        command.arg(format!("GITHUB_PATH={workspace}/paths"));
        for (name, value) in below(&yaml, &format!("{step}env.")) {
            command.arg(format!("{name}={}", evaluated(value)));
        }
        // As GitHub runs `shell: bash`.
        command.args(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]);
        let done = ran(command.arg(evaluated(script)));
        let code = done.code;
        last = Some(done);
        if code != 0 {
            break;
        }
    }
    last.expect("the action has steps")
}

#[test]
fn the_steps_of_the_github_action_run_a_test_in_a_lab_and_keep_what_shows_why_it_failed() {
    let host = Host::of_root();
    cached(&host);
    let before = host.inventory();
    host.write("lab.toml", LAB);
    let test =
        "nsplay -p $NSPLAY_LAB exec fabric -- curl -s $NSPLAY_WEB_ADDRESS/boot.ipxe | head -n 1";
    let inputs = [
        ("lab", "lab.toml"),
        ("wait", "healthy\nhttp=web/boot.ipxe\n"),
        ("test", test),
    ];
    let done = action(&host, &inputs).ok();
    assert_eq!(done.out, "#!ipxe\n");
    host.is_as_before(&before);
    let outputs = host.shell("cat outputs paths").ok().out;
    let cache = host.folder().join(".nsplay-ci");
    assert!(
        outputs.starts_with("key=") && outputs.contains(cache.to_str().unwrap()),
        "{outputs}"
    );
    let junit = kept(&host, "junit.xml");
    assert!(
        junit.contains("tests=\"4\" skipped=\"0\" failures=\"0\""),
        "{junit}"
    );
    for name in ["up", "wait healthy", "wait http=http://web:80/boot.ipxe"] {
        assert!(junit.contains(&format!("name=\"{name}\"")), "{junit}");
    }
    assert_eq!(kept(&host, "command.log"), "#!ipxe\n");
    assert!(kept(&host, "logs/web.log").contains("url:/boot.ipxe"));
    // Who uploads them is not root.
    let unreadable = host
        .shell("find nsplay-artifacts ! -perm -o=r -o -type d ! -perm -o=rx")
        .ok();
    assert_eq!(unreadable.out, "");

    let test = "echo '<no> & \"worse\"'; false; echo never";
    let failed = action(&host, &[("lab", "lab.toml"), ("test", test)]);
    assert_eq!(
        (failed.code, failed.out.as_str()),
        (1, "<no> & \"worse\"\n")
    );
    let junit = kept(&host, "junit.xml");
    let report = quick_junit::Report::deserialize_from_str(&junit).unwrap();
    let case = report.test_suites[0].test_cases.last().unwrap();
    let quick_junit::TestCaseStatus::NonSuccess { description, .. } = &case.status else {
        panic!("{junit}");
    };
    let told = description.as_ref().unwrap().as_str();
    assert!(
        told.contains("it ended with status 1") && told.ends_with("<no> & \"worse\""),
        "{told}"
    );
    host.is_as_before(&before);

    host.write("bad.toml", "nonsense = 1\n");
    action(&host, &[("lab", "bad.toml"), ("test", "true")])
        .fails(2, &["bad.toml:1:1: unknown key `nonsense`"]);
    let junit = kept(&host, "junit.xml");
    assert!(
        junit.contains("tests=\"1\" skipped=\"0\" failures=\"1\"")
            && junit.contains("bad.toml:1:1"),
        "{junit}"
    );
    host.is_as_before(&before);
}

#[test]
fn the_scripts_of_the_gitlab_template_run_a_test_in_a_lab() {
    let host = Host::of_root();
    cached(&host);
    let before = host.inventory();
    host.write("nsplay.toml", LAB);
    let yaml = yaml("gitlab.yml");
    let project = host.folder().to_str().unwrap();
    let mut command = host.bounded("env");
    for (name, value) in below(&yaml, ".nsplay.variables.") {
        let value = value.replace("$CI_PROJECT_DIR", project);
        command.arg(format!("{name}={value}"));
    }
    command.arg(format!("NSPLAY_SOURCE={}", env!("CARGO_MANIFEST_DIR")));
    command.arg("NSPLAY_TEST=echo $NSPLAY_LAB; exit 7");
    let lines = [".nsplay.before_script.", ".nsplay.script."];
    let lines = lines.into_iter().flat_map(|part| below(&yaml, part));
    let lines: Vec<_> = lines.map(|(_, line)| line).collect();
    assert!(lines.len() >= 4, "{lines:?}");
    // As GitLab's runner runs them: in one shell.
    command.args(["bash", "-eo", "pipefail", "-c", &lines.join("\n")]);
    let done = ran(&mut command);
    assert_eq!(done.code, 7, "{}{}", done.out, done.err);
    assert!(done.out.ends_with("ci\n"), "{}", done.out);
    assert!(
        done.err.contains("nsplay is from the cache"),
        "{}",
        done.err
    );
    let report = below(&yaml, ".nsplay.artifacts.reports.junit");
    let report = std::fs::read_to_string(host.folder().join(report[0].1)).unwrap();
    assert!(report.contains("failures=\"1\""), "{report}");
    host.is_as_before(&before);
}
