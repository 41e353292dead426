//! Options from the environment, read without allocating.

#![expect(unsafe_code, reason = "the environment is an array of C strings")]

use std::ffi::{CStr, c_char};

use crate::abort::say;
use crate::options::Options;

/// What all names begin with.
const PREFIX: &str = "STRATA_ALLOC_";

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// The options, overruled by what the environment says. What it says wrongly is reported.
pub(crate) fn overrule(mut options: Options) -> Options {
    // SAFETY: the C library sets it before the first thread is made; null where there is none yet.
    let mut entry = unsafe { environ };
    while !entry.is_null() {
        // SAFETY: the array ends with a null pointer, and we have not met it.
        let text = unsafe { *entry };
        if text.is_null() {
            break;
        }
        // SAFETY: entries are C strings, which stay where they are while the process sets up; what
        // outlives that is copied.
        let text: &'static CStr = unsafe { CStr::from_ptr(text) };
        // Bytes first: what reads text is far from here, and would cost every process its pages.
        if let Some(text) = text.to_bytes().strip_prefix(PREFIX.as_bytes()) {
            match str::from_utf8(text).ok().and_then(|it| it.split_once('=')) {
                Some((name, value)) => options = set(options, name, value),
                None => say(format_args!("an option of {PREFIX} is no text; it is ignored")),
            }
        }
        // SAFETY: as above.
        entry = unsafe { entry.add(1) };
    }
    options
}

/// Sets one option. A name or a value that is none is reported, once, since this runs once.
pub(crate) fn set(options: Options, name: &str, value: &'static str) -> Options {
    let changed = match name {
        "DECAY_MS" => value.parse().ok().map(|decay_ms| options.decay_ms(decay_ms)),
        "HUGE" => flag(value).map(|huge_pages| options.huge_pages(huge_pages)),
        "PURGER" => flag(value).map(|purger| options.purger(purger)),
        "PROFILE" => (!value.is_empty()).then(|| options.profile(value)),
        "PROFILE_RATE" => {
            let rate = value.parse().ok().filter(|rate| *rate >= Options::PROFILE_RATE_MIN);
            rate.map(|rate| options.profile_rate(rate))
        }
        "LEAKS" => flag(value).map(|leaks| options.leaks(leaks)),
        #[cfg(feature = "secure")]
        "SECURE" => flag(value).map(|secure| options.secure(secure)),
        #[cfg(not(feature = "secure"))]
        "SECURE" => {
            say(format_args!("{PREFIX}{name} needs a build with feature `secure`; it is ignored"));
            return options;
        }
        _ => {
            say(format_args!("{PREFIX}{name} is no option; it is ignored"));
            return options;
        }
    };
    changed.unwrap_or_else(|| {
        say(format_args!("{PREFIX}{name}={value} is no value for it; it is ignored"));
        options
    })
}

fn flag(value: &str) -> Option<bool> {
    match value {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, set};

    #[test]
    fn values_overrule_and_nonsense_is_ignored() {
        let options = Options::new();
        assert_eq!(set(options, "DECAY_MS", "7"), options.decay_ms(7));
        assert_eq!(set(options, "HUGE", "0"), options.huge_pages(false));
        for (name, value) in [("DECAY_MS", "-1"), ("DECAY_MS", ""), ("HUGE", "2"), ("NONE", "1")] {
            assert_eq!(set(options, name, value), options, "{name}={value}");
        }
    }
}
