"""Measures keydrain beside its peers and prints Markdown. Called by peers.sh, which prepares it all.

    peers.py WORK ROUNDS

WORK holds the logs, their truths and the peers' `venv`. KEYDRAIN is the binary.
"""

import os
import sys

import table
from jobs import KINDS, MIB, Bench
from runs import InTurns, peak_of

WORK, ROUNDS = os.path.abspath(sys.argv[1]), int(sys.argv[2])
bench = Bench(WORK, os.environ["KEYDRAIN"])


def one_key():
    """CPU and wall time beside tools that count the lines with one key."""
    goals = {"combined": (2.8, 1.5, 3.5, 2.0), "json": (2.4, 1.2, 2.6, 1.4),
             "cloudtrail": (2.0, 1.2, 2.2, 1.4)}
    throughput, rows, peaks = [], [], {}
    for kind in KINDS:
        jobs = [*bench.greps(kind), *(bench.scan(kind, group, threads)
                                      for group in ("key", "key,consumer") for threads in (1, 2))]
        runs = InTurns(jobs, ROUNDS)
        for job in jobs:
            throughput.append((kind, *table.costs(runs, job.name, bench.size(kind))))
        must, aim, must_both, aim_both = goals[kind]
        rows += [
            (f"CPU, {kind}, `--group key`, to `rg -cF`", runs.ratio("scan key 1", "rg"), must, aim),
            (f"CPU, {kind}, `--group key,consumer`, to `rg -cF`",
             runs.ratio("scan key,consumer 1", "rg"), must_both, aim_both),
            (f"wall on 2 cores, {kind}, `--group key`, to `rg -cF`",
             runs.ratio("scan key 2", "rg", "wall"), 1.5, 1.0),
            (f"wall, {kind}, `--group key`, 1 core to 2",
             runs.ratio("scan key 1", "scan key 2", "wall"), 1.7, 1.9),
            (f"peak MiB, {kind}, `--group key`", runs.peaks["scan key 1"], 64, 32),
        ]
        peaks[kind] = [runs.peaks[f"scan {group} 1"] for group in ("key", "key,consumer")]
    rows += per_cell(peaks)
    return throughput, rows


def per_cell(peaks):
    """Memory beyond that of `--group key`, for each further cell; and for each event id."""
    rows = []
    for kind in ("combined", "json"):
        truth = bench.truth(kind)
        cells = truth["cells"] - truth["pooled_cells"]
        more = (peaks[kind][1] - peaks[kind][0]) * MIB / cells
        rows.append((f"bytes for each further cell of `key,consumer`, {kind}", more, 32, 16))
    less = peak_of(bench.scan("cloudtrail", "key", 1, bench.head("cloudtrail")))
    ids = bench.truth("cloudtrail")["lines"] * 3 / 4
    rows.append(("bytes for each eventID, cloudtrail", (peaks["cloudtrail"][0] - less) * MIB / ids,
                 32, 16))
    return rows


def whole_job():
    """CPU beside databases that do the same: the best of them counts, without its start."""
    goals = {"combined": (1 / 6, 1 / 10), "json": (1 / 4.5, 1 / 7), "cloudtrail": (1 / 4.5, 1 / 6)}
    starts = InTurns(bench.starts(), ROUNDS)
    throughput, rows = [], []
    for kind in KINDS:
        peers = bench.whole(kind)
        runs = InTurns([*peers, bench.scan(kind, "key", 1)], ROUNDS)
        for job in peers:
            throughput.append((kind, *table.costs(runs, job.name, bench.size(kind))))
        def of_peer(name):
            start = starts.median(name, "cpu") if name in starts.jobs else 0
            return runs.median(name, "cpu") - start

        best = min((job.name for job in peers), key=of_peer)
        ratio = runs.median("scan key 1", "cpu") / of_peer(best)
        rows.append((f"CPU, {kind}, to the best whole-job peer ({best})", ratio, *goals[kind]))
    return throughput, rows


def tracked():
    """CPU of a scan with a config, by the number of keys that the config names."""
    counts = (2, 2000, 10_000)
    runs = InTurns([bench.tracked(count) for count in counts], ROUNDS)
    names = [f"tracked {count}" for count in counts]
    return [(f"CPU with {count} tracked keys to 2", runs.ratio(name, names[0]), 1.05, 1.05)
            for count, name in zip(counts[1:], names[1:])]


def packed():
    """CPU of packed logs beside `zcat | wc -l`; wall of four of them on two threads."""
    rows = []
    for kind in KINDS:
        runs = InTurns([bench.zcat(kind), bench.scan(kind, "key", 1, bench.packed(kind))], ROUNDS)
        rows.append((f"CPU, {kind}.gz, to `zcat \\| wc -l`", runs.ratio("scan key 1", "zcat"),
                     1.2, 1.0))
    files = bench.packed_parts()
    runs = InTurns([bench.scan("combined", "key", 1, *files),
                    bench.scan("combined", "key", 2, *files)], ROUNDS)
    rows.append(("wall, four .gz, 1 thread to 2", runs.ratio("scan key 1", "scan key 2", "wall"),
                 1.7, 1.9))
    return rows


def spray():
    """A new key in each line that has one: beside the same log with 2000 keys."""
    usual = bench.scan("combined", "key", 1)
    sprayed = bench.scan("combined", "key", 1, bench.path("spray.log"))
    sprayed.name = "spray"
    runs = InTurns([usual, sprayed], ROUNDS)
    keys = bench.truth("spray")["fresh_keys"]
    more = runs.peaks["spray"] - runs.peaks[usual.name]
    return [
        (f"wall with {keys:,} random keys to 2000 keys", runs.ratio("spray", usual.name, "wall"),
         1.3, 1.3),
        ("MiB more with them (0 would be flat)", more, 0, 0),
    ]


def slow_peers():
    """Peers that are too slow for the whole log, on its first 16 MiB."""
    runs = InTurns(bench.slow(), 3)
    size = os.path.getsize(bench.head("combined", 16 * MIB))
    return [("combined, 16 MiB", *table.costs(runs, name, size)) for name in runs.jobs]


def check_answers():
    for kind in KINDS:
        for group in ("key", "key,consumer"):
            for threads in (1, 2):
                bench.check_scan(kind, group, threads)
        bench.check_peers(kind)
    bench.check_spray()


def main():
    check_answers()
    print("every answer is right: the times count", file=sys.stderr)
    throughput, rows = one_key()
    more, ratios = whole_job()
    throughput += more + slow_peers()
    rows += ratios + tracked() + packed() + spray()
    table.machine(bench, ROUNDS)
    table.peers(bench)
    table.goals(rows)
    table.throughput(throughput)
    table.commands(bench)


main()
