"""Asks for a readiness at a fixed rate, however long answers take; prints the ms that each took
from when it was due.

    ask.py HOST PORT RATE SECONDS
"""

import selectors
import socket
import sys
import time
from collections import deque

CONNECTIONS = 32


def main():
    host, port, rate, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    request = (f"GET /v1/credentials/payments-api/readiness HTTP/1.1\r\nHost: {host}\r\n\r\n").encode()
    selector, free = selectors.DefaultSelector(), deque()
    for _ in range(CONNECTIONS):
        one = socket.create_connection((host, port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(one, selectors.EVENT_READ)
        free.append(one)
    waits, due, held = [], {}, {}
    start, asked, all_of_them = time.monotonic(), 0, int(rate * seconds)
    while len(waits) < all_of_them:
        now = time.monotonic()
        while free and asked < all_of_them and (at := start + asked / rate) <= now:
            one = free.popleft()
            due[one], held[one] = at, b""
            one.sendall(request)
            asked += 1
        wait = start + asked / rate - time.monotonic() if asked < all_of_them else 0.1
        for key, _ in selector.select(max(wait, 0) if free else 0.1):
            one = key.fileobj
            held[one] += one.recv(1 << 16)
            if is_whole(held[one]):
                waits.append((time.monotonic() - due.pop(one)) * 1000)
                free.append(one)
    print(*waits)


def is_whole(reply):
    """Tells whether a reply is all there; one that is no 200 ends the measurement."""
    head, found, body = reply.partition(b"\r\n\r\n")
    if not found:
        return False
    if not head.startswith(b"HTTP/1.1 200"):
        sys.exit(reply.decode()[:300])
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    return len(body) >= int(length.split(b":")[1])


main()
