#!/usr/bin/env bash
# Measures keydrain beside its peers and prints tables for benches/README.md.
#
#     benches/peers.sh [--size 1GiB] [--rounds 5] [--work DIR]
#
# Needs Rust, Python 3, a Debian or Ubuntu for the peers that are missing (root or sudo), and in DIR
# (default: target/peers) about eight times the size. Every answer is compared with the truth that
# the generator of the logs has counted before any time is taken. Nothing else should run.
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

install_packages grep:grep mawk:mawk mtail:mtail goaccess:goaccess gzip:gzip /usr/bin/time:time
install_wheels ripgrep duckdb chdb
build
for kind in combined json cloudtrail; do corpus "$kind" "$kind" 2000; done
corpus spray combined 0
say "load before: $(cut -d' ' -f1-3 /proc/loadavg)"
exec python3 benches/measure/peers.py "$work" "$rounds"
