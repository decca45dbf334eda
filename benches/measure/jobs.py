"""The commands that are measured, and the checks of what they answer."""

import json
import os
import subprocess
import sys

from runs import Job, run

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = ("combined", "json", "cloudtrail")
MIB = 1 << 20
LAYOUT = {
    "combined": ["--format", "combined", "--credential", "query:api_key"],
    "json": ["--format", '{ json = { time = "time", status = "http.status" } }',
             "--credential", "field:auth.api_key_id", "--consumer", "field:client.name"],
    "cloudtrail": ["--format", "cloudtrail"],
}


class Bench:
    """Where everything is, and how it is called."""

    def __init__(self, work, keydrain):
        self.work, self.keydrain = work, keydrain
        self.state = self.path("state")
        self.seen = {}
        self.truths = {}

    def path(self, name):
        return os.path.join(self.work, name)

    def log(self, kind):
        return self.path(f"{kind}.log")

    def size(self, kind):
        return os.path.getsize(self.log(kind))

    def truth(self, kind):
        """Returns the sums of a truth. The whole of it would be held by this process, and the
        memory of a process counts for those it starts."""
        if kind not in self.truths:
            command = [sys.executable, f"{HERE}/truth.py", "sums", self.path(f"{kind}.truth.json")]
            self.truths[kind] = json.loads(subprocess.check_output(command))
        return self.truths[kind]

    def tool(self, name):
        return self.path(f"venv/bin/{name}")

    def version(self, package):
        code = f"import importlib.metadata as m; print(m.version({package!r}))"
        return subprocess.check_output([self.tool("python"), "-c", code], text=True).strip()

    def job(self, name, kind, command, **more):
        self.seen.setdefault(f"{name}, {kind}" if kind else name, command)
        return Job(name, command, **more)

    def greps(self, kind):
        # Few lines have a key of middle rank, which is what a search is fastest at.
        key, log = self.truth(kind)["middle_key"], self.log(kind)
        # GNU grep stops at the first line that matches if its output is /dev/null.
        out = self.path("answer.txt")
        return [self.job(name, kind, command, out=out) for name, command in (
            ("rg", [self.tool("rg"), "-cF", key, log]),
            ("rg --no-mmap", [self.tool("rg"), "--no-mmap", "-cF", key, log]),
            ("grep", ["grep", "-cF", key, log]),
            ("wc -l", ["wc", "-l", log]))]

    def scan(self, kind, group, threads, *files):
        command = [self.keydrain, "scan", *LAYOUT[kind], "--state", self.state, "--output", "json",
                   "--group", group, "--threads", str(threads), *(files or [self.log(kind)])]
        return self.job(f"scan {group} {threads}", kind, command)

    def starts(self):
        """The databases without a job: to import one takes its time."""
        python = self.tool("python")
        return [Job(engine, [python, "-c", code]) for engine, code in (
            ("duckdb", "import duckdb; duckdb.connect().execute('SET threads = 1')"),
            ("chdb", "import chdb; chdb.query('SELECT 1', 'TabSeparated')"))]

    def whole(self, kind):
        log = self.log(kind)
        of_python = [
            self.job(engine, kind, [self.tool("python"), f"{HERE}/whole.py", engine, kind, log])
            for engine in ("duckdb", "chdb")]
        awk = ["mawk", "-v", f"kind={kind}", "-f", f"{HERE}/whole.awk", log]
        return [*of_python, self.job("mawk", kind, awk)]

    def slow(self):
        head = self.head("combined", 16 * MIB)
        mtail = ["mtail", "--one_shot", "--one_shot_format", "json", "--progs",
                 f"{HERE}/whole.mtail", "--logs", head, "--logtostderr"]
        goaccess = ["goaccess", head, "--log-format=COMBINED", "--no-global-config", "-o",
                    self.path("goaccess.json")]
        return [self.job("mtail", "combined", mtail), self.job("goaccess", "combined", goaccess)]

    def head(self, kind, size=None):
        """Makes the first quarter of a log, or its first `size` bytes, cut after a line."""
        size = min(size or self.size(kind) // 4, self.size(kind))
        path = self.path(f"{kind}.{size // MIB}.head.log")
        if not os.path.exists(path):
            with open(self.log(kind), "rb") as whole, open(path, "wb") as head:
                text = whole.read(size)
                head.write(text[: text.rfind(b"\n") + 1])
        return path

    def tracked(self, count):
        """A scan with a config that names `count` keys, those of the log first."""
        config = self.path(f"tracked-{count}.toml")
        with open(config, "w") as out:
            subprocess.run([sys.executable, f"{HERE}/config.py", self.state, self.log("combined"),
                            self.path("combined.truth.json"), str(count)], stdout=out, check=True)
        command = [self.keydrain, "--config", config, "scan", "--source", "edge", "--output",
                   "json", "--group", "key", "--threads", "1"]
        return self.job(f"tracked {count}", None, command)

    def packed(self, kind):
        path = self.path(f"{kind}.log.gz")
        if not os.path.exists(path):
            subprocess.run(f"gzip -c {self.log(kind)} > {path}", shell=True, check=True)
        return path

    def packed_parts(self):
        parts = [self.path(f"part-{number}.log.gz") for number in range(4)]
        if not all(map(os.path.exists, parts)):
            log, work = self.log("combined"), self.work
            subprocess.run(f"split -n l/4 -d -a 1 {log} {work}/part-", shell=True, check=True)
            for part in parts:
                plain = part.removesuffix(".log.gz")
                subprocess.run(f"gzip -c {plain} > {part} && rm {plain}", shell=True, check=True)
        return parts

    def zcat(self, kind):
        return self.job("zcat", kind, ["sh", "-c", f"zcat {self.packed(kind)} | wc -l"])

    # What is answered

    def check(self, form, kind, answer, *more):
        truth = self.path(f"{kind}.truth.json")
        command = [sys.executable, f"{HERE}/truth.py", form, truth, answer, *more]
        if subprocess.run(command).returncode != 0:
            sys.exit(f"the answer about {kind} is in {answer}")

    def check_scan(self, kind, group, threads):
        job = self.scan(kind, group, threads)
        job.out = self.path("answer.json")
        run(job)
        more = ["--pooled"] if group == "key" else []
        if kind != "cloudtrail":
            more += ["--secret", f"{self.state}/fingerprint.key"]
        self.check("keydrain", kind, job.out, *more)

    def check_peers(self, kind):
        for job in self.whole(kind):
            job.out = self.path("answer.tsv")
            run(job)
            self.check("cells", kind, job.out)
        uses = self.truth(kind)["middle_uses"]
        for job in self.greps(kind)[:3]:
            run(job)
            with open(job.out) as file:
                found = int(file.read())
            if found != uses:
                sys.exit(f"{job.name}: {found} lines with the key instead of {uses}")

    def check_spray(self):
        job = self.scan("combined", "key", 1, self.path("spray.log"))
        job.out = self.path("answer.json")
        run(job)
        self.check("keydrain", "spray", job.out, "--pooled")
