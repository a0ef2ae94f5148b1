//! moto, an S3 server in Python.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::skip::skip;

/// The script that serves moto and serializes writes.
pub(crate) const SERVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/store/serve.py");

/// A Python interpreter with moto, and the directory of its packages.
#[derive(Debug)]
pub(crate) struct Moto {
    python: String,
    pub(crate) packages: PathBuf,
}

impl Moto {
    /// Finds moto. Skips the current test if moto is not installed.
    pub(crate) fn find() -> &'static Self {
        static FOUND: OnceLock<Option<Moto>> = OnceLock::new();
        let found = FOUND.get_or_init(Self::search).as_ref();
        found.unwrap_or_else(|| skip("moto is not installed (pip install 'moto[server]')"))
    }

    /// Tries the interpreters of the `moto_server` scripts on `PATH`, then `python3`.
    fn search() -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        let scripts = std::env::split_paths(&path).map(|directory| directory.join("moto_server"));
        let pythons = scripts.filter_map(|script| {
            let text = fs::read_to_string(script).ok()?;
            Some(text.lines().next()?.strip_prefix("#!")?.trim().to_owned())
        });
        pythons
            .chain(["python3".to_owned()])
            .find_map(Self::with_python)
    }

    fn with_python(python: String) -> Option<Self> {
        let line = "import moto.server, pathlib; print(pathlib.Path(moto.__file__).parent.parent)";
        let output = Command::new(&python).args(["-c", line]).output().ok()?;
        let printed = String::from_utf8(output.stdout).ok()?;
        let packages = PathBuf::from(printed.trim());
        packages
            .join("moto")
            .is_dir()
            .then_some(Self { python, packages })
    }

    pub(crate) fn serve(&self, address: SocketAddr) -> Child {
        Command::new(&self.python)
            .arg(SERVE)
            .args(["-H", &address.ip().to_string()])
            .args(["-p", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python runs")
    }
}
