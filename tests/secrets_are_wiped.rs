//! Row 53: a secret is overwritten before its memory goes back to the allocator.
//!
//! The allocator of this program looks at every block that is given back while a test asks it to.

use std::alloc::{GlobalAlloc, Layout as Block, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use keydrain::engine::credential::{FingerprintSecret, RawKey};
use keydrain::engine::parse::{FormatSpec, Layout, LineParser, Place};
use keydrain::engine::policy::AnonymousConsumers;
use keydrain::engine::rejects::OpenRejects;
use keydrain::engine::scan::matcher::{ChunkContext, Matcher, TrackedKey};
use keydrain::engine::time::Timestamp;

/// In every secret of these tests, and in nothing else. As written here it is no such text.
const MARKER: [u8; 8] = *b"hidden-X";

/// The system's allocator, which looks for the marker in what this thread gives back.
struct Watching;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static FOUND: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static WATCHING: Watching = Watching;

// SAFETY: every call is passed on as it came; `realloc` is the trait's own, made of the other two.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, block: Block) -> *mut u8 {
        // Zeroed, so that whoever looks at a block later reads bytes that were written.
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc_zeroed(block) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, block: Block) {
        if WATCHED.with(Cell::get) {
            // SAFETY: the block is the caller's until it is given back, and was zeroed at first.
            let bytes = unsafe { std::slice::from_raw_parts(memory, block.size()) };
            if bytes.windows(MARKER.len()).any(|window| window == MARKER) {
                FOUND.with(|found| found.set(found.get() + 1));
            }
        }
        // SAFETY: as above.
        unsafe { System.dealloc(memory, block) }
    }
}

/// Returns how many blocks with a secret in them were given back while `what` ran.
fn left_behind<T>(what: impl FnOnce() -> T) -> usize {
    FOUND.with(|found| found.set(0));
    WATCHED.with(|watched| watched.set(true));
    drop(what());
    WATCHED.with(|watched| watched.set(false));
    FOUND.with(Cell::get)
}

fn secret(name: &str) -> Vec<u8> {
    [&MARKER[..], name.as_bytes()].concat()
}

#[test]
fn row_53_the_allocator_sees_a_secret_that_is_not_wiped() {
    assert_eq!(left_behind(|| secret("plain")), 1);
}

#[test]
fn row_53_a_raw_key_and_the_fingerprint_secret_are_wiped_when_dropped() {
    let left = left_behind(|| {
        let pepper = FingerprintSecret::new(secret("pepper"));
        let raw = RawKey::new(secret("raw"));
        let again = raw.clone();
        let print = pepper.fingerprint(raw.expose());
        assert_eq!(print, pepper.fingerprint(again.expose()));
        assert!(!format!("{raw:?} {again:?} {pepper:?} {print}").contains("hidden"));
    });
    assert_eq!(left, 0);
}

/// All that a source keeps of keys: those it looks for, those it has seen, names that hold one, and
/// values that must be decoded before they are compared.
#[test]
fn row_53_what_a_matcher_has_read_is_wiped_when_it_is_dropped() {
    // The log itself stays: it is the server's.
    let line = |key: &str, user: &str| {
        format!(
            "192.0.2.1 - {user} [01/Jan/2030:00:00:00 +0000] \"GET /?k={key} HTTP/1.1\" 200 5 \"-\" \"-\"\n"
        )
    };
    let (old, new) = ("hidden-Xold", "hidden-Xnew");
    let mut text = line(old, "a") + &line(new, "b") + &line("hidden-Xother", "c");
    text += &line("hidden-%58old", "d");
    text += &line(old, "hidden-Xold");
    text += &line(new, "x-hidden-Xold-y");
    text += "garbage hidden-Xold\n";
    for number in 0..2000 {
        text += &line(&format!("hidden-X{number}"), "e");
    }
    let left = left_behind(|| {
        let pepper = Arc::new(FingerprintSecret::new(secret("pepper")));
        let place = vec![Place::Query("k".to_owned())];
        let layout = Layout::new(FormatSpec::Combined, place, vec!["remote_user".to_owned()]);
        let track = |raw: Option<RawKey>, key: &str| TrackedKey {
            fingerprint: pepper.fingerprint(key.as_bytes()),
            raw,
            anonymous: AnonymousConsumers::Pooled,
        };
        let tracked = vec![track(Some(RawKey::new(secret("old"))), old), track(None, new)];
        let parser = LineParser::compile(&layout).unwrap();
        let mut matcher = Matcher::new(parser, tracked, Arc::clone(&pepper));
        let usage = matcher.scan(
            text.as_bytes(),
            &ChunkContext {
                arrival: Timestamp::from_seconds(2_000_000_000),
                frontier: None,
                last_event: None,
                open_rejects: OpenRejects::default(),
                allowed_lateness: Duration::from_secs(30),
                future_tolerance: Duration::from_secs(60),
            },
        );
        assert_eq!((usage.reject_count, usage.other_keys), (1, 2001));
        let uses: u64 = usage.cells.iter().flat_map(|cell| cell.tally.counts).sum();
        assert_eq!(uses, 5);
    });
    assert_eq!(left, 0);
}
