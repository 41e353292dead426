//! Running what a learner wrote: with a limit of time and of memory, in processes of its own.
//!
//! The child is this very program, which takes the limit of memory upon itself and then becomes
//! the program that is to run: so no code of ours runs between `fork` and `exec`. It leads a group
//! of processes, and at the end of its time the whole group is killed.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use env::clock::{Clock, MonotonicClock};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};

use crate::error::Error;

/// How often it is looked whether a child has ended.
const PERIOD: Duration = Duration::from_millis(10);

/// The most of a child's output that is kept, in bytes.
const OUTPUT_MAX: u64 = 4 << 20;

/// What a program may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) time: Duration,
    /// Address space, in bytes.
    pub(crate) memory: u64,
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) how: How,
    /// Both outputs, the first before the second.
    pub(crate) output: String,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Success,
    Failure,
    /// It took longer than it may.
    OutOfTime,
    /// It was killed by a signal: a crash, or no memory.
    Signal(i32),
}

/// Runs a program to its end, or to that of its time.
pub(crate) fn run(command: &[String], limits: Limits) -> Result<Ended, Error> {
    let failed = |reason: std::io::Error| Error::Program {
        program: command[0].clone(),
        reason: reason.to_string(),
    };
    let mut child = Command::new(this_tool().map_err(failed)?)
        .arg("confined")
        .arg(limits.memory.to_string())
        .args(command)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let outputs = [read(child.stdout.take()), read(child.stderr.take())];
    let how = wait(&mut child, limits.time).map_err(failed)?;
    let texts = outputs.map(|reader| reader.join().expect("a reader does not panic"));
    Ok(Ended { how, output: texts.concat() })
}

/// The program of this tool. Its tests are another one, in a folder beneath.
fn this_tool() -> std::io::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this.ancestors().nth(2).unwrap_or(Path::new(""));
    Ok(if cfg!(test) { folder.join("study") } else { this })
}

/// Reads in a thread, so that a child that says much is not held up.
fn read(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // Failure: then what came before it must do. The rest is thrown away, not left in the
            // pipe, where it would hold the child up.
            let _cut = pipe.by_ref().take(OUTPUT_MAX).read_to_end(&mut bytes);
            let _cut = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn wait(child: &mut Child, time: Duration) -> std::io::Result<How> {
    let clock = MonotonicClock::new();
    let end = clock.now() + time;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(match status.signal() {
                Some(signal) => How::Signal(signal),
                None if status.success() => How::Success,
                None => How::Failure,
            });
        }
        if clock.now() >= end {
            kill_group(child.id());
            child.wait()?;
            return Ok(How::OutOfTime);
        }
        clock.sleep(PERIOD);
    }
}

/// Kills a child that leads a group of processes, and the group. It was not waited for yet.
pub(crate) fn kill_group(child: u32) {
    let group = i32::try_from(child).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // Failure: it has just ended.
        let _ended = kill_process_group(group, Signal::KILL);
    }
}

/// Takes the limit upon this process and becomes the program; returns only where that fails.
pub(crate) fn become_confined(memory: u64, program: &[String]) -> Error {
    let failed = |reason: String| Error::Program { program: program.join(" "), reason };
    let Some((name, arguments)) = program.split_first() else {
        return failed("it has no name".to_owned());
    };
    let limit = Rlimit { current: Some(memory), maximum: Some(memory) };
    if let Err(error) = setrlimit(Resource::As, limit) {
        return failed(error.to_string());
    }
    failed(Command::new(name).args(arguments).exec().to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use std::time::Duration;

    use super::{How, wait};

    fn ends(script: &str, time: Duration) -> How {
        let mut command = Command::new("sh");
        let child = command.args(["-c", script]).process_group(0).spawn();
        wait(&mut child.expect("a shell can be started"), time).expect("it can be waited for")
    }

    #[test]
    fn programs_end_in_four_ways() {
        let long = Duration::from_mins(1);
        assert_eq!(ends("exit 0", long), How::Success);
        assert_eq!(ends("exit 3", long), How::Failure);
        assert_eq!(ends("kill -ABRT $$", long), How::Signal(6));
        // What it has started is killed with it, or the shell would be waited for.
        assert_eq!(ends("sleep 1000 & wait", Duration::from_millis(200)), How::OutOfTime);
    }
}
