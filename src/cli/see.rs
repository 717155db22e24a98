//! The options of the verbs that see and wait.

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
