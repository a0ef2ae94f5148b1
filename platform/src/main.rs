//! `platformer`: deploys apps to Docker Compose or Swarm behind a load balancer.

use std::process::ExitCode;

fn main() -> ExitCode {
    match platformer::run(std::env::args_os().skip(1)) {
        Ok(code) => ExitCode::from(code),
        #[expect(
            clippy::print_stderr,
            reason = "the one place where errors are printed"
        )]
        Err(error) => {
            eprintln!("platformer: {error:#}");
            ExitCode::FAILURE
        }
    }
}
