//! Short ones are loaded whole before the first store, so that they may overlap; long ones go in
//! steps of 64 bytes, with the end that the last step would miss loaded before the first store.

#![expect(
    clippy::inline_always,
    reason = "a call would cost as much as what these do"
)]

use core::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8, _mm_storeu_si128,
};
use core::ffi::{c_int, c_void};

/// Bytes of a register.
const REGISTER: usize = 16;
/// Bytes of a step.
const STEP: usize = 4 * REGISTER;

/// Copies; the two may overlap if `to` lies before `from`.
///
/// # Safety
/// As for C's `memcpy`: `from` can be read and `to` written for `length` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn memcpy(
    to: *mut c_void,
    from: *const c_void,
    length: usize,
) -> *mut c_void {
    unsafe {
        let (target, source) = (to.cast::<u8>(), from.cast::<u8>());
        if length <= 2 * STEP {
            short(target, source, length);
        } else {
            forwards(target, source, length);
        }
    }
    to
}

/// Copies; the two may overlap.
///
/// # Safety
/// As for C's `memmove`: `from` can be read and `to` written for `length` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn memmove(
    to: *mut c_void,
    from: *const c_void,
    length: usize,
) -> *mut c_void {
    unsafe {
        let (target, source) = (to.cast::<u8>(), from.cast::<u8>());
        if length <= 2 * STEP {
            short(target, source, length);
        } else if target.addr().wrapping_sub(source.addr()) >= length {
            // Before the source, where the difference wraps around, or behind its end.
            forwards(target, source, length);
        } else {
            backwards(target, source, length);
        }
    }
    to
}

/// Fills with a byte.
///
/// # Safety
/// As for C's `memset`: `to` can be written for `length` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn memset(
    to: *mut c_void,
    value: c_int,
    length: usize,
) -> *mut c_void {
    // C converts to unsigned char.
    let byte = value.to_le_bytes()[0];
    let words = u64::from_ne_bytes([byte; 8]);
    unsafe {
        let target = to.cast::<u8>();
        let end = target.wrapping_add(length);
        if length >= REGISTER {
            let register = _mm_set1_epi8(byte.cast_signed());
            let mut at = target;
            while end.addr() - at.addr() >= STEP {
                for part in 0..4 {
                    store(at.add(part * REGISTER), register);
                }
                at = at.add(STEP);
            }
            while end.addr() - at.addr() >= REGISTER {
                store(at, register);
                at = at.add(REGISTER);
            }
            store(end.sub(REGISTER), register);
        } else if length >= 8 {
            target.cast::<u64>().write_unaligned(words);
            end.sub(8).cast::<u64>().write_unaligned(words);
        } else if length >= 4 {
            let word = u32::from_ne_bytes([byte; 4]);
            target.cast::<u32>().write_unaligned(word);
            end.sub(4).cast::<u32>().write_unaligned(word);
        } else if length > 0 {
            target.write(byte);
            target.add(length / 2).write(byte);
            end.sub(1).write(byte);
        }
    }
    to
}

/// Negative, zero or positive, as the first byte that differs says.
///
/// # Safety
/// As for C's `memcmp`: both can be read for `length` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn memcmp(
    left: *const c_void,
    right: *const c_void,
    length: usize,
) -> c_int {
    unsafe {
        let (left, right) = (left.cast::<u8>(), right.cast::<u8>());
        let mut at = 0;
        while length - at >= REGISTER {
            let equal = _mm_movemask_epi8(_mm_cmpeq_epi8(load(left.add(at)), load(right.add(at))));
            if equal != 0xffff {
                return difference(left, right, at + equal.trailing_ones() as usize);
            }
            at += REGISTER;
        }
        if length - at >= 8 {
            let words = left.add(at).cast::<u64>().read_unaligned()
                ^ right.add(at).cast::<u64>().read_unaligned();
            if words != 0 {
                return difference(left, right, at + words.trailing_zeros() as usize / 8);
            }
            at += 8;
        }
        while at < length {
            let found = difference(left, right, at);
            if found != 0 {
                return found;
            }
            at += 1;
        }
    }
    0
}

/// Zero where both are equal.
///
/// # Safety
/// As for `memcmp`.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub(crate) unsafe extern "C" fn bcmp(
    left: *const c_void,
    right: *const c_void,
    length: usize,
) -> c_int {
    unsafe { memcmp(left, right, length) }
}

#[inline(always)]
unsafe fn load(from: *const u8) -> __m128i {
    unsafe { _mm_loadu_si128(from.cast()) }
}

#[inline(always)]
unsafe fn store(to: *mut u8, register: __m128i) {
    unsafe { _mm_storeu_si128(to.cast(), register) }
}

#[inline(always)]
unsafe fn difference(left: *const u8, right: *const u8, at: usize) -> c_int {
    unsafe { c_int::from(left.add(at).read()) - c_int::from(right.add(at).read()) }
}

/// Up to two steps: everything is loaded before anything is stored.
#[inline(always)]
unsafe fn short(to: *mut u8, from: *const u8, length: usize) {
    unsafe {
        let (to_end, from_end) = (to.wrapping_add(length), from.wrapping_add(length));
        if length > STEP {
            let head = [0, 1, 2, 3].map(|part| load(from.add(part * REGISTER)));
            let tail = [4, 3, 2, 1].map(|part| load(from_end.sub(part * REGISTER)));
            for (part, register) in head.into_iter().enumerate() {
                store(to.add(part * REGISTER), register);
            }
            for (part, register) in tail.into_iter().enumerate() {
                store(to_end.sub((4 - part) * REGISTER), register);
            }
        } else if length > 2 * REGISTER {
            let (a, b) = (load(from), load(from.add(REGISTER)));
            let (c, d) = (
                load(from_end.sub(2 * REGISTER)),
                load(from_end.sub(REGISTER)),
            );
            store(to, a);
            store(to.add(REGISTER), b);
            store(to_end.sub(2 * REGISTER), c);
            store(to_end.sub(REGISTER), d);
        } else if length >= REGISTER {
            let (head, tail) = (load(from), load(from_end.sub(REGISTER)));
            store(to, head);
            store(to_end.sub(REGISTER), tail);
        } else if length >= 8 {
            let head = from.cast::<u64>().read_unaligned();
            let tail = from_end.sub(8).cast::<u64>().read_unaligned();
            to.cast::<u64>().write_unaligned(head);
            to_end.sub(8).cast::<u64>().write_unaligned(tail);
        } else if length >= 4 {
            let head = from.cast::<u32>().read_unaligned();
            let tail = from_end.sub(4).cast::<u32>().read_unaligned();
            to.cast::<u32>().write_unaligned(head);
            to_end.sub(4).cast::<u32>().write_unaligned(tail);
        } else if length > 0 {
            let head = from.read();
            let middle = from.add(length / 2).read();
            let tail = from_end.sub(1).read();
            to.write(head);
            to.add(length / 2).write(middle);
            to_end.sub(1).write(tail);
        }
    }
}

/// More than a step, from the first byte on.
#[inline(always)]
unsafe fn forwards(to: *mut u8, from: *const u8, length: usize) {
    unsafe {
        let tail = [4, 3, 2, 1].map(|part| load(from.add(length - part * REGISTER)));
        let mut at = 0;
        while length - at > STEP {
            let step = [0, 1, 2, 3].map(|part| load(from.add(at + part * REGISTER)));
            for (part, register) in step.into_iter().enumerate() {
                store(to.add(at + part * REGISTER), register);
            }
            at += STEP;
        }
        for (part, register) in tail.into_iter().enumerate() {
            store(to.add(length - (4 - part) * REGISTER), register);
        }
    }
}

/// More than a step, from the last byte on.
#[inline(always)]
unsafe fn backwards(to: *mut u8, from: *const u8, length: usize) {
    unsafe {
        let head = [0, 1, 2, 3].map(|part| load(from.add(part * REGISTER)));
        let mut end = length;
        while end > STEP {
            let step = [4, 3, 2, 1].map(|part| load(from.add(end - part * REGISTER)));
            for (part, register) in step.into_iter().enumerate() {
                store(to.add(end - (4 - part) * REGISTER), register);
            }
            end -= STEP;
        }
        for (part, register) in head.into_iter().enumerate() {
            store(to.add(part * REGISTER), register);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 1024;
    const MARGIN: usize = 32;

    fn pattern() -> [u8; ROOM] {
        core::array::from_fn(|at| u8::try_from(at * 31 % 251).expect("less than 251"))
    }

    /// Lengths around every border.
    fn lengths() -> impl Iterator<Item = usize> {
        (0..=300).chain([447, 448, 449, 511, 512, 513])
    }

    #[test]
    fn copies_what_was_there_and_nothing_beside() {
        for length in lengths() {
            for (from, to) in [
                (MARGIN, 600),
                (MARGIN + 3, 601),
                (600, MARGIN),
                (605, MARGIN + 1),
            ] {
                if from.max(to) + length > ROOM {
                    continue;
                }
                let before = pattern();
                let mut after = before;
                let base = after.as_mut_ptr();
                let returned =
                    unsafe { memcpy(base.add(to).cast(), base.add(from).cast(), length) };
                assert_eq!(returned.cast::<u8>(), after[to..].as_mut_ptr());
                let mut expected = before;
                expected.copy_within(from..from + length, to);
                assert!(after == expected, "{length} bytes from {from} to {to}");
            }
        }
    }

    #[test]
    fn overlapping_copies_are_as_if_by_way_of_another_place() {
        for length in lengths() {
            for distance in [
                0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 63, 64, 65, 127, 128, 129, 200,
            ] {
                for (from, to) in [(MARGIN, MARGIN + distance), (MARGIN + distance, MARGIN)] {
                    let mut after = pattern();
                    let base = after.as_mut_ptr();
                    unsafe { memmove(base.add(to).cast(), base.add(from).cast(), length) };
                    let mut expected = pattern();
                    for (at, byte) in pattern()[from..from + length].iter().enumerate() {
                        expected[to + at] = *byte;
                    }
                    assert!(after == expected, "{length} bytes from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn fills_with_the_low_byte() {
        for length in lengths() {
            for begin in [MARGIN, MARGIN + 1] {
                let mut after = pattern();
                unsafe { memset(after.as_mut_ptr().add(begin).cast(), 0x1_2345, length) };
                let mut expected = pattern();
                for byte in &mut expected[begin..begin + length] {
                    *byte = 0x45;
                }
                assert!(after == expected, "{length} bytes at {begin}");
            }
        }
    }

    #[test]
    fn compares_bytes_as_unsigned() {
        let left = pattern();
        for length in lengths() {
            let compare = |right: &[u8; ROOM]| {
                let compared = unsafe {
                    memcmp(
                        left.as_ptr().add(1).cast(),
                        right.as_ptr().add(1).cast(),
                        length,
                    )
                };
                let equal = unsafe {
                    bcmp(
                        left.as_ptr().add(1).cast(),
                        right.as_ptr().add(1).cast(),
                        length,
                    )
                };
                assert_eq!(equal == 0, compared == 0);
                compared.signum()
            };
            assert_eq!(compare(&left), 0);
            for at in [0, length / 2, length.saturating_sub(1)] {
                let mut right = left;
                right[1 + at] ^= 0x80;
                // What differs behind the first difference, and beyond the end, does not count.
                right[1 + length] ^= 0x01;
                let expected = match (at < length, left[1 + at] < 0x80) {
                    (false, _) => 0,
                    (true, true) => -1,
                    (true, false) => 1,
                };
                assert_eq!(
                    compare(&right),
                    expected,
                    "{length} bytes, different at {at}"
                );
            }
        }
    }
}
