//! The executable's own segments in memory.
#![expect(
    unsafe_code,
    reason = "the linker's symbols and the kernel's mappings have no safe interface"
)]

unsafe extern "C" {
    /// The first byte of the executable in memory. The linker defines the symbol.
    static __ehdr_start: libc::Elf64_Ehdr;
}

/// Maximum number of program headers that are read. The linkers write about ten.
const HEADERS: usize = 16;

/// A program header, and the addresses of its segment.
#[derive(Clone, Copy)]
struct Segment {
    kind: u32,
    flags: u32,
    begin: usize,
    end: usize,
}

/// The segments. They are copied, because a read of the headers brings their page back.
fn segments() -> [Option<Segment>; HEADERS] {
    let base = &raw const __ehdr_start as usize;
    // SAFETY: the kernel has mapped the header, and the program headers that it names, with the first
    // segment.
    let headers = unsafe {
        let header = &*std::ptr::from_ref(&__ehdr_start);
        let first =
            (base + usize::try_from(header.e_phoff).unwrap_or_default()) as *const libc::Elf64_Phdr;
        std::slice::from_raw_parts(first, usize::from(header.e_phnum))
    };
    let loaded = headers.iter().filter(|one| one.p_type == libc::PT_LOAD);
    let lowest = loaded.map(|one| one.p_vaddr).min().unwrap_or_default();
    let mut segments = [None; HEADERS];
    for (segment, header) in segments.iter_mut().zip(headers) {
        let offset = usize::try_from(header.p_vaddr.saturating_sub(lowest)).unwrap_or_default();
        let size = usize::try_from(header.p_memsz).unwrap_or_default();
        *segment = Some(Segment {
            kind: header.p_type,
            flags: header.p_flags,
            begin: base + offset,
            end: base + offset + size,
        });
    }
    segments
}

/// Makes relocated data (`PT_GNU_RELRO`) read-only. The C library's loader does so for dynamic
/// executables only, and this one is static.
pub(crate) fn protect_relocated_data() {
    // SAFETY: a plain call.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let Some(page) = usize::try_from(page).ok().filter(|page| *page > 0) else {
        return;
    };
    for segment in segments().into_iter().flatten() {
        if segment.kind == libc::PT_GNU_RELRO {
            let begin = segment.begin / page * page;
            let end = segment.end / page * page;
            // SAFETY: the linker gives these pages to data that only relocation writes.
            unsafe {
                libc::mprotect(begin as *mut libc::c_void, end - begin, libc::PROT_READ);
            }
        }
    }
}

/// Gives back the pages of code and constants that only the start needed. The kernel reads pages that
/// are needed again from the page cache.
pub(crate) fn give_back_pages() {
    let segments = segments();
    for segment in segments.into_iter().flatten() {
        if segment.kind != libc::PT_LOAD || segment.flags & libc::PF_W != 0 {
            continue;
        }
        let begin = segment.begin.next_multiple_of(PAGE);
        let end = segment.end / PAGE * PAGE;
        if begin < end {
            // SAFETY: a segment that cannot be written to has no content besides the file's.
            unsafe {
                libc::madvise(begin as *mut libc::c_void, end - begin, libc::MADV_DONTNEED);
            }
        }
    }
}

/// The largest page size of the supported machines. With smaller pages, less is given back.
const PAGE: usize = if cfg!(target_arch = "aarch64") {
    64 << 10
} else {
    4 << 10
};
