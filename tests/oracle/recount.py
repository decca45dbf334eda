#!/usr/bin/env python3
"""Counts again what `keydrain scan` counts: slow, strict, and simple enough to be believed.

Written from "What `scan` counts" in the design alone. It takes the flags of `keydrain scan` and
prints JSON of the same shape, keys as they are. Standard library only, Python 3.9 or later.

    recount.py FILE… --format combined --credential query:api_key --by hour
    recount.py FILE… --format combined --credential query:api_key --lines   # how each line is read
"""

import argparse
import codecs
import gzip
import json
import os
import re
import sys
from collections import Counter

import json_formats
import text_formats
import times
from text_formats import Reject

MAX_LINE = 1 << 20
OUTCOMES = ["accepted", "denied", "failed"]
codecs.register_error("hex", lambda e: ("".join("\\x%02X" % b for b in e.object[e.start : e.end]), e.end))


def shown(text):
    """Bytes of a log as text: what is not UTF-8 is written `\\xHH`."""
    return None if text is None else text.decode("utf-8", "hex")


def content(path):
    """A file's bytes, unpacked when its first two say gzip."""
    with open(path, "rb") as file:
        data = file.read()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def lines_of(data):
    """A line ends at LF, one CR before it is dropped, and an unterminated last line counts."""
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return [line[:-1] if line.endswith(b"\r") else line for line in lines]


def unwrapped_docker(lines):
    """Docker splits a long line: only its last part ends in a line feed."""
    pending = {}
    for line in lines:
        try:
            entry = json_formats.decoded(line)
            part = json_formats.bytes_of(entry["log"])
            stream = str(entry["stream"])
        except (Reject, TypeError, KeyError):
            yield Reject("form")
            continue
        text = pending.pop(stream, b"") + part
        if text.endswith(b"\n"):
            yield lines_of(text)[0]
        else:
            pending[stream] = text
    yield from cut(pending)


CRI = re.compile(rb"([^ ]+) (stdout|stderr) ([FP]) (.*)", re.DOTALL)


def unwrapped_cri(lines):
    """Kubernetes marks a part `P` and the last part `F`."""
    pending = {}
    for line in lines:
        found = CRI.fullmatch(line)
        if not found or times.rfc3339(found[1]) is None:
            yield Reject("form")
            continue
        text = pending.pop(found[2], b"") + found[4]
        if found[3] == b"F":
            yield text
        else:
            pending[found[2]] = text
    yield from cut(pending)


def cut(pending):
    """A line whose last part never came: half a key may read as another key."""
    for _ in pending:
        yield Reject("form")


def format_of(written, zone):
    if written == "combined":
        return text_formats.combined()
    if written == "common":
        return text_formats.common()
    if written == "cloudtrail":
        return json_formats.CloudTrail(zone)
    if written.startswith("nginx:"):
        return text_formats.nginx(written[len("nginx:") :])
    if written.startswith("apache:"):
        return text_formats.apache(written[len("apache:") :])
    found = re.fullmatch(r"\{ *json *= *\{(.*)\} *\}", written)
    if found:
        return json_formats.JsonLines(dict(re.findall(r'(\w+) *= *"([^"]*)"', found[1])), zone)
    sys.exit("recount: unknown format: " + written)


def read_line(formats, line):
    """The record of a line by the first format that fits it."""
    if isinstance(line, Reject):
        raise line
    if len(line) > MAX_LINE:
        raise Reject("too_long")
    if not line.strip(b" \t\r"):
        raise Reject("form")
    refused = Reject("form")
    for one in formats:
        try:
            return one.read(line)
        except Reject as reject:
            # A layout that fits but for its time or status says more than one that does not fit.
            refused = reject if refused.args[0] == "form" else refused
    raise refused


class Count:
    """Every total of the answer."""

    def __init__(self, by, since, until):
        self.by, self.since, self.until = by, since, until
        self.bytes = self.lines = self.events = self.keyless = self.duplicates = 0
        self.rejects = Counter()
        self.seen_ids = set()
        self.at = []
        self.keys = {}
        self.cells = {}

    def add(self, read):
        """Counts what `read()` returns and names what became of it."""
        try:
            record = read()
        except Reject as reject:
            self.lines += 1
            self.rejects[reject.args[0]] += 1
            return reject.args[0]
        if (self.since is not None and record.at < self.since) or (
            self.until is not None and record.at >= self.until
        ):
            return "outside"
        self.lines += 1
        if record.event_id is not None:
            if record.event_id in self.seen_ids:
                self.duplicates += 1
                return "duplicate"
            self.seen_ids.add(record.event_id)
        if record.key is None:
            self.keyless += 1
            return "keyless"
        self.events += 1
        self.at.append(record.at)
        key = self.keys.setdefault(record.key, {"at": [], "count": Counter(), "consumers": set()})
        key["at"].append(record.at)
        key["count"][record.outcome] += 1
        consumer = shown(record.consumer)  # what a reader of the answer can tell apart
        if consumer is not None:
            key["consumers"].add(consumer)
        cell = (times.window(record.at, self.by), record.key, consumer)
        self.cells.setdefault(cell, Counter())[record.outcome] += 1
        return "%s %s key=%r consumer=%r" % (times.shown(record.at), record.outcome, record.key, record.consumer)

    def answer(self, group):
        cells = {}
        for (window, key, consumer), count in self.cells.items():
            cell = (window, key if "key" in group else None, consumer if "consumer" in group else None)
            cells.setdefault(cell, Counter()).update(count)
        return {
            "schema": "keydrain/scan/v1",
            "bytes": self.bytes,
            "lines": self.lines,
            "events": self.events,
            "keyless": self.keyless,
            "duplicates": self.duplicates,
            "rejects": {"total": sum(self.rejects.values()), "by_reason": dict(self.rejects)},
            "incomplete": [],
            "first_event": times.shown(min(self.at)) if self.at else None,
            "last_event": times.shown(max(self.at)) if self.at else None,
            "keys": [
                {
                    "key": shown(key),
                    "first_seen": times.shown(min(one["at"])),
                    "last_seen": times.shown(max(one["at"])),
                    **{how: one["count"][how] for how in OUTCOMES},
                    "consumers": len(one["consumers"]),
                }
                for key, one in sorted(self.keys.items(), key=lambda row: shown(row[0]).encode())
            ],
            "usage": [
                {
                    "window": times.shown(window),
                    "key": shown(key),
                    "consumer": consumer,
                    **{how: count[how] for how in OUTCOMES},
                }
                for (window, key, consumer), count in sorted(cells.items(), key=in_order)
            ],
        }


def in_order(row):
    """By window, key and consumer as they are shown, bytewise; none comes first."""
    window, key, consumer = row[0]
    return window, (shown(key) or "").encode(), consumer is not None, (consumer or "").encode()


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--format", action="append", required=True)
    parser.add_argument("--credential", action="append", default=[])
    parser.add_argument("--consumer", action="append", default=[])
    parser.add_argument("--by", choices=["minute", "hour", "day"], default="hour")
    parser.add_argument("--since")
    parser.add_argument("--until")
    parser.add_argument("--group", default="key,consumer")
    parser.add_argument("--zone")
    parser.add_argument("--wrapped", choices=["none", "docker", "cri"])
    parser.add_argument("--lines", action="store_true", help="print how each line is read instead of the counts")
    return parser.parse_intermixed_args()


def bound(written):
    return None if written is None else times.rfc3339(written.encode())


def main():
    given = options()
    formats = [format_of(one, given.zone) for one in given.format]
    for one in formats:
        one.places = given.credential or one.places
        if given.consumer:
            one.consumers = [place.split(":", 1)[1] for place in given.consumer]
    count = Count(given.by, bound(given.since), bound(given.until))
    unwrap = {None: list, "none": list, "docker": unwrapped_docker, "cri": unwrapped_cri}[given.wrapped]
    read_files = set()
    for path in given.files:
        if os.path.realpath(path) in read_files:
            continue
        read_files.add(os.path.realpath(path))
        data = content(path)
        count.bytes += len(data)
        if isinstance(formats[0], json_formats.CloudTrail):
            for value in formats[0].records(data):
                became = count.add(lambda: trail_record(formats[0], value))
                if given.lines:
                    print("%s\t%.300s" % (became, value))
            continue
        for line in unwrap(lines_of(data)):
            became = count.add(lambda: read_line(formats, line))
            if given.lines:
                print("%s\t%.300s" % (became, line))
    if not given.lines:
        json.dump(count.answer(given.group.split(",")), sys.stdout)
        print()


def trail_record(trail, value):
    if isinstance(value, Reject):
        raise value
    return trail.read(value)


if __name__ == "__main__":
    main()
