//! The scope that a request needs, by its method and path. Segments are decoded once, as in the router.

use http::{Method, Uri};
use percent_encoding::percent_decode_str;

use crate::domain::scope::{LayerOwner, Need};
use crate::http::query::{has_parameter, parameter};
use crate::storage::keys::DEFAULT_OWNER;

pub(super) fn of(method: &Method, uri: &Uri) -> Need {
    let segments: Option<Vec<String>> = uri
        .path()
        .trim_matches('/')
        .split('/')
        .map(|segment| {
            let decoded = percent_decode_str(segment).decode_utf8().ok()?;
            Some(decoded.into_owned())
        })
        .collect();
    let segments = segments.unwrap_or_default();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let need = if matches!(*method, Method::GET | Method::HEAD) {
        read(uri, &segments)
    } else {
        write(method, uri, &segments)
    };
    // The handlers refuse invalid names.
    need.unwrap_or(Need::Valid)
}

fn read(uri: &Uri, segments: &[&str]) -> Option<Need> {
    match segments {
        // The handler refuses an invalid or repeated name.
        ["events"] => Some(Need::Read(parameter(uri.query(), "app").ok()?)),
        ["artefacts" | "metrics"] => Some(Need::Read(None)),
        ["config" | "apps", DEFAULT_OWNER, ..] => Some(Need::ReadDefault),
        [
            "apps" | "artefacts" | "config" | "releases" | "channels" | "files" | "retention",
            app,
            ..,
        ] => Some(Need::Read(Some(app.parse().ok()?))),
        _ => None,
    }
}

fn write(method: &Method, uri: &Uri, segments: &[&str]) -> Option<Need> {
    match segments {
        // Console forms need the same scope as the API request that they replace.
        ["apps", app, "versions", ..] => Some(Need::Publish(app.parse().ok()?)),
        ["artefacts", app, ..] => {
            let purges = *method == Method::DELETE && has_parameter(uri.query(), "purge");
            if purges {
                return Some(Need::Admin);
            }
            Some(Need::Publish(app.parse().ok()?))
        }
        ["config", owner, ..] | ["apps", owner, "config", ..] => {
            Some(Need::Config(owner.parse::<LayerOwner>().ok()?))
        }
        ["channels", _, _, "signed-only", ..] => Some(Need::Admin),
        ["channels", app, channel, ..] | ["apps", app, "channels", channel, ..] => {
            let channel = Some(channel.parse().ok()?);
            Some(Need::Release(app.parse().ok()?, channel))
        }
        ["releases", app, ..] => Some(Need::Release(app.parse().ok()?, None)),
        _ => Some(Need::Admin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route() {
        for (method, path, expected) in [
            ("GET", "/artefacts/", "read:*"),
            ("GET", "/artefacts", "read:*"),
            ("GET", "/metrics", "read:*"),
            ("GET", "/artefacts/a/", "read:a"),
            ("GET", "/artefacts/%61/1.0.0/f", "read:a"),
            ("HEAD", "/artefacts/a/1.0.0/f", "read:a"),
            ("GET", "/config/a/", "read:a"),
            ("GET", "/config/a/production.config", "read:a"),
            (
                "GET",
                "/config/_default/_default.config",
                "read, of any app",
            ),
            ("GET", "/releases/a/stable", "read:a"),
            ("GET", "/channels/a/stable/history", "read:a"),
            ("GET", "/files/a/a.tgz", "read:a"),
            ("GET", "/retention/a", "read:a"),
            ("GET", "/events", "read:*"),
            ("GET", "/events?app=a", "read:a"),
            ("GET", "/events?x&app=%61", "read:a"),
            ("GET", "/events?app=a&app=b", "any scope"),
            ("GET", "/", "any scope"),
            ("GET", "/nothing", "any scope"),
            ("PUT", "/artefacts/a/1.0.0/f", "publish:a"),
            ("PUT", "/artefacts/a/1.0.0/yanked", "publish:a"),
            ("DELETE", "/artefacts/a/1.0.0", "publish:a"),
            ("DELETE", "/artefacts/a/1.0.0?purge=true", "admin"),
            ("DELETE", "/artefacts/a/1.0.0?x=1&purge=true", "admin"),
            ("PUT", "/config/a/a.config", "config:a"),
            ("PUT", "/config/_default/_default.config", "config:_default"),
            ("PUT", "/channels/a/stable", "release:a/stable"),
            ("PUT", "/channels/a/stable/signed-only", "admin"),
            ("PUT", "/channels/a/stable/%73igned-only", "admin"),
            ("PUT", "/channels/a/stable/signed-only/", "admin"),
            ("PUT", "/releases/a/r1.minisig", "release:a/*"),
            ("PUT", "/retention/a", "admin"),
            ("POST", "/", "admin"),
            ("GET", "/apps/a", "read:a"),
            ("GET", "/apps/a/config/a.config", "read:a"),
            (
                "GET",
                "/apps/_default/config/_default.config",
                "read, of any app",
            ),
            ("POST", "/apps/a/versions/1.0.0", "publish:a"),
            ("POST", "/apps/a/channels/stable", "release:a/stable"),
            ("POST", "/apps/a/config/a.config", "config:a"),
            (
                "POST",
                "/apps/_default/config/_default.config",
                "config:_default",
            ),
            ("POST", "/apps/a", "admin"),
        ] {
            let uri: Uri = path.parse().unwrap();
            let need = of(&method.parse().unwrap(), &uri);
            assert_eq!(need.to_string(), expected, "{method} {path}");
        }
    }
}
