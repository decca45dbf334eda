//! The law of `scan`'s counting: tallies of parts merge to the tally of the whole, in any order.

use std::collections::{BTreeMap, BTreeSet};

use keydrain::engine::parse::{FormatSpec, Layout, LineParser, Place, Scratch};
use keydrain::engine::scan::tally::{Counts, KeyTotals, ScanTally, TallyOptions, Totals};
use keydrain::engine::time::Timestamp;
use proptest::prelude::*;

fn parser() -> LineParser {
    let layout = Layout::new(
        FormatSpec::Nginx("$msec $http_k $remote_user $status".into()),
        vec![Place::Field("http_k".into())],
        vec!["remote_user".into()],
    );
    LineParser::compile(&layout).expect("valid")
}

fn tally(lines: &[String]) -> ScanTally {
    let (parser, mut scratch) = (parser(), Scratch::default());
    let mut tally = ScanTally::new(TallyOptions::default());
    for line in lines {
        match parser.parse(line.as_bytes(), &mut scratch) {
            Ok(event) => tally.event(&event),
            Err(reason) => tally.reject(reason),
        }
    }
    tally
}

/// The same, with at most `at_once` lines in a batch.
fn tally_in_batches(lines: &[String], options: TallyOptions, at_once: usize) -> ScanTally {
    let (parser, mut scratch) = (parser(), Scratch::default());
    let mut tally = ScanTally::new(options);
    for lines in lines.chunks(at_once) {
        let mut batch = tally.batch();
        for line in lines {
            match parser.parse(line.as_bytes(), &mut scratch) {
                Ok(event) => batch.event(&event),
                Err(reason) => batch.reject(reason),
            }
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

/// Texts of all lengths around those that the tables treat apart, and longer than a batch holds.
#[test]
fn texts_of_any_length_are_counted_apart() {
    let lengths = (1..70).chain([8000, 8192, 9000]);
    let texts = lengths.flat_map(|len| {
        let same = "x".repeat(len - 1);
        [format!("{same}a"), format!("{same}b"), format!("a{same}")]
    });
    let texts: Vec<String> = texts.collect();
    let lines: Vec<String> = texts
        .iter()
        .zip(texts.iter().rev())
        .chain(texts.iter().zip(&texts))
        .map(|(key, user)| format!("5.000 {key} {user} 200"))
        .collect();
    let distinct: BTreeSet<&String> = texts.iter().collect();
    for pool_consumers in [false, true] {
        let options = TallyOptions { pool_consumers, ..TallyOptions::default() };
        let all = said(&tally_in_batches(&lines, options, 1000));
        assert_eq!(all.keys.len(), distinct.len());
        assert_eq!(all, said(&tally_in_batches(&lines, options, 1)));
        let pairs: BTreeSet<&String> = lines.iter().collect();
        assert_eq!(all.pairs.len(), pairs.len());
    }
}

proptest! {
    #[test]
    fn lines_in_batches_are_counted_as_one_by_one(
        lines in prop::collection::vec(any_line(), 0..150), at_once in 1usize..150,
    ) {
        let batched = tally_in_batches(&lines, TallyOptions::default(), at_once);
        prop_assert_eq!(said(&batched), said(&tally(&lines)));
        prop_assert!(batched.keys().eq(tally(&lines).keys()), "in the order of first sight");
    }

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
