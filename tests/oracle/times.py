"""Times of log lines, read strictly into nanoseconds since 1970 (UTC).

Part of the recount: written from the text of the contract, never from the program.
Each reader returns None for what it cannot read; nothing is guessed.
"""

import datetime
import re
from fractions import Fraction

NANOS = 10**9
MONTHS = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"]
EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()

CLF = re.compile(rb"(\d\d)/([A-Z][a-z][a-z])/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
RFC3339 = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))?"
)
NUMBER = re.compile(rb"(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?")

# What 64 bits of nanoseconds can say: 1677-09-21 to 2262-04-11.
OLDEST, NEWEST = -(2**63), 2**63 - 1


def utc(year, month, day, hour, minute, second, nanos, sign, zone_hour, zone_minute):
    """A civil time with its offset; a leap second is the last second of its minute."""
    try:
        days = datetime.date(year, month, day).toordinal() - EPOCH_DAY
    except ValueError:
        return None
    if hour > 23 or minute > 59 or second > 60 or zone_hour > 23 or zone_minute > 59:
        return None
    local = days * 86400 + hour * 3600 + minute * 60 + min(second, 59)
    offset = zone_hour * 3600 + zone_minute * 60
    nanos += (local - (offset if sign == b"+" else -offset)) * NANOS
    return nanos if OLDEST <= nanos <= NEWEST else None


def clf(text):
    """`17/May/2015:10:05:03 +0000`"""
    found = CLF.fullmatch(text)
    if not found or found[2] not in MONTHS:
        return None
    return utc(
        int(found[3]), MONTHS.index(found[2]) + 1, int(found[1]),
        int(found[4]), int(found[5]), int(found[6]), 0,
        found[7], int(found[8]), int(found[9]),
    )  # fmt: skip


def rfc3339(text, zone=None):
    """`2015-05-17T10:05:03.123+02:00`; without an offset only where `zone` says which is meant."""
    found = RFC3339.fullmatch(text)
    if not found:
        return None
    if found[8]:
        offset = found[8], int(found[9]), int(found[10])
    elif text[-1:] in b"Zz":
        offset = b"+", 0, 0
    elif zone == "UTC":
        offset = b"+", 0, 0
    else:
        return None
    nanos = int((found[7] or b"").ljust(9, b"0"))
    return utc(*(int(found[n]) for n in range(1, 7)), nanos, *offset)


def epoch(text):
    """Seconds, milli-, micro- or nanoseconds since 1970: the size of the number says which."""
    found = NUMBER.fullmatch(text)
    if not found:
        return None
    whole, part = found[1], found[2] or b""
    number = Fraction(int(whole + part), 10 ** len(part)) * Fraction(10) ** int(found[3] or 0)
    if number < 10**11:
        unit = NANOS
    elif number < 10**14:
        unit = 10**6
    elif number < 10**17:
        unit = 10**3
    else:
        unit = 1
    nanos = number * unit // 1
    return nanos if OLDEST <= nanos <= NEWEST else None


def any_of(text, zone=None):
    """A time whose kind nobody declared."""
    for reader in (epoch, clf, lambda text: rfc3339(text, zone)):
        nanos = reader(text)
        if nanos is not None:
            return nanos
    return None


def shown(nanos):
    """RFC 3339, UTC, with as many digits of a second as it has."""
    seconds, rest = divmod(nanos, NANOS)
    civil = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    fraction = (".%09d" % rest).rstrip("0") if rest else ""
    # strftime does not pad years below 1000 everywhere.
    return "%04d-%02d-%02dT%02d:%02d:%02d%sZ" % (*civil.timetuple()[:6], fraction)


def window(nanos, by):
    """The start of the UTC-aligned minute, hour or day."""
    span = {"minute": 60, "hour": 3600, "day": 86400}[by] * NANOS
    return nanos // span * span
