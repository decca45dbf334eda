# Sourced by the scripts of benches/: what they need before they measure. Uses `size` and `work`.

say() { echo "$*" >&2; }
die() { say "$*"; exit 1; }

bytes=$(numfmt --from=auto "${size%B}" 2> /dev/null) || die "--size is a number of bytes such as 256MiB, not $size"
mkdir -p "$work"
work=$(cd "$work" && pwd)
export PYTHONDONTWRITEBYTECODE=1 KEYDRAIN=$PWD/target/release/keydrain

# install_packages COMMAND:PACKAGE...: installs the distribution's packages whose command is missing.
install_packages() {
    local missing=() pair root=()
    for pair; do command -v "${pair%%:*}" > /dev/null || missing+=("${pair##*:}"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || root=(sudo)
    "${root[@]}" apt-get -qq update
    "${root[@]}" apt-get -qq install --yes --no-install-recommends "${missing[@]}" > /dev/null \
        || die "cannot install ${missing[*]}: install them, then run this again"
    for pair; do
        command -v "${pair%%:*}" > /dev/null || die "${pair##*:} is installed but has no ${pair%%:*}"
    done
}

# install_wheels PACKAGE...: installs Python packages into a venv of our own.
install_wheels() {
    [ -x "$work/venv/bin/python" ] || python3 -m venv "$work/venv" || die "python3 has no venv"
    "$work/venv/bin/pip" --quiet --disable-pip-version-check install "$@" \
        || die "cannot install $*: see above"
}

# Two builds: the features that an example needs are none of the program.
build() {
    cargo build --release --locked --example corpus || die "the generator does not build"
    cargo build --release --locked --bin keydrain || die "keydrain does not build"
}

# corpus NAME KIND KEYS: makes a log and its truth, unless there is one of this size.
corpus() {
    local log=$work/$1.log
    if [ "$(cat "$work/$1.made" 2> /dev/null)" != "$2 $3 $bytes" ]; then
        rm -f "$work/$1".* "$work"/part-*.gz
        target/release/examples/corpus --kind "$2" --keys "$3" --size "$bytes" \
            --log "$log" --truth "$work/$1.truth.json"
        echo "$2 $3 $bytes" > "$work/$1.made"
    fi
}
