//! `memcpy`, `memmove`, `memset`, `memcmp` and `bcmp` for static binaries on x86-64.
//!
//! musl's are short: `rep movsq` costs 20 to 40 ns however few bytes it moves, and `memcmp` compares
//! byte by byte. Decompression, headers and paths are made of few bytes a million times. These here
//! use the 16-byte registers that every x86-64 has; measured in
//! `docs/decisions/0006-memory-functions.md`.
//!
//! A binary takes them by `use memory as _`: the linker then finds the names here before it looks
//! into the C library. On other machines, and with other C libraries, the crate is empty, because
//! those have good ones.

#![no_std]
// Otherwise the compiler would find that a loop which copies is a `memcpy`, and call it.
#![no_builtins]

#[cfg(all(target_arch = "x86_64", any(target_env = "musl", test)))]
#[expect(
    unsafe_code,
    reason = "these are the functions on which safe code rests: they get pointers"
)]
mod x86_64;
