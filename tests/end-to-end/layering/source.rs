//! Rust sources as far as imports go: comments, texts and tests taken out, then names and the paths made of them.

/// The code without comments, string literals and `#[cfg(test)] mod … { … }`.
pub(super) fn code(text: &str) -> String {
    without_tests(&without_texts(text))
}

fn without_texts(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut code = String::new();
    let mut at = 0;
    let starts = |at: usize, wanted: &str| {
        let mut found = bytes[at..].iter();
        wanted.chars().all(|wanted| found.next() == Some(&wanted))
    };
    while at < bytes.len() {
        if starts(at, "//") {
            while at < bytes.len() && bytes[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            while at < bytes.len() && !starts(at, "*/") {
                at += 1;
            }
            at += 2;
        } else if let Some(hashes) = raw_string(&bytes[at..]) {
            let end = format!("\"{}", "#".repeat(hashes));
            at += hashes + 2;
            while at < bytes.len() && !starts(at, &end) {
                at += 1;
            }
            at += end.len();
            code.push_str("\"\"");
        } else if bytes[at] == '"' {
            at += 1;
            while at < bytes.len() && bytes[at] != '"' {
                at += if bytes[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
            code.push_str("\"\"");
        } else if let Some(length) = character(&bytes[at..]) {
            at += length;
            code.push_str("' '");
        } else {
            code.push(bytes[at]);
            at += 1;
        }
    }
    code
}

/// The number of hashes of a raw string that begins here.
fn raw_string(text: &[char]) -> Option<usize> {
    let rest = text.strip_prefix(&['r'])?;
    let hashes = rest
        .iter()
        .take_while(|character| **character == '#')
        .count();
    (rest.get(hashes) == Some(&'"')).then_some(hashes)
}

/// The length of a character literal that begins here; a lifetime is none.
fn character(text: &[char]) -> Option<usize> {
    match text {
        ['\'', '\\', rest @ ..] => {
            let end = rest.iter().skip(1).position(|found| *found == '\'')?;
            Some(end + 4)
        }
        ['\'', _, '\'', ..] => Some(3),
        _ => None,
    }
}

fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        rest = after;
        let item = rest.trim_start();
        let Some(open) = item.find(['{', ';']) else {
            break;
        };
        let is_block = item.starts_with("mod ") && item[open..].starts_with('{');
        if item.starts_with("mod ") {
            let end = if is_block { block(&item[open..]) } else { 1 };
            rest = &item[open + end..];
        }
    }
    kept.push_str(rest);
    kept
}

/// The length of a block in braces, with them.
fn block(code: &str) -> usize {
    let mut depth = 0;
    for (at, character) in code.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// The identifiers in the code.
pub(super) fn words(code: &str) -> impl Iterator<Item = &str> {
    let is_other = |character: char| !character.is_alphanumeric() && character != '_';
    code.split(is_other).filter(|word| !word.is_empty())
}

/// The modules that the code declares in files of their own.
pub(super) fn declared(code: &str) -> Vec<String> {
    let statements = code.split([';', '{', '}']);
    statements
        .filter_map(|statement| {
            let mut words = statement.split_whitespace().rev();
            let name = words.next()?;
            (words.next() == Some("mod")).then(|| name.to_owned())
        })
        .filter(|name| code.contains(&format!("mod {name};")))
        .collect()
}

/// An imported path, and the name that it gets.
#[derive(Debug, Clone)]
pub(super) struct Import {
    pub(super) path: Vec<String>,
    pub(super) name: String,
    pub(super) is_reexport: bool,
}

/// The paths of all `use` items, groups taken apart.
pub(super) fn imports(code: &str) -> Vec<Import> {
    let mut imports = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let before = code[..at].trim_end();
        let is_item = before.is_empty() || before.ends_with([';', '}', '{', ']', ')']);
        let is_public = before.ends_with("pub") || before.ends_with(')');
        if !(is_item || is_public) {
            continue;
        }
        if let Some((tree, _)) = code[at + 4..].split_once(';') {
            expand(&[], tree, is_public, &mut imports);
        }
    }
    imports
}

fn expand(prefix: &[String], tree: &str, is_reexport: bool, imports: &mut Vec<Import>) {
    let mut path = prefix.to_vec();
    let mut rest = tree.trim();
    while let Some((name, after)) = rest.split_once("::") {
        if name.contains(['{', ',']) {
            break;
        }
        path.push(name.trim().to_owned());
        rest = after.trim();
    }
    if let Some(group) = rest.strip_prefix('{') {
        let group = group.trim_end().strip_suffix('}').unwrap_or(group);
        for member in members(group) {
            expand(&path, member, is_reexport, imports);
        }
        return;
    }
    let (item, name) = rest.split_once(" as ").unwrap_or((rest, rest));
    let (item, mut name) = (item.trim(), name.trim().to_owned());
    if item == "self" {
        name = path.last().cloned().unwrap_or_default();
    } else {
        path.push(item.to_owned());
    }
    imports.push(Import {
        path,
        name,
        is_reexport,
    });
}

/// The members of a group, split at commas outside inner groups.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut begin) = (0, 0);
    let mut found = Vec::new();
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&group[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    found.push(&group[begin..]);
    found.retain(|member| !member.trim().is_empty());
    found
}

/// The paths in expressions and types, such as `crate::a::f`.
pub(super) fn inline_paths(code: &str) -> Vec<Vec<String>> {
    let is_name =
        |character: char| character.is_alphanumeric() || character == '_' || character == ':';
    code.split(|character: char| !is_name(character))
        // A word that ends with colons begins a group, which `imports` takes apart.
        .filter(|word| word.contains("::") && !word.ends_with("::"))
        .map(|word| {
            word.split("::")
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect()
        })
        // In `use crate::{…}`, `crate::` is only the prefix of the imported paths.
        .filter(|path: &Vec<String>| path.iter().any(|name| !is_prefix(name)))
        .collect()
}

fn is_prefix(name: &str) -> bool {
    matches!(name, "crate" | "self" | "super")
}
