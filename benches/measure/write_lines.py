"""Appends lines at a rate, each fifth batch ending with a line of the old key; prints when
each of those was written.

    write_lines.py LOG RATE SECONDS
"""

import os
import sys
import time

from daemon_site import line

BATCHES = 200  # a second


def main():
    log, rate, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    live = os.open(log, os.O_WRONLY | os.O_APPEND)
    start, written, made = time.monotonic(), [], None
    for number in range(BATCHES * seconds):
        second = int(time.time())
        if second != made:
            made = second
            others = [line(second, f"client-{client}", "payments-api-new") for client in range(50)]
            batch = "".join((others * (rate // BATCHES))[: rate // BATCHES - 1]).encode()
            marker = line(second, "marker", "payments-api-old").encode()
            usual = others[0].encode()
        time.sleep(max(start + number / BATCHES - time.monotonic(), 0))
        is_marked = number % 5 == 0
        os.write(live, batch + (marker if is_marked else usual))
        if is_marked:
            written.append(time.monotonic())
    print(*written)


main()
