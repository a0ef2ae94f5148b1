//! Container engines: Compose for training, Swarm for production.
//!
//! 1. `contract` defines what an engine does for the platform
//! 2. `compose` and `swarm` implement it
//! 3. `stack_file`, `volume`, `readiness` and `exit_code` are shared by both

mod compose;
mod contract;
mod exit_code;
mod readiness;
mod stack_file;
mod swarm;
mod volume;

use crate::environment::{Environment, Kind};
use compose::Compose;
pub(crate) use contract::{Engine, OneOff, Rollout, Strategy};
use swarm::Swarm;

/// The engine of an environment.
pub(crate) fn of(environment: Environment) -> Box<dyn Engine> {
    match environment.kind {
        Kind::Training => Box::new(Compose::new(environment)),
        Kind::Production => Box::new(Swarm::new(environment)),
    }
}
