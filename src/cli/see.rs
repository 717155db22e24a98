//! The options of the verbs that see and wait.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::lab::Name;
use crate::progress::goal::Goal;

/// `nsplay wait`.
#[derive(Args, Debug)]
pub struct Wait {
    /// The nodes; without one, all of them
    #[arg(value_name = "NODE", value_parser = Name::new)]
    pub nodes: Vec<Name>,
    /// A boot stage such as userland, healthy, http=URL, tcp=HOST:PORT, log=REGEX or screen=REGEX
    ///
    /// A stage: every node has come as far, or farther: powered, firmware, discover, offer, ack,
    /// tftp, ipxe, http, kernel, userland, login, installed, up (SSH answers); off, crashed.
    /// healthy: every service and BMC answers, and the named nodes are on.
    /// http, tcp: a page or a port answers, asked from inside the lab; hosts may be members' names.
    /// log: a member, or a named node, prints such a line, or has printed one.
    /// screen: every node's screen shows such a line, in text mode.
    #[arg(long = "for", value_name = "GOAL", verbatim_doc_comment)]
    pub goal: Goal,
    /// How long at most, such as 90s or 5m
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    pub timeout: Duration,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `nsplay why`.
#[derive(Args, Debug)]
pub struct Why {
    /// The node
    #[arg(value_parser = Name::new)]
    pub node: Name,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `nsplay events`.
#[derive(Args, Debug)]
pub struct Events {
    /// Go on with what is still to come
    #[arg(short, long)]
    pub follow: bool,
    /// Print JSON, one event on a line, the members' lines too
    #[arg(long)]
    pub json: bool,
    /// Only what happened so long ago at most, such as 30s or 5m
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<Duration>,
    /// Only of these members
    #[arg(value_name = "MEMBER", value_parser = Name::new)]
    pub members: Vec<Name>,
}

/// `nsplay screenshot`.
#[derive(Args, Debug)]
pub struct Screenshot {
    /// The node
    #[arg(value_parser = Name::new)]
    pub node: Name,
    /// The file that the picture is written to, a PNG; `-` is standard output
    #[arg(value_name = "FILE", required_unless_present = "text")]
    pub file: Option<PathBuf>,
    /// Print the text that the screen shows instead, where it is in text mode
    #[arg(long, conflicts_with = "file")]
    pub text: bool,
    /// Print JSON: what was written, or the lines
    #[arg(long)]
    pub json: bool,
}

/// `nsplay keys`.
#[derive(Args, Debug)]
pub struct Keys {
    /// The node
    #[arg(value_parser = Name::new)]
    pub node: Name,
    /// What is typed: text, in which `<enter>`, `<f12>` and `<ctrl-alt-delete>` are keys
    #[arg(required = true, value_name = "KEYS")]
    pub keys: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `nsplay vnc`.
#[derive(Args, Debug)]
pub struct Vnc {
    /// The node; may be left out when the lab has one
    #[arg(value_parser = Name::new)]
    pub node: Option<Name>,
    /// Print JSON: where the screen is; no viewer is started
    #[arg(long)]
    pub json: bool,
}

/// `nsplay timeline`.
#[derive(Args, Debug)]
pub struct Timeline {
    /// The node
    #[arg(value_parser = Name::new)]
    pub node: Name,
    /// All boots of this run of the lab, not only the last
    #[arg(long)]
    pub all: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A time such as `90s`, `5m` or `1h`, up to a day; a number alone is seconds.
///
/// # Errors
/// That it is none.
pub fn time(text: &str) -> Result<Duration, String> {
    let digits = text
        .bytes()
        .take_while(|b| b.is_ascii_digit() || *b == b'.');
    let (number, unit) = text.split_at(digits.count());
    let scale = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => f64::NAN,
    };
    let seconds = number.parse::<f64>().map(|number| number * scale);
    let seconds = seconds
        .ok()
        .filter(|seconds| (0.0..=86_400.0).contains(seconds));
    let seconds = seconds.ok_or("expected a time such as 90s, 5m or 1h, up to 1d")?;
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, ms) in [
            ("90", 90_000),
            ("1.5s", 1500),
            ("200ms", 200),
            ("5m", 300_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(time(text).unwrap(), Duration::from_millis(ms), "{text}");
        }
        for bad in ["", "s", "5x", "-1s", "2d", "1..2", "1e9"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
