//! Size limits of the images and archives.

use std::io::Write as _;

use platformer::images;
use platformer_tests::docker::{self, Sample};

const MB: u64 = 1_000_000;

/// Returns the size limit of an image in MB, and what takes the space.
fn size_limit(tag: &str) -> (u64, &'static str) {
    match tag {
        "platformer/app-base" => (150, "Debian without documentation, bootstrap"),
        "platformer/app-base:static" => (6, "bootstrap, certificate authorities"),
        "platformer/app-base:jre" => (380, "app-base, headless Java"),
        "platformer/app-base:python" => (190, "app-base, Python's standard library"),
        "platformer/repository" => (12, "one static binary"),
        // nginx, the load balancer, and small tools.
        _ => (165, "app-base, one Debian package with its dependencies"),
    }
}

#[test]
fn images_stay_small() {
    docker::require_images();
    let mut lines = String::new();
    let mut sizes = Vec::new();
    for tag in images::tags() {
        let size: u64 = docker::succeed(&["image", "inspect", "--format", "{{.Size}}", tag])
            .parse()
            .unwrap();
        let (limit, reason) = size_limit(tag);
        lines.push_str(&format!(
            "SIZE {:7.1} MB of {limit:4}  {tag}: {reason}\n",
            megabytes(size)
        ));
        sizes.push((size, tag, limit));
    }
    for app in ["hello-world", "status", "bakery", "bakery-web"] {
        let Sample {
            archive, version, ..
        } = Sample::packed(app);
        lines.push_str(&format!(
            "SIZE {:7.3} MB          {app}-{version}.tar.gz\n",
            megabytes(archive.len() as u64)
        ));
        assert!((archive.len() as u64) < 3 * MB, "{app}");
    }
    // Written to stderr directly, because the test runner captures the output of passing tests.
    let _ = std::io::stderr().write_all(lines.as_bytes());
    for (size, tag, limit) in &sizes {
        assert!(*size <= limit * MB, "{tag} is too large:\n{lines}");
    }
    let (_, largest, _) = sizes.iter().max().unwrap();
    assert_eq!(*largest, "platformer/app-base:jre");
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / MB as f64
}
