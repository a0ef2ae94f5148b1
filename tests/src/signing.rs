//! Temporary minisign keys.

use minisign::KeyPair;

#[derive(Debug)]
pub struct Signer(KeyPair);

impl Signer {
    pub fn new() -> Self {
        Self(KeyPair::generate_unencrypted_keypair().expect("random numbers"))
    }

    /// Returns the public key in the format of minisign.
    pub fn public_key(&self) -> String {
        self.0.pk.to_box().expect("a key").to_string()
    }

    /// Returns a .minisig file with a prehashed signature.
    pub fn sign(&self, text: &[u8], trusted_comment: &str) -> String {
        minisign::sign(
            Some(&self.0.pk),
            &self.0.sk,
            text,
            Some(trusted_comment),
            Some("an untrusted comment"),
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
