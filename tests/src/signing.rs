//! minisign keys that live for one test.

use minisign::KeyPair;

#[derive(Debug)]
pub struct Signer(KeyPair);

impl Signer {
    pub fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().expect("random numbers"))
    }

    /// The public key, as minisign writes it to a file.
    pub fn public_key(&self) -> String {
        self.0.pk.to_box().expect("a key").to_string()
    }

    /// A .minisig file, prehashed.
    pub fn sign(&self, text: &[u8], trusted_comment: &str) -> String {
        minisign::sign(
            Some(&self.0.pk),
            &self.0.sk,
            text,
            Some(trusted_comment),
            Some("a comment that nobody trusts"),
        )
        .expect("a signature")
        .to_string()
    }
}

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}
