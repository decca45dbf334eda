"""Runs whole processes in turn and measures them."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace


@dataclass
class Job:
    """A command under a name. `env` is added to the environment; `out` is where stdout goes."""

    name: str
    command: list
    env: dict = field(default_factory=dict)
    out: str = os.devnull
    good_exits: tuple = (0,)


@dataclass
class Cost:
    """What one process took: seconds of CPU (user and system) and of wall time."""

    cpu: float
    wall: float


def run(job):
    """Runs a job once. A job that fails ends the measurement: its time would mean nothing."""
    with open(job.out, "wb") as out:
        start = time.monotonic()
        process = subprocess.Popen(
            job.command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE,
            env={**os.environ, **job.env},
        )
        errors = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in job.good_exits:
        last = errors.decode(errors="replace")[-600:]
        sys.exit(f"{job.name}: exit {process.returncode}\n{' '.join(job.command)}\n{last}")
    return Cost(used.ru_utime + used.ru_stime, wall)


def peak_of(job):
    """Runs a job once for the MiB at its peak. `wait4` does not tell: of a process that a bigger
    one starts, the memory of that counts too."""
    with tempfile.NamedTemporaryFile("r") as told:
        command = ["/usr/bin/time", "-o", told.name, "-f", "%M", *job.command]
        run(replace(job, command=command))
        return int(told.read().split()[-1]) / 1024


def busy():
    """Returns the seconds that the processors have worked so far."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, soft = map(int, file.readline().split()[1:8])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


class Others:
    """What other processes use of the processors while something is measured."""

    cpu = wall = 0.0
    patience = 300.0  # seconds, in all

    @classmethod
    def add(cls, cpu, wall):
        """Adds seconds of CPU that were not ours, within so many seconds."""
        cls.cpu += cpu
        cls.wall += wall

    @classmethod
    def wait(cls):
        """Waits until nothing else runs, as long as there is patience left."""
        while cls.patience > 0:
            before = busy()
            time.sleep(0.5)
            if busy() - before < 0.05:
                return
            cls.patience -= 0.5

    @classmethod
    def share(cls):
        """Returns the share of one processor that others used in all rounds."""
        return max(cls.cpu, 0) / cls.wall if cls.wall else 0


class InTurns:
    """Jobs that were run in turn, so that what disturbs one disturbs all."""

    def __init__(self, jobs, rounds):
        self.jobs = {job.name: job for job in jobs}
        self.costs = {job.name: [] for job in jobs}
        # Warms the page cache, too.
        self.peaks = {job.name: peak_of(job) for job in jobs}
        for _ in range(rounds):
            Others.wait()
            before, start = busy(), time.monotonic()
            for job in jobs:
                cost = run(job)
                self.costs[job.name].append(cost)
                before += cost.cpu
            Others.add(busy() - before, time.monotonic() - start)

    def median(self, name, what):
        """Returns the median of `cpu` or `wall`."""
        return statistics.median(getattr(cost, what) for cost in self.costs[name])

    def ratio(self, name, to, what="cpu"):
        """Returns the median of the ratios of the rounds: one job to another of the same round."""
        pairs = zip(self.costs[name], self.costs[to])
        return statistics.median(getattr(one, what) / getattr(two, what) for one, two in pairs)
