//! The fenced blocks of a Markdown page, and what each is for.

/// Languages that aren't commands.
const DATA: [&str; 6] = ["nginx", "haproxy", "keepalived", "json", "text", "config"];

const NOT_EXECUTED: &str = "<!-- not executed:";
/// Anywhere in a page; no block of the page runs then.
const PAGE_NOT_EXECUTED: &str = "<!-- no block of this page is executed:";
const NEEDS_DOCKER: &str = "<!-- needs Docker -->";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Shell,
    Docker,
    NotExecuted,
}

/// A command, and the output that the page shows for it; `None` for a block of commands alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) command: String,
    pub(super) expected: Option<Vec<String>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) class: Class,
    pub(super) steps: Vec<Step>,
}

/// Reads the blocks of commands of a page, or lists the blocks that have no class.
pub(super) fn read(page: &str, text: &str) -> Result<Vec<Block>, Vec<String>> {
    let mut blocks = Vec::new();
    let mut unclear = Vec::new();
    let mut lines = (1..).zip(text.lines());
    let mut before = "";
    let of_page = text
        .lines()
        .find_map(|line| line.strip_prefix(PAGE_NOT_EXECUTED));
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else {
            if !line.trim().is_empty() {
                before = line.trim();
            }
            continue;
        };
        let body: Vec<(usize, &str)> = lines
            .by_ref()
            .take_while(|(_, line)| line.trim_start() != "```")
            .collect();
        let class = match of_page.or_else(|| before.strip_prefix(NOT_EXECUTED)) {
            Some(reason) => not_executed(reason),
            None => class(language, before),
        };
        match class {
            Ok(class) => blocks.push(Block {
                class,
                steps: if class == Class::NotExecuted {
                    Vec::new()
                } else {
                    steps(language, &body)
                },
            }),
            Err(problem) => unclear.push(format!("{page}:{number}: {problem}")),
        }
        before = "";
    }
    if unclear.is_empty() {
        Ok(blocks)
    } else {
        Err(unclear)
    }
}

fn not_executed(reason: &str) -> Result<Class, String> {
    let reason = reason.strip_suffix("-->").unwrap_or_default();
    if reason.split_whitespace().count() < 3 {
        return Err("give a reason: <!-- not executed: REASON -->".to_owned());
    }
    Ok(Class::NotExecuted)
}

fn class(language: &str, before: &str) -> Result<Class, String> {
    match language {
        "sh" | "console" if before == NEEDS_DOCKER => Ok(Class::Docker),
        "sh" | "console" => Ok(Class::Shell),
        data if DATA.contains(&data) => Ok(Class::NotExecuted),
        other => Err(format!(
            "a block of {other:?} has no class: use sh, console or one of {DATA:?}"
        )),
    }
}

fn steps(language: &str, body: &[(usize, &str)]) -> Vec<Step> {
    if language == "sh" {
        let commands: Vec<&str> = body.iter().map(|(_, line)| *line).collect();
        return vec![Step {
            line: body.first().map_or(0, |(number, _)| *number),
            command: commands.join("\n"),
            expected: None,
        }];
    }
    let mut steps: Vec<Step> = Vec::new();
    for (number, line) in body {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                line: *number,
                command: command.to_owned(),
                expected: Some(Vec::new()),
            });
        } else if let Some(step) = steps.last_mut() {
            if step.command.ends_with('\\') {
                step.command = format!("{}\n{line}", step.command);
            } else if let Some(expected) = &mut step.expected {
                expected.push((*line).to_owned());
            }
        }
    }
    steps
}

#[test]
fn a_block_without_a_class_or_a_reason_is_refused() {
    let page = "```\nls\n```\n<!-- not executed: -->\n```sh\nls\n```\n```fish\nls\n```\n";
    let unclear = read("page.md", page).unwrap_err();
    assert_eq!(unclear.len(), 3, "{unclear:?}");
    assert!(unclear[0].starts_with("page.md:1:") && unclear[1].contains("reason"));
}

#[test]
fn a_comment_before_a_block_is_its_class() {
    let page = "<!-- not executed: needs a bucket -->\n\n```sh\nls\n```\n<!-- needs Docker -->\n```sh\nls\n```\n```sh\nls\n```\n";
    let blocks = read("page.md", page).unwrap();
    let classes: Vec<Class> = blocks.iter().map(|block| block.class).collect();
    assert_eq!(classes, [Class::NotExecuted, Class::Docker, Class::Shell]);
}

#[test]
fn output_follows_its_command() {
    let page = "```console\n$ one \\\n    two\nout\n$ three\n```\n";
    let blocks = read("page.md", page).unwrap();
    let steps = &blocks[0].steps;
    assert_eq!(steps[0].command, "one \\\n    two");
    assert_eq!(steps[0].expected.as_deref(), Some(&["out".to_owned()][..]));
    assert_eq!(
        (steps[1].line, steps[1].expected.as_deref()),
        (5, Some(&[][..]))
    );
}
