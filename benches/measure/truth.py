"""Compares answers with the truth that the generator of a log has counted.

    truth.py keydrain TRUTH ANSWER [--secret FILE] [--pooled]
    truth.py cells TRUTH ANSWER
    truth.py sums TRUTH

`cells` reads lines of minute, key, outcome and count, separated by tabs; a minute is its number in
the day or ends in hh:mm, an outcome is 0 (accepted), 1 (denied) or 2 (failed). `sums` prints the
sums of a truth and its keys: whoever measures memory should not hold the whole of it.
"""

import argparse
import hashlib
import hmac
import json
import sys
from collections import Counter


def expected_cells(truth, shown):
    """Returns (minute, key, outcome) -> count, under the names that keys are shown by."""
    cells = Counter()
    for key, of_key in truth["keys"].items():
        for minute, *counts in of_key["minutes"]:
            for outcome, count in enumerate(counts):
                if count:
                    cells[minute, shown(key), outcome] += count
    return cells


def fingerprints(secret):
    """Returns what keydrain shows a secret key as: the first half of an HMAC-SHA-256."""
    return lambda key: "kd1:" + hmac.digest(secret, key.encode(), hashlib.sha256)[:16].hex()


def check(what, got, expected):
    if got != expected:
        sys.exit(f"wrong answer: {what}: {got} instead of {expected}")


def check_cells(got, expected):
    for cell in got.keys() | expected.keys():
        check(cell, got[cell], expected[cell])


def minute_of(text):
    """Returns the minute of the day of `17`, `2026-05-18T00:17:00Z` or `18/May/2026:00:17`."""
    if text.isdigit():
        return int(text)
    hours, minutes = text.removesuffix(":00Z")[-5:].split(":")
    return int(hours) * 60 + int(minutes)


def check_keydrain(truth, answer, shown, pooled):
    totals = [answer[name] for name in ("bytes", "lines", "events", "keyless", "duplicates")]
    check("totals", totals, [*(truth[n] for n in ("bytes", "lines", "events", "keyless")), 0])
    check("rejects", answer["rejects"]["total"], truth["rejects"])
    check("incomplete", answer["incomplete"], [])
    if truth["fresh_keys"]:
        check("keys", len(answer["keys"]), truth["fresh_keys"])
        return
    consumers = {shown(key): of_key["consumers"] for key, of_key in truth["keys"].items()}
    check("consumers", {row["key"]: row["consumers"] for row in answer["keys"]}, consumers)
    cells = Counter()
    outcomes = ("accepted", "denied", "failed")
    for row in answer["usage"]:
        minute = minute_of(row["window"])
        for outcome, name in enumerate(outcomes):
            if row[name]:
                cells[minute, row["key"], outcome] += row[name]
    check_cells(cells, expected_cells(truth, shown))
    if not pooled:
        check("cells", len(answer["usage"]), truth["cells"])


def read_cells(lines):
    cells = Counter()
    for line in lines:
        minute, key, outcome, count = line.rstrip("\n").split("\t")
        cells[minute_of(minute), key, int(outcome)] += int(count)
    return cells


def sums(truth):
    keys = {key: sum(sum(counts) for _, *counts in of_key["minutes"])
            for key, of_key in truth["keys"].items()}
    pooled = sum(len(of_key["minutes"]) for of_key in truth["keys"].values())
    middle = sorted(keys, key=keys.get)[len(keys) // 2] if keys else None
    return {name: truth[name] for name in ("lines", "events", "fresh_keys", "cells")} | {
        "pooled_cells": pooled, "middle_key": middle, "middle_uses": keys.get(middle),
        "top_keys": sorted(keys, key=keys.get)[-2:], "top_uses": max(keys.values(), default=0)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("keydrain", "cells", "sums"))
    parser.add_argument("truth")
    parser.add_argument("answer", nargs="?")
    parser.add_argument("--secret")
    parser.add_argument("--pooled", action="store_true")
    args = parser.parse_args()
    with open(args.truth) as file:
        truth = json.load(file)
    if args.kind == "sums":
        return print(json.dumps(sums(truth)))
    shown = str
    if args.secret:
        with open(args.secret, "rb") as file:
            shown = fingerprints(file.read().strip())
    with open(args.answer) as file:
        if args.kind == "cells":
            check_cells(read_cells(file), expected_cells(truth, str))
        else:
            check_keydrain(truth, json.load(file), shown, args.pooled)


main()
