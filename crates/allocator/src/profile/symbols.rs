//! Names of functions by address: the mappings of this process, and the symbol tables of the files
//! that they come from.
//!
//! Files are what they are: every number in them is looked at before it is used, and a file that
//! makes no sense has no names.

#![expect(unsafe_code, reason = "files are mapped")]

use std::ptr::{self, NonNull};

/// A part of a file that is mapped to be run.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) offset: usize,
    pub(super) path: String,
}

#[derive(Debug)]
struct Symbol {
    start: usize,
    size: usize,
    name: String,
    /// Whether it is a part of the allocator, or leads into it.
    ours: bool,
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Symbols {
    mappings: Vec<Mapping>,
    /// By address.
    symbols: Vec<Symbol>,
}

/// Functions that are called to allocate, when they are no part of this crate.
const DOORS: [&str; 11] = [
    "__rust_alloc",
    "__rust_realloc",
    "__rdl_",
    "__rg_",
    "malloc",
    "calloc",
    "realloc",
    "memalign",
    "posix_memalign",
    "aligned_alloc",
    "_Zn",
];

/// Frames among which those of the allocator are looked for.
const INNERMOST: usize = 16;

impl Symbols {
    /// Those of this process that any of these frames lie in. To read every file that a program is
    /// made of takes longer than many a program runs.
    pub(super) fn of_frames(frames: impl Iterator<Item = usize>) -> Self {
        let mut frames: Vec<usize> = frames.collect();
        frames.sort_unstable();
        frames.dedup();
        let maps = read("/proc/self/maps\0").unwrap_or_default();
        let maps = String::from_utf8_lossy(&maps);
        let mappings: Vec<Mapping> = maps.lines().filter_map(mapping).collect();
        let mut symbols = Vec::new();
        for mapping in &mappings {
            if first_from(&frames, mapping.start).is_none_or(|frame| frame >= mapping.end) {
                continue;
            }
            if let Some(file) = File::map(&format!("{}\0", mapping.path)) {
                let _none = of_file(file.bytes(), mapping, &frames, &mut symbols);
            }
        }
        symbols.sort_by_key(|symbol: &Symbol| symbol.start);
        Self { mappings, symbols }
    }

    pub(super) fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The number of the mapping that an address lies in.
    pub(super) fn mapping_of(&self, address: usize) -> Option<usize> {
        self.mappings.iter().position(|it| (it.start..it.end).contains(&address))
    }

    /// The name of the function that an address lies in.
    pub(super) fn name(&self, address: usize) -> Option<&str> {
        self.symbol(address).map(|symbol| symbol.name.as_str())
    }

    fn symbol(&self, address: usize) -> Option<&Symbol> {
        let after = self.symbols.partition_point(|symbol| symbol.start <= address);
        let symbol = &self.symbols[after.checked_sub(1)?];
        (address - symbol.start < symbol.size.max(1)).then_some(symbol)
    }

    /// A name, or what can be said without one.
    pub(super) fn label(&self, address: usize) -> String {
        match (self.name(address), self.mapping_of(address)) {
            (Some(name), _) => name.to_owned(),
            (None, Some(index)) => {
                let mapping = &self.mappings[index];
                let file = mapping.path.rsplit('/').next().unwrap_or("?");
                format!("{file}+{:#x}", address - mapping.start + mapping.offset)
            }
            (None, None) => format!("{address:#x}"),
        }
    }

    /// A stack from the caller of the allocator on.
    pub(super) fn without_allocator<'a>(&self, frames: &'a [usize]) -> &'a [usize] {
        let ours = |frame: &usize| self.symbol(*frame).is_some_and(|symbol| symbol.ours);
        let last = frames.iter().take(INNERMOST).rposition(ours);
        &frames[last.map_or(0, |last| last + 1)..]
    }
}

/// Whether a function is a part of the allocator, or leads into it.
fn is_ours(name: &str) -> bool {
    // The mangled paths of this crate and of the compiler's doors to it.
    ["9allocator", "7___rustc"].iter().any(|path| name.contains(path))
        || DOORS.iter().any(|door| name.starts_with(door))
}

/// A line of the list of mappings, if it is one of a file that can be run.
fn mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.split_whitespace();
    let (range, rights) = (fields.next()?, fields.next()?);
    let (offset, path) = (fields.next()?, &line[line.find('/')?..]);
    let (start, end) = range.split_once('-')?;
    let hex = |text| usize::from_str_radix(text, 16).ok();
    let (start, end, offset) = (hex(start)?, hex(end)?, hex(offset)?);
    rights.contains('x').then(|| Mapping { start, end, offset, path: path.to_owned() })
}

/// A little-endian number of `size` bytes, `offset` bytes behind `at`.
fn word(bytes: &[u8], at: usize, offset: usize, size: usize) -> Option<usize> {
    let start = at.checked_add(offset)?;
    let field = bytes.get(start..start.checked_add(size)?)?;
    let value = field.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    usize::try_from(value).ok()
}

/// The first of the sorted frames from an address on.
fn first_from(frames: &[usize], address: usize) -> Option<usize> {
    frames.get(frames.partition_point(|frame| *frame < address)).copied()
}

/// Adds the functions of an ELF file of 64 bits that lie in the mapping and hold a frame.
fn of_file(
    file: &[u8],
    mapping: &Mapping,
    frames: &[usize],
    symbols: &mut Vec<Symbol>,
) -> Option<()> {
    const SYMBOL: usize = 24;
    if file.get(..5)? != b"\x7fELF\x02" {
        return None;
    }
    let bias = bias(file, mapping)?;
    let (table, entry, count) =
        (word(file, 0, 40, 8)?, word(file, 0, 58, 2)?, word(file, 0, 60, 2)?);
    let section = |index: usize| table.checked_add(index.checked_mul(entry)?);
    let kind = |index: usize| word(file, section(index)?, 4, 4);
    // All symbols, or where a file was stripped, those that others link to.
    let found = [2, 11].iter().find_map(|wanted| (0..count).find(|it| kind(*it) == Some(*wanted)));
    let header = section(found?)?;
    let (start, size) = (word(file, header, 24, 8)?, word(file, header, 32, 8)?);
    let names = section(word(file, header, 40, 4)?)?;
    let names = file.get(word(file, names, 24, 8)?..)?;
    for at in (start..start.checked_add(size)?).step_by(SYMBOL) {
        let (name, info) = (word(file, at, 0, 4)?, word(file, at, 4, 1)?);
        let (value, size) = (word(file, at, 8, 8)?, word(file, at, 16, 8)?);
        let address = value.wrapping_add(bias);
        // Functions only.
        let holds_one = || first_from(frames, address).is_some_and(|it| it - address < size.max(1));
        if info & 15 == 2 && (mapping.start..mapping.end).contains(&address) && holds_one() {
            let name = names.get(name..)?.split(|byte| *byte == 0).next()?;
            let name = String::from_utf8_lossy(name).into_owned();
            let ours = is_ours(&name);
            symbols.push(Symbol { start: address, size, name, ours });
        }
    }
    Some(())
}

/// What is to be added to an address in the file: it depends on where the file was loaded.
fn bias(file: &[u8], mapping: &Mapping) -> Option<usize> {
    let (table, entry, count) =
        (word(file, 0, 32, 8)?, word(file, 0, 54, 2)?, word(file, 0, 56, 2)?);
    for index in 0..count {
        let at = table.checked_add(index.checked_mul(entry)?)?;
        let (kind, offset) = (word(file, at, 0, 4)?, word(file, at, 8, 8)?);
        let (address, size) = (word(file, at, 16, 8)?, word(file, at, 32, 8)?);
        // A part that is loaded to be run, and that this mapping begins in. It begins on a page,
        // which the end of the part before may share.
        let runs = word(file, at, 4, 4)? & 1 == 1;
        let (first, last) = (offset & !4095, offset.checked_add(size)?);
        if kind == 1 && runs && (first..last).contains(&mapping.offset) {
            let in_memory = (address & !4095).wrapping_add(mapping.offset - first);
            return Some(mapping.start.wrapping_sub(in_memory));
        }
    }
    None
}

/// A file that is mapped, so that of a large one only what is looked at is read.
struct File {
    start: NonNull<u8>,
    size: usize,
}

impl File {
    /// The path ends with a zero.
    fn map(path: &str) -> Option<Self> {
        let file = open(path)?;
        // SAFETY: zero bytes are a place for the answer.
        let mut status: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: the place is ours.
        let told = unsafe { libc::fstat(file, &raw mut status) } == 0;
        let size = usize::try_from(status.st_size).ok().filter(|size| told && *size > 0);
        let start = size.map_or(libc::MAP_FAILED, |size| {
            let (read, private) = (libc::PROT_READ, libc::MAP_PRIVATE);
            // SAFETY: a new mapping.
            unsafe { libc::mmap(ptr::null_mut(), size, read, private, file, 0) }
        });
        // SAFETY: it was opened above; the mapping does not need it.
        unsafe { libc::close(file) };
        let start = NonNull::new(start).filter(|_| start != libc::MAP_FAILED)?;
        Some(Self { start: start.cast(), size: size? })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is that long, and ends with this value. Nobody changes a file that
        // runs: who installs a new one puts it in the place of the old.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.size) }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: it was mapped when this was made, and nobody has a reference any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}

/// Opens a file to be read; the path ends with a zero.
fn open(path: &str) -> Option<i32> {
    debug_assert!(path.ends_with('\0'), "{path:?}");
    // SAFETY: the path ends with a zero.
    let file = unsafe { libc::open(path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC) };
    (file >= 0).then_some(file)
}

/// All of a file of unknown size; the path ends with a zero.
fn read(path: &str) -> Option<Vec<u8>> {
    const PART: usize = 64 << 10;
    let file = open(path)?;
    let mut bytes = Vec::new();
    loop {
        let length = bytes.len();
        bytes.resize(length + PART, 0);
        // SAFETY: there is room for a part behind what was read.
        let got = unsafe { libc::read(file, bytes[length..].as_mut_ptr().cast(), PART) };
        let got = usize::try_from(got).unwrap_or(0);
        bytes.truncate(length + got);
        if got == 0 {
            break;
        }
    }
    // SAFETY: it was opened above.
    unsafe { libc::close(file) };
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Mapping, Symbols, of_file, read};

    #[test]
    fn functions_of_this_program_have_names() {
        let here = functions_of_this_program_have_names as fn();
        let there = libc::getpid as unsafe extern "C" fn() -> i32;
        let symbols = Symbols::of_frames([here as usize, there as usize].into_iter());
        let name = symbols.name(here as usize).expect("this program has symbols");
        assert!(name.contains("functions_of_this_program_have_names"), "{name}");
        let name = symbols.name(there as usize).expect("so has the C library");
        assert!(name.contains("getpid"), "{name}");
        assert_eq!(symbols.name(1), None);
    }

    fn whole() -> Mapping {
        Mapping { start: 0, end: usize::MAX, offset: 0, path: String::new() }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Nonsense has no names, and does no harm.
        #[test]
        fn any_bytes_can_be_a_file(mut bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            for (at, byte) in b"\x7fELF\x02".iter().enumerate().take(bytes.len()) {
                bytes[at] = *byte;
            }
            let _none = of_file(&bytes, &whole(), &[0, 4096, usize::MAX], &mut Vec::new());
        }

        #[test]
        fn any_byte_of_a_file_may_be_wrong(
            at in 0_usize..200, value in any::<u8>(), cut in 0_usize..4_000,
        ) {
            let mut file = read("/proc/self/exe\0").expect("it runs");
            file.truncate(64 << 10);
            file[at] = value;
            file.truncate(file.len() - cut);
            let _none = of_file(&file, &whole(), &[0, 4096, usize::MAX], &mut Vec::new());
        }
    }
}
