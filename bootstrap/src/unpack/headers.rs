//! Checks of a tar header: fields that programs read differently are refused.

use tar::Header;

use super::error::UnpackError;

/// Accepts ustar, and older forms whose last third is empty. In a ustar header, the last third can hold
/// the first half of the path, and programs disagree about which headers are ustar.
pub(super) fn check_form(header: &[u8; 512]) -> Result<(), UnpackError> {
    let magic = &header[257..265];
    let rest_is_empty = header[345..500].iter().all(|byte| *byte == 0);
    let plain = magic == b"ustar\x0000"
        || ((magic == b"ustar  \0" || magic.iter().all(|byte| *byte == 0)) && rest_is_empty);
    if plain {
        return Ok(());
    }
    Err(UnpackError::refused(
        "a header has a form that programs read differently",
    ))
}

/// Accepts octal digits between blanks, and GNU's binary number of at most 64 bits. The tar library is
/// lenient where other programs are not.
pub(super) fn check_size(field: &[u8; 12]) -> Result<(), UnpackError> {
    let plain = match field {
        [0x80, 0, 0, 0, ..] => true,
        [first, ..] if first & 0x80 != 0 => false,
        _ => {
            let digits = field.trim_ascii_start();
            let end = digits
                .iter()
                .position(|byte| !(b'0'..=b'7').contains(byte))
                .unwrap_or(digits.len());
            digits[end..].iter().all(|byte| matches!(byte, 0 | b' '))
        }
    };
    if plain {
        return Ok(());
    }
    Err(UnpackError::refused(
        "a header has a size that programs read differently",
    ))
}

/// The permission bits, without setuid, setgid and sticky bit.
pub(super) fn mode(header: &Header, shown: &impl Fn() -> String) -> Result<u32, UnpackError> {
    let mode = header.mode().map_err(|source| UnpackError::Damaged {
        format: "tar",
        source,
    })?;
    if mode & 0o6000 != 0 && !header.entry_type().is_dir() {
        tracing::warn!(
            "{:?} is packed as setuid or setgid: it is unpacked without these bits",
            shown()
        );
    }
    Ok(mode & 0o777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_all_programs_read_alike() {
        let accepts = |field: &[u8; 12]| check_size(field).is_ok();
        assert!(accepts(b"00000000007\0") && accepts(b"          7 ") && accepts(&[0; 12]));
        assert!(accepts(b"\x80\0\0\0\0\0\0\0\0\0\0\x07"));
        for bad in [
            b"+0000000007\0",
            b"-0000000007\0",
            b"00000000008\0",
            b"7 7\0\0\0\0\0\0\0\0\0",
            b"\x80\x01\0\0\0\0\0\0\0\0\0\x07",
            &[0xff; 12],
        ] {
            assert!(!accepts(bad), "{bad:?}");
        }
    }
}
