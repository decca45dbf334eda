//! `combined` as a container runtime writes it.

use keydrain::engine::parse::Layout;
use keydrain::engine::parse::wrap::{Wrapper, Wrapping};

use crate::corpus::Log;
use crate::servers;

/// Every line whole, with the runtime's time before it.
pub fn cri() -> (Log, Layout) {
    let (_, layout) = servers::combined();
    let log = Log::generate(65, |request| {
        let line = servers::combined_line(request);
        format!("2015-05-17T{}.{:09}Z stdout F {line}", request.clock(), request.below(1 << 29))
    });
    (log, Layout { wrapping: Wrapping::Declared(vec![Wrapper::Cri]), ..layout })
}
