//! Which mappings a child gives back: a text of the kernel is judged.

use super::disposable;

const MAPS: &str = "\
1000-3000 r--p 00000000 fd:00 11 /bin/duel
Rss: 8 kB
Private_Dirty: 0 kB
Anonymous: 0 kB
Swap: 0 kB
VmFlags: rd mr mw me
3000-4000 r-xp 00002000 fd:00 11 /bin/duel with a name
Anonymous: 0 kB
VmFlags: rd ex
4000-5000 r--p 00003000 fd:00 11 /bin/duel
Anonymous: 4 kB
VmFlags: rd mr
5000-6000 rw-p 00004000 fd:00 11 /bin/duel
Anonymous: 0 kB
VmFlags: rd wr
6000-7000 r--p 00000000 00:00 0
Anonymous: 0 kB
VmFlags: rd
7000-8000 r-xp 00000000 00:00 0 [vdso]
Anonymous: 0 kB
VmFlags: rd ex
8000-9000 r--s 00000000 fd:00 12 /tmp/shared
Private_Dirty: 0 kB
Shared_Dirty: 4 kB
VmFlags: rd sh
9000-a000 r--p 00000000 fd:00 13 /lib/libc.so
Anonymous: 0 kB
Swap: 4 kB
VmFlags: rd
";

#[test]
fn only_unchanged_pages_of_files_go() {
    assert_eq!(disposable(MAPS), [0x1000..0x3000, 0x3000..0x4000]);
    assert_eq!(disposable("no mapping at all"), []);
}
