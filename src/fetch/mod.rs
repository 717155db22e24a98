//! Downloads what a lab's file needs from elsewhere, below the lab's web root.
//!
//! A file is in its place only when all of it is there and its digest is right. What was cut off
//! stays beside it as `NAME.part` if a digest tells later that the halves go together.

pub mod sums;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::lab::fetch::{Check, Payload};
use sums::Expected;

/// A mirror that does not answer in this time is away.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// A list of digests is a page or two, or a few thousand lines for a whole release.
const LARGEST_LIST: u64 = 16 << 20;

/// What is going on with one download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It was there, and is right.
    There,
    /// So many bytes are there, of so many as the server says.
    Bytes(u64, Option<u64>),
    /// It is in its place, with so many bytes.
    Done(u64),
}

/// Why something could not be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The network, or the server.
    #[error("cannot download {url}: {why}")]
    Network {
        /// From where.
        url: String,
        /// What failed.
        why: String,
        /// How much is kept for the next time, if anything.
        kept: Option<u64>,
    },
    /// The list of digests does not have it.
    #[error("cannot check {url}: {list} has no digest of it")]
    NoDigest {
        /// What was to be checked.
        url: String,
        /// The list.
        list: String,
    },
    /// It is not what it should be.
    #[error("{url} is not what it should be: its digest is {found}, expected {expected}")]
    WrongDigest {
        /// From where.
        url: String,
        /// The digest that it has.
        found: String,
        /// The digest that it should have.
        expected: String,
    },
    /// A file of this host.
    #[error("cannot write {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

impl FetchError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Network {
                kept: Some(bytes), ..
            } => {
                format!("run it again: it goes on after the {bytes} bytes that are there")
            }
            Self::Network { kept: None, .. } => {
                "the lab file's first lines name the variables for another mirror or version"
                    .to_owned()
            }
            Self::NoDigest { .. } => {
                "correct `sums` in the lab file, or write sha256 = \"…\" in its place".to_owned()
            }
            Self::WrongDigest { .. } => {
                "nothing of it was kept; run it again, or take another mirror".to_owned()
            }
            Self::File { .. } => "look at who may write there: ls -ld".to_owned(),
        }
    }
}

/// Downloads, one after the other.
pub struct Fetcher {
    agent: Agent,
    /// The folder that the lab serves.
    root: PathBuf,
}

impl Fetcher {
    /// For a lab that serves `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // The host's certificates, so that a company's own mirror is trusted where the host does.
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_connect(Some(ANSWERS_WITHIN))
            .timeout_recv_response(Some(ANSWERS_WITHIN))
            .user_agent(concat!("nsplay/", env!("CARGO_PKG_VERSION")));
        Self {
            agent: config.build().into(),
            root: root.to_owned(),
        }
    }

    /// Downloads `payload`, unless it is there and right.
    ///
    /// # Errors
    /// [`FetchError`]; then nothing is in its place that was not there before.
    pub fn fetch(
        &self,
        payload: &Payload,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<(), FetchError> {
        let target = self.root.join(&payload.to);
        let file_error = |source| FetchError::File {
            path: target.clone(),
            source,
        };
        if target.is_file() && payload.check == Check::Origin {
            tell(Progress::There);
            return Ok(());
        }
        let expected = self.expected(payload)?;
        if let (Some(expected), Ok(there)) = (&expected, File::open(&target))
            && expected.found(there).map_err(file_error)? == expected.hex()
        {
            tell(Progress::There);
            return Ok(());
        }
        let mut part = target.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(file_error)?;
        }
        let bytes = self.whole(payload, &part, expected.as_ref(), tell)?;
        fs::rename(&part, &target).map_err(file_error)?;
        tell(Progress::Done(bytes));
        Ok(())
    }

    /// The digest that `payload` should have; none if only its origin vouches for it.
    fn expected(&self, payload: &Payload) -> Result<Option<Expected>, FetchError> {
        let list = match &payload.check {
            Check::Origin => return Ok(None),
            Check::Sha256(hex) => return Ok(Some(Expected::Sha256(hex.clone()))),
            Check::Sums(list) => list,
        };
        let network = |why: String| FetchError::Network {
            url: list.clone(),
            why,
            kept: None,
        };
        let response = self.get(list, 0).map_err(network)?;
        if response.status() != StatusCode::OK {
            return Err(network(status(&response)));
        }
        let mut text = String::new();
        let mut body = response.into_body().into_reader().take(LARGEST_LIST);
        body.read_to_string(&mut text)
            .map_err(|error| network(error.to_string()))?;
        let found = sums::find(&text, list, &payload.url);
        found.map(Some).ok_or_else(|| FetchError::NoDigest {
            url: payload.url.clone(),
            list: list.clone(),
        })
    }

    /// Downloads all of `payload` to `part`, and returns how many bytes it has.
    fn whole(
        &self,
        payload: &Payload,
        part: &Path,
        expected: Option<&Expected>,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<u64, FetchError> {
        let file_error = |source| FetchError::File {
            path: part.to_owned(),
            source,
        };
        // Without a digest nobody knows whether the mirror still has the same file.
        if expected.is_none() {
            remove(part).map_err(file_error)?;
        }
        loop {
            let had = part.metadata().map_or(0, |part| part.len());
            let bytes = self.rest(payload, part, had, expected.is_some(), tell)?;
            let Some(expected) = expected else {
                return Ok(bytes);
            };
            let found = File::open(part).and_then(|file| expected.found(file));
            let found = found.map_err(file_error)?;
            if found == expected.hex() {
                return Ok(bytes);
            }
            remove(part).map_err(file_error)?;
            // The halves may be of two versions: once more, from its beginning.
            if had == 0 {
                return Err(FetchError::WrongDigest {
                    url: payload.url.clone(),
                    found,
                    expected: expected.hex().to_owned(),
                });
            }
        }
    }

    /// Downloads what is behind the `had` bytes of `part`; what is cut off stays only if it `keeps`.
    fn rest(
        &self,
        payload: &Payload,
        part: &Path,
        had: u64,
        keeps: bool,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<u64, FetchError> {
        let network = |why: String, kept| FetchError::Network {
            url: payload.url.clone(),
            why,
            kept,
        };
        let file_error = |source| FetchError::File {
            path: part.to_owned(),
            source,
        };
        let kept = Some(had).filter(|had| *had > 0);
        let response = self
            .get(&payload.url, had)
            .map_err(|why| network(why, kept))?;
        let from = match response.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if begins_at(&response, had) => had,
            // There is no more than what is there already; its digest tells the rest.
            StatusCode::RANGE_NOT_SATISFIABLE if had > 0 => return Ok(had),
            _ => return Err(network(status(&response), kept)),
        };
        let length = response.body().content_length();
        let total = length.map(|length| from + length);
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        let options = options.mode(0o644).custom_flags(nix::libc::O_NOFOLLOW);
        let mut file = options.open(part).map_err(file_error)?;
        file.set_len(from).map_err(file_error)?;
        file.seek(io::SeekFrom::Start(from)).map_err(file_error)?;
        let mut body = response.into_body().into_reader();
        let (mut bytes, mut buffer) = (from, vec![0; 1 << 17]);
        let cut = loop {
            tell(Progress::Bytes(bytes, total));
            match body.read(&mut buffer) {
                Ok(0) if total.is_some_and(|total| bytes < total) => {
                    break Some("the connection was closed".to_owned());
                }
                Ok(0) => break None,
                Ok(read) => {
                    file.write_all(&buffer[..read]).map_err(file_error)?;
                    bytes += read as u64;
                }
                Err(error) => break Some(error.to_string()),
            }
        };
        file.sync_all().map_err(file_error)?;
        let Some(why) = cut else { return Ok(bytes) };
        let why = match total {
            Some(total) => format!("{why} after {bytes} of {total} bytes"),
            None => format!("{why} after {bytes} bytes"),
        };
        if !keeps {
            remove(part).map_err(file_error)?;
        }
        Err(network(why, Some(bytes).filter(|_| keeps)))
    }

    /// Asks for what is at `url`, from byte `from` on.
    fn get(&self, url: &str, from: u64) -> Result<Response<Body>, String> {
        let request = self.agent.get(url);
        let request = match from {
            0 => request,
            from => request.header("Range", format!("bytes={from}-")),
        };
        request.call().map_err(|error| error.to_string())
    }
}

fn status(response: &Response<Body>) -> String {
    format!("the server answers {}", response.status())
}

/// Whether the answer says that it begins where it was asked to (RFC 9110, section 14.4).
fn begins_at(response: &Response<Body>, from: u64) -> bool {
    let range = response.headers().get("Content-Range");
    let range = range.and_then(|range| range.to_str().ok()?.strip_prefix("bytes "));
    range.is_some_and(|range| range.starts_with(&format!("{from}-")))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
