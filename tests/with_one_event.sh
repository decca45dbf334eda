#!/usr/bin/env bash
# Runs a command while every new queue of file events on this machine has room for one event: of all
# others that come before it is read, only the news is left that they are lost.
# tests/with_one_event.sh cargo test --test end_to_end
set -euo pipefail
room=/proc/sys/fs/inotify/max_queued_events

# Without root, by sudo if that asks for no password.
set_room() {
    { echo "$1" >"$room"; } 2>/dev/null || echo "$1" | sudo -n tee "$room" >/dev/null 2>&1
}

before=$(cat "$room" 2>/dev/null || true)
# Somebody else is doing the same just now: what the kernel starts with is to come back.
[ "$before" != 1 ] || before=16384
trap 'exit 130' INT TERM HUP
trap '[ -z "$before" ] || [ "$(cat "$room")" = "$before" ] || set_room "$before"' EXIT
if ! set_room 1 || [ "$(cat "$room")" != 1 ]; then
    {
        echo "!! NOT TESTED: $* with room for one file event."
        echo "!! It takes root, or sudo without a password, and a $room that can be written."
    } >&2
    exit 0
fi
"$@"
