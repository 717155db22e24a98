//! The schemas of documents: JSON Schema 2020-12, closed.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{Document, tag};

/// A document that there is.
#[derive(Clone, Copy)]
pub struct Known {
    /// What it is called.
    pub name: &'static str,
    /// Its schema, as it is written to a file.
    pub schema: fn() -> String,
}

macro_rules! known {
    ($($document:ty),+ $(,)?) => {
        /// All documents.
        pub const DOCUMENTS: &[Known] = &[$(Known {
            name: <$document as Document>::NAME,
            schema: schema::<$document>,
        }),+];
    };
}

known!(
    super::Error,
    super::Attached,
    super::Bmc,
    super::Boot,
    super::Captured,
    super::Config,
    super::Detached,
    super::Difference,
    super::Doctor,
    super::Down,
    crate::event::Event,
    super::Fetch,
    super::Graph,
    super::Image,
    super::Import,
    super::Keys,
    super::Links,
    super::Ls,
    super::Media,
    crate::inspect::Inspection,
    super::Ordered,
    super::Packet,
    super::Plan,
    super::Power,
    super::Prune,
    super::Ps,
    super::Run,
    super::Screenshot,
    super::Sensors,
    crate::inspect::Service,
    crate::progress::timeline::Timeline,
    super::Top,
    super::Up,
    super::Vnc,
    super::Waited,
    crate::progress::why::Answer,
);

/// The schema of a document.
#[must_use]
pub fn schema<D: Document>() -> String {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let root = settings.into_generator().into_root_schema_for::<D>();
    let mut root = Value::from(root);
    if let Value::Object(root) = &mut root {
        let tag = tag(D::NAME, D::VERSION);
        root.insert(
            "$id".to_owned(),
            json!(format!("urn:{}", tag.replace('/', ":"))),
        );
        root.insert("title".to_owned(), json!(tag));
        let mut properties = Map::new();
        let what = "The schema that this is a document of.";
        properties.insert(
            "schema".to_owned(),
            json!({ "const": tag, "description": what }),
        );
        if let Some(Value::Object(known)) = root.remove("properties") {
            properties.extend(known);
        }
        root.insert("properties".to_owned(), properties.into());
        let mut required = vec![json!("schema")];
        if let Some(Value::Array(known)) = root.remove("required") {
            required.extend(known);
        }
        root.insert("required".to_owned(), required.into());
    }
    close(&mut root, false);
    let text = serde_json::to_string_pretty(&root).unwrap_or_default();
    text + "\n"
}

/// Says of every object that it has no other fields than those that are named.
///
/// `part` is a schema that only adds to another one, which says so for both.
fn close(schema: &mut Value, part: bool) {
    let Value::Object(keywords) = schema else {
        return;
    };
    let has_fields = keywords.contains_key("properties");
    let mut is_whole = true;
    for combine in ["oneOf", "anyOf", "allOf"] {
        if let Some(Value::Array(branches)) = keywords.get_mut(combine) {
            is_whole = false;
            for branch in branches {
                close(branch, has_fields);
            }
        }
    }
    for inside in ["properties", "$defs"] {
        if let Some(Value::Object(inside)) = keywords.get_mut(inside) {
            inside.values_mut().for_each(|schema| close(schema, false));
        }
    }
    if let Some(items) = keywords.get_mut("items") {
        close(items, false);
    }
    let is_open = keywords.contains_key("additionalProperties");
    if has_fields && !part && !is_open {
        let word = match is_whole {
            true => "additionalProperties",
            false => "unevaluatedProperties",
        };
        keywords.insert(word.to_owned(), json!(false));
    }
}
