//! The progress of a scan, on a terminal: bytes read of all, as they lie on disk, rate and rest.
//!
//! It is wiped away before the answer is written.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::input::names::Named;

/// How often it is drawn when nothing is read, so that the rate stays true.
const TICK: Duration = Duration::from_millis(250);

/// Makes the progress bar of a scan over `inputs`, or one that is never seen.
pub fn bar(inputs: &[Named], is_shown: bool) -> ProgressBar {
    if !is_shown {
        return ProgressBar::hidden();
    }
    let looks = inputs.iter().filter_map(|input| input.look.as_ref().ok());
    // The length of a stream is not known.
    let total: Option<u64> = looks.map(|look| look.map(|look| look.bytes)).sum();
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
        ),
        None => (ProgressBar::no_length(), "{spinner} {binary_bytes}, {binary_bytes_per_sec}"),
    };
    bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
    bar.enable_steady_tick(TICK);
    bar
}
