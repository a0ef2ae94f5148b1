//! The command line, declared once for parsing, `--help`, completions and man pages.
//!
//! - [`command`]: the commands and their options; [`subcommand`]: those below `config`, `secret` and `domain`
//! - [`values`]: values that several commands take
//! - [`mistakes`]: better advice than the parser's for common mistakes

mod command;
mod mistakes;
mod subcommand;
mod values;

use std::ffi::OsString;

use anyhow::{anyhow, ensure};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};

pub(crate) use self::command::{Command, EnvironmentCommand};
pub(crate) use self::subcommand::{ConfigCommand, DomainCommand, SecretCommand};
use crate::environment::Kind;
use crate::shell::Shell;

const VARIABLES: &str = "\
Environment variables:
  PLATFORM_NAME  Name of the environment, if one machine has several of a kind
  REGISTRY       Prefix of the image names, such as registry.example.org/

The first hour:
  platformer up
  platformer publish hello-world dist 1.0.0
  platformer deploy hello-world@1.0.0
  curl http://hello-world.localhost:8080/greeting

`platformer COMMAND --help` shows the options and examples of a command.";

/// Deploys apps to Docker Compose or Swarm behind a load balancer.
///
/// An environment is either training (Docker Compose, this machine) or production (Docker Swarm). You publish an app's
/// files to the repository of the environment and deploy a version of them. Each deploy makes a release that pins the
/// files and their config, so that you can roll back both.
#[derive(Debug, Parser)]
#[command(
    name = "platformer",
    version,
    after_help = VARIABLES,
    help_expected = true,
    max_term_width = 100
)]
struct CommandLine {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct GlobalOptions {
    /// Environment to use; needed only if both are up
    #[arg(short, long, global = true, value_parser = values::kind())]
    environment: Option<Kind>,
    /// Print the docker and curl commands that would change something, and run none of them
    #[arg(long, global = true)]
    dry_run: bool,
    /// Print each command that changes something before it runs
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) shell: Shell,
    pub(crate) environment: Option<Kind>,
    pub(crate) command: Command,
}

/// A command to run, or a text that the user asked for.
#[derive(Debug)]
pub(crate) enum Parsed {
    Run(Arguments),
    /// Help or version.
    Show(String),
}

/// The definition of the command line, for completions and man pages.
pub fn definition() -> clap::Command {
    // A command without its subcommand is an error that lists them, not a page of help.
    CommandLine::command()
        .arg_required_else_help(false)
        // As in docker, the last of several equal options wins.
        .args_override_self(true)
        .mut_subcommands(|command| command.arg_required_else_help(false))
}

pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> anyhow::Result<Parsed> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    if words.is_empty() {
        words.push("--help".into());
    }
    let line = std::iter::once("platformer".into()).chain(words.iter().cloned());
    let matches = definition().try_get_matches_from(line);
    match matches.and_then(|matches| CommandLine::from_arg_matches(&matches)) {
        Ok(line) => check(line).map(Parsed::Run),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Ok(Parsed::Show(error.to_string().trim_end().to_owned()))
            }
            _ => Err(anyhow!(
                mistakes::advice(&words, &error).unwrap_or_else(|| message(&error))
            )),
        },
    }
}

/// The parser's message without its label, because `main` puts the name of the command in front.
fn message(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    text.trim_end().to_owned()
}

/// Checks what the parser can't check.
fn check(line: CommandLine) -> anyhow::Result<Arguments> {
    let CommandLine { global, command } = line;
    ensure!(
        !global.dry_run || command.can_dry_run(),
        "--dry-run has no effect on this command. Leave it out"
    );
    let named = command.environment();
    if let (Some(option), Some(named)) = (global.environment, named) {
        ensure!(
            option == named,
            "--environment {} contradicts {}. Name one environment",
            option.name(),
            named.name()
        );
    }
    Ok(Arguments {
        shell: Shell {
            dry_run: global.dry_run,
            verbose: global.verbose,
        },
        environment: global.environment.or(named),
        command,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::deploy::Strategy;

    fn parsed(line: &str) -> anyhow::Result<Parsed> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn arguments(line: &str) -> Arguments {
        match parsed(line) {
            Ok(Parsed::Run(arguments)) => arguments,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn shown(line: &str) -> String {
        match parsed(line) {
            Ok(Parsed::Show(text)) => text,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn error(line: &str) -> String {
        parsed(line).unwrap_err().to_string()
    }

    #[test]
    fn the_definition_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn the_commands_of_the_first_hour_parse() {
        assert!(arguments("up").environment.is_none());
        assert_eq!(
            arguments("up production").environment,
            Some(Kind::Production)
        );
        assert_eq!(
            arguments("-e training clean --yes").environment,
            Some(Kind::Training)
        );
        let publish = arguments("publish hello-world ./dist 1.0.0");
        assert!(matches!(
            publish.command,
            Command::InEnvironment(EnvironmentCommand::Publish { .. })
        ));
        let deploy = arguments("deploy hello-world@1.0.0 --strategy blue-green --dry-run");
        assert!(deploy.shell.dry_run);
        assert!(matches!(
            deploy.command,
            Command::InEnvironment(EnvironmentCommand::Deploy {
                strategy: Some(Strategy::BlueGreen),
                ..
            })
        ));
    }

    #[test]
    fn words_after_two_dashes_may_look_like_options() {
        let line = "run hello-world -- ./hello-world --help";
        let Command::InEnvironment(EnvironmentCommand::Run { app, command }) =
            arguments(line).command
        else {
            panic!("not a run");
        };
        assert_eq!(
            (app.as_str(), command.join(" ").as_str()),
            ("hello-world", "./hello-world --help")
        );
    }

    #[test]
    fn help_of_a_command_shows_its_options_and_examples() {
        let help = shown("deploy --help");
        for text in ["--strategy", "rolling", "[default: 60s]", "Examples:"] {
            assert!(help.contains(text), "{text} in {help}");
        }
        assert_eq!(help, shown("help deploy"));
        assert!(shown("--help").contains("publish"));
        assert_eq!(shown(""), shown("--help"));
    }

    #[test]
    fn every_command_has_examples_and_lines_that_fit() {
        fn visit(command: &mut clap::Command, path: &str) {
            let path = format!("{path}{} ", command.get_name());
            let help = command.render_long_help().to_string();
            for line in help.lines() {
                assert!(line.chars().count() <= 100, "{path}: {line}");
            }
            let is_leaf = command.get_subcommands().next().is_none();
            assert!(!is_leaf || help.contains("Example"), "{path}: {help}");
            let children = command.get_subcommands_mut();
            for child in children.filter(|child| child.get_name() != "help") {
                visit(child, &path);
            }
        }
        visit(&mut definition(), "");
    }

    #[test]
    fn an_unknown_command_suggests_the_nearest_one() {
        let error = error("depoly hello-world@1.0.0");
        assert!(error.contains("'depoly'"), "{error}");
        assert!(error.contains("'deploy'"), "{error}");
    }

    #[test]
    fn mistakes_are_answered_with_the_command_to_type() {
        assert_eq!(
            error("deploy hello-world 1.0.0 --timeout 5m"),
            "deploy takes APP@REF. Did you mean `platformer deploy hello-world@1.0.0`?"
        );
        assert_eq!(
            error("-e training scale hello-world 3"),
            "scale takes APP=N. Did you mean `platformer scale hello-world=3`?"
        );
    }

    #[test]
    fn the_last_of_equal_options_wins() {
        let parsed = arguments("-e training -e production status");
        assert_eq!(parsed.environment, Some(Kind::Production));
    }

    #[test]
    fn errors_name_what_is_wrong() {
        for (line, expected) in [
            ("status --strategy rolling", "--strategy"),
            ("deploy hello-world@v1.0", "write 1.0"),
            ("up staging", "possible values: training, production"),
            ("up production -e training", "contradicts production"),
            ("deploy hello-world --timeout soon", "--timeout"),
            ("config", "requires a subcommand"),
            ("config set hello-world", "NAME=VALUE"),
            ("doctor --dry-run", "--dry-run has no effect"),
        ] {
            let error = error(line);
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
