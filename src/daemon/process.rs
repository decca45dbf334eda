//! What the daemon asks of the system for its own process: no dumps of its memory, many open files.
//!
//! Nothing here stops a start: what the system refuses is told and lived with.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// Descriptors that the daemon itself needs, and a few more: state, listener, events, wake-ups.
const OWN_FILES: usize = 24;

/// Forbids core dumps, and other processes of the same user to read the memory: it holds raw keys.
///
/// The limit alone would not do: the kernel ignores it where a crash is piped to a program.
pub fn forbid_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none);
    if let Err(error) = limited.and(set_dumpable_behavior(DumpableBehavior::NotDumpable)) {
        tracing::warn!(%error, "Core dumps could not be forbidden; they may hold raw keys.");
    }
}

/// Raises the soft limit of open files to the hard one: the soft one is made for programs that
/// use `select`, and so low that many logs would stay closed.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "The limit of open files could not be raised; few logs may be open.");
    }
}

/// Returns how many logs may be open: `wanted`, or half of the descriptors that the state and the
/// listener leave, where that is less. A daemon that cannot answer is of no use.
pub fn open_logs(wanted: usize) -> usize {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return wanted };
    let half = usize::try_from(limit).map_or(wanted, |limit| limit.saturating_sub(OWN_FILES) / 2);
    half.clamp(1, wanted)
}
