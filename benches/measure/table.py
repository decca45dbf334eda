"""The results as Markdown that can be pasted into a README."""

import datetime
import os
import re
import subprocess

from runs import Others


def costs(runs, name, size):
    """Returns the row of a job: name, MB per CPU second, CPU and wall seconds, MiB."""
    cpu, wall, peak = runs.median(name, "cpu"), runs.median(name, "wall"), runs.peaks[name]
    return name, f"{size / 1e6 / cpu:,.0f}", f"{cpu:.3f}", f"{wall:.3f}", f"{peak:.0f}"


def grid(heads, rows):
    print("| " + " | ".join(heads) + " |")
    print("|" + " --- |" * len(heads))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print()


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def goals(rows):
    """Prints each goal. More is better where the aim is higher than the must."""
    out = []
    for name, value, must, aim in rows:
        more_is_better = aim > must
        def met(goal):
            return value >= goal if more_is_better else value <= goal
        word = "aim met" if met(aim) else "must met" if met(must) else "**not met**"
        sign = "≥" if more_is_better else "≤"
        out.append((name, number(value), f"{sign} {number(must)}", f"{sign} {number(aim)}", word))
    print("### Goals\n")
    grid(("what", "measured", "must", "aim", ""), out)


def throughput(rows):
    print("### Throughput\n")
    grid(("log", "job", "MB per CPU second", "CPU s", "wall s", "peak MiB"), rows)


def first_line(*command):
    out = subprocess.run(command, capture_output=True, text=True)
    return (out.stdout + out.stderr).splitlines()[0].strip()


def cpu_model():
    with open("/proc/cpuinfo") as file:
        return re.search(r"model name\s*: (.*)", file.read()).group(1)


def machine(bench, rounds):
    here = os.path.dirname(os.path.abspath(__file__))
    commit = first_line("git", "-C", here, "describe", "--always", "--dirty")
    today = datetime.date.today()
    print(f"{today}, keydrain {commit}, {os.cpu_count()} × {cpu_model()},"
          f" Linux {os.uname().release}, page cache warm. Logs of {bench.size('combined') >> 20} MiB."
          f" Medians of {rounds} runs in turn, ratios of the same run."
          f" Other processes used {Others.share():.0%} of one core meanwhile: if that is much, wall"
          " times and gains of a second core are worth nothing.\n")


def peers(bench):
    versions = [first_line(bench.tool("rg"), "--version"), first_line("grep", "--version"),
                first_line("mawk", "-W", "version"), first_line("goaccess", "--version"),
                first_line("mtail", "--version"),
                *(f"{name} {bench.version(name)}" for name in ("duckdb", "chdb"))]
    print("Peers: " + "; ".join(versions) + ".\n")


def commands(bench):
    print("### Commands\n\n```sh")
    for name, command in bench.seen.items():
        print(f"{' '.join(map(shown, command)).replace(bench.work + '/', '')}  # {name}")
    print("```")


def shown(word):
    return word if re.fullmatch(r"[\w./:,=+-]+", word) else "'" + word.replace("'", "'\\''") + "'"
