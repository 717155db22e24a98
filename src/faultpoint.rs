//! Fault points: places where a test ends this process, makes a step fail, or holds it up.
//!
//! They are compiled in with the feature `fault-points`, which only tests have: without it nothing
//! is left of a point, not its name either. `NSPLAY_FAULT` says what happens:
//!
//! ```text
//! NSPLAY_FAULT='up: lock taken:kill'     ends the process there, as SIGKILL would
//! NSPLAY_FAULT='up: lock taken:error'    makes the step fail: no space left on device
//! NSPLAY_FAULT='up: lock taken:delay'    holds the process up there, for two seconds
//! NSPLAY_FAULT='up: lock taken:kill@2'   when it comes there for the second time
//! NSPLAY_FAULT=list                      says on standard error where the process comes by
//! ```
//!
//! So nobody keeps a list of points: a test lists those that an operation passes, then tries each.
//! What the supervisor says is in its log.

/// A step that has just been done, by its name, which is formatted; an [`io::Error`](std::io::Error)
/// where a test wants it to have failed.
macro_rules! point {
    ($($name:tt)+) => {{
        #[cfg(feature = "fault-points")]
        let passed = $crate::faultpoint::pass(format_args!($($name)+), true);
        #[cfg(not(feature = "fault-points"))]
        let passed: ::std::io::Result<()> = Ok(());
        passed
    }};
}

/// The same, of a step that cannot fail: one may die there, or be held up.
macro_rules! moment {
    ($($name:tt)+) => {{
        #[cfg(feature = "fault-points")]
        let _ = $crate::faultpoint::pass(format_args!($($name)+), false);
    }};
}

pub(crate) use {moment, point};

#[cfg(feature = "fault-points")]
pub(crate) use armed::pass;

#[cfg(feature = "fault-points")]
mod armed {
    use std::collections::HashMap;
    use std::fmt;
    use std::io::{self, Write};
    use std::sync::{LazyLock, Mutex, PoisonError};
    use std::time::Duration;

    use nix::libc;

    use crate::kernel::process::die;

    /// Long enough for a test to look and to send a signal, also where it is one of many.
    const DELAY: Duration = Duration::from_secs(2);

    /// What the environment asks for; none is nothing.
    static ASKED: LazyLock<Option<Asked>> = LazyLock::new(|| {
        let asked = std::env::var("NSPLAY_FAULT").ok()?;
        Some(Asked::read(&asked).unwrap_or_else(|| panic!("NSPLAY_FAULT={asked}: not understood")))
    });

    /// How often each point has been passed. A forked process goes on counting.
    static PASSED: LazyLock<Mutex<HashMap<String, u32>>> = LazyLock::new(Mutex::default);

    #[derive(Debug, PartialEq, Eq)]
    enum Asked {
        /// To say what is passed.
        List,
        /// To do this where the point of this name is passed for this time.
        At(String, Deed, u32),
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Deed {
        Kill,
        Error,
        Delay,
    }

    impl Asked {
        fn read(text: &str) -> Option<Self> {
            if text == "list" {
                return Some(Self::List);
            }
            // Names have colons too.
            let (name, deed) = text.rsplit_once(':')?;
            let (deed, time) = deed.split_once('@').unwrap_or((deed, "1"));
            let deed = match deed {
                "kill" => Deed::Kill,
                "error" => Deed::Error,
                "delay" => Deed::Delay,
                _ => return None,
            };
            Some(Self::At(name.to_owned(), deed, time.parse().ok()?))
        }
    }

    /// Passes a point.
    pub fn pass(name: fmt::Arguments<'_>, can_fail: bool) -> io::Result<()> {
        let Some(asked) = &*ASKED else {
            return Ok(());
        };
        let name = name.to_string();
        let time = {
            let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
            let time = passed.entry(name.clone()).or_default();
            *time += 1;
            *time
        };
        match asked {
            Asked::List => {
                let kind = if can_fail { "point" } else { "moment" };
                say(&format!("{kind} {} {time} {name}", std::process::id()));
                Ok(())
            }
            Asked::At(at, deed, when) if *at == name && *when == time => match deed {
                Deed::Kill => die(),
                Deed::Error => {
                    say(&format!("failed {name}"));
                    Err(io::Error::from_raw_os_error(libc::ENOSPC))
                }
                Deed::Delay => {
                    say(&format!("held up {name}"));
                    std::thread::sleep(DELAY);
                    Ok(())
                }
            },
            Asked::At(..) => Ok(()),
        }
    }

    /// Tells the test, in one piece: processes share standard error.
    fn say(what: &str) {
        let _ = io::stderr().write_all(format!("fault: {what}\n").as_bytes());
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn names_have_colons_and_the_last_word_is_what_happens() {
            let read = Asked::read("add 02:00:00:00:00:01: up:kill@3").unwrap();
            let name = "add 02:00:00:00:00:01: up".to_owned();
            assert_eq!(read, Asked::At(name, Deed::Kill, 3));
            let read = Asked::read("up: lock taken:error").unwrap();
            let name = "up: lock taken".to_owned();
            assert_eq!(read, Asked::At(name, Deed::Error, 1));
            for bad in ["", "up", "up: lock taken", "up: lock taken:kill@x"] {
                assert_eq!(Asked::read(bad), None, "{bad}");
            }
        }
    }
}
