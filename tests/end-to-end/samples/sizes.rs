//! How large the images are, and how large they may become.

use std::io::Write as _;

use platformer::images;
use platformer_tests::docker;
use platformer_tests::test;

use super::packed;

const MB: u64 = 1_000_000;

/// The most that an image may take, in MB, and why it takes that.
fn limit(tag: &str) -> (u64, &'static str) {
    match tag {
        "platformer/app-base" => (150, "Debian without documentation, and bootstrap"),
        "platformer/app-base:static" => (6, "bootstrap and the certificate authorities"),
        "platformer/app-base:jre" => (380, "app-base, and Java without its desktop"),
        "platformer/app-base:python" => (190, "app-base, and Python's standard library"),
        "platformer/repository" => (12, "one static binary"),
        // nginx, the load balancer on it, and small tools.
        _ => (165, "app-base, and one Debian package with what it needs"),
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
        let (most, why) = limit(tag);
        lines.push_str(&format!(
            "SIZE {:7.1} MB of {most:4}  {tag}: {why}\n",
            megabytes(size)
        ));
        sizes.push((size, tag, most));
    }
    for app in ["hello-world", "status", "bakery", "bakery-web"] {
        let (archive, _, version) = packed(app);
        lines.push_str(&format!(
            "SIZE {:7.3} MB          {app}-{version}.tar.gz\n",
            megabytes(archive.len() as u64)
        ));
        assert!((archive.len() as u64) < 3 * MB, "{app}");
    }
    // Past the capture of the test harness: a figure that nobody sees is none.
    let _ = std::io::stderr().write_all(lines.as_bytes());
    for (size, tag, most) in &sizes {
        assert!(*size <= most * MB, "{tag} has grown:\n{lines}");
    }
    let (_, largest, _) = sizes.iter().max().unwrap();
    assert_eq!(*largest, "platformer/app-base:jre");
}

#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / MB as f64
}
