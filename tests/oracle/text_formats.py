"""Lines of web servers: `combined`, `common`, an nginx `log_format`, an Apache `LogFormat`.

A reader turns one line into a `Record` or raises `Reject`. Fields keep the bytes of the log;
a key is taken from their unescaped text.
"""

import re

import times

QUOTED = rb'((?:[^"\\]|\\.)*)'
# A user's name may hold spaces, but nothing follows a `-`: that is a field too many.
# That holds only where the second field is the `-` that nearly every server writes.
USER = rb'(-|(?!- )(?:[^"\\]|\\.)+)'
SIZE = rb"(\d+|-)"
COMMON = rb"([^ ]+) (-) " + USER + rb' \[([^\]]*)\] "' + QUOTED + rb'" ([^ ]+) ' + SIZE
COMBINED = COMMON + rb' "' + QUOTED + rb'" "' + QUOTED + rb'"(?: .*)?'
COMMON_NAMES = ["remote_addr", "ident", "remote_user", "time_local", "request", "status", "body_bytes_sent"]
COMBINED_NAMES = COMMON_NAMES + ["http_referer", "http_user_agent"]

NGINX_ESCAPE = re.compile(rb"\\x([0-9A-Fa-f]{2})")
ANY_ESCAPE = re.compile(rb'\\x([0-9A-Fa-f]{2})|\\(["\\nrtbv])')
NAMED_ESCAPE = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"v": b"\v", b'"': b'"', b"\\": b"\\"}

TOKEN = rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
REQUEST = re.compile(TOKEN + rb" (.+) HTTP/\d+(?:\.\d+)?", re.DOTALL)
OLDEST_REQUEST = re.compile(rb"GET ([^ ]+)")  # HTTP/0.9 has no version
PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")

NO_KEY = {b"", b"-", b"REDACTED", b"***"}
NO_VALUE = {b"", b"-"}


class Reject(Exception):
    """A line that is not well-formed; its argument is the reason."""


class Record:
    """What one well-formed line says: time, outcome, key and consumer (None where it has none)."""

    def __init__(self, at, outcome, key, consumer, event_id=None):
        self.at = at
        self.outcome = outcome
        self.key = key
        self.consumer = consumer
        self.event_id = event_id


def unescape(text, escapes):
    def plain(found):
        return bytes([int(found[1], 16)]) if found[1] else NAMED_ESCAPE[found[2]]

    return escapes.sub(plain, text) if b"\\" in text else text


def outcome(status):
    """`status` is the text of the field, None where the line has none."""
    if status is None or status in NO_VALUE:
        return "accepted"
    if not re.fullmatch(rb"-?\d+", status):
        raise Reject("status")
    code = int(status)
    if code in (401, 403):
        return "denied"
    return "failed" if 500 <= code <= 599 else "accepted"


def target_of(request):
    found = REQUEST.fullmatch(request) or OLDEST_REQUEST.fullmatch(request)
    return found[1] if found else None


def query_value(target, name):
    """The first parameter of exactly this name, percent-decoded."""
    before_fragment = target.split(b"#", 1)[0]
    if b"?" not in before_fragment:
        return None
    for pair in before_fragment.split(b"?", 1)[1].split(b"&"):
        if pair.split(b"=", 1)[0] == name:
            value = pair.partition(b"=")[2]
            return PERCENT.sub(lambda found: bytes([int(found[1], 16)]), value)
    return None


class Text:
    """One layout: a pattern over the whole line and the names of its groups."""

    def __init__(self, pattern, names, escapes, times_by_name):
        self.pattern = re.compile(pattern, re.DOTALL)
        self.names = names
        self.escapes = escapes
        self.times = times_by_name
        self.consumers = ["remote_user", "remote_addr"]
        self.places = []

    def read(self, line):
        found = self.pattern.fullmatch(line)
        if not found:
            raise Reject("form")
        fields = dict(zip(self.names, found.groups()))
        at = None
        for name, reader in self.times.items():
            if name in fields:
                at = reader(fields[name])
                break
        if at is None:
            raise Reject("time")
        return Record(at, outcome(fields.get("status")), self.key(fields), self.consumer(fields))

    def key(self, fields):
        for place in self.places:
            kind, name = place.split(":", 1)
            if kind == "field":
                value = fields.get(name)
                value = None if value is None or value == b"-" else unescape(value, self.escapes)
            else:
                target = target_of(unescape(fields.get("request", b""), self.escapes))
                value = None if target is None else query_value(target, name.encode())
            if value is not None and value not in NO_KEY:
                return value
        return None

    def consumer(self, fields):
        for name in self.consumers:
            value = fields.get(name)
            if value is not None and value not in NO_VALUE:
                return value
        return None


NGINX_TIMES = {"time_local": times.clf, "time_iso8601": times.rfc3339, "msec": times.epoch}
APACHE_TIMES = {
    "time_local": times.clf,
    "apache_sec": times.epoch,
    "apache_msec": times.epoch,
    "apache_usec": times.epoch,
}


def combined():
    return Text(COMBINED, COMBINED_NAMES, ANY_ESCAPE, NGINX_TIMES)


def common():
    return Text(COMMON, COMMON_NAMES, ANY_ESCAPE, NGINX_TIMES)


def pattern_of(parts):
    """`parts`: (is a variable, its text) in order. A value ends where the text after it begins."""
    pattern, names = b"", []
    for at, (is_variable, text) in enumerate(parts):
        if not is_variable:
            pattern += re.escape(text)
            continue
        names.append(text.decode())
        before = parts[at - 1][1] if at else b""
        after = parts[at + 1][1] if at + 1 < len(parts) else b""
        if before.endswith(b'"') and after.startswith(b'"'):
            pattern += QUOTED
        elif names[-1] == "remote_user":
            pattern += USER
        elif names[-1] == "body_bytes_sent":
            pattern += SIZE
        elif after:
            pattern += rb"((?:(?!" + re.escape(after) + rb").)*)"
        else:
            pattern += rb"(.*)"
    return pattern, names


def nginx(template):
    parts = []
    for found in re.finditer(rb"\$\{(\w+)\}|\$(\w+)|([^$]+)", template.encode()):
        name = found[1] or found[2]
        parts.append((True, name) if name else (False, found[3]))
    return Text(*pattern_of(parts), NGINX_ESCAPE, NGINX_TIMES)


APACHE_NAMES = {
    b"h": b"remote_addr", b"a": b"remote_addr", b"l": b"ident", b"u": b"remote_user", b"r": b"request",
    b"s": b"status", b"b": b"body_bytes_sent", b"B": b"body_bytes_sent", b"O": b"bytes_sent", b"D": b"duration",
    b"v": b"server_name", b"p": b"server_port", b"U": b"uri", b"q": b"query",
}  # fmt: skip


def apache(template):
    parts = []
    directive = re.compile(rb"%[<>]?(?:\{([^}]*)\})?([a-zA-Z])|([^%]+)")
    for found in directive.finditer(template.encode()):
        argument, letter, literal = found.groups()
        if literal:
            parts.append((False, literal))
        elif letter == b"t" and argument is None:
            parts += [(False, b"["), (True, b"time_local"), (False, b"]")]
        elif letter == b"t":
            parts.append((True, b"apache_" + argument))
        elif letter == b"i":
            parts.append((True, b"http_" + argument.lower().replace(b"-", b"_")))
        else:
            parts.append((True, APACHE_NAMES[letter]))
    joined = []
    for part in parts:
        if joined and not part[0] and not joined[-1][0]:
            joined[-1] = (False, joined[-1][1] + part[1])
        else:
            joined.append(part)
    return Text(*pattern_of(joined), ANY_ESCAPE, APACHE_TIMES)
