//! Credentials that are not in the environment, where everybody who may inspect a container sees them, but in files
//! that bear the variables' names.

use std::fs;
use std::io;
use std::path::Path;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

/// Takes the credentials from the files of `directory`, all of them, where the environment has none.
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
                "{} has one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and both are needed",
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

/// A file without the line's end that editors leave; one that is there and cannot be read is an error.
fn read(directory: &Path, name: &str) -> Result<Option<String>, String> {
    let path = directory.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!(
            "{} cannot be read: {error}; see that it belongs to this server's user",
            path.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn files_count_where_the_environment_has_no_key() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("AWS_ACCESS_KEY_ID"), "file\r\n").unwrap();
        let error = fill(AmazonS3Builder::new(), directory.path()).unwrap_err();
        assert!(error.contains("both are needed"), "{error}");
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
        // Variables and files are not mixed.
        let set = AmazonS3Builder::new().with_access_key_id("variable");
        let set = fill(set, directory.path()).unwrap();
        assert_eq!(
            set.get_config_value(&AmazonS3ConfigKey::SecretAccessKey),
            None
        );
    }

    #[test]
    fn one_that_cannot_be_read_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("AWS_ACCESS_KEY_ID")).unwrap();
        let error = fill(AmazonS3Builder::new(), directory.path()).unwrap_err();
        assert!(
            error.contains("AWS_ACCESS_KEY_ID cannot be read"),
            "{error}"
        );
    }
}
