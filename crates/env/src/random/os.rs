//! The kernel's generator.

use rustix::io::retry_on_intr;
use rustix::rand::{GetRandomFlags, getrandom};

use super::Random;

/// The kernel's generator (`getrandom`): fit for secrets, a system call a draw.
///
/// The first draw after a boot waits until the kernel has gathered entropy. Panics where the kernel
/// has no such call, which every Linux since 3.17 has: no program can go on without entropy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OsRandom;

impl Random for OsRandom {
    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill(&mut self, buffer: &mut [u8]) {
        let mut done = 0;
        while done < buffer.len() {
            let rest = &mut buffer[done..];
            done += retry_on_intr(|| getrandom(&mut *rest, GetRandomFlags::empty()))
                .expect("the kernel has a random generator");
        }
    }
}
