//! Whether an executable needs a dynamic loader.

/// Whether `content` is a 64-bit Linux executable without an interpreter, so that it runs in an empty image.
pub(super) fn is_static(content: &[u8]) -> bool {
    /// The type of a program header that names the dynamic loader.
    const PT_INTERP: u32 = 3;
    let Some(headers) = program_headers(content) else {
        return false;
    };
    let mut kinds =
        headers.map(|header| u32::from_le_bytes([header[0], header[1], header[2], header[3]]));
    kinds.all(|kind| kind != PT_INTERP)
}

/// The program headers of a 64-bit little-endian ELF file.
fn program_headers(content: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    if !content.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let two_bytes = |at: usize| {
        Some(u16::from_le_bytes(
            content.get(at..at + 2)?.try_into().ok()?,
        ))
    };
    let offset = u64::from_le_bytes(content.get(0x20..0x28)?.try_into().ok()?);
    let (size, count) = (usize::from(two_bytes(0x36)?), usize::from(two_bytes(0x38)?));
    let begin = usize::try_from(offset).ok()?;
    let table = content.get(begin..begin.checked_add(size.checked_mul(count)?)?)?;
    (size >= 4).then(|| table.chunks_exact(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executable(kind: u8) -> Vec<u8> {
        let mut content = vec![0; 64 + 56];
        content[..6].copy_from_slice(b"\x7fELF\x02\x01");
        content[0x20] = 64;
        content[0x36] = 56;
        content[0x38] = 1;
        content[64] = kind;
        content
    }

    #[test]
    fn an_interpreter_makes_an_executable_dynamic() {
        assert!(is_static(&executable(1)));
        assert!(!is_static(&executable(3)));
    }

    #[test]
    fn scripts_and_damaged_files_are_no_executables() {
        assert!(!is_static(b"#!/bin/sh\n"));
        assert!(!is_static(&executable(1)[..100]));
    }
}
