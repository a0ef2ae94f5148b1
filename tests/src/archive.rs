//! Writes archives byte by byte, because the tests need the ones that libraries refuse to write.

use std::io::Write as _;

/// A tar archive without its end marker.
#[derive(Debug, Clone, Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

/// An entry with its header (POSIX ustar).
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: Vec<u8>,
    pub kind: u8,
    pub mode: u32,
    pub link: Vec<u8>,
    pub content: Vec<u8>,
    /// The size in the header, if it differs from the size of the content.
    pub size: Option<u64>,
}

impl Entry {
    pub fn new(name: impl AsRef<[u8]>, kind: u8) -> Self {
        let mode = if kind == b'5' { 0o755 } else { 0o644 };
        Self {
            name: name.as_ref().to_vec(),
            kind,
            mode,
            link: Vec::new(),
            content: Vec::new(),
            size: None,
        }
    }

    pub fn file(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self {
            content: content.as_ref().to_vec(),
            ..Self::new(name, b'0')
        }
    }

    pub fn directory(name: impl AsRef<[u8]>) -> Self {
        Self::new(name, b'5')
    }

    pub fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self {
            link: target.as_ref().to_vec(),
            ..Self::new(name, b'2')
        }
    }

    pub fn hard_link(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self {
            link: target.as_ref().to_vec(),
            ..Self::new(name, b'1')
        }
    }

    /// GNU's long name (`L`) or link (`K`) for the next entry.
    pub fn gnu_long(kind: u8, text: &str) -> Self {
        Self {
            content: [text.as_bytes(), b"\0"].concat(),
            ..Self::new("././@LongLink", kind)
        }
    }

    /// A PAX header for the next entry, with one record.
    pub fn pax(key: &str, value: &str) -> Self {
        Self {
            content: pax_record(key, value),
            ..Self::new("pax", b'x')
        }
    }

    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    #[must_use]
    pub fn size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }
}

/// `LENGTH KEY=VALUE\n`, where LENGTH counts itself.
fn pax_record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    length = rest + length.to_string().len();
    format!("{length} {key}={value}\n").into_bytes()
}

impl Tar {
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut tar = Self::default();
        for entry in entries {
            tar.push(&entry);
        }
        tar
    }

    pub fn push(&mut self, entry: &Entry) {
        let mut header = [0_u8; 512];
        let mut put = |offset: usize, bytes: &[u8], width: usize| {
            let length = bytes.len().min(width);
            header[offset..offset + length].copy_from_slice(&bytes[..length]);
        };
        let size = entry.size.unwrap_or(entry.content.len() as u64);
        put(0, &entry.name, 100);
        put(100, format!("{:07o}\0", entry.mode).as_bytes(), 8);
        put(108, b"0000000\0", 8);
        put(116, b"0000000\0", 8);
        put(124, format!("{size:011o}\0").as_bytes(), 12);
        put(136, b"14000000000\0", 12);
        put(156, &[entry.kind], 1);
        put(157, &entry.link, 100);
        put(257, b"ustar\x0000", 8);
        set_checksum(&mut header);
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(&entry.content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
    }

    /// Returns the archive with the end marker.
    pub fn finish(self) -> Vec<u8> {
        let mut bytes = self.bytes;
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    }

    /// Returns the archive without the end marker.
    pub fn unfinished(self) -> Vec<u8> {
        self.bytes
    }
}

/// Sets the checksum of the first header in `bytes`.
pub fn set_checksum(bytes: &mut [u8]) {
    bytes[148..156].copy_from_slice(b"        ");
    let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing to memory succeeds")
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("writing to memory succeeds")
}

/// Uses the compression level of `tar czf`.
pub fn gzip_default(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing to memory succeeds")
}

/// Uses the compression level of `zstd`.
pub fn zstd_default(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("writing to memory succeeds")
}
