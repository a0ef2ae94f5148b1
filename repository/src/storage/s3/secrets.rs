//! Credentials in files named like the variables. Anyone who may inspect a container can read its environment,
//! but not its secrets.

use std::fs;
use std::io;
use std::path::Path;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

/// Reads the credentials from `directory` if the environment has none. The two are not mixed.
pub(super) fn fill(builder: AmazonS3Builder, directory: &Path) -> Result<AmazonS3Builder, String> {
    let is_set = |key| {
        builder
            .get_config_value(&key)
            .is_some_and(|value| !value.is_empty())
    };
    if is_set(AmazonS3ConfigKey::AccessKeyId) || is_set(AmazonS3ConfigKey::SecretAccessKey) {
        return Ok(builder);
    }
    let id = read(directory, "AWS_ACCESS_KEY_ID")?;
    let secret = read(directory, "AWS_SECRET_ACCESS_KEY")?;
    let (id, secret) = match (id, secret) {
        (Some(id), Some(secret)) => (id, secret),
        (None, None) => return Ok(builder),
        _ => {
            return Err(format!(
                "{} contains only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; add the other one",
                directory.display()
            ));
        }
    };
    let builder = builder
        .with_access_key_id(id)
        .with_secret_access_key(secret);
    Ok(match read(directory, "AWS_SESSION_TOKEN")? {
        Some(token) => builder.with_token(token),
        None => builder,
    })
}

/// Reads a file without its final line break. `None` if it does not exist.
fn read(directory: &Path, name: &str) -> Result<Option<String>, String> {
    let path = directory.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!(
            "failed to read {}: {error}; make the file readable for the server's user",
            path.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn files_are_read_if_the_environment_has_no_key() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("AWS_ACCESS_KEY_ID"), "file\r\n").unwrap();
        let error = fill(AmazonS3Builder::new(), directory.path()).unwrap_err();
        assert!(error.contains("add the other one"), "{error}");
        fs::write(directory.path().join("AWS_SECRET_ACCESS_KEY"), "secret").unwrap();
        let filled = fill(AmazonS3Builder::new(), directory.path()).unwrap();
        let value = |key| filled.get_config_value(&key);
        assert_eq!(
            value(AmazonS3ConfigKey::AccessKeyId).as_deref(),
            Some("file")
        );
        assert_eq!(
            value(AmazonS3ConfigKey::SecretAccessKey).as_deref(),
            Some("secret")
        );
        assert_eq!(value(AmazonS3ConfigKey::Token), None);
        let set = AmazonS3Builder::new().with_access_key_id("variable");
        let set = fill(set, directory.path()).unwrap();
        assert_eq!(
            set.get_config_value(&AmazonS3ConfigKey::SecretAccessKey),
            None
        );
    }

    #[test]
    fn an_unreadable_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("AWS_ACCESS_KEY_ID")).unwrap();
        let error = fill(AmazonS3Builder::new(), directory.path()).unwrap_err();
        assert!(
            error.starts_with("failed to read") && error.contains("AWS_ACCESS_KEY_ID"),
            "{error}"
        );
    }
}
