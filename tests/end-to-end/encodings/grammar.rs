//! The grammar of names in the contract, implemented independently of the server.

/// Returns the decoded path that a `PUT` of `target` writes, if its names are legal.
pub(super) fn written(target: &[u8]) -> Option<String> {
    let target = str::from_utf8(target).ok()?;
    let target = target.split(['?', '#']).next()?;
    let path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => &rest[rest.find('/')?..],
        _ => target,
    };
    let mut segments = path.strip_prefix('/')?.split('/');
    let resource = segments.next()?;
    let names: Option<Vec<String>> = segments.map(decode).collect();
    let names = names?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let is_legal = match (resource, names.as_slice()) {
        ("artefacts", [app, version, file]) => is_app(app) && is_version(version) && is_file(file),
        ("config", ["_default", file]) => *file == "_default.config",
        ("config", [app, file]) => {
            let layer = file.strip_suffix(".config")?;
            let is_app_layer = layer == *app;
            is_app(app) && (is_app_layer || is_label(layer) && !["app", "default"].contains(&layer))
        }
        ("channels", [app, channel]) => is_app(app) && is_label(channel) && *channel != "latest",
        _ => false,
    };
    is_legal.then(|| format!("/{resource}/{}", names.join("/")))
}

/// Decodes percent escapes once. `None` if an escape is malformed.
fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = str::from_utf8(after.get(..2)?).ok()?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

fn has_form(
    text: &str,
    lengths: std::ops::RangeInclusive<usize>,
    others: &str,
    upper: bool,
) -> bool {
    lengths.contains(&text.len())
        && text.chars().all(|letter| {
            letter.is_ascii_lowercase()
                || letter.is_ascii_digit()
                || (upper && letter.is_ascii_uppercase())
                || others.contains(letter)
        })
}

fn is_app(text: &str) -> bool {
    has_form(text, 1..=63, "-", false) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_version(text: &str) -> bool {
    has_form(text, 1..=128, "._+-", true) && text.starts_with(|first: char| first.is_ascii_digit())
}

fn is_file(text: &str) -> bool {
    let is_sidecar = [".sha256", ".minisig"]
        .iter()
        .any(|extension| text.ends_with(extension));
    has_form(text, 1..=255, "._+-", true)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !is_sidecar
        && text != "yanked"
}

/// A channel or an environment.
fn is_label(text: &str) -> bool {
    let is_release = text
        .strip_prefix('r')
        .is_some_and(|number| !number.starts_with('0') && number.parse::<u64>().is_ok());
    has_form(text, 1..=63, "-", false)
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !is_release
}
