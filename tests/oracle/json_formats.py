"""JSON lines by dotted paths, and CloudTrail in all its shapes."""

import json
import re

import times
from text_formats import NO_KEY, NO_VALUE, Record, Reject, outcome, query_value, target_of

SPACE = re.compile(r"[ \t\n\r]*")


class Number(str):
    """A number as it is written."""


def no_such_number(text):
    raise ValueError(text + " is not JSON")


DECODER = json.JSONDecoder(
    object_pairs_hook=dict,  # of two equal names the last one holds
    parse_int=Number,
    parse_float=Number,
    parse_constant=no_such_number,
)


def decoded(line):
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise Reject("encoding") from None
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
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else None


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
    name = code.decode("utf-8", "surrogatepass")
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
        try:
            text = data.decode()
        except UnicodeDecodeError:
            # One bad line must not hide its neighbours.
            text = None
        if text is None:
            for line in data.split(b"\n"):
                if line.strip(b" \t\r"):
                    yield from self.records_of_line(line)
            return
        at = SPACE.match(text).end()
        while at < len(text):
            try:
                value, end = DECODER.raw_decode(text, at)
                # Two values need a line end between them.
                line_end = text.find("\n", end)
                line_end = len(text) if line_end < 0 else line_end
                if text[end:line_end].strip(" \t\r"):
                    raise ValueError("text after a record")
            except (ValueError, RecursionError):
                end = text.find("\n", at)
                end = len(text) if end < 0 else end
                yield Reject("json")
            else:
                yield from unwrapped(value)
            at = SPACE.match(text, end).end()

    def records_of_line(self, line):
        try:
            yield from unwrapped(decoded(line))
        except Reject as reject:
            yield reject

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
            yield from unwrapped(decoded(value["message"].encode("utf-8", "surrogatepass")))
        except Reject as reject:
            yield reject
    else:
        yield value
