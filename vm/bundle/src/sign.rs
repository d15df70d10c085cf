//! Keys and signatures: Ed25519, over the digest of a bundle.
//!
//! A key is one line of text, `stark-secret-key:…` or `stark-public-key:…` with base64 behind it.

use crate::BundleError;
use crate::digest::digest;
use data_encoding::BASE64;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use stark_bytecode::format::{Decoded, Draft, Signature};
use std::fmt;

const SECRET: &str = "stark-secret-key:";
const PUBLIC: &str = "stark-public-key:";

/// Signs bundles. Its bytes are wiped when it goes.
pub struct SecretKey(SigningKey);

/// Says whether a bundle was signed with its secret key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl SecretKey {
    /// A new key, from the operating system's random numbers.
    pub fn generate() -> Result<SecretKey, BundleError> {
        let mut seed = [0; 32];
        let no_numbers = |e| BundleError::Key(format!("the operating system gives no random numbers: {e}"));
        getrandom::fill(&mut seed).map_err(no_numbers)?;
        Ok(SecretKey::from_seed(seed))
    }

    /// The key that these 32 bytes mean: for tests that need the same one again.
    pub fn from_seed(seed: [u8; 32]) -> SecretKey {
        SecretKey(SigningKey::from_bytes(&seed))
    }

    pub fn parse(text: &str) -> Result<SecretKey, BundleError> {
        if text.trim().starts_with(PUBLIC) {
            return Err(BundleError::Key("this is a public key; signing needs the secret one".into()));
        }
        Ok(SecretKey::from_seed(parse(text, SECRET, "secret")?))
    }

    pub fn to_text(&self) -> String {
        format!("{SECRET}{}\n", BASE64.encode(&self.0.to_bytes()))
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, draft: &Draft) -> Signature {
        let sections = draft.sections.iter().map(|(kind, bytes)| (*kind as u32, kind.flags(), &**bytes));
        let signature = self.0.sign(&digest(sections));
        Signature { public_key: self.0.verifying_key().to_bytes(), signature: signature.to_bytes() }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

impl PublicKey {
    pub fn parse(text: &str) -> Result<PublicKey, BundleError> {
        if text.trim().starts_with(SECRET) {
            return Err(BundleError::Key("this is a secret key; the public one is asked for".into()));
        }
        PublicKey::from_bytes(&parse(text, PUBLIC, "public")?)
    }

    pub fn from_bytes(bytes: &[u8; 32]) -> Result<PublicKey, BundleError> {
        let key = VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak());
        key.map(PublicKey).ok_or_else(|| BundleError::Key("these 32 bytes are no Ed25519 public key".into()))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", BASE64.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

fn parse(text: &str, prefix: &str, what: &str) -> Result<[u8; 32], BundleError> {
    let wrong =
        || BundleError::Key(format!("this is no {what} key: one is a line `{prefix}…`, made by `stark keygen`"));
    let encoded = text.trim().strip_prefix(prefix).ok_or_else(wrong)?;
    BASE64.decode(encoded.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)
}

/// Who signed the file that begins with `head`; `None` when nobody did. A signature that is there has to be right, whether
/// or not somebody asks for one.
pub(crate) fn signer(head: &[u8], decoded: &Decoded) -> Result<Option<PublicKey>, BundleError> {
    let Some(signature) = decoded.signature else { return Ok(None) };
    let wrong =
        || BundleError::Signature("the signature is not right: the bundle was changed after it was signed".into());
    let key = PublicKey::from_bytes(&signature.public_key).map_err(|_| wrong())?;
    let digest = digest(decoded.sections.iter().map(|section| (section.number, section.flags, section.bytes(head))));
    let signature = ed25519_dalek::Signature::from_bytes(&signature.signature);
    // Strict: no second signature can be made of one that is known.
    key.0.verify_strict(&digest, &signature).map_err(|_| wrong())?;
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_from_their_text() {
        let secret = SecretKey::from_seed([7; 32]);
        assert_eq!(SecretKey::parse(&secret.to_text()).unwrap().public(), secret.public());
        assert_eq!(PublicKey::parse(&secret.public().to_string()).unwrap(), secret.public());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let secret = SecretKey::from_seed([7; 32]);
        assert!(PublicKey::parse(&secret.to_text()).is_err());
        assert!(SecretKey::parse(&secret.public().to_string()).is_err());
        for text in ["", "x", "stark-public-key:", "stark-public-key:AAAA", "stark-public-key:*"] {
            assert!(PublicKey::parse(text).is_err(), "{text}");
        }
        // A key of low order accepts signatures of anything.
        assert!(
            PublicKey::from_bytes(&{
                let mut weak = [0; 32];
                weak[0] = 1;
                weak
            })
            .is_err()
        );
    }
}
