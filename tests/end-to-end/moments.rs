//! The sample app moments, as people deploy it: packed, published, and started on two replicas by bootstrap, with
//! a Redis and an S3 that are not always there.

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
use platformer_tests::run::{Ended, Running, eventually};
use platformer_tests::s3::S3;
use platformer_tests::server::Server;
use platformer_tests::websocket::WebSocket;
use tempfile::TempDir;
use xtask::pack::{self, Packed};

/// The smallest picture there is, of the kind that is smallest.
const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

static PACKED: OnceLock<(PathBuf, Packed)> = OnceLock::new();

/// moments, packed once a run.
fn packed() -> &'static Packed {
    let (_, packed) = PACKED.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap().keep();
        let packed = pack::pack_executable("moments", &directory, binaries::moments()).unwrap();
        (directory, packed)
    });
    packed
}

/// The config that is packed with it.
fn config() -> String {
    std::fs::read_to_string(&packed().config).unwrap()
}

/// A repository with moments in it, on its channel stable; a Redis that is not started yet; and an S3.
struct Platform {
    repository: Server,
    redis: Redis,
    s3: S3,
    _storage: TempDir,
}

impl Platform {
    fn start(test: &str) -> Option<Self> {
        let redis = Redis::not_yet(test)?;
        let s3 = S3::moto(test)?;
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
        Some(platform)
    }

    /// What somebody does in the console: writes the config, and points the channel at a release with it.
    fn release(&self, config: &str) {
        self.repository
            .publish("/config/moments/moments.config", config);
        self.repository
            .publish("/channels/moments/stable", &packed().version);
    }

    /// A container, but for the walls around it.
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

/// Not killed: outside of a container the app of an init that is killed lives on.
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

    /// Waits for its end.
    fn wait(mut self) -> Ended {
        self.process.take().unwrap().wait()
    }

    fn get(&self, path: &str) -> Response {
        http::get(self.address, path)
    }

    fn post(&self, path: &str, body: &[u8]) -> Response {
        http::request(self.address, "POST", path, &[], body)
    }

    fn is_ready(&self) {
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
