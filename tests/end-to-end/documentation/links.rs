//! Links between pages.

use super::{Page, root};

/// The relative links of a page that lead nowhere.
pub(super) fn dead(page: &Page) -> Vec<String> {
    let from = root().join(&page.name);
    targets(&page.text)
        // A brace is part of a grammar, and not of a link.
        .filter(|target| !target.contains("://") && !target.contains('{'))
        .filter(|target| {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = from.parent().expect("a directory").join(file);
            let path = if file.is_empty() { from.clone() } else { path };
            if heading.is_empty() {
                return !path.exists();
            }
            let text = std::fs::read_to_string(path).unwrap_or_default();
            !text.lines().any(|line| anchor(line) == heading)
        })
        .map(|target| format!("{}: {target} leads nowhere", page.name))
        .collect()
}

/// `](target)` and `src="target"`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let after = |begin: &'static str, end: char| {
        text.split(begin)
            .skip(1)
            .filter_map(move |rest| rest.split(end).next())
    };
    after("](", ')').chain(after("src=\"", '"'))
}

/// The anchor that a heading gets on GitHub.
fn anchor(line: &str) -> String {
    let heading = line.strip_prefix('#').unwrap_or_default();
    let heading = heading.trim_start_matches('#').trim();
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || "- _".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
