//! Free text, paths, boot files: anything that may need quotes.

use super::string_type;
use crate::argument::Argument;
use crate::{ValueError, quote};

fn printable(value: &str, max: usize) -> Result<String, String> {
    if value.is_empty() {
        return Err("it is empty".into());
    }
    if value.len() > max {
        return Err(format!("{} bytes, at most {max} fit", value.len()));
    }
    // dnsmasq 2.90 uses the other control characters to stand for quoted digits and letters.
    match value
        .chars()
        .find(|c| c.is_ascii_control() && !"\t\n\r\u{8}\u{1b}".contains(*c))
    {
        Some(c) => Err(format!(
            "dnsmasq cannot hold the control character {c:?}; of those it knows tab, newline, return, backspace and escape"
        )),
        None => Ok(value.to_owned()),
    }
}

fn text(value: &str) -> Result<String, String> {
    printable(value, 255)
}

fn one_line(value: &str, max: usize) -> Result<String, String> {
    if value.chars().any(|c| c.is_ascii_control()) {
        return Err("it contains a control character".into());
    }
    printable(value, max)
}

fn path(value: &str) -> Result<String, String> {
    one_line(value, 900)
}

fn boot_file(value: &str) -> Result<String, String> {
    one_line(value, 255)
}

string_type! {
    /// Text for a client: a class, a menu line, an option's string.
    ///
    /// 1 to 255 bytes, what a DHCP option holds (RFC 2132, section 2). Commas,
    /// quotes and `#` are welcome: rendering quotes them.
    Text, "text", text
}

string_type! {
    /// A file or directory of the host, at most 900 bytes.
    ///
    /// dnsmasq reads lines of 1023 bytes, so a longer path cannot be configured.
    FilePath, "a path", path
}

string_type! {
    /// What a client is told to boot: a file below the TFTP root, or a URL.
    ///
    /// 1 to 255 bytes (DHCP option 67). A client that does not ask for option 67 gets
    /// the BOOTP `file` field, which holds 127 (RFC 2131, section 2).
    BootFile, "a boot file", boot_file
}

macro_rules! quoted_argument {
    ($($name:ident),*) => {$(
        impl Argument for $name {
            fn read(raw: &str) -> Result<Self, ValueError> {
                Self::new(quote::unhide(raw))
            }

            fn write(&self) -> String {
                quote::text(self.as_str())
            }
        }
    )*};
}
quoted_argument!(Text, FilePath, BootFile);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_and_quotes_are_quoted() {
        let path = FilePath::new(r#"/srv/a, "b" #c"#).unwrap();
        assert_eq!(path.write(), r#""/srv/a, \"b\" #c""#);
    }

    #[test]
    fn a_boot_file_that_looks_like_a_tag_is_quoted() {
        assert_eq!(BootFile::new("tag:x").unwrap().write(), r#""tag:x""#);
        let url = "http://192.168.25.3/boot.ipxe?a=1";
        assert_eq!(BootFile::new(url).unwrap().write(), format!("\"{url}\""));
    }

    #[test]
    fn a_newline_cannot_get_into_a_path() {
        let error = FilePath::new("/a\nport=53").unwrap_err();
        assert_eq!(error.kind(), "a path");
    }
}
