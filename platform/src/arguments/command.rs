//! The commands and their options.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use clap_complete::Shell;
use repository_api::AppReference;

use super::subcommand::{ConfigCommand, DomainCommand, SecretCommand};
use super::values;
use crate::deploy::Strategy;
use crate::environment::Kind;

const TIMEOUT: &str = "60s";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start an environment: its load balancer, repository and networks
    ///
    /// Run it again to apply changed settings or newer images.
    #[command(after_help = "\
Environment variables:
  HTTP_PORT, HTTPS_PORT  Ports of the load balancer [default: 8080, 8443]
  ADDRESS                Training: address of those ports [default: 127.0.0.1]
  REPOSITORY_STORAGE     Production: s3://BUCKET/PREFIX to store on S3, with
                         AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT
  REPOSITORY_REPLICAS    Production: number of repositories [default: 2 on S3, 1 otherwise]
  LOADBALANCER_NODES     Production: constraint for the nodes that get a load balancer
                         [default: node.role == manager]

Examples:
  platformer up
  HTTP_PORT=80 HTTPS_PORT=443 platformer up production")]
    Up {
        /// Environment to start [default: training]
        #[arg(value_name = "ENVIRONMENT", value_parser = values::kind())]
        kind: Option<Kind>,
    },

    #[command(flatten)]
    InEnvironment(EnvironmentCommand),

    /// Check this machine for what platformer needs
    #[command(after_help = "\
Examples:
  platformer doctor")]
    Doctor,

    /// Build the images from the binaries beside this command
    ///
    /// `bootstrap` and `repository` must be in the same directory as `platformer`, as in a release archive.
    #[command(after_help = "\
Environment variables:
  REGISTRY  Tag the images for this registry too, such as registry.example.org/

Examples:
  platformer images
  REGISTRY=registry.example.org/ platformer images")]
    Images,

    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  platformer completions bash > ~/.local/share/bash-completion/completions/platformer
  platformer completions zsh > \"${fpath[1]}/_platformer\"
  platformer completions fish > ~/.config/fish/completions/platformer.fish")]
    Completions {
        /// Shell that reads the script
        #[arg(value_parser = values::shell())]
        shell: Shell,
    },
}

/// Commands that work on an environment that is up.
#[derive(Debug, Subcommand)]
pub(crate) enum EnvironmentCommand {
    /// Upload the files of an app as a version
    ///
    /// PATH is a file or a directory. A directory that holds APP-VERSION.tar.gz is published as that archive; any other
    /// directory is packed. APP.config beside the files becomes the config of an app that has none yet.
    #[command(after_help = "\
Examples:
  platformer publish hello-world dist 1.0.0
  platformer publish hello-world hello-world-1.0.0.tar.gz 1.0.0 --config hello-world.config")]
    Publish {
        /// App to publish
        app: String,
        /// File or directory to upload
        path: PathBuf,
        /// Version to publish; a version never changes once it is released
        version: String,
        /// Write this config, even if the app has one
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },

    /// Run a release of an app and switch traffic to it
    ///
    /// A version becomes a release that pins its files and the newest config. New containers start beside the old ones.
    /// Traffic switches when the new ones are healthy. If the new ones fail, the old ones keep serving.
    #[command(after_help = "\
Examples:
  platformer deploy hello-world             # the latest version
  platformer deploy hello-world@1.0.0       # a version
  platformer deploy hello-world@r42         # a release, config included
  platformer deploy hello-world@training    # what the channel of the environment names
  platformer deploy hello-world --dry-run   # print the commands only")]
    Deploy {
        /// App, and a version, release or channel of it [default: latest]
        #[arg(value_name = "APP[@REF]")]
        reference: AppReference,
        /// How containers are replaced [default: rolling in production, blue-green in training]
        #[arg(long, value_parser = values::strategy())]
        strategy: Option<Strategy>,
        /// How long a container may take to become healthy
        #[arg(long, value_name = "DURATION", default_value = TIMEOUT, value_parser = values::duration)]
        timeout: Duration,
        /// Replace the containers even if they run this release, for example to apply new secrets
        #[arg(long)]
        again: bool,
    },

    /// Return an app to the release before, config included
    ///
    /// Repeat it to go further back.
    #[command(after_help = "\
Examples:
  platformer rollback hello-world")]
    Rollback {
        /// App to roll back
        app: String,
        /// How containers are replaced [default: rolling in production, blue-green in training]
        #[arg(long, value_parser = values::strategy())]
        strategy: Option<Strategy>,
        /// How long a container may take to become healthy
        #[arg(long, value_name = "DURATION", default_value = TIMEOUT, value_parser = values::duration)]
        timeout: Duration,
    },

    /// Show the release, replicas and health of each app
    #[command(after_help = "\
Examples:
  platformer status
  platformer status --json")]
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },

    /// List the releases of an app, newest first
    #[command(after_help = "\
Examples:
  platformer releases hello-world
  platformer releases hello-world --json")]
    Releases {
        /// App whose releases to list
        app: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },

    /// Change the number of containers of an app
    #[command(after_help = "\
Examples:
  platformer scale hello-world=3
  platformer scale hello-world=0")]
    Scale {
        /// App and its new number of containers
        #[arg(value_name = "APP=N")]
        target: String,
        /// How long a container may take to become healthy
        #[arg(long, value_name = "DURATION", default_value = TIMEOUT, value_parser = values::duration)]
        timeout: Duration,
    },

    /// Show the logs of an app
    #[command(after_help = "\
Examples:
  platformer logs hello-world
  platformer logs hello-world --follow --tail 10")]
    Logs {
        /// App whose logs to show
        app: String,
        /// Keep printing new lines until Ctrl-C
        #[arg(short, long)]
        follow: bool,
        /// Number of lines to begin with, or `all`
        #[arg(long, value_name = "N", default_value = "100")]
        tail: String,
    },

    /// Run a command once, with the files, config and secrets of an app
    ///
    /// The exit code is that of the command.
    #[command(after_help = "\
Examples:
  platformer run hello-world -- /bin/sh -c 'echo $GREETING'")]
    Run {
        /// App whose image, files, config and secrets to use
        app: String,
        /// Command and its arguments
        #[arg(required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },

    /// Read and change the config of an app
    ///
    /// A change applies from the next deploy on. A config has layers: `default` for every app, `app` for this one, and
    /// one for each environment. The later layer wins.
    #[command(subcommand)]
    Config(ConfigCommand),

    /// Manage the secrets of an app
    ///
    /// An app gets each secret as an environment variable. A change applies from the next deploy on.
    #[command(subcommand)]
    Secret(SecretCommand),

    /// Manage the domains of the load balancer
    #[command(subcommand)]
    Domain(DomainCommand),

    /// Serve the repository on a local port until Ctrl-C
    ///
    /// The repository has no port of its own. Open the address in a browser, or use it with curl.
    #[command(after_help = "\
Examples:
  platformer console
  platformer console --port 9000")]
    Console {
        /// Local port
        #[arg(long, default_value_t = 8081)]
        port: u16,
    },

    /// Stop an environment and keep its volumes and secrets
    #[command(after_help = "\
Examples:
  platformer down
  platformer down production --dry-run")]
    Down {
        /// Environment to stop [default: the one that is up]
        #[arg(value_name = "ENVIRONMENT", value_parser = values::kind())]
        kind: Option<Kind>,
    },

    /// Remove an environment with its volumes and secrets
    ///
    /// Everything that was published, configured and stored there is lost.
    #[command(after_help = "\
Examples:
  platformer clean training --dry-run
  platformer clean training --yes")]
    Clean {
        /// Environment to remove [default: the one that is up]
        #[arg(value_name = "ENVIRONMENT", value_parser = values::kind())]
        kind: Option<Kind>,
        /// Confirm that the data will be lost
        #[arg(long)]
        yes: bool,
    },
}

impl Command {
    /// The environment that the command itself names, without `--environment`.
    pub(super) fn environment(&self) -> Option<Kind> {
        match self {
            Self::Up { kind }
            | Self::InEnvironment(
                EnvironmentCommand::Down { kind } | EnvironmentCommand::Clean { kind, .. },
            ) => *kind,
            _ => None,
        }
    }

    /// Whether `--dry-run` has an effect.
    pub(super) fn can_dry_run(&self) -> bool {
        matches!(self, Self::Up { .. } | Self::InEnvironment(_))
    }
}
