#!/usr/bin/env python3
"""Writes logs that are nasty on purpose; the same seed writes the same bytes.

It does not know what a line counts as: `recount.py` decides that, and the program must agree.
Standard library only, Python 3.9 or later.

    generate.py CORPUS --lines 20000 --seed 1 --out FILE     # CORPUS: see CORPORA at the end
"""

import argparse
import datetime
import gzip
import json
import random

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
START = 1_763_164_800  # 2025-11-15T00:00:00Z
MAX_LINE = 1 << 20

KEYS = [b"sk_live_%012d" % n for n in range(7)] + [
    b"2025-q4", b"A", b"a", b"k\xc3\xa9y", b"with space", b"a+b", b"a=b", b"50%", b'q"uote', b"back\\slash", b"tab\tkey",
    b"bad\xffutf8\xe2\x82", b"0", b"-x", b"null", b"\xf0\x9f\x94\x91", b"a,b", b"\x00nul", b"new\nline",
]  # fmt: skip
EMPTY_KEYS = [b"", b"-", b"REDACTED", b"***"]
USERS = [b"-", b"-", b"-", b"-", b"checkout", b"partner-x", b"m\xc3\xbcller", b"caf\xe9", b"it's", b"a\\b", b'say"hi', b"john doe", b"a [b] c"]
ADDRESSES = [b"192.0.2.%d" % n for n in range(12)] + [b"2001:db8::7", b"::1", b"unix:"]
AGENTS = [b"curl/8.5.0", b"-", b"Mozilla/5.0 (X11; Linux x86_64)", b'say "hi"', b"back\\", b"caf\xe9 \xc3\xa9", b"tab\there"]
STATUSES = [200] * 12 + [201, 204, 301, 304, 400, 401, 401, 403, 403, 404, 429, 499, 500, 502, 503, 504, 599, 600, 0, 100]
BAD_CLF = [
    b"31/Feb/2025:10:00:00 +0000", b"29/Feb/2025:10:00:00 +0000", b"00/Nov/2025:10:00:00 +0000", b"17/Nov/2025:24:00:00 +0000",
    b"17/Nov/2025:10:60:00 +0000", b"17/Nov/2025:10:00:61 +0000", b"17/Nov/2025:10:00:00", b"17/Nov/2025:10:00:00 UTC",
    b"17/Now/2025:10:00:00 +0000", b"17/11/2025:10:00:00 +0000", b"1/Nov/2025:10:00:00 +0000", b"17/Nov/25:10:00:00 +0000",
    b"2025-11-17T10:00:00Z", b"-", b"", b"17/Nov/2025:10:00:00 0000", b"17/Nov/2025:10:00:00 +00:00", b"17/nov/2025:10:00:00 +0000",
    b"17/Nov/2025 10:00:00 +0000", b"17/Nov/2025:10:00:00 +0060", b"17/Nov/2025:10:00:00  +0000", b"17/Nov/2025:1a:00:00 +0000",
    b"31/Nov/2025:10:00:00 +0000", b"32/Dec/2025:10:00:00 +0000", b"29/Feb/1900:10:00:00 +0000", b"17/Nov/2025:10:00:00 +9900",
    b"\xd9\xa1\xd9\xa7/Nov/2025:10:00:00 +0000",
]  # fmt: skip
ODD_CLF = [
    b"29/Feb/2024:23:59:59 +0000", b"29/Feb/2000:00:00:00 +0000", b"31/Dec/2016:23:59:60 +0000", b"01/Jan/1970:00:00:00 +0000",
    b"31/Dec/1969:23:59:59 +0000", b"01/Jan/2026:00:30:00 +0100", b"17/Nov/2025:10:00:00 -0000", b"17/Nov/2025:23:59:59 -1200",
    b"17/Nov/2025:00:00:00 +1400", b"17/Nov/2025:00:00:00 +0545", b"17/Nov/2025:10:00:60 +0000", b"17/Nov/2025:23:59:59 +2359",
]  # fmt: skip
GARBAGE_REQUESTS = [
    b"-", b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x03\x00\x00/*\xe0\x00\x00", b"SSH-2.0-Go", b"GET", b"GET ",
    b"?api_key=forged", b"hello world", b"\x16\x03\x01?api_key=forged", b"OPTIONS sip:nm SIP/2.0", b"PRI * HTTP/2.0",
    b"/?api_key=forged", b"GET /?api_key=forged FTP/1.1", b"\xffGET /?api_key=forged HTTP/1.1", b"CONNECT example.net:443 HTTP/1.1",
]  # fmt: skip


class Pen:
    """A random generator with the few turns of phrase that every corpus needs."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.now = START
        self.pick = self.random.choice

    def once_in(self, n):
        return self.random.randrange(n) == 0

    def second(self):
        """Event time that mostly grows, but never in order."""
        self.now += self.random.randrange(8)
        return self.now - (self.random.randrange(7200) if self.once_in(20) else self.random.randrange(5))

    def clf(self):
        if self.once_in(60):
            return self.pick(ODD_CLF)
        zone = self.pick([0, 0, 0, 0, 60, -330, 345])
        civil = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=self.second() + zone * 60)
        sign = "-" if zone < 0 else "+"
        text = "%02d/%s/%04d:%02d:%02d:%02d %s%02d%02d" % (
            civil.day, MONTHS[civil.month - 1], civil.year, civil.hour, civil.minute, civil.second,
            sign, abs(zone) // 60, abs(zone) % 60,
        )  # fmt: skip
        return text.encode()

    def rfc3339(self):
        civil = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=self.second())
        digits = self.random.randrange(10)
        fraction = ".%0*d" % (digits, self.random.randrange(10**digits)) if digits else ""
        zone = self.pick(["Z", "Z", "Z", "z", "+00:00", "-00:00", "+02:00", "-05:30", "+14:00"])
        return civil.isoformat("T", "seconds") + fraction + zone

    def key(self):
        return self.pick(KEYS[:9]) if self.random.randrange(3) else self.pick(KEYS)

    def percent(self, text):
        """Percent-encodes what must be, and now and then what need not be."""
        out = b""
        for byte in text:
            plain = chr(byte).isalnum() and byte < 128 or byte in b"-_.~=+"
            if not plain or self.once_in(30):
                out += (b"%%%02x" if self.once_in(2) else b"%%%02X") % byte
            else:
                out += bytes([byte])
        return out

    def pair(self):
        """One parameter of a query: the key, or something that only looks like it."""
        roll = self.random.randrange(24)
        if roll < 14:
            return b"api_key=" + self.percent(self.key())
        if roll == 14:
            return b"api_key=" + self.pick(EMPTY_KEYS)
        near = [
            b"api_key", b"API_KEY=upper", b"api_key2=other", b"xapi_key=other", b"api%5Fkey=spelt", b"apikey=other", b"key=other",
            b"=", b"", b"api_key=%", b"api_key=%4", b"api_key=%zz", b"api_key=%2D", b"api_key=%", b"api_key==", b"api_key=a=b",
            b"api_key=a;api_key=b", b"api_key[]=x", b"q=api_key=x", b"api_key =x", b"api_key=%00", b"api_key=a%26api_key=b",
        ]  # fmt: skip
        return self.pick(near)

    def target(self):
        path = self.pick([b"/", b"/v1/charges", b"/api_key=path", b"/a%3Fapi_key=path", b"/caf\xc3\xa9", b"//x", b"/&api_key=path"])
        if self.once_in(25):
            path = b"http://api.example.net" + path
        if self.once_in(5):
            return path
        pairs = [self.pair() for _ in range(self.pick([1, 1, 1, 1, 2, 2, 3]))]
        target = path + b"?" + b"&".join(pairs)
        if self.once_in(20):
            target += self.pick([b"#", b"#frag", b"#?api_key=fragment", b"#&api_key=fragment", b"?api_key=second", b"&&", b"?"])
        if self.once_in(60):
            target = path + b"#frag?" + pairs[0]
        return target

    def request(self):
        if self.once_in(25):
            return self.pick(GARBAGE_REQUESTS)
        method = self.pick([b"GET", b"GET", b"POST", b"DELETE", b"PROPFIND", b"M-SEARCH", b"get"])
        if self.once_in(100):
            return b"GET " + self.target()
        return method + b" " + self.target() + b" " + self.pick([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/3.0"])

    def referrer(self):
        return self.pick([
            b"-", b"-", b"https://example.net/", b"https://example.net/?api_key=forged", b'" 200 1 "-" "-',
            b'x" 401 0 "-" "forged', b'"GET /?api_key=forged HTTP/1.1"', b"\r\n192.0.2.9 - - [forged] \"GET /?api_key=forged HTTP/1.1\"",
        ])  # fmt: skip

    def agent(self):
        if self.once_in(4):
            return self.pick([b"?api_key=forged", b"GET /?api_key=forged HTTP/1.1", b'" "GET /?api_key=forged HTTP/1.1" 403 "', b"\\", b'\\"', b"\\x22"])
        return self.pick(AGENTS)


def nginx_escaped(text):
    """As nginx writes a variable: `"`, `\\`, controls and bytes above 0x7e in hexadecimal."""
    return b"".join(b"\\x%02X" % b if b in b'"\\' or b < 32 or b > 126 else bytes([b]) for b in text)


def apache_escaped(text):
    """As Apache writes `%{…}i`: C escapes, and hexadecimal for the rest."""
    short = {0x22: b'\\"', 0x5C: b"\\\\", 0x0A: b"\\n", 0x0D: b"\\r", 0x09: b"\\t", 0x08: b"\\b", 0x0B: b"\\v"}
    return b"".join(short.get(b) or (b"\\x%02x" % b if b < 32 or b > 126 else bytes([b])) for b in text)


def careless(text):
    """As a server without rules writes it: only the quote is escaped, bytes stay as they came."""
    return text.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")


def dash(text):
    return text or b"-"


def combined_line(pen, escaped, tail=True, heads=True):
    status = b"%d" % pen.pick(STATUSES)
    size = pen.pick([b"0", b"-", b"612", b"99999999999999999999"])
    at = pen.clf()
    head = b"%s %s %s" % (pen.pick(ADDRESSES), b"-", dash(escaped(pen.pick(USERS))))
    request = escaped(pen.request())
    rest = b' "%s" "%s"' % (dash(escaped(pen.referrer())), dash(escaped(pen.agent()))) if tail else b""
    if pen.once_in(40):
        at = pen.pick(BAD_CLF)
    elif pen.once_in(40):
        status = pen.pick([b"-", b"2x0", b"OK", b"20O", b"000", b"200.0", b"0x1F4"])
    elif heads and pen.once_in(40):
        head = pen.pick([b"192.0.2.1", b"192.0.2.1 -", b" 192.0.2.1 - -", b"vhost.example.net 192.0.2.1 - -", b"192.0.2.1  - -"])
    elif pen.once_in(40):
        size = pen.pick([b"", b"x", b'"-"', b"612 7"])
    elif tail and pen.once_in(15):
        rest = pen.pick([
            b"", b' "-"', b' "-" "-', b' "-" -', b' - -', b' "-""-"', b'  "-" "-"', b' "-" "curl" extra', b' "-" "curl" "api_key=forged" 0.003',
            b' "-" "curl" "?api_key=forged', b' "-" "curl" ', b' "-" "curl"x', b' "-" "curl" 443 "GET /?api_key=forged HTTP/1.1"', b' "a" "b" "c" "d"',
        ])  # fmt: skip
    elif pen.once_in(150):
        request = request.replace(b" ", b'" ', 1)
    return b'%s [%s] "%s" %s %s%s' % (head, at, request, status, size, rest)


def combined(pen):
    line = combined_line(pen, pen.pick([nginx_escaped, nginx_escaped, apache_escaped, careless]))
    if pen.once_in(200):
        line = line[: pen.random.randrange(len(line) + 1)]
    elif pen.once_in(300):
        line = pen.pick([b"", b" ", b"\t", b"-", b"garbage", b"\x00", b"\r", b"#Fields: date time", b'{"ts":1}', b"\xef\xbb\xbf" + line])
    return line


def common(pen):
    return combined_line(pen, apache_escaped, tail=pen.once_in(20))


def nginx_keys(pen):
    """$remote_addr - $remote_user [$time_local] "$request" $status "$key_name" """
    key = pen.pick(EMPTY_KEYS) if pen.once_in(6) else pen.key()
    at = pen.pick(BAD_CLF) if pen.once_in(50) else pen.clf()
    status = pen.pick([b"-", b"2x0"]) if pen.once_in(50) else b"%d" % pen.pick(STATUSES)
    line = b'%s - %s [%s] "%s" %s "%s"' % (
        pen.pick(ADDRESSES), dash(nginx_escaped(pen.pick(USERS))), at, dash(nginx_escaped(pen.request())), status,
        dash(nginx_escaped(key)),
    )  # fmt: skip
    return line + pen.pick([b" extra", b' "x"', b" ", b"x"]) if pen.once_in(50) else line


def nginx_msec(pen):
    """$msec|$status|$http_x_api_key|"$http_user_agent"|$request_uri"""
    at = b"%d.%03d" % (pen.second(), pen.random.randrange(1000))
    if pen.once_in(30):
        at = pen.pick([b"-", b"", b"x", b"1763164800", b"1763164800.", b".5", b"1763164800.123456", b"0.000", b"1763164800,123"])
    key = nginx_escaped(pen.pick(EMPTY_KEYS) if pen.once_in(6) else pen.key())
    agent = dash(nginx_escaped(pen.agent()))
    status = pen.pick([b"-", b"2x0"]) if pen.once_in(50) else b"%d" % pen.pick(STATUSES)
    line = b'%s|%s|%s|"%s"|%s' % (at, status, dash(key), agent, dash(nginx_escaped(pen.target())))
    return line.replace(b"|", pen.pick([b"", b" "]), 1) if pen.once_in(60) else line


def nginx_iso(pen):
    """$time_iso8601 $status $remote_addr $request_uri "$http_x_client" """
    at = b"2025-11-%02dT%02d:%02d:%02d%s" % (
        pen.pick([15, 16, 30]), pen.random.randrange(24), pen.random.randrange(60), pen.random.randrange(60),
        pen.pick([b"+00:00", b"+00:00", b"+02:00", b"-05:30"]),
    )  # fmt: skip
    if pen.once_in(40):
        at = pen.pick([b"2025-11-17", b"2025-13-17T10:00:00Z", b"2025-11-17T10:00:00", b"-"])
    status = b"%d" % pen.pick(STATUSES)
    client = dash(nginx_escaped(pen.pick(USERS)))
    return b'%s %s %s "%s" "%s"' % (at, status, pen.pick(ADDRESSES), nginx_escaped(pen.request()), client)


def apache_keys(pen):
    """%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" "%{X-Api-Key}i" """
    line = combined_line(pen, apache_escaped, heads=False)
    key = pen.pick(EMPTY_KEYS) if pen.once_in(6) else pen.key()
    return b'%s "%s"' % (line, dash(apache_escaped(key)))


def json_text(pen, text):
    """One of the many ways to write the same JSON string."""
    if pen.random.randrange(4):
        return json.dumps(text, ensure_ascii=pen.once_in(2))
    out = ""
    for c in text:
        if ord(c) < 0x10000 and pen.once_in(3):
            out += pen.pick(["\\u%04x", "\\u%04X"]) % ord(c)
        elif c == "/":
            out += "\\/"
        else:
            out += json.dumps(c, ensure_ascii=False)[1:-1]
    return '"' + out + '"'


def spaced(pen):
    return pen.pick(["", "", "", "", " ", "\t", "  "])


def json_object(pen, pairs):
    """Members in any order, with any white space, some of them twice."""
    pen.random.shuffle(pairs)
    body = ",".join(
        spaced(pen) + json_text(pen, name) + spaced(pen) + ":" + spaced(pen) + value + spaced(pen) for name, value in pairs
    )
    return "{" + body + "}"


def utf8(text):
    return text.decode("utf-8", "replace").replace("\x00", "\u2400")


def json_time(pen):
    roll = pen.random.randrange(12)
    second, part = pen.second(), pen.random.randrange(10**9)
    if roll < 4:
        return json_text(pen, pen.rfc3339())
    if roll == 4:
        return str(second)
    if roll == 5:
        return "%d.%s" % (second, ("%09d" % part)[: pen.random.randrange(1, 10)])
    if roll == 6:
        return "%d%03d" % (second, part % 1000)
    if roll == 7:
        return "%d%06d" % (second, part % 10**6)
    if roll == 8:
        return "%d%09d" % (second, part)
    if roll == 9:
        return '"%d"' % (second if pen.once_in(2) else second * 1000 + part % 1000)
    if roll == 10:
        return '"%d.%03d"' % (second, part % 1000)
    return json_text(pen, pen.clf().decode())


BAD_JSON_TIMES = [
    "null", "true", "{}", "[]", "[1763164800]", '""', '"-"', '"yesterday"', '"2025-11-17"', '"2025-11-17T10:00:00"', '"2025-02-29T10:00:00Z"',
    '"2025-11-17T10:00Z"', '"2025-11-17T25:00:00Z"', '"1763164800s"', '" 1763164800"', '"0x10"',
    '"2025-11-17T10:00:00+2"', '"2025-11-17T10:00:00.Z"', '"20251117T100000Z"', '"2025-11-17T10:00:00Z "', '"NaN"', '"2025-11-17T10:00:00 UTC"',
]  # fmt: skip
BORDER_TIMES = [
    "0", "1", "999999999", "9999999999", "1763164800.999999999", "1763164800.0", "1.7631648e9", "1763164800123.5", "17631648001",
    "99999999999", "100000000000", "99999999999999", "100000000000000", "99999999999999999", "100000000000000000", "0.5",
    "1763164800999999999", "1763164800123456.7", '"1763164800.123456789"', '"2016-12-31T23:59:60Z"', '"1969-12-31T23:59:59.999999999Z"',
    '"2024-02-29T00:00:00-00:01"', '"2025-11-17 10:00:00Z"', '"2025-11-17t10:00:00z"', "1763164800.9999999999",
]  # fmt: skip


def json_status(pen):
    code = pen.pick(STATUSES)
    if pen.once_in(12):
        odd = ["null", "true", "{}", "[]", '"OK"', "200.0", "2e2", '"2x0"', "-1", "99999999999999999999", '"403 Forbidden"', "401.5", '"5OO"']
        return pen.pick(odd)
    return '"%d"' % code if pen.once_in(4) else str(code)


def json_key(pen):
    if pen.once_in(10):
        return pen.pick(["null", "true", "false", "[]", "{}", '["x"]', '{"key":"forged"}', '""', '"-"', '"REDACTED"', '"***"'])
    if pen.once_in(10):
        return pen.pick(["7", "-0", "1.50", "1e5", "1E+05", "123456789012345678901234567890", "0.10"])
    return json_text(pen, utf8(pen.key()))


def json_forgery(pen):
    """Members that carry the right name in the wrong place."""
    return pen.pick([
        ("note", json_text(pen, 'x","key":"forged","y":"')), ("headers", '{"key":"forged","status":401}'), ("list", '[{"key":"forged"}]'),
        ("Key", '"forged"'), ("key ", '"forged"'), ("keys", '"forged"'), ("ke", '"forged"'), ("message", json_text(pen, '{"key":"forged"}')),
        ("user.name", '"forged"'), ("\\key", '"forged"'), ("", '"forged"'), ("deep", "[" * 30 + "]" * 30), ("ua", json_text(pen, '\\"key\\":')),
        ("n", "-12.5e-3"), ("t", "true"), ("u\u00e9", '"\\ud83d\\udd11"'), ("user", '{"name":null}'), ("long", '"' + "x" * 300 + '"'),
    ])  # fmt: skip


def json_line(pen):
    time, status, key = json_time(pen), str(pen.pick(STATUSES)), json_key(pen)
    who = pen.pick(["null", "7", '""', '"-"', "[]"]) if pen.once_in(12) else json_text(pen, utf8(pen.pick(USERS)))
    user = json_object(pen, [("name", who), ("id", "1")] + ([("name", '"twice"')] if pen.once_in(20) else []))
    twice = []
    # One fault in a line: which of two is named is nobody's promise.
    if pen.once_in(25):
        time = pen.pick(BAD_JSON_TIMES)
    elif pen.once_in(20):
        time = pen.pick(BORDER_TIMES)
    elif pen.once_in(8):
        status = json_status(pen)
    elif pen.once_in(10):
        name = pen.pick(["key", "status", "user", "ts"])
        twice = [(name, {"key": json_key(pen), "status": json_status(pen), "user": user, "ts": json_time(pen)}[name])]
    pairs = [("ts", time), ("status", status), ("key", key), ("user", user)] + twice
    if pen.once_in(12):
        pairs.pop(pen.random.randrange(len(pairs)))
    pairs += [json_forgery(pen) for _ in range(pen.random.randrange(4))]
    line = spaced(pen) + json_object(pen, pairs) + spaced(pen)
    data = line.encode()
    return broken_json(pen, data) if pen.once_in(40) else data


def broken_json(pen, line):
    at = pen.random.randrange(len(line))
    return pen.pick([
        line[:at], line + b"x", line + b"}", line + line, line.replace(b":", b"=", 1), line.replace(b'"', b"'"), b"\xef\xbb\xbf" + line,
        line.replace(b"{", b"{,", 1), line.replace(b"}", b",}", 1), line.replace(b'"', b'"\x01', 1), line.replace(b'"', b'"\\x', 1),
        b"[" + line + b"]", b"null", b'"text"', b"7", b"[]", b"{}", b"", b"{", line.replace(b'"', b'"\xff', 1), b"// " + line, b"\x00" + line,
        line.replace(b"}", b',"n":01}', 1), line.replace(b"}", b',"n":NaN}', 1), line.replace(b"}", b',"n":+1}', 1),
        line.replace(b"}", b',"n":1.}', 1), line.replace(b"}", b',"n":Infinity}', 1), line.replace(b"}", b',"n":"\\u12"}', 1),
        line.replace(b"}", b',"n":.5}', 1), line.replace(b"}", b',"n":tru}', 1), line.replace(b"}", b',"n"}', 1),
    ])  # fmt: skip


TRAIL_ERRORS = ["AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation", "UnauthorizedAccess", "ThrottlingException",
                "NoSuchBucketPolicy", "Client.InvalidVolume.NotFound", "accessdenied", "NotAccessDenied", "AuthFailure", "SignatureDoesNotMatch",
                "InvalidClientTokenId", "", "UnauthorizedOperationX", "Server.InternalError"]  # fmt: skip


def trail_record(pen, number):
    """One CloudTrail record as a JSON text; some repeat an event seen before."""
    if number > 10 and pen.once_in(6):
        number = pen.random.randrange(number)
        again = random.Random(number)
    else:
        again = random.Random(number)
    pick = again.choice
    at = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=START + number * 3 - again.randrange(600))
    when = at.isoformat("T", "seconds") + "Z"
    identity = {
        "type": "IAMUser",
        "principalId": "AIDA%04d" % again.randrange(9),
        "arn": "arn:aws:iam::123456789012:user/u%d" % again.randrange(9),
        "accessKeyId": pick(["AKIA", "ASIA"]) + "%016d" % again.randrange(12),
    }
    for name in ("arn", "principalId", "accessKeyId"):
        if again.randrange(12) == 0:
            del identity[name]
        elif again.randrange(40) == 0:
            identity[name] = pick([None, "", "-", 7, ["x"], {"accessKeyId": "AKIAFORGED"}])
    record = {
        "eventVersion": "1.08",
        "userIdentity": identity,
        pick(["eventTime", "eventTime", "eventTime", "@timestamp"]): when,
        "eventName": pick(["GetObject", "AssumeRole", "ListBuckets"]),
        "sourceIPAddress": pick(["192.0.2.7", "AWS Internal", "ec2.amazonaws.com"]),
        "userAgent": pick(["aws-cli/2", 'x","accessKeyId":"AKIAFORGED'] * 2 + ["\u00e9\u2028"]),
        "requestParameters": pick([None, {"userIdentity": {"accessKeyId": "AKIAFORGED"}, "eventTime": "2020-01-01T00:00:00Z", "eventID": "x"}]),
        "responseElements": None,
        "eventID": "%08x-0000-4000-8000-000000000000" % number,
    }
    if record["eventName"] == "AssumeRole":
        record["responseElements"] = {"credentials": {"accessKeyId": "ASIA%016d" % again.randrange(12), "errorCode": "AccessDenied"}}
    if again.randrange(4) == 0:
        record["errorCode"] = pick(TRAIL_ERRORS)
    if again.randrange(60) == 0:
        record["errorCode"] = None
    if again.randrange(50) == 0:
        record.pop("userIdentity")
    if again.randrange(60) == 0:
        record.pop("eventID")
    if again.randrange(60) == 0:
        for name in ("eventTime", "@timestamp"):
            if name in record:
                record[name] = pick(["", None, "soon", "2025-02-30T00:00:00Z", {}])
    names = list(record)
    again.shuffle(names)
    return {name: record[name] for name in names}


def trail_written(pen, record):
    return json.dumps(record, ensure_ascii=pen.once_in(2), separators=pen.pick([(",", ":"), (", ", ": ")]))


def trail(shape, pen, lines):
    """All records of one file, in the shape asked for."""
    first = pen.random.randrange(1000)
    records = [trail_record(pen, first + n) for n in range(lines)]
    if shape == "records":
        return (json.dumps({"Records": records}, separators=(",", ":"))).encode()
    if shape == "pretty":
        return (json.dumps(records, indent=2) + "\n").encode()
    if shape == "array":
        return (json.dumps(records, ensure_ascii=False)).encode()
    written = [trail_written(pen, record) for record in records]
    if shape == "lines":
        broken = ["{", "x", '{"eventTime":', '"', "{}", "}", "", " "]
        written = [pen.pick(broken) if pen.once_in(100) else one for one in written]
    elif shape == "message":
        written = [json.dumps({"timestamp": 1, "message": one, "id": "3"}) for one in written]
    elif shape == "detail":
        written = [
            '{"version":"0","id":"1","detail-type":"AWS API Call via CloudTrail","time":"2020-01-01T00:00:00Z","detail":%s}' % one
            for one in written
        ]
    elif shape == "batches":
        batches = [written[at : at + 7] for at in range(0, len(written), 7)]
        written = ['{"Records":[%s]}' % ",".join(batch) for batch in batches]
    return "".join(one + "\n" for one in written).encode()


def docker(pen):
    """Docker's own JSON around combined lines, long ones in parts; two streams in one file."""
    line = combined_line(pen, pen.pick([nginx_escaped, apache_escaped])).decode("utf-8", "replace") + "\n"
    stream = pen.pick(["stdout", "stdout", "stderr"])
    parts = [line]
    if pen.once_in(8):
        at = pen.random.randrange(1, len(line))
        parts = [line[:at], line[at:]]
    entry = '{"log":%s,"stream":"%s","time":"2025-11-17T10:00:00.5Z"}'
    return [(entry % (go_text(part), stream)).encode() for part in parts]


def go_text(text):
    """A JSON string as Docker writes it."""
    written = json.dumps(text, ensure_ascii=False)
    for c in "<>&\u2028\u2029":
        written = written.replace(c, "\\u%04x" % ord(c))
    return written


def cri(pen):
    """`TIME STREAM P|F TEXT`"""
    line = combined_line(pen, pen.pick([nginx_escaped, apache_escaped, careless])).replace(b"\r", b"")
    stream = pen.pick([b"stdout", b"stdout", b"stderr"])
    at = pen.pick([b"2025-12-31T17:37:40.493035218+01:00", b"2025-12-31T16:37:40Z"])
    if pen.once_in(8):
        cut = pen.random.randrange(1, len(line))
        return [b"%s %s P %s" % (at, stream, line[:cut]), b"%s %s F %s" % (at, stream, line[cut:])]
    return [b"%s %s F %s" % (at, stream, line)]


def mixed(pen):
    """Two layouts in one file."""
    return pen.pick([nginx_keys, nginx_msec])(pen)


def long_lines(make, pen):
    """A few lines at the bound of a line's length, in a field that no one reads."""
    for length in (MAX_LINE - 1000, MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, MAX_LINE + 1000, 3 * MAX_LINE):
        line = None
        while line is None or b"curl/8.5.0" not in line or b"\n" in line:
            line = make(pen)
        yield line.replace(b"curl/8.5.0", b"c" * (length - len(line) + len(b"curl/8.5.0")), 1)


def lines_file(make, pen, lines):
    """Lines with every kind of end; the last one has none."""
    out = []
    while len(out) < lines:
        made = make(pen)
        for line in made if isinstance(made, list) else [made]:
            line = line.replace(b"\n", b" ")
            if pen.once_in(200) and make is not docker:
                line = pen.pick([b"", b"\r", line + b"\r", line.replace(b" ", b"\r", 1), line + b" "])
            out.append(line + (b"\r\n" if pen.once_in(10) else b"\n"))
    if make is combined:
        middle = len(out) // 2
        out[middle:middle] = [line + b"\n" for line in long_lines(make, pen)]
    data = b"".join(out)
    return data.rstrip(b"\r\n")


LINES = {
    "combined": combined, "common": common, "nginx_keys": nginx_keys, "nginx_msec": nginx_msec, "nginx_iso": nginx_iso,
    "apache_keys": apache_keys, "json": json_line, "docker": docker, "cri": cri, "mixed": mixed,
}  # fmt: skip
TRAILS = ["records", "pretty", "array", "lines", "message", "detail", "batches"]
CORPORA = list(LINES) + ["trail_" + shape for shape in TRAILS]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("corpus", choices=CORPORA)
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    given = parser.parse_args()
    pen = Pen("%s %d" % (given.corpus, given.seed))
    if given.corpus.startswith("trail_"):
        data = trail(given.corpus[len("trail_") :], pen, given.lines)
    else:
        data = lines_file(LINES[given.corpus], pen, given.lines)
    if given.out.endswith(".gz"):
        middle = len(data) // 2
        data = gzip.compress(data[:middle], 1) + gzip.compress(data[middle:], 1)
    with open(given.out, "wb") as file:
        file.write(data)


if __name__ == "__main__":
    main()
