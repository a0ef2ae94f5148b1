//! Ceph with its S3 gateway on this machine: one monitor, one in-memory object store and two gateways. All tests of a
//! run share them.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use crate::ports;
use crate::run::{TIMEOUT, eventually};
use crate::s3::S3;
use crate::skip::{only_with_all, require_program};

const ACCESS_KEY: &str = "access";
const SECRET_KEY: &str = "secret";

/// Returns two gateways to one store with the buckets `bucket` and `versioned`. Skips the current test if Ceph is not
/// installed.
pub fn gateways() -> Vec<S3> {
    static GATEWAYS: OnceLock<[SocketAddr; 2]> = OnceLock::new();
    only_with_all("needs Ceph");
    for program in ["ceph", "ceph-mon", "ceph-osd", "radosgw", "radosgw-admin"] {
        require_program(program, "ceph-mon ceph-osd radosgw ceph-common");
    }
    let addresses = GATEWAYS.get_or_init(start_cluster);
    addresses
        .iter()
        .map(|address| S3::at(*address, ACCESS_KEY, SECRET_KEY))
        .collect()
}

fn start_cluster() -> [SocketAddr; 2] {
    let home = tempfile::tempdir().unwrap().keep();
    let monitor = ports::free().port();
    let addresses = [ports::free(), ports::free()];
    configure(&home, monitor);
    let ceph = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(home.join("ceph.conf"))
            .args(arguments);
        command
    };
    let monitor_map = home.join("monmap").display().to_string();
    let keyring = home.join("keyring").display().to_string();
    run(ceph(
        "ceph-mon",
        &[
            "--mkfs",
            "-i",
            "a",
            "--monmap",
            &monitor_map,
            "--keyring",
            &keyring,
        ],
    ));
    start(ceph("ceph-mon", &["-i", "a", "-f"]));
    let osd = uuid();
    run(ceph(
        "ceph",
        &["--connect-timeout", "60", "osd", "new", &osd],
    ));
    run(ceph("ceph-osd", &["-i", "0", "--mkfs", "--osd-uuid", &osd]));
    start(ceph("ceph-osd", &["-i", "0", "-f"]));
    for (number, address) in addresses.iter().enumerate() {
        let frontend = format!("beast endpoint={address}");
        let socket = home
            .join(format!("rgw-{number}.asok"))
            .display()
            .to_string();
        start(ceph(
            "radosgw",
            &[
                "-n",
                "client.rgw",
                "-f",
                "--rgw-frontends",
                &frontend,
                "--admin-socket",
                &socket,
            ],
        ));
        // Waits before the next gateway starts, because the first gateway creates the pools.
        eventually("a gateway accepts connections", || {
            TcpStream::connect(address).is_ok()
        });
    }
    let user = [
        "-n",
        "client.rgw",
        "user",
        "create",
        "--uid=test",
        "--display-name=test",
    ];
    let keys = [
        format!("--access-key={ACCESS_KEY}"),
        format!("--secret-key={SECRET_KEY}"),
    ];
    let mut create = ceph("radosgw-admin", &user);
    create.args(keys);
    run(create);
    S3::at(addresses[0], ACCESS_KEY, SECRET_KEY).create_buckets();
    addresses
}

fn uuid() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    text.trim().to_owned()
}

fn configure(home: &Path, monitor: u16) {
    let cluster = uuid();
    let directory = home.display();
    let text = format!(
        "[global]
fsid = {cluster}
mon_initial_members = a
mon_host = v1:127.0.0.1:{monitor}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr2 = false
keyring = {directory}/keyring
log_file = {directory}/$name.log
run_dir = {directory}
admin_socket = {directory}/$name.asok
pid_file = {directory}/$name.$pid.pid
mon_data = {directory}/mon
osd_data = {directory}/osd
rgw_data = {directory}/rgw
auth_allow_insecure_global_id_reclaim = true
mon_allow_pool_size_one = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = 4294967296
"
    );
    fs::write(home.join("ceph.conf"), text).unwrap();
    for directory in ["mon", "osd", "rgw"] {
        fs::create_dir(home.join(directory)).unwrap();
    }
    let keyring = home.join("keyring");
    let keys: [(&str, &[&str]); 4] = [
        ("mon.", &["mon", "allow *"]),
        ("client.admin", &["mon", "allow *", "osd", "allow *"]),
        ("osd.0", &["mon", "allow profile osd", "osd", "allow *"]),
        ("client.rgw", &["mon", "allow rw", "osd", "allow rwx"]),
    ];
    for (number, (name, capabilities)) in keys.into_iter().enumerate() {
        let mut command = Command::new("ceph-authtool");
        command.arg(&keyring).args(["--gen-key", "-n", name]);
        if number == 0 {
            command.arg("--create-keyring");
        }
        for pair in capabilities.chunks(2) {
            command.arg("--cap").args(pair);
        }
        run(command);
    }
    let mut command = Command::new("monmaptool");
    command
        .args([
            "--create",
            "--addv",
            "a",
            &format!("[v1:127.0.0.1:{monitor}]"),
        ])
        .args(["--fsid", &cluster])
        .arg(home.join("monmap"));
    run(command);
}

fn run(mut command: Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Starts a daemon that ends with this process, not with the test that started it.
fn start(command: Command) {
    let (started, has_started) = std::sync::mpsc::channel();
    thread::spawn(move || {
        // --pdeathsig applies when the thread that started the process ends, so this thread waits for the process.
        let mut daemon = Command::new("setpriv");
        daemon
            .args(["--pdeathsig", "KILL"])
            .arg(command.get_program())
            .args(command.get_args());
        let child = daemon
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        started.send(()).unwrap();
        let _ = child.wait_with_output();
    });
    has_started.recv_timeout(TIMEOUT).unwrap();
}
