#!/usr/bin/env bash
# keydrain on a system without inotify: file events never come, files are looked at all the same.
# KEYDRAIN_BIN=tests/without_events.sh cargo test --test end_to_end
set -euo pipefail
binary=${BINARY_WITHOUT_EVENTS:-$(dirname "$0")/../target/debug/keydrain}
exec strace -D -I1 -f --seccomp-bpf -qq -e trace=inotify_init1 -e signal=none \
    -e inject=inotify_init1:error=ENOSYS -o /dev/null "$binary" "$@"
