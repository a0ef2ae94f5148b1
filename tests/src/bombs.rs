//! Archive bombs, each with the error that it causes under limits of 1 GiB and 50,000 entries.

use crate::archive::{Entry, Tar, gzip, set_checksum};

pub fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let zeros = gzip(&vec![0; 16 << 20]);
    let head = |size: u64| {
        let mut bytes = Tar::new([Entry::file("zeros", "")]).unfinished();
        bytes[124] = 0x80;
        bytes[125..136].copy_from_slice(&[&[0; 3][..], &size.to_be_bytes()].concat());
        set_checksum(&mut bytes);
        bytes
    };
    let ten_gibibytes = [gzip(&head(10 << 30)), zeros.repeat(640)].concat();
    // Each file is below the limit, their sum is above it.
    let many_files = [gzip(&head(16 << 20)), zeros.clone()].concat().repeat(100);
    let names = gzip(
        &Tar::new((0..10_000).map(|number| Entry::file(format!("f{number}"), ""))).unfinished(),
    );
    let deep = "d/".repeat(100_000);
    let sparse = Tar::new([Entry::new("sparse", b'S').size(1 << 40)]).finish();
    let pax_sparse = Tar::new([
        Entry::pax("GNU.sparse.realsize", "1099511627776"),
        Entry::file("s", ""),
    ])
    .finish();
    vec![
        ("unpacks to more than", ten_gibibytes),
        ("unpacks to more than", many_files),
        ("more than 50000 entries", names.repeat(1000)),
        (
            "larger than 64 KiB",
            gzip(&Tar::new([Entry::pax("path", &deep), Entry::file("f", "")]).finish()),
        ),
        (
            "larger than 64 KiB",
            gzip(&Tar::new([Entry::gnu_long(b'L', &deep), Entry::file("f", "")]).finish()),
        ),
        ("unpacks to more than", gzip(&sparse)),
        (
            "sparse",
            gzip(&Tar::new([Entry::new("sparse", b'S')]).finish()),
        ),
        ("sparse", gzip(&pax_sparse)),
    ]
}
