//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser};
use repository_api::units;

use crate::exit::{Exit, Failure};
use crate::init::Options;

#[derive(Debug)]
pub(crate) enum Command {
    Run(StartArguments),
    Fetch(StartArguments),
    Init(Options),
    Healthcheck,
    /// The init's watcher for changes. An app's name never begins with `_`.
    Watch,
    /// The removal of retired trees.
    Remove(Vec<PathBuf>),
    Sleep(Duration),
    /// Help and version.
    Print(String),
}

/// `APP[@REF] [REPOSITORY] [-- COMMAND [ARG…]]`; what is missing comes from variables.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct StartArguments {
    pub(crate) app: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) command: Vec<OsString>,
}

const HELP: &str = "\
bootstrap fetches an app's release from a repository, verifies and unpacks it, exports its config
and runs its startup command as a correct PID 1.

Usage: bootstrap [run] APP[@REF] [REPOSITORY] [-- COMMAND [ARG...]]
       bootstrap fetch APP[@REF] [REPOSITORY]   everything but the start; prints the directory
       bootstrap init [OPTIONS] -- COMMAND      only the init: no fetch, no config
       bootstrap healthcheck                    0 ready, 1 not; says why
       bootstrap sleep DURATION                 for a preStop hook in an image without a shell
       bootstrap --help | --version

REF is a version (1.0.0), a release (r42), a channel (stable) or latest, which is the default.
REPOSITORY is host, host:port or an http(s):// URL. An app that bears the name of a command is
started with: bootstrap run NAME

Variables (an argument wins; durations: 500ms, 15s, 5m; sizes: 512KiB, 2GiB):
  BOOTSTRAP_APP, BOOTSTRAP_REPOSITORY   instead of the arguments
  BOOTSTRAP_ENVIRONMENT       the environment whose config layer applies
  BOOTSTRAP_TOKEN_FILE        a file that holds the repository's token (or BOOTSTRAP_TOKEN)
  BOOTSTRAP_DIR               where apps are unpacked               [/app]
  BOOTSTRAP_DEADLINE          for the whole fetch                   [5m]
  BOOTSTRAP_LOG_FORMAT        text, json                            [text]
  BOOTSTRAP_LOG               error, warn, info, debug, trace       [info]
  BOOTSTRAP_WAIT              true: wait for an app that is not published yet  [false]
  BOOTSTRAP_STALL_TIMEOUT     a transfer may stand still for        [15s]
  BOOTSTRAP_MAX_DOWNLOAD      size of an artefact                   [2GiB]
  BOOTSTRAP_MAX_UNPACKED      size of what is in it                 [8GiB]
  BOOTSTRAP_MAX_ENTRIES       number of files and directories in it [200000]
  BOOTSTRAP_TRUSTED_KEYS_FILE minisign public keys: only what one of them signed is started
  BOOTSTRAP_MIN_RELEASE       no release below this one, as in r42
  BOOTSTRAP_OFFLINE           allow: start the last release while the repository is away  [deny]
  BOOTSTRAP_CA_FILE           PEM certificates to trust instead of the built-in roots
  BOOTSTRAP_ALLOW_UNVERIFIED  true: start without a checksum        [false]
  BOOTSTRAP_SECRETS_DIR       files that become variables           [/run/secrets]
  BOOTSTRAP_USER              UID[:GID] or names: started as root, run the app as this user
  BOOTSTRAP_CHANGE_DEBOUNCE   a change must be quiet for            [2s]
  BOOTSTRAP_CHANGE_SPLAY      containers spread what they do over   [10s]
  BOOTSTRAP_MODE              supervise, exec                       [supervise]
  BOOTSTRAP_SIGNAL_SCOPE      who gets a signal: child, group, all  [child]
  BOOTSTRAP_REMAP_EXIT        exit codes to change, as in 143:0     [none]
These override the config's keys of the same name:
  BOOTSTRAP_STARTUP_COMMAND, BOOTSTRAP_HEALTHCHECK, BOOTSTRAP_STOP_SIGNAL [TERM],
  BOOTSTRAP_DRAIN_PERIOD [0s], BOOTSTRAP_GRACE_PERIOD [8s],
  BOOTSTRAP_ON_CHANGE: when another release or config applies, ignore, signal:HUP or exit [ignore]

Options of init:
  --stop-signal=SIGNAL        what the app gets when SIGTERM arrives [TERM]
  --drain=DURATION            between SIGTERM and the stop signal    [0s]
  --grace=DURATION            between the stop signal and SIGKILL    [8s]
  --signal-scope=SCOPE        child, group, all                      [child]
  --remap-exit=FROM:TO[,...]  exit codes to change                   [none]
  --leftovers=kill|leave      what the command leaves behind         [kill]
  --rewrite=FROM:TO[,...]     signals to take for others, as in TERM:QUIT; 0 drops  [none]
  --suspend=on|off            on SIGTSTP, SIGTTIN, SIGTTOU stop, too  [off]
  --subreaper=on|off          orphans come here when not PID 1       [on]
  --parent-death-signal=SIG   what init gets when its parent dies    [none]
  --log=LEVEL                 error, info; debug: each signal and each end of a process  [info]

Exit codes: 64 usage, 65 artefact refused, 66 no such app, 69 repository not reached, 73 cannot
write, 76 no repository, 77 not allowed, 78 config, 126 not executable, 127 command not found,
128+n ended by signal n, otherwise the app's own.
";

fn usage(message: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, format!("{message}: see bootstrap --help"))
}

pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Failure> {
    let mut parser = Parser::from_iter(arguments);
    let mut rest = parser.raw_args().map_err(usage)?;
    match rest.peek().and_then(OsStr::to_str) {
        Some("run") => {
            rest.next();
            start(parser).map(Command::Run)
        }
        Some("fetch") => {
            rest.next();
            let arguments = start(parser)?;
            if !arguments.command.is_empty() {
                return Err(usage("fetch starts nothing, so it takes no command"));
            }
            Ok(Command::Fetch(arguments))
        }
        Some("init") => {
            rest.next();
            init(parser).map(Command::Init)
        }
        Some("healthcheck") => {
            rest.next();
            nothing_more(parser, Command::Healthcheck)
        }
        Some("_watch") => {
            rest.next();
            nothing_more(parser, Command::Watch)
        }
        Some("_remove") => Ok(Command::Remove(rest.skip(1).map(PathBuf::from).collect())),
        Some("sleep") => {
            rest.next();
            let text = parser.value().map_err(usage)?;
            let text = text.to_string_lossy();
            // `sleep 5` is what everybody types.
            let seconds = text
                .parse()
                .ok()
                .filter(|seconds| *seconds < 1_000_000)
                .map(Duration::from_secs);
            let duration = seconds
                .map_or_else(|| units::duration(&text), Ok)
                .map_err(usage)?;
            nothing_more(parser, Command::Sleep(duration))
        }
        Some("--help" | "-h" | "help") => Ok(Command::Print(HELP.to_owned())),
        Some("--version" | "-V") => Ok(Command::Print(format!(
            "bootstrap {}\n",
            env!("CARGO_PKG_VERSION")
        ))),
        _ => start(parser).map(Command::Run),
    }
}

fn nothing_more(mut parser: Parser, command: Command) -> Result<Command, Failure> {
    match parser.next().map_err(usage)? {
        None => Ok(command),
        Some(extra) => Err(usage(extra.unexpected())),
    }
}

/// What follows `--` is the command, whatever it looks like.
fn start(mut parser: Parser) -> Result<StartArguments, Failure> {
    let mut arguments = StartArguments::default();
    loop {
        if let Ok(mut rest) = parser.raw_args()
            && rest.peek() == Some(OsStr::new("--"))
        {
            rest.next();
            arguments.command = rest.collect();
            if arguments.command.is_empty() {
                return Err(usage("no command follows --"));
            }
            return Ok(arguments);
        }
        match parser.next().map_err(usage)? {
            None => return Ok(arguments),
            Some(Arg::Value(value)) if arguments.app.is_none() => {
                arguments.app = Some(text(value)?);
            }
            Some(Arg::Value(value)) if arguments.repository.is_none() => {
                arguments.repository = Some(text(value)?);
            }
            // Not shown: it may be an address with a password in it.
            Some(Arg::Value(_)) => return Err(usage("there is an argument too many")),
            Some(other) => return Err(usage(other.unexpected())),
        }
    }
}

fn text(value: OsString) -> Result<String, Failure> {
    value
        .into_string()
        .map_err(|_| usage("an argument is not UTF-8"))
}

fn init(mut parser: Parser) -> Result<Options, Failure> {
    let mut options = Options::default();
    loop {
        if let Ok(mut rest) = parser.raw_args()
            && rest.peek() == Some(OsStr::new("--"))
        {
            rest.next();
            options.command = rest.collect();
            break;
        }
        let Some(argument) = parser.next().map_err(usage)? else {
            break;
        };
        let Arg::Long(name) = argument else {
            return Err(usage(argument.unexpected()));
        };
        let name = name.to_owned();
        let value = parser.value().map_err(usage)?;
        let value = value
            .to_str()
            .ok_or_else(|| usage(format!("--{name} is not UTF-8")))?;
        options
            .set(&name, value)
            .map_err(|error| usage(format!("--{name}: {error}")))?;
    }
    if options.command.is_empty() {
        return Err(usage("init needs a command after --"));
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::Handed;

    fn words(text: &str) -> Result<Command, Failure> {
        parse(
            std::iter::once("bootstrap")
                .chain(text.split_whitespace())
                .map(OsString::from),
        )
    }

    fn start_of(text: &str) -> (Option<String>, Option<String>, usize) {
        match words(text) {
            Ok(Command::Run(StartArguments {
                app,
                repository,
                command,
            })) => (app, repository, command.len()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn run_is_what_is_meant_by_default() {
        assert_eq!(start_of(""), (None, None, 0));
        assert_eq!(start_of("hello"), (Some("hello".into()), None, 0));
        assert_eq!(
            start_of("hello host:80 -- sh -c x"),
            (Some("hello".into()), Some("host:80".into()), 3)
        );
        assert_eq!(start_of("run fetch"), (Some("fetch".into()), None, 0));
        assert_eq!(start_of("-- ls --help"), (None, None, 2));
        assert_eq!(start_of("hello -- -- x"), (Some("hello".into()), None, 2));
    }

    #[test]
    fn misuse_is_64() {
        for text in [
            "a b c",
            "--nonsense",
            "hello --",
            "fetch a -- b",
            "init",
            "init x",
            "init --grace=x -- a",
            "healthcheck x",
            "sleep",
            "sleep x",
            "sleep 1 2",
        ] {
            assert_eq!(words(text).unwrap_err().exit, Exit::Usage, "{text}");
        }
    }

    #[test]
    fn the_init_s_arguments_read_back() {
        let mut options = Options {
            command: vec!["a".into(), "--".into(), "--drain=1s".into()],
            ..Options::default()
        };
        for (name, value) in [
            ("stop-signal", "QUIT"),
            ("drain", "1s"),
            ("grace", "2s"),
            ("signal-scope", "all"),
            ("leftovers", "leave"),
            ("log", "debug"),
        ] {
            options.set(name, value).unwrap();
        }
        let arguments = options.to_arguments(Handed {
            mask: 0xff,
            log_json: true,
            tree_lock: Some(5),
            watch: Some(6),
        });
        let line = ["bootstrap".into(), "init".into()]
            .into_iter()
            .chain(arguments.clone());
        let Ok(Command::Init(read)) = parse(line) else {
            panic!()
        };
        let handed = Handed {
            mask: read.mask.unwrap(),
            log_json: read.log_json,
            tree_lock: read.tree_lock,
            watch: read.watch,
        };
        assert_eq!(read.to_arguments(handed), arguments);
    }
}
