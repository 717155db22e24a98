//! Lists of digests, as distributions publish them.

use sha2::{Digest, Sha256, Sha512};
use std::fmt::Write;
use std::io::{self, Read};

/// What a file's digest should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// SHA-256, in lower-case hexadecimal digits.
    Sha256(String),
    /// SHA-512, likewise.
    Sha512(String),
}

impl Expected {
    /// A digest, by its length; the others are too weak to tell anything.
    fn of(hex: &str) -> Option<Self> {
        let hex = hex.strip_prefix("sha256:").unwrap_or(hex);
        let is_hex = hex.bytes().all(|b| b.is_ascii_hexdigit());
        match hex.len() {
            64 if is_hex => Some(Self::Sha256(hex.to_ascii_lowercase())),
            128 if is_hex => Some(Self::Sha512(hex.to_ascii_lowercase())),
            _ => None,
        }
    }

    /// The digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        match self {
            Self::Sha256(hex) | Self::Sha512(hex) => hex,
        }
    }

    /// The digest that `file` has, of the same kind.
    ///
    /// # Errors
    /// What read(2) says.
    pub fn found(&self, file: impl Read) -> io::Result<String> {
        match self {
            Self::Sha256(_) => digest::<Sha256>(file),
            Self::Sha512(_) => digest::<Sha512>(file),
        }
    }
}

fn digest<D: Digest>(mut file: impl Read) -> io::Result<String> {
    let mut digest = D::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
    }
    let mut hex = String::new();
    for byte in digest.finalize() {
        write!(hex, "{byte:02x}").expect("a String takes all that is written");
    }
    Ok(hex)
}

/// The digest of the file at `url` in the list `text`, which is from `list`.
///
/// The list is sha256sum's (`DIGEST  FILE`), BSD's (`SHA256 (FILE) = DIGEST`), or the one in a
/// `.treeinfo` (`FILE = sha256:DIGEST`). Its files stand in the list's folder or below it.
#[must_use]
pub fn find(text: &str, list: &str, url: &str) -> Option<Expected> {
    let folder = list.rsplit_once('/')?.0;
    let is_it = |file: &str| {
        let file = file.trim_start_matches('*').trim_start_matches("./");
        format!("{folder}/{file}") == url
    };
    text.lines().find_map(|line| {
        let (file, digest) = parts(line.trim())?;
        Some(Expected::of(digest)?).filter(|_| is_it(file))
    })
}

/// The name and the digest in a line of any of these lists.
fn parts(line: &str) -> Option<(&str, &str)> {
    if let Some((left, digest)) = line.split_once(" = ") {
        let bsd = left
            .split_once(" (")
            .and_then(|(_, file)| file.strip_suffix(')'));
        return Some((bsd.unwrap_or(left), digest.trim()));
    }
    let (digest, file) = line.split_once([' ', '\t'])?;
    Some((file.trim(), digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_found_in_each_kind_of_list() {
        let hex = "0123456789abcdef".repeat(4);
        let long = hex.repeat(2);
        let found = |text: String, list: &str| find(&text, list, "https://a.example/b/c/linux");
        let expected = Some(Expected::Sha256(hex.clone()));
        let beside = "https://a.example/b/c/SHA256SUMS";
        assert_eq!(found(format!("{hex}  linux\n"), beside), expected);
        assert_eq!(found(format!("{hex} *linux\n"), beside), expected);
        assert_eq!(
            found(format!("# comment\nSHA256 (linux) = {hex}\n"), beside),
            expected
        );
        let above = "https://a.example/b/list";
        assert_eq!(found(format!("{hex}  ./c/linux\n"), above), expected);
        assert_eq!(
            found(format!("[checksums]\nc/linux = sha256:{hex}\n"), above),
            expected
        );
        let weak = format!("# MD5\n{}  linux\n# SHA512\n{long}  linux\n", &hex[..32]);
        assert_eq!(found(weak, beside), Some(Expected::Sha512(long)));
        assert_eq!(found(format!("{hex}  d/linux\n"), beside), None);
        assert_eq!(found(format!("{hex}  linux.old\n"), beside), None);
        assert_eq!(found(String::new(), beside), None);
    }

    #[test]
    fn a_digest_is_that_of_sha256sum() {
        let expected = Expected::Sha256(String::new());
        assert_eq!(
            expected.found(&b"abc"[..]).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
