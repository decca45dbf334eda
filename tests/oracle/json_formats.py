"""JSON lines by dotted paths, and CloudTrail in all its shapes."""

import codecs
import json
import re

import times
from text_formats import NO_KEY, NO_VALUE, Record, Reject, outcome, query_value, target_of

# A byte order mark, which RFC 8259 lets a reader pass over.
MARK = b"\xef\xbb\xbf"
SPACE = re.compile(r"[ \t\n\r]*")


class Number(str):
    """A number as it is written."""


# A byte that is no UTF-8 travels through the JSON reader as a character that no log holds.
STRAY = 0x10FF00
codecs.register_error(
    "stray", lambda e: ("".join(chr(STRAY + b) for b in e.object[e.start : e.end]), e.end)
)


def bytes_of(text):
    """The bytes of a JSON string; half a surrogate pair stands for none."""
    try:
        return b"".join(
            bytes([ord(c) - STRAY]) if STRAY <= ord(c) < STRAY + 256 else c.encode() for c in text
        )
    except UnicodeEncodeError:
        raise Reject("encoding") from None


def no_such_number(text):
    raise ValueError(text + " is not JSON")


DECODER = json.JSONDecoder(
    object_pairs_hook=dict,  # of two equal names the last one holds
    parse_int=Number,
    parse_float=Number,
    parse_constant=no_such_number,
)


def decoded(line):
    text = line.removeprefix(MARK).decode("utf-8", "stray")
    try:
        value, end = DECODER.raw_decode(text, SPACE.match(text).end())
    except (ValueError, RecursionError):
        raise Reject("json") from None
    if SPACE.match(text, end).end() != len(text):
        raise Reject("json")
    return value


def value_at(value, path):
    """Text or number at a dotted path; None where there is neither."""
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return bytes_of(value) if isinstance(value, str) else None


class JsonLines:
    """`paths`: where `time`, `status`, `credential` and `consumer` stand in a line."""

    def __init__(self, paths, zone=None):
        self.paths = paths
        self.zone = zone
        self.places = ["field:" + paths["credential"]] if "credential" in paths else []
        self.consumers = [paths["consumer"]] if "consumer" in paths else []

    def read(self, line):
        value = decoded(line)
        if not isinstance(value, dict):
            raise Reject("json")
        written = value_at(value, self.paths["time"])
        at = None if written is None else times.any_of(written, self.zone)
        if at is None:
            raise Reject("time")
        status = value_at(value, self.paths["status"]) if "status" in self.paths else None
        return Record(at, outcome(status), self.key(value), first(value, self.consumers, NO_VALUE))

    def key(self, value):
        for place in self.places:
            kind, name = place.split(":", 1)
            if kind == "field":
                found = value_at(value, name)
            else:
                target = target_of(value_at(value, self.paths.get("request", "request")) or b"")
                found = None if target is None else query_value(target, name.encode())
            if found is not None and found not in NO_KEY:
                return found
        return None


def first(value, paths, nothing):
    for path in paths:
        found = value_at(value, path)
        if found is not None and found not in nothing:
            return found
    return None


# Authentication failures that AWS names; the key itself was not accepted.
NOT_AUTHENTICATED = {
    "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidAccessKeyId",
    "InvalidClientTokenId", "MissingAuthenticationToken", "RequestExpired", "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}  # fmt: skip


def trail_outcome(code):
    if code is None or code == b"":
        return "accepted"
    name = code.decode("utf-8", "replace")
    denied = (
        name.startswith("AccessDenied")
        or name.endswith("UnauthorizedOperation")
        or name.startswith("Unauthorized")
        or name in NOT_AUTHENTICATED
    )
    return "denied" if denied else "failed"


class CloudTrail:
    """Reads whole files: a "line" of it is a record, however many lines of text it takes."""

    def __init__(self, zone=None):
        self.zone = zone
        self.places = ["field:userIdentity.accessKeyId"]
        self.consumers = ["userIdentity.arn", "userIdentity.principalId", "sourceIPAddress"]

    def records(self, data):
        """Each record of a file, or the reason why there is none."""
        text = data.removeprefix(MARK).decode("utf-8", "stray")
        at = SPACE.match(text).end()
        while at < len(text):
            try:
                value, end = DECODER.raw_decode(text, at)
            except (ValueError, RecursionError):
                # What is no JSON is one reject, up to the end of its line.
                end = text.find("\n", at)
                end = len(text) if end < 0 else end
                yield Reject("json")
            else:
                yield from unwrapped(value)
            at = SPACE.match(text, end).end()

    def read(self, value):
        if not isinstance(value, dict):
            raise Reject("json")
        written = value_at(value, "eventTime")
        if written is None:
            written = value_at(value, "@timestamp")
        at = None if written is None else times.any_of(written, self.zone)
        if at is None:
            raise Reject("time")
        key = first(value, [place.split(":", 1)[1] for place in self.places], NO_KEY)
        consumer = first(value, self.consumers, NO_VALUE)
        how = trail_outcome(value_at(value, "errorCode"))
        return Record(at, how, key, consumer, value_at(value, "eventID"))


def unwrapped(value):
    """Takes records out of their envelopes: lists, CloudWatch messages, EventBridge details."""
    if isinstance(value, list):
        for one in value:
            yield from unwrapped(one)
    elif isinstance(value, dict) and isinstance(value.get("Records"), list):
        yield from unwrapped(value["Records"])
    elif isinstance(value, dict) and isinstance(value.get("logEvents"), list):
        yield from unwrapped(value["logEvents"])
    elif isinstance(value, dict) and "eventTime" not in value and isinstance(value.get("detail"), dict):
        yield from unwrapped(value["detail"])
    elif isinstance(value, dict) and "eventTime" not in value and type(value.get("message")) is str:
        try:
            yield from unwrapped(decoded(bytes_of(value["message"])))
        except Reject as reject:
            yield reject
    else:
        yield value
