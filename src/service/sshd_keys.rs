//! The lab's SSH keys, made in this process: an ssh-keygen costs 20 ms a key.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey};

/// The keys of one lab: the server's and its user's, Ed25519 both.
///
/// They live as long as the lab. `Debug` shows the public halves only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The server's private key, in OpenSSH's PEM, unencrypted.
    pub host_private: String,
    /// The server's public key: `ssh-ed25519 AAAA…`, no newline.
    pub host_public: String,
    /// The user's private key, in OpenSSH's PEM, unencrypted: a file of mode 0600.
    pub user_private: String,
    /// The user's public key: `ssh-ed25519 AAAA… nsplay`, no newline.
    pub user_public: String,
}

impl Keys {
    /// Makes both pairs from the kernel's random numbers.
    ///
    /// # Errors
    ///
    /// When a key cannot be made or written down.
    pub fn generate() -> Result<Self, KeyError> {
        let (host_private, host_public) = pair("")?;
        let (user_private, user_public) = pair("nsplay")?;
        Ok(Self {
            host_private,
            host_public,
            user_private,
            user_public,
        })
    }

    /// Returns the `known_hosts` line for a server that is reached at `at`, no newline.
    ///
    /// ssh(1) looks port 22 up by the bare address and any other as `[address]:port`.
    #[must_use]
    pub fn known_host(&self, at: SocketAddr) -> String {
        let name = match at.port() {
            22 => at.ip().to_string(),
            port => format!("[{}]:{port}", at.ip()),
        };
        format!("{name} {}", self.host_public)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("host_public", &self.host_public)
            .field("user_public", &self.user_public)
            .finish_non_exhaustive()
    }
}

/// An SSH key could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make an SSH key")]
pub struct KeyError(#[from] ssh_key::Error);

fn pair(comment: &str) -> Result<(String, String), KeyError> {
    let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519)?;
    key.set_comment(comment);
    Ok((
        key.to_openssh(LineEnding::LF)?.to_string(),
        key.public_key().to_openssh()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::Keys;

    #[test]
    fn two_labs_have_no_key_in_common() {
        let (one, other) = (Keys::generate().unwrap(), Keys::generate().unwrap());
        assert_ne!(one.host_private, other.host_private);
        assert_ne!(one.user_private, other.user_private);
        assert_ne!(one.host_public, one.user_public);
        assert!(
            one.user_private
                .starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n")
        );
        assert!(one.user_public.ends_with(" nsplay"));
        assert_eq!(one.host_public.split(' ').count(), 2);
    }

    #[test]
    fn a_port_of_its_own_is_part_of_the_known_name() {
        let keys = Keys::generate().unwrap();
        let public = &keys.host_public;
        let known = |at: &str| keys.known_host(at.parse().unwrap());
        assert_eq!(known("192.168.25.4:22"), format!("192.168.25.4 {public}"));
        assert_eq!(
            known("127.0.0.1:2222"),
            format!("[127.0.0.1]:2222 {public}")
        );
        assert_eq!(known("[::1]:2222"), format!("[::1]:2222 {public}"));
    }

    #[test]
    fn a_private_key_does_not_reach_a_log() {
        let keys = Keys::generate().unwrap();
        assert!(!format!("{keys:?}").contains("PRIVATE"));
    }
}
