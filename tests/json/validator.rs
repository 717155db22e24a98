//! Whether what is printed is what its schema says. Shared by all tests that read JSON of nsplay's.

use std::collections::HashMap;
use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use nsplay::json::DOCUMENTS;
use nsplay::lab::file as lab_file;
use serde_json::{Deserializer, Value};

static VALIDATORS: LazyLock<HashMap<&str, Validator>> = LazyLock::new(|| {
    let validator = |schema: String| {
        let mut schema: Value = serde_json::from_str(&schema).unwrap();
        // Of `config` the lab file has a schema of its own.
        schema["$defs"]["lab-file"] = serde_json::from_str(&lab_file::schema()).unwrap();
        let options = jsonschema::options().with_draft(Draft::Draft202012);
        options
            .should_validate_formats(true)
            .build(&schema)
            .unwrap()
    };
    let all = DOCUMENTS.iter();
    all.map(|document| (document.name, validator((document.schema)())))
        .collect()
});

/// What is wrong with a document, by the schema that it names.
pub fn problems(document: &Value) -> Vec<String> {
    let tag = document["schema"].as_str().unwrap_or_default();
    let name = tag
        .strip_prefix("nsplay/")
        .and_then(|tag| tag.split_once('/'));
    let Some(validator) = name.and_then(|(name, _)| VALIDATORS.get(name)) else {
        return vec![format!("it is of no schema: {tag:?}")];
    };
    let wrong = validator.iter_errors(document);
    wrong
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// The documents in `text`, each of which fits its schema.
#[track_caller]
pub fn check(what: &str, text: &str) -> Vec<Value> {
    let documents = Deserializer::from_str(text).into_iter::<Value>();
    let documents: Result<Vec<Value>, _> = documents.collect();
    let documents = documents.unwrap_or_else(|error| panic!("{what}: {error}: {text}"));
    for document in &documents {
        let wrong = problems(document);
        assert!(wrong.is_empty(), "{what}: {wrong:#?}\n{document:#}");
    }
    documents
}
