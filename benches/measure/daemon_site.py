"""A daemon in a folder of its own: start, ask, stop."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

TOKEN = "token-of-the-bench"
NAMED = """format = { nginx = '$msec $remote_addr "$http_x_client" $key_name "$request" $status' }
credential = "field:key_name"
consumer = "field:http_x_client"
allowed_lateness = "1s"
"""


def config(source, credentials=("payments-api",), ids=None):
    """A config with one source; each credential has the keys `NAME-old` and `NAME-new`, which the
    log shows under `ids`, or by those names."""
    text = ('[server]\nlisten = "127.0.0.1:0"\ntoken_file = "token"\n[state]\ndir = "state"\n'
            f'[[source]]\nname = "edge"\npaths = ["logs/*.log"]\n{source}')
    for name in credentials:
        names = f"{name}-old", f"{name}-new"
        keys = ", ".join(f'{{ name = "{name}", id = "{id}" }}'
                         for name, id in zip(names, ids or names))
        text += (f'[[credential]]\nname = "{name}"\nsources = ["edge"]\nkeys = [{keys}]\n'
                 'policy = { quiet_period = "15m", min_history = "0s" }\n')
    return text


def line(at, client, key):
    """A line of a log in the format `NAMED`."""
    return f'{at}.000 192.0.2.7 "{client}" {key} "GET /v1/orders HTTP/1.1" 200\n'


class Site:
    """A folder with a config, logs and state, and the daemon that runs there."""

    def __init__(self, folder, keydrain, text):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(f"{folder}/logs")
        self.folder, self.keydrain = folder, keydrain
        self.write("keydrain.toml", text)
        self.write("token", TOKEN + "\n")

    def path(self, name):
        return f"{self.folder}/{name}"

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)

    def start(self, *before):
        """Starts the daemon, under the command `before` if there is one; returns once it listens."""
        command = [*before, self.keydrain, "--config", "keydrain.toml", "run"]
        with open(self.path("daemon.log"), "w") as errors:
            self.process = subprocess.Popen(command, cwd=self.folder, stderr=errors,
                                            stdout=subprocess.DEVNULL)
        while True:
            with open(self.path("daemon.log")) as file:
                found = re.search(r"Running\. address=([\d.]+):(\d+) ", said := file.read())
            if found:
                break
            if self.process.poll() is not None:
                sys.exit(f"the daemon ended:\n{said[-800:]}")
            time.sleep(0.002)
        self.address = found.group(1), int(found.group(2))
        self.connection = http.client.HTTPConnection(*self.address, timeout=60)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(60) != 0:
            sys.exit(f"the daemon ended with {self.process.returncode}")

    def remove(self):
        """Stops the daemon and deletes what it read: some logs are large."""
        self.stop()
        shutil.rmtree(self.folder)

    def get(self, path):
        self.connection.request("GET", path)
        reply = self.connection.getresponse()
        return reply.status, reply.read()

    def post(self, path, body):
        self.connection.request("POST", path, json.dumps(body), {
            "Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"})
        reply = self.connection.getresponse()
        text = reply.read()
        if reply.status not in (200, 201):
            sys.exit(f"POST {path}: {reply.status} {text}")

    def declare(self, name):
        """Opens the rotation of a credential."""
        self.post("/v1/rotations", {"credential": name, "old_key": f"{name}-old",
                                    "new_key": f"{name}-new"})
        self.post(f"/v1/credentials/{name}/events", {"type": "dual_accept_enabled"})

    def source(self):
        return json.loads(self.get("/v1/sources")[1])["sources"][0]

    def readiness(self, name="payments-api"):
        return json.loads(self.get(f"/v1/credentials/{name}/readiness")[1])

    def uses(self, name="payments-api"):
        """Returns how often the old key was presented."""
        key = self.readiness(name)["old_key"]
        return key["accepted"] + key["denied"] + key["failed"]

    def wait_until_read(self, size, pause=0.02):
        """Waits until so many bytes are read."""
        end = time.monotonic() + 600
        while self.source()["bytes_read"] < size:
            if time.monotonic() > end:
                sys.exit(f"not read within 10 min: {self.source()}")
            time.sleep(pause)

    def cpu(self):
        """Returns the seconds of CPU that the daemon has used."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            user, system = file.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
