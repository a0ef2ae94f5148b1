//! The sample app `moments`: packed, published, and started by bootstrap, on several replicas, with a Redis and an S3 that
//! fail at times.

mod bounds;
mod browser;
mod containers;
mod services;
mod windows;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;

use platformer_tests::binaries;
use platformer_tests::fixture::Bootstrap;
use platformer_tests::http::{self, Response};
use platformer_tests::redis::Redis;
use platformer_tests::run::{Exit, Running, eventually};
use platformer_tests::s3::S3;
use platformer_tests::server::Server;
use platformer_tests::websocket::WebSocket;
use tempfile::TempDir;
use xtask::pack::{self, Packed};

/// A picture of one pixel.
const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

static PACKED: OnceLock<(PathBuf, Packed)> = OnceLock::new();

/// The output of `cargo pack moments`, built once per run.
fn packed() -> &'static Packed {
    let (_, packed) = PACKED.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap().keep();
        let packed = pack::pack_executable("moments", &directory, binaries::moments()).unwrap();
        (directory, packed)
    });
    packed
}

/// The packed config.
fn config() -> String {
    std::fs::read_to_string(&packed().config).unwrap()
}

/// A repository with moments on the channel `stable`, a Redis that is not started yet, and an S3.
struct Platform {
    repository: Server,
    redis: Redis,
    s3: S3,
    _storage: TempDir,
}

impl Platform {
    fn start() -> Self {
        let redis = Redis::stopped();
        let s3 = S3::moto();
        let (storage, repository) = Server::fresh();
        let platform = Self {
            repository,
            redis,
            s3,
            _storage: storage,
        };
        let Packed {
            version, archive, ..
        } = packed();
        let path = format!("/artefacts/moments/{version}/moments-{version}.tar.gz");
        platform
            .repository
            .publish(&path, std::fs::read(archive).unwrap());
        platform.release(&config());
        platform
    }

    /// Writes the config and points the channel at a release with it, as a user does in the console.
    fn release(&self, config: &str) {
        self.repository
            .publish("/config/moments/moments.config", config);
        self.repository
            .publish("/channels/moments/stable", &packed().version);
    }

    /// A bootstrap with the environment of a container.
    fn container(&self) -> Bootstrap {
        let repository = self.repository.address.to_string();
        let mut bootstrap = Bootstrap::with(&["moments@stable", &repository])
            .env("BOOTSTRAP_CHANGE_DEBOUNCE", "50ms")
            .env("BOOTSTRAP_CHANGE_SPLAY", "10ms")
            .env("HOSTNAME", "replica")
            .env("PORT", "0")
            .env("REDIS_URL", self.redis.url())
            .env("PICTURES", "s3://bucket/moments");
        for (name, value) in self.s3.environment("") {
            let name = name.into_string().unwrap();
            if name.starts_with("AWS_") {
                bootstrap = bootstrap.env(&name, value);
            }
        }
        bootstrap
    }

    fn replica(&self) -> Replica {
        Replica::start(&self.container())
    }
}

struct Replica {
    address: SocketAddr,
    process: Option<Running>,
}

/// Sends SIGTERM, because outside a container the app outlives an init that is killed.
impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal(libc::SIGTERM);
            process.wait();
        }
    }
}

impl Replica {
    fn start(container: &Bootstrap) -> Self {
        let process = container.spawn();
        let line = process.wait_for_stderr("listening address=");
        let (_, port) = line.rsplit_once(':').unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
        let process = Some(process);
        Self { address, process }
    }

    fn terminate(&self) {
        self.process.as_ref().unwrap().signal(libc::SIGTERM);
    }

    fn wait(mut self) -> Exit {
        self.process.take().unwrap().wait()
    }

    fn get(&self, path: &str) -> Response {
        http::get(self.address, path)
    }

    fn post(&self, path: &str, body: &[u8]) -> Response {
        http::request(self.address, "POST", path, &[], body)
    }

    fn wait_until_ready(&self) {
        eventually("the replica is ready", || self.get("/status").status == 200);
    }

    /// Shares a picture and returns its address.
    fn share(&self, picture: &[u8]) -> String {
        let answer = self.post("/pictures?caption=A%20dot", picture);
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.header("location").unwrap().to_owned()
    }

    fn comment(&self, picture: &str, text: &str) {
        let body = serde_json::json!({ "name": "Ann", "text": text }).to_string();
        let answer = self.post(&format!("{picture}/comments"), body.as_bytes());
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    fn window(&self, query: &str) -> WebSocket {
        WebSocket::open(self.address, &format!("/events{query}"), &[]).unwrap()
    }
}
