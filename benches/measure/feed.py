"""Appends a log to another, over and over, at so many MB a second.

    feed.py FROM TO RATE SECONDS TIMES
"""

import sys
import time


def main():
    source, to = sys.argv[1:3]
    rate, seconds, times = map(float, sys.argv[3:6])
    start, fed = time.monotonic(), 0
    with open(to, "ab", buffering=0) as live:
        for _ in range(int(times)):
            with open(source, "rb") as corpus:
                while block := corpus.read(1 << 20):
                    if time.monotonic() - start > seconds:
                        return
                    live.write(block)
                    fed += len(block)
                    time.sleep(max(start + fed / 1e6 / rate - time.monotonic(), 0))


main()
