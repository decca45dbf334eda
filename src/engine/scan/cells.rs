//! The cells of a tally: counts by window, key and consumer.
//!
//! Lines come nearly in the order of their times, so the cells of one window lie together: what is
//! counted now stays in the cache, however many windows a log spans.

use hashbrown::HashMap;

use super::intern::Symbol;
use super::tally::{Counts, WindowLength};
use crate::engine::time::Timestamp;

/// Where a count belongs: start of the window, key and consumer.
pub type Place = (Timestamp, Symbol, Option<Symbol>);

/// Counts by window, key and consumer.
#[derive(Default)]
pub struct Cells {
    length: WindowLength,
    windows: Vec<Window>,
    /// Number of the window that begins at a time.
    numbers: HashMap<Timestamp, usize>,
    /// Number of the window that was counted in last.
    current: usize,
    /// What is beyond the room of a cell.
    beyond: HashMap<Place, Counts>,
}

struct Window {
    start: Timestamp,
    end: Timestamp,
    cells: HashMap<InWindow, Small>,
}

/// Key and consumer of a cell, as one number: the key in the upper half, and the consumer plus one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct InWindow(u64);

/// The counts of a cell, in half the room: there may be a cell for each line.
#[derive(Clone, Copy, Default)]
struct Small {
    accepted: u32,
    denied: u32,
    failed: u32,
}

impl Cells {
    /// Makes windows of this length, none of them yet.
    pub fn new(length: WindowLength) -> Self {
        Self { length, ..Self::default() }
    }

    /// Adds counts to the cell of the window that holds `at`.
    #[inline]
    pub fn add(&mut self, at: Timestamp, key: Symbol, consumer: Option<Symbol>, counts: Counts) {
        self.turn_to(at);
        let window = &mut self.windows[self.current];
        let cell = window.cells.entry(InWindow::new(key, consumer)).or_default();
        if let Some(sum) = cell.plus(counts) {
            *cell = sum;
        } else {
            let sum = self.beyond.entry((window.start, key, consumer)).or_default();
            sum.add(std::mem::take(cell).counts());
            sum.add(counts);
        }
    }

    /// Makes the window that holds `at` the current one.
    #[inline]
    fn turn_to(&mut self, at: Timestamp) {
        let holds = |window: &Window| window.start <= at && at < window.end;
        if !self.windows.get(self.current).is_some_and(holds) {
            self.current = self.number(at);
        }
    }

    #[cold]
    fn number(&mut self, at: Timestamp) -> usize {
        let start = self.length.start_of(at);
        *self.numbers.entry(start).or_insert_with(|| {
            let end = start.plus(self.length.duration());
            self.windows.push(Window { start, end, cells: HashMap::new() });
            self.windows.len() - 1
        })
    }

    /// Iterates over the cells that are not empty, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Place, Counts)> {
        self.windows.iter().flat_map(|window| {
            let cells = WindowCells { window, beyond: &self.beyond }.cells();
            cells.map(|(key, consumer, counts)| ((window.start, key, consumer), counts))
        })
    }

    /// Iterates over the windows that are not empty, the earliest first.
    pub fn windows(&self) -> impl Iterator<Item = WindowCells<'_>> {
        let mut windows: Vec<&Window> = self.windows.iter().collect();
        windows.sort_unstable_by_key(|window| window.start);
        windows.into_iter().map(|window| WindowCells { window, beyond: &self.beyond })
    }
}

/// The cells of one window.
#[derive(Clone, Copy)]
pub struct WindowCells<'a> {
    window: &'a Window,
    beyond: &'a HashMap<Place, Counts>,
}

impl<'a> WindowCells<'a> {
    /// Returns where the window begins.
    pub fn start(self) -> Timestamp {
        self.window.start
    }

    /// Iterates over its cells that are not empty, in no order.
    pub fn cells(self) -> impl Iterator<Item = (Symbol, Option<Symbol>, Counts)> + 'a {
        let Self { window, beyond } = self;
        window.cells.iter().map(|(cell, small)| {
            let (key, consumer) = cell.symbols();
            let mut counts = small.counts();
            // Looked up for nothing in nearly every log: there is none.
            if !beyond.is_empty()
                && let Some(&more) = beyond.get(&(window.start, key, consumer))
            {
                counts.add(more);
            }
            (key, consumer, counts)
        })
    }
}

impl InWindow {
    fn new(key: Symbol, consumer: Option<Symbol>) -> Self {
        let consumer = consumer.map_or(0, |consumer| u64::from(consumer.number()) + 1);
        Self(u64::from(key.number()) << 32 | consumer)
    }

    fn symbols(self) -> (Symbol, Option<Symbol>) {
        let half = |half: u64| Symbol::from_number(u32::try_from(half).expect("half of 64 bits"));
        let consumer = self.0 & u64::from(u32::MAX);
        (half(self.0 >> 32), (consumer > 0).then(|| half(consumer - 1)))
    }
}

impl Small {
    /// Returns the sum; `None` where a count has no room for it.
    fn plus(self, counts: Counts) -> Option<Self> {
        let sum = |small: u32, more: u64| small.checked_add(u32::try_from(more).ok()?);
        Some(Self {
            accepted: sum(self.accepted, counts.accepted)?,
            denied: sum(self.denied, counts.denied)?,
            failed: sum(self.failed, counts.failed)?,
        })
    }

    fn counts(self) -> Counts {
        Counts {
            accepted: self.accepted.into(),
            denied: self.denied.into(),
            failed: self.failed.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::scan::intern::Interner;

    #[test]
    fn a_cell_counts_beyond_its_room() {
        let (key, at) = (Interner::default().intern(b"key"), Timestamp::from_seconds(59));
        let mut cells = Cells::new(WindowLength::Minute);
        let most = u64::from(u32::MAX);
        for denied in [most, 1, most, 7, 1 << 40] {
            cells.add(at, key, None, Counts { accepted: 1, denied, failed: 0 });
        }
        cells.add(
            Timestamp::from_seconds(60),
            key,
            None,
            Counts { failed: 1, ..Counts::default() },
        );
        let mut all: Vec<_> = cells.iter().collect();
        all.sort_unstable_by_key(|(place, _)| *place);
        let denied = 2 * most + 8 + (1 << 40);
        let first = Counts { accepted: 5, denied, failed: 0 };
        let second = Counts { failed: 1, ..Counts::default() };
        let place = |second| (Timestamp::from_seconds(second), key, None);
        assert_eq!(all, [(place(0), first), (place(60), second)]);
    }
}
