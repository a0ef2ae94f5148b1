//! `cargo xtask`: builds from the sources. `.cargo/config.toml` has shorter aliases.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};
use clap::{Parser, Subcommand};
use xtask::build::{self, Profile};
use xtask::{demo, dist, images, pack};

/// Builds from the sources of this checkout.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", help_expected = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Publish and start an app on this machine, without Docker; also `cargo demo`
    Demo,
    /// Build the binaries and the images; also `cargo images`
    Images,
    /// Build a sample app and pack it with its config; also `cargo pack`
    Pack {
        /// Directory below sample-apps
        app: String,
        /// Directory to write to
        #[arg(default_value = ".")]
        directory: PathBuf,
    },
    /// Build a release archive for each architecture
    Dist {
        /// Directory to write to
        #[arg(default_value = "dist")]
        directory: PathBuf,
        /// Build without optimisation, to try the archive
        #[arg(long)]
        debug: bool,
    },
    /// Run the benchmarks; also `cargo bench`
    Bench,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        #[expect(
            clippy::print_stderr,
            reason = "the one place where errors are printed"
        )]
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the paths of what was built are the output"
)]
fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Demo => demo::run(),
        Task::Images => images::build(Profile::Release),
        Task::Pack { app, directory } => {
            let packed = pack::pack(&app, &directory, Profile::Release)?;
            println!("{}\n{}", packed.archive.display(), packed.config.display());
            Ok(())
        }
        Task::Dist { directory, debug } => {
            let profile = if debug {
                Profile::Debug
            } else {
                Profile::Release
            };
            for path in dist::build(&directory, profile)? {
                println!("{}", path.display());
            }
            Ok(())
        }
        Task::Bench => bench(),
    }
}

fn bench() -> anyhow::Result<()> {
    let status = Command::new("cargo")
        .args(["bench", "--package", "tests"])
        .current_dir(build::root()?)
        .status()
        .context("failed to start cargo")?;
    ensure!(status.success(), "cargo bench failed ({status})");
    Ok(())
}
