#!/usr/bin/env bash
# Measures the daemon and prints a table for benches/README.md.
#
#     benches/daemon.sh [--size 1GiB] [--rounds 5] [--work DIR]
#
# From `write(2)` to the changed answer at 100,000 lines a second; CPU of a log that grows beside
# `scan` of the same log; 1,000 quiet files; answers while it reads at full speed on one core; a
# restart with 90 days of state. Every count is compared with what was written. Needs Rust and
# Python 3, and in DIR (default: target/peers) about five times the size. Nothing else should run.
# Random keys without end are another script: spray.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
size=1GiB rounds=5 work=target/peers
while [ $# -gt 0 ]; do
    case $1 in
        --size) size=$2 ;;
        --rounds) rounds=$2 ;;
        --work) work=$2 ;;
        *) sed -n '2,/^set/{/^#/p}' "$0" >&2; exit 2 ;;
    esac
    shift 2
done
. benches/measure/prepare.sh

install_packages taskset:util-linux /usr/bin/time:time
build
corpus combined combined 2000
exec python3 benches/measure/daemon.py "$work" "$rounds"
