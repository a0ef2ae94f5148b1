//! The command line: options anywhere, and words, which `command` reads.

mod command;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
pub(crate) use command::Command;
use lexopt::{Arg, Parser, ValueExt as _};
use repository_api::units;

use crate::deploy::Strategy;
use crate::environment::Kind;
use crate::shell::Shell;

pub(crate) const HELP: &str = "\
platformer drives a platform of Docker's DNS, nginx, Compose or Swarm, from a checkout of its sources.

Usage: platformer up [training|production]       the load balancer, the repository and their networks
       platformer publish APP PATH VERSION       a file or a directory, and its config if it has none yet
                 [--config FILE]                 this config, in any case
       platformer deploy APP@REF                 a release of it, and then what runs is that release
                 [--strategy rolling|blue-green] [--timeout 60s] [--again]
       platformer rollback APP                   what was live before, config included
       platformer status                         what runs, and what is to run
       platformer releases APP
       platformer scale APP=N
       platformer logs APP [--follow] [--tail N]
       platformer run APP -- COMMAND             once, in the app's environment
       platformer config get|diff|edit APP [--layer default|app|ENVIRONMENT]
       platformer config set APP NAME=value... [--layer LAYER]
       platformer config put APP FILE [--layer LAYER]
       platformer secret set APP NAME            a value from standard input
       platformer secret list APP | secret remove APP NAME
       platformer domain add APP DOMAIN [--certificates DIR]
       platformer domain list | domain remove DOMAIN
       platformer console [--port 8081]          the repository in a browser, as long as it runs
       platformer down [training|production]     everything stops; volumes and secrets stay
       platformer clean [training|production] --yes       for good

       platformer doctor                         what this machine has and lacks
       platformer images                         build all images
       platformer pack APP [DIR]                 build a sample app, pack it with its config into DIR [.]
       platformer demo                           the main job, without Docker
       platformer bench                          how fast everything is, beside what it replaces

Options: -e, --environment training|production   needed only where both are up
         --dry-run    print the docker and curl commands that would change something, and run none
         -v, --verbose   print each before it is run
         --help

Variables of up: HTTP_PORT [8080], HTTPS_PORT [8443]; training: ADDRESS [127.0.0.1]; production:
  REPOSITORY_STORAGE=s3://BUCKET/PREFIX with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT,
  LOADBALANCER_NODES='node.labels.loadbalancer == true' [node.role == manager], REPOSITORY_REPLICAS [2 on S3].
Of all commands: PLATFORM_NAME, for a second environment of a kind on one machine; REGISTRY=registry.example.org/, where
  the images come from.
";

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) shell: Shell,
    pub(crate) environment: Option<Kind>,
    pub(crate) command: Command,
}

/// Options, of whichever command.
#[derive(Debug, Default)]
struct Options {
    shell: Shell,
    environment: Option<Kind>,
    strategy: Option<Strategy>,
    patience: Option<Duration>,
    again: bool,
    sure: bool,
    follow: bool,
    tail: Option<String>,
    layer: Option<String>,
    config: Option<PathBuf>,
    certificates: Option<PathBuf>,
    port: Option<u16>,
    /// In the order in which they were given, to name one that does not belong.
    given: Vec<&'static str>,
}

pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> anyhow::Result<Arguments> {
    let mut parser = Parser::from_args(words);
    let mut options = Options::default();
    let mut words: Vec<String> = Vec::new();
    while let Some(argument) = parser.next()? {
        let text = |parser: &mut Parser| anyhow::Ok(parser.value()?.string()?);
        let mut given = |name| options.given.push(name);
        match argument {
            Arg::Long("help") | Arg::Short('h') => {
                return Ok(Arguments {
                    shell: options.shell,
                    environment: None,
                    command: Command::Help,
                });
            }
            Arg::Long("dry-run") => options.shell.dry_run = true,
            Arg::Long("verbose") | Arg::Short('v') => options.shell.verbose = true,
            Arg::Long("environment") | Arg::Short('e') => {
                options.environment = Some(text(&mut parser)?.parse()?);
            }
            Arg::Long("strategy") => {
                given("strategy");
                options.strategy = Some(text(&mut parser)?.parse()?);
            }
            Arg::Long("timeout") => {
                given("timeout");
                options.patience = Some(units::duration(&text(&mut parser)?).context("--timeout")?);
            }
            Arg::Long("again") => {
                given("again");
                options.again = true;
            }
            Arg::Long("yes") => {
                given("yes");
                options.sure = true;
            }
            Arg::Long("follow") | Arg::Short('f') => {
                given("follow");
                options.follow = true;
            }
            Arg::Long("tail") => {
                given("tail");
                options.tail = Some(text(&mut parser)?);
            }
            Arg::Long("layer") => {
                given("layer");
                options.layer = Some(text(&mut parser)?);
            }
            Arg::Long("config") => {
                given("config");
                options.config = Some(parser.value()?.into());
            }
            Arg::Long("certificates") => {
                given("certificates");
                options.certificates = Some(parser.value()?.into());
            }
            Arg::Long("port") => {
                given("port");
                options.port = Some(parser.value()?.parse().context("--port")?);
            }
            // What stands behind `--` is a word too, whatever it looks like.
            Arg::Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let command = command::read(&words, &options)?;
    Ok(Arguments {
        shell: options.shell,
        environment: options.environment.or(named(&words)?),
        command,
    })
}

/// The environment that `up`, `down` and `clean` are told without an option.
fn named(words: &[String]) -> anyhow::Result<Option<Kind>> {
    match words {
        [verb, kind] if matches!(verb.as_str(), "down" | "clean") => Ok(Some(kind.parse()?)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn of(line: &str) -> anyhow::Result<Arguments> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_first_hour_is_understood() {
        assert!(matches!(
            of("up").unwrap().command,
            Command::Up(Kind::Training)
        ));
        assert!(matches!(
            of("up production").unwrap().command,
            Command::Up(Kind::Production)
        ));
        let publish = of("publish hello-world ./dist 1.0.0").unwrap();
        assert!(matches!(publish.command, Command::Publish { .. }));
        let deploy = of("deploy hello-world@1.0.0 --strategy blue-green --dry-run").unwrap();
        assert!(deploy.shell.dry_run);
        assert!(matches!(
            deploy.command,
            Command::Deploy {
                strategy: Some(Strategy::BlueGreen),
                ..
            }
        ));
    }

    #[test]
    fn what_is_run_may_look_like_an_option() {
        let Command::Run { app, command } = of("run hello-world -- ./hello-world --help")
            .unwrap()
            .command
        else {
            panic!("no run");
        };
        assert_eq!(
            (app.as_str(), command.join(" ").as_str()),
            ("hello-world", "./hello-world --help")
        );
    }

    #[test]
    fn what_does_not_belong_is_named() {
        let error = |line| of(line).unwrap_err().to_string();
        assert!(error("status --strategy rolling").contains("--strategy means nothing"));
        assert!(error("deploy hello-world@v1.0").ends_with("write 1.0"));
        assert!(error("up staging").contains("training or production"));
        assert!(error("frobnicate").contains("no command"));
        assert!(error("deploy hello-world --timeout soon").contains("--timeout"));
    }
}
