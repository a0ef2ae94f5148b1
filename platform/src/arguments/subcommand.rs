//! The commands below `config`, `secret` and `domain`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a layer, or all layers merged
    #[command(after_help = "\
Examples:
  platformer config get hello-world
  platformer config get hello-world --layer production --json")]
    Get {
        /// App whose config to print
        app: String,
        /// Layer to print: default, app or an environment [default: all layers merged]
        #[arg(long)]
        layer: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Set variables, and leave the rest of the layer as it is
    #[command(after_help = "\
Examples:
  platformer config set hello-world GREETING=Hi
  platformer config set hello-world DB=db.platform --layer production")]
    Set {
        /// App whose config to change
        app: String,
        /// Variables to set
        #[arg(required = true, value_name = "NAME=VALUE")]
        assignments: Vec<String>,
        /// Layer to change: default, app or an environment [default: app]
        #[arg(long)]
        layer: Option<String>,
    },
    /// Edit a layer in $VISUAL or $EDITOR
    #[command(after_help = "\
Examples:
  EDITOR=nano platformer config edit hello-world")]
    Edit {
        /// App whose config to change
        app: String,
        /// Layer to change: default, app or an environment [default: app]
        #[arg(long)]
        layer: Option<String>,
    },
    /// Show what the next deploy would change
    #[command(after_help = "\
Examples:
  platformer config diff hello-world")]
    Diff {
        /// App whose config to compare
        app: String,
    },
    /// Replace a layer with a file
    #[command(after_help = "\
Examples:
  platformer config put hello-world hello-world.config")]
    Put {
        /// App whose config to change
        app: String,
        /// File with lines NAME=value
        file: PathBuf,
        /// Layer to change: default, app or an environment [default: app]
        #[arg(long)]
        layer: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Store a secret that is read from standard input
    #[command(after_help = "\
Examples:
  platformer secret set hello-world DB_PASSWORD < password.txt")]
    Set {
        /// App that gets the secret
        app: String,
        /// Name of the environment variable
        name: String,
    },
    /// List the names of the secrets
    #[command(after_help = "\
Examples:
  platformer secret list hello-world
  platformer secret list hello-world --json")]
    List {
        /// App whose secrets to list
        app: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a secret
    #[command(after_help = "\
Examples:
  platformer secret remove hello-world DB_PASSWORD")]
    Remove {
        /// App that has the secret
        app: String,
        /// Name of the environment variable
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DomainCommand {
    /// Route a domain to an app, with HTTPS if you give certificates
    ///
    /// Run it again with a renewed certificate.
    #[command(after_help = "\
Examples:
  platformer domain add hello-world www.example.org
  platformer domain add hello-world www.example.org --certificates /etc/certificates")]
    Add {
        /// App that serves the domain
        app: String,
        /// Host name, or *. and a host name
        domain: String,
        /// Directory with fullchain.pem and privkey.pem
        #[arg(long, value_name = "DIR")]
        certificates: Option<PathBuf>,
    },
    /// List the domains
    #[command(after_help = "\
Examples:
  platformer domain list
  platformer domain list --json")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a domain and its certificate
    #[command(after_help = "\
Examples:
  platformer domain remove www.example.org")]
    Remove {
        /// Host name to remove
        domain: String,
    },
}
