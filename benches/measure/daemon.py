"""Measures the daemon and prints Markdown. Called by daemon.sh.

    daemon.py WORK ROUNDS
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import time

import table
from jobs import HERE, Bench
from runs import Others, busy, run
from daemon_site import NAMED, Site, config, line

WORK, ROUNDS = os.path.abspath(sys.argv[1]), int(sys.argv[2])
bench = Bench(WORK, os.environ["KEYDRAIN"])
COMBINED = 'format = "combined"\ncredential = "query:api_key"\n'


def site(name, text):
    return Site(bench.path(f"daemon/{name}"), bench.keydrain, text)


def beside(script, *arguments, core=None):
    """Starts a helper of this folder; its stdout is its answer."""
    command = [sys.executable, f"{HERE}/{script}", *map(str, arguments)]
    pin = ["taskset", "-c", str(core)] if core is not None else []
    return subprocess.Popen(pin + command, stdout=subprocess.PIPE, text=True)


def numbers(helper):
    """Waits for a helper; returns the numbers that it printed."""
    out, _ = helper.communicate()
    if helper.returncode != 0:
        sys.exit(f"{helper.args[-4:]} ended with {helper.returncode}")
    return list(map(float, out.split()))


def helpers():
    """Returns the seconds of CPU of the helpers that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def percentile(values, share):
    values = sorted(values)
    return values[min(int(len(values) * share), len(values) - 1)]


def latency(seconds=20, rate=100_000):
    """From the write of a line with the old key to the first answer that counts it."""
    daemon = site("latency", config(NAMED + 'idle_after = "5s"\n'))
    log = daemon.path("logs/access.log")
    with open(log, "w") as file:
        file.write(line(int(time.time()), "marker", "payments-api-old"))
    daemon.start()
    daemon.declare("payments-api")
    writer = beside("write_lines.py", log, rate, seconds)
    seen, until = [], time.monotonic() + seconds + 3
    while time.monotonic() < until:
        uses = daemon.readiness()["old_key"]["accepted"]
        now = time.monotonic()
        if not seen or uses > seen[-1][0]:
            seen.append((uses, now))
        time.sleep(0.001)
    written = numbers(writer)
    uses = daemon.readiness()["old_key"]["accepted"]
    if uses != len(written) + 1:
        sys.exit(f"wrong answer: {uses} uses of the old key instead of {len(written) + 1}")
    waits, at = [], iter(seen)
    count, moment = next(at)
    for number, start in enumerate(written, 2):
        while count < number:
            count, moment = next(at)
        waits.append((moment - start) * 1000)
    daemon.remove()
    return [("median ms from `write(2)` to the changed answer", statistics.median(waits), 250, 50),
            ("p99 ms", percentile(waits, 0.99), 1000, 250)]


def with_top_keys(name):
    """A daemon that follows the corpus, of which it knows the two keys that are used most."""
    new, old = bench.truth("combined")["top_keys"]
    daemon = site(name, config(COMBINED, ids=(old, new)))
    log = daemon.path("logs/access.log")
    open(log, "w").close()
    return daemon, log


def tailed():
    """CPU of reading a log while it grows, beside a scan of the same log by the same layout."""
    ratios, rates = [], []
    truth, size = bench.truth("combined"), bench.size("combined")
    scan = bench.scan("combined", "key,consumer", 1)
    for _ in range(ROUNDS):
        Others.wait()
        daemon, log = with_top_keys("tailed")
        daemon.start()
        daemon.declare("payments-api")
        work, used, start = busy() - helpers(), daemon.cpu(), time.monotonic()
        feeder = beside("feed.py", bench.log("combined"), log, 2000, 600, 1)
        numbers(feeder)
        daemon.wait_until_read(size)
        wall, used = time.monotonic() - start, daemon.cpu() - used
        Others.add(busy() - work - used - helpers(), wall)
        rates.append(size / 1e6 / wall)
        found = daemon.source()["lines"], daemon.uses()
        if found != (truth["lines"], truth["top_uses"]):
            sys.exit(f"wrong answer: {found} lines and uses instead of {truth}")
        daemon.remove()
        ratios.append(used / run(scan).cpu)
    return [(f"CPU of a log that grows, to `scan` ({statistics.median(rates):.0f} MB/s)",
             statistics.median(ratios), 1.5, 1.2)]


def idle(files=1000, seconds=20):
    """CPU of a daemon whose files do not change."""
    daemon = site("idle", config(NAMED))
    for number in range(files):
        daemon.write(f"logs/{number}.log", line(int(time.time()), f"client-{number}", "-"))
    daemon.start()
    while daemon.source()["lines"] != files:
        time.sleep(0.1)
    time.sleep(3)
    before = daemon.cpu()
    time.sleep(seconds)
    share = (daemon.cpu() - before) / seconds * 100
    daemon.remove()
    return [(f"% of a core, idle on {files:,} files", share, 1, 0.2)]


def asked(seconds=6, rate=2000):
    """Answers while one core reads at full speed; and while it does nothing, to know the asker."""
    daemon, log = with_top_keys("asked")
    daemon.start("taskset", "-c", "0")
    daemon.declare("payments-api")
    ask = ("ask.py", *daemon.address, rate, seconds)
    resting = numbers(beside(*ask, core=1))
    feeder = beside("feed.py", bench.log("combined"), log, 1500, seconds + 1, 1000, core=1)
    time.sleep(0.5)
    waits = numbers(beside(*ask, core=1))
    behind = daemon.source()["backlog_bytes"] >> 20
    numbers(feeder)
    daemon.stop()
    name = f"p99 ms of `GET …/readiness`, {rate:,}/s, {behind} MiB behind"
    return [(name, percentile(waits, 0.99), 10, 2),
            ("median ms of the same", statistics.median(waits), 10, 2),
            ("p99 ms while nothing is read", percentile(resting, 0.99), 10, 2)]


def restarted(days=90, rotations=50, consumers=200):
    """From the start of the process to its first right answer."""
    names = [f"service-{number}" for number in range(rotations)]
    daemon = site("restarted", config(NAMED, names))
    log, now = daemon.path("logs/access.log"), int(time.time())
    with open(log, "w") as file:
        for at in range(now - days * 86_400, now, 86_400):
            for consumer in range(consumers):
                second = at + consumer * 60
                for name in names:
                    file.write(line(second, f"client-{consumer}", f"{name}-old"))
    daemon.start()
    for name in names:
        daemon.declare(name)
    daemon.wait_until_read(os.path.getsize(log), 0.2)
    uses = daemon.uses(names[-1])
    if uses != days * consumers:
        sys.exit(f"wrong answer: {uses} uses instead of {days * consumers}")
    daemon.stop()
    starts = []
    for _ in range(ROUNDS):
        Others.wait()
        start = time.monotonic()
        daemon.start()
        if daemon.uses(names[-1]) != uses:
            sys.exit("wrong answer after a restart")
        starts.append(time.monotonic() - start)
        daemon.stop()
    state = sum(os.path.getsize(daemon.path(f"state/{name}"))
                for name in os.listdir(daemon.path("state")))
    shutil.rmtree(daemon.folder)
    return [(f"s from start to answer, {days} days, {rotations} rotations,"
             f" {rotations * consumers:,} consumers, {state >> 20} MiB of state",
             statistics.median(starts), 2, 0.5)]


def main():
    wanted = os.environ.get("ROWS", "latency tailed idle asked restarted").split()
    rows = []
    for measure in (latency, tailed, idle, asked, restarted):
        if measure.__name__ in wanted:
            print(f"{measure.__name__} …", file=sys.stderr)
            rows += measure()
    table.machine(bench, ROUNDS)
    table.goals(rows)


main()
