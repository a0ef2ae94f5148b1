//! Values that several commands take.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap_complete::Shell;
use repository_api::units::{self, UnitError};

use crate::deploy::Strategy;
use crate::environment::Kind;

pub(super) fn kind() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(["training", "production"]).try_map(|text| text.parse::<Kind>())
}

pub(super) fn strategy() -> impl TypedValueParser<Value = Strategy> {
    PossibleValuesParser::new(["rolling", "blue-green"]).try_map(|text| text.parse::<Strategy>())
}

pub(super) fn shell() -> impl TypedValueParser<Value = Shell> {
    PossibleValuesParser::new(["bash", "zsh", "fish"]).try_map(|text| text.parse::<Shell>())
}

pub(super) fn duration(text: &str) -> Result<Duration, UnitError> {
    units::duration(text)
}
