//! Times in JSON: RFC 3339, in UTC, to the millisecond. For `#[serde(with)]` on milliseconds after
//! 1970-01-01 UTC.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serializer, de};

/// How the schema has a time.
pub struct Time;

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
        })
    }
}

/// As text; a time that no calendar has is the last that one has.
fn text(at: u64) -> String {
    let at = i64::try_from(at)
        .ok()
        .and_then(DateTime::from_timestamp_millis);
    at.unwrap_or(DateTime::<chrono::Utc>::MAX_UTC)
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Writes a time.
///
/// # Errors
/// What the serializer says.
pub fn serialize<S: Serializer>(at: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*at))
}

/// Reads a time.
///
/// # Errors
/// That it is none.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = Cow::<'_, str>::deserialize(deserializer)?;
    let at = DateTime::parse_from_rfc3339(&text).map_err(de::Error::custom)?;
    u64::try_from(at.timestamp_millis()).map_err(de::Error::custom)
}

/// Writes milliseconds to the microsecond: nobody measures what is behind that.
///
/// # Errors
/// What the serializer says.
pub fn milliseconds<S: Serializer>(ms: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((ms * 1000.0).round() / 1000.0)
}

/// The same where there may be none.
pub mod maybe {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a time, or null.
    ///
    /// # Errors
    /// What the serializer says.
    pub fn serialize<S: Serializer>(at: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::serialize(at, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a time, or null.
    ///
    /// # Errors
    /// That it is neither.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        #[derive(Deserialize)]
        struct At(#[serde(with = "super")] u64);
        Ok(Option::<At>::deserialize(deserializer)?.map(|at| at.0))
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Two {
        #[serde(with = "super")]
        at: u64,
        #[serde(with = "super::maybe")]
        since: Option<u64>,
    }

    #[test]
    fn milliseconds_have_three_digits() {
        #[derive(Serialize)]
        struct Took(#[serde(serialize_with = "super::milliseconds")] f64);
        for (ms, text) in [
            (28.261_673_000_000_002, "28.262"),
            (0.000_4, "0.0"),
            (7.0, "7.0"),
        ] {
            assert_eq!(serde_json::to_string(&Took(ms)).unwrap(), text);
        }
    }

    #[test]
    fn times_are_rfc_3339_to_the_millisecond_and_read_back() {
        for (two, text) in [
            (
                Two {
                    at: 1_790_000_000_007,
                    since: None,
                },
                r#"{"at":"2026-09-21T14:13:20.007Z","since":null}"#,
            ),
            (
                Two {
                    at: 0,
                    since: Some(999),
                },
                r#"{"at":"1970-01-01T00:00:00.000Z","since":"1970-01-01T00:00:00.999Z"}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&two).unwrap(), text);
            assert_eq!(serde_json::from_str::<Two>(text).unwrap(), two);
        }
        for bad in ["\"yesterday\"", "5", "\"1969-01-01T00:00:00Z\""] {
            let text = format!(r#"{{"at":{bad},"since":null}}"#);
            assert!(serde_json::from_str::<Two>(&text).is_err(), "{bad}");
        }
    }
}
