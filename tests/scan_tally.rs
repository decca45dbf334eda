//! The law of `scan`'s counting: tallies of parts merge to the tally of the whole, in any order.

use std::collections::{BTreeMap, BTreeSet};

use keydrain::engine::parse::{FormatSpec, Layout, LineParser, Place, Scratch};
use keydrain::engine::scan::tally::{Counts, KeyTotals, ScanTally, TallyOptions, Totals};
use keydrain::engine::time::Timestamp;
use proptest::prelude::*;

fn tally(lines: &[String]) -> ScanTally {
    let parser = LineParser::compile(&Layout::new(
        FormatSpec::Nginx("$msec $http_k $remote_user $status".into()),
        vec![Place::Field("http_k".into())],
        vec!["remote_user".into()],
    ))
    .expect("valid");
    let mut scratch = Scratch::default();
    let mut tally = ScanTally::new(TallyOptions::default());
    for line in lines {
        match parser.parse(line.as_bytes(), &mut scratch) {
            Ok(event) => tally.event(&event),
            Err(reason) => tally.reject(reason),
        }
    }
    tally
}

type Cells = BTreeMap<(Timestamp, Vec<u8>, Option<Vec<u8>>), (u64, u64, u64)>;

/// Everything a tally says, in an order that does not depend on how it was made.
#[derive(Debug, PartialEq)]
struct Said {
    totals: Totals,
    keys: BTreeMap<Vec<u8>, KeyTotals>,
    pairs: BTreeSet<(Vec<u8>, Vec<u8>)>,
    cells: Cells,
}

fn said(tally: &ScanTally) -> Said {
    let numbers = |counts: Counts| (counts.accepted, counts.denied, counts.failed);
    Said {
        totals: *tally.totals(),
        keys: tally.keys().map(|(key, totals)| (key.to_vec(), totals)).collect(),
        pairs: tally.pairs().map(|(key, name)| (key.to_vec(), name.to_vec())).collect(),
        cells: tally
            .cells()
            .map(|(cell, counts)| {
                let consumer = cell.consumer.map(<[u8]>::to_vec);
                ((cell.window, cell.key.to_vec(), consumer), numbers(counts))
            })
            .collect(),
    }
}

fn any_line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec!["A", "B", "C", "-"]);
    let user = prop::sample::select(vec!["-", "ann", "bob"]);
    let status = prop::sample::select(vec!["200", "401", "500", "bad"]);
    (0..200u8, key, user, status)
        .prop_map(|(at, key, user, status)| format!("{at}.000 {key} {user} {status}"))
}

proptest! {
    #[test]
    fn tallies_of_parts_merge_to_the_tally_of_the_whole(
        lines in prop::collection::vec(any_line(), 0..40), cut in 0usize..40,
    ) {
        let (head, tail) = lines.split_at(cut.min(lines.len()));
        let whole = said(&tally(&lines));
        for (first, second) in [(head, tail), (tail, head)] {
            let mut merged = tally(first);
            merged.merge(&tally(second));
            prop_assert_eq!(&said(&merged), &whole);
        }
    }
}
