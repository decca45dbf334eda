#!/usr/bin/env bash
# Row 52 of the list of faults in full size, on the release binary: ten million distinct keys, then a
# million distinct clients, through a running daemon. Prints its peak of memory after each quarter and
# fails if it grows or if a watched key is miscounted. Needs 1 GB of disk.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked
export KEYDRAIN_BIN=target/release/keydrain
spray() { # test, number
    KEYDRAIN_SPRAY=$2 cargo test --locked --test faults -- "$1" --nocapture
}
spray row_52_random_keys 10000000
spray row_52_random_clients 1000000
