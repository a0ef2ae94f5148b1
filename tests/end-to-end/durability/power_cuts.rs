//! Power cuts: every acknowledged upload survives.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use platformer_tests::power::Disk;
use platformer_tests::run::eventually;
use platformer_tests::server::Server;
use platformer_tests::skip::{Selection, note};

use super::{assert_nothing_is_partial, put};

const CUTS_PER_DISK: usize = 50;

/// `SOAK_POWER_CUTS` sets the number of power cuts. The default is 40, and 300 in a run of all tests.
#[test]
fn a_power_cut_loses_no_acknowledged_write() {
    let cuts: usize = match std::env::var("SOAK_POWER_CUTS") {
        Ok(cuts) => cuts.parse().expect("a number"),
        Err(_) if Selection::is_all() => 300,
        Err(_) => {
            note("ran in part, with 40 of 300 power cuts");
            40
        }
    };
    let mut total = 0;
    // Logs grow with each purge, so a new disk keeps the checks fast.
    for series in 0..cuts.div_ceil(CUTS_PER_DISK) {
        let mut disk = Disk::new();
        for cut in 0..CUTS_PER_DISK.min(cuts - series * CUTS_PER_DISK) {
            total += cut_power_under_load(&mut disk, cut);
        }
    }
    assert!(total > cuts, "{total} versions over {cuts} cuts");
}

/// Cuts the power while eight threads publish. Checks each acknowledged upload, and returns their number.
fn cut_power_under_load(disk: &mut Disk, cut: usize) -> usize {
    let storage = disk.mount_point().join("repository");
    let server = Server::start(&storage);
    let acknowledged = publish_until_cut(&server, disk, cut);
    server.kill();
    disk.power_on();
    let server = Server::start(&storage);
    for (path, bytes) in &acknowledged {
        assert!(server.get(path).body == *bytes, "{path} after cut {cut}");
    }
    assert_nothing_is_partial(&server);
    // Fewer files make the checks after the next cut faster.
    for path in acknowledged.keys() {
        let version = path.rsplit_once('/').unwrap().0;
        let purge = format!("{version}?purge=true");
        assert_eq!(server.request("DELETE", &purge, &[], b"").status, 204);
    }
    server.stop().expect(0);
    acknowledged.len()
}

/// Publishes from eight threads until an upload fails. Returns the acknowledged uploads.
fn publish_until_cut(server: &Server, disk: &Disk, cut: usize) -> BTreeMap<String, Vec<u8>> {
    let acknowledged = Mutex::new(BTreeMap::new());
    let is_cut = AtomicBool::new(false);
    let number = AtomicU64::new(0);
    thread::scope(|scope| {
        for writer in 0..8 {
            let (acknowledged, is_cut, number) = (&acknowledged, &is_cut, &number);
            scope.spawn(move || {
                while !is_cut.load(Ordering::Relaxed) {
                    let number = number.fetch_add(1, Ordering::Relaxed);
                    let path = format!("/artefacts/app-{}/1.{cut}.{number}/f", writer % 3);
                    let bytes = format!(
                        "{path} {}",
                        "x".repeat(usize::try_from(number % 9 * 1000).unwrap())
                    );
                    match put(server, &path, bytes.as_bytes()) {
                        Some(201) => {
                            acknowledged
                                .lock()
                                .unwrap()
                                .insert(path, bytes.into_bytes());
                        }
                        _ => return,
                    }
                }
            });
        }
        if cut.is_multiple_of(2) {
            thread::sleep(Duration::from_millis(10 + (cut as u64 * 37) % 90));
        } else {
            // Even a slow disk has something to lose.
            eventually("some uploads are acknowledged", || {
                acknowledged.lock().unwrap().len() > cut % 8
            });
        }
        disk.cut_power();
        is_cut.store(true, Ordering::Relaxed);
    });
    acknowledged.into_inner().unwrap()
}
