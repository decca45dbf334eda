-- The state of keydrain, schema 1.
--
-- Instants are nanoseconds since 1970 in UTC, minutes are numbered from 1970, durations are
-- nanoseconds, fingerprints are 16 bytes (shown as kd1: and 32 hex digits). Names are stored once
-- and referred to by number.

-- One row. The check value tells when the fingerprint secret is not the one counted with. state_number
-- and commits are compared with the mark beside the database (src/store/mark.rs); is_copy = 1: a backup
-- of which nothing was started yet.
CREATE TABLE meta (
    id                INTEGER PRIMARY KEY CHECK (id = 1),
    secret_check      BLOB    NOT NULL CHECK (length(secret_check) = 16),
    answer_sequence   INTEGER NOT NULL DEFAULT 0 CHECK (answer_sequence >= 0),
    last_commit_at    INTEGER,
    state_number      INTEGER NOT NULL,
    commits           INTEGER NOT NULL DEFAULT 0 CHECK (commits >= 0),
    is_copy           INTEGER NOT NULL DEFAULT 0 CHECK (is_copy IN (0, 1))
) STRICT;

-- Names --------------------------------------------------------------------------------------

CREATE TABLE source (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE stream (
    id     INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES source (id),
    name   TEXT    NOT NULL,
    UNIQUE (source, name)
) STRICT;

CREATE TABLE key (
    id          INTEGER PRIMARY KEY,
    fingerprint BLOB NOT NULL UNIQUE CHECK (length(fingerprint) = 16)
) STRICT;

-- kind: what is known of it. 0: "anonymous", the pool of all known only by address or user agent;
-- 1: a name; 2: an address or user agent that is kept apart; 3: "(others)", those beyond the number
-- that is kept apart. Two of different kinds may have the same name.
CREATE TABLE consumer (
    id   INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL CHECK (kind IN (0, 1, 2, 3)),
    name TEXT    NOT NULL,
    UNIQUE (name, kind)
) STRICT;

-- Evidence -----------------------------------------------------------------------------------

CREATE TABLE source_state (
    source          INTEGER PRIMARY KEY REFERENCES source (id),
    layout          TEXT    NOT NULL,
    bytes_read      INTEGER NOT NULL CHECK (bytes_read >= 0),
    bytes_skipped   INTEGER NOT NULL CHECK (bytes_skipped >= 0),
    bytes_unknown   INTEGER NOT NULL CHECK (bytes_unknown >= 0),
    lines           INTEGER NOT NULL CHECK (lines >= 0),
    rejects         INTEGER NOT NULL CHECK (rejects >= 0),
    other_keys      INTEGER NOT NULL CHECK (other_keys >= 0)
) STRICT;

CREATE TABLE stream_state (
    stream            INTEGER PRIMARY KEY REFERENCES stream (id),
    observing_since   INTEGER,
    frontier          INTEGER,
    frontier_assumed  INTEGER NOT NULL CHECK (frontier_assumed IN (0, 1)),
    watermark         INTEGER,
    last_line_at      INTEGER,
    observed_lateness INTEGER NOT NULL CHECK (observed_lateness >= 0),
    violations        INTEGER NOT NULL CHECK (violations >= 0),
    masked_at         INTEGER
) STRICT;

CREATE TABLE stream_key (
    stream   INTEGER NOT NULL REFERENCES stream (id),
    position INTEGER NOT NULL,
    key      INTEGER NOT NULL REFERENCES key (id),
    PRIMARY KEY (stream, position)
) STRICT, WITHOUT ROWID;

-- Places that ever showed a tracked key. shown = 1: since observation began.
CREATE TABLE stream_place (
    stream INTEGER NOT NULL REFERENCES stream (id),
    place  TEXT    NOT NULL,
    shown  INTEGER NOT NULL CHECK (shown IN (0, 1)),
    PRIMARY KEY (stream, place)
) STRICT, WITHOUT ROWID;

-- device and inode are unsigned numbers of 64 bits, kept bit by bit.
CREATE TABLE generation (
    stream          INTEGER NOT NULL REFERENCES stream (id),
    number          INTEGER NOT NULL CHECK (number >= 0),
    device          INTEGER NOT NULL,
    inode           INTEGER NOT NULL,
    birth           INTEGER NOT NULL,
    handle          BLOB    CHECK (length(handle) = 16),
    path            TEXT    NOT NULL,
    offset          INTEGER NOT NULL CHECK (offset >= 0),
    head_len        INTEGER NOT NULL,
    head            BLOB    NOT NULL CHECK (length(head) = 16),
    tail_len        INTEGER NOT NULL,
    tail            BLOB    NOT NULL CHECK (length(tail) = 16),
    last_event      INTEGER,
    inside_overlong INTEGER NOT NULL CHECK (inside_overlong IN (0, 1)),
    finished        INTEGER NOT NULL CHECK (finished IN (0, 1)),
    open_rejects    INTEGER NOT NULL CHECK (open_rejects >= 0),
    open_rejects_at INTEGER,
    PRIMARY KEY (stream, number)
) STRICT, WITHOUT ROWID;

-- Where the bytes of a generation went: known = read + overlong + nul_run + copied + hole + cut + tail
-- + what is still to be read (src/engine/bytes.rs). Number 0: the sum of those that were forgotten.
CREATE TABLE generation_bytes (
    stream      INTEGER NOT NULL REFERENCES stream (id),
    number      INTEGER NOT NULL CHECK (number >= 0),
    generations INTEGER NOT NULL CHECK (generations >= 0),
    known       INTEGER NOT NULL CHECK (known >= 0),
    read        INTEGER NOT NULL CHECK (read >= 0),
    overlong    INTEGER NOT NULL CHECK (overlong >= 0),
    nul_run     INTEGER NOT NULL CHECK (nul_run >= 0),
    copied      INTEGER NOT NULL CHECK (copied >= 0),
    hole        INTEGER NOT NULL CHECK (hole >= 0),
    cut         INTEGER NOT NULL CHECK (cut >= 0),
    tail        INTEGER NOT NULL CHECK (tail >= 0),
    first_event INTEGER,
    PRIMARY KEY (stream, number)
) STRICT, WITHOUT ROWID;

-- Tracked keys found in rejects of a generation that no understood line follows yet.
CREATE TABLE open_reject_key (
    stream     INTEGER NOT NULL REFERENCES stream (id),
    generation INTEGER NOT NULL,
    key        INTEGER NOT NULL REFERENCES key (id),
    at         INTEGER NOT NULL,
    PRIMARY KEY (stream, generation, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE tracked (
    source INTEGER NOT NULL REFERENCES source (id),
    key    INTEGER NOT NULL REFERENCES key (id),
    since  INTEGER,
    PRIMARY KEY (source, key)
) STRICT, WITHOUT ROWID;

-- When a probe was seen: from the second `first` to `last`, never out of sight for longer than `bound`.
CREATE TABLE probe_sighting (
    source INTEGER NOT NULL REFERENCES source (id),
    key    INTEGER NOT NULL REFERENCES key (id),
    first  INTEGER NOT NULL,
    last   INTEGER NOT NULL CHECK (last >= first),
    bound  INTEGER NOT NULL CHECK (bound >= 0),
    PRIMARY KEY (source, key, first)
) STRICT, WITHOUT ROWID;

-- A gap is for ever.
CREATE TABLE gap (
    id      INTEGER PRIMARY KEY,
    stream  INTEGER NOT NULL REFERENCES stream (id),
    from_at INTEGER NOT NULL,
    to_at   INTEGER NOT NULL CHECK (to_at >= from_at),
    reason  TEXT    NOT NULL,
    bytes   INTEGER CHECK (bytes >= 0)
) STRICT;

CREATE TRIGGER gap_insert BEFORE INSERT ON gap
WHEN EXISTS (SELECT 1 FROM gap WHERE id = NEW.id)
BEGIN SELECT RAISE (ABORT, 'a gap is for ever'); END;
CREATE TRIGGER gap_update BEFORE UPDATE ON gap
BEGIN SELECT RAISE (ABORT, 'a gap is for ever'); END;
CREATE TRIGGER gap_delete BEFORE DELETE ON gap
BEGIN SELECT RAISE (ABORT, 'a gap is for ever'); END;

CREATE TABLE clock_suspect (
    id      INTEGER PRIMARY KEY,
    from_at INTEGER NOT NULL,
    to_at   INTEGER NOT NULL CHECK (to_at >= from_at)
) STRICT;

-- Counts -------------------------------------------------------------------------------------

-- Who presented which key: all that is known of it, for the next start. presented, served, in_time
-- and recent are tables as bytes (src/store/blob.rs).
CREATE TABLE presentations (
    key                  INTEGER NOT NULL REFERENCES key (id),
    consumer             INTEGER NOT NULL REFERENCES consumer (id),
    accepted             INTEGER NOT NULL CHECK (accepted >= 0),
    unauthenticated      INTEGER NOT NULL CHECK (unauthenticated >= 0),
    forbidden            INTEGER NOT NULL CHECK (forbidden >= 0),
    failed               INTEGER NOT NULL CHECK (failed >= 0),
    first_seen           INTEGER,
    last_seen            INTEGER,
    counts_until         INTEGER,
    last_accepted        INTEGER,
    last_unauthenticated INTEGER,
    last_forbidden       INTEGER,
    last_failed          INTEGER,
    last_denied          INTEGER,
    presented            BLOB    NOT NULL,
    served               BLOB    NOT NULL,
    recent               BLOB    NOT NULL,
    late                 BLOB    NOT NULL,
    in_time              BLOB,
    PRIMARY KEY (key, consumer)
) STRICT;

-- What is known of a key as a whole, for the next start.
CREATE TABLE key_use (
    key    INTEGER PRIMARY KEY REFERENCES key (id),
    series BLOB NOT NULL
) STRICT;

-- The history of usage: by minute, then by hour, then by day (src/store/rollup.rs). A count is in
-- one of the three. minute is the first of the window; *_seconds are sets, one bit for each second
-- of the minute. Clustered by time: a commit adds at the end, a roll-up takes from the beginning.
CREATE TABLE usage_cell (
    source                  INTEGER NOT NULL REFERENCES source (id),
    key                     INTEGER NOT NULL REFERENCES key (id),
    consumer                INTEGER NOT NULL REFERENCES consumer (id),
    minute                  INTEGER NOT NULL,
    late                    INTEGER NOT NULL,
    accepted                INTEGER NOT NULL CHECK (accepted >= 0),
    unauthenticated         INTEGER NOT NULL CHECK (unauthenticated >= 0),
    forbidden               INTEGER NOT NULL CHECK (forbidden >= 0),
    failed                  INTEGER NOT NULL CHECK (failed >= 0),
    accepted_seconds        INTEGER NOT NULL,
    unauthenticated_seconds INTEGER NOT NULL,
    forbidden_seconds       INTEGER NOT NULL,
    failed_seconds          INTEGER NOT NULL,
    first_seen              INTEGER NOT NULL,
    last_seen               INTEGER NOT NULL,
    counts_until            INTEGER NOT NULL,
    PRIMARY KEY (minute, source, key, consumer, late)
) STRICT, WITHOUT ROWID;

-- Addresses of the pool that presented a key: the smallest 256 of their hashes, ascending, 8 bytes
-- each, big-endian.
CREATE TABLE pool_address (
    key    INTEGER PRIMARY KEY REFERENCES key (id),
    hashes BLOB    NOT NULL CHECK (length(hashes) % 8 = 0 AND length(hashes) <= 2048)
) STRICT;

-- Keys of sessions that were issued to a tracked key and may live, and the newest of each lifetime.
-- An empty child: more were issued than are kept, the newest such at this time.
CREATE TABLE issued_key (
    root      INTEGER NOT NULL REFERENCES key (id),
    child     BLOB    NOT NULL CHECK (length(child) IN (0, 16)),
    issued_at INTEGER NOT NULL,
    lifetime  INTEGER NOT NULL CHECK (lifetime >= 0),
    PRIMARY KEY (root, child, lifetime)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_hour (
    source                  INTEGER NOT NULL REFERENCES source (id),
    key                     INTEGER NOT NULL REFERENCES key (id),
    consumer                INTEGER NOT NULL REFERENCES consumer (id),
    minute                  INTEGER NOT NULL,
    late                    INTEGER NOT NULL,
    accepted                INTEGER NOT NULL CHECK (accepted >= 0),
    unauthenticated         INTEGER NOT NULL CHECK (unauthenticated >= 0),
    forbidden               INTEGER NOT NULL CHECK (forbidden >= 0),
    failed                  INTEGER NOT NULL CHECK (failed >= 0),
    first_seen              INTEGER NOT NULL,
    last_seen               INTEGER NOT NULL,
    counts_until            INTEGER NOT NULL,
    PRIMARY KEY (minute, source, key, consumer, late)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_day (
    source                  INTEGER NOT NULL REFERENCES source (id),
    key                     INTEGER NOT NULL REFERENCES key (id),
    consumer                INTEGER NOT NULL REFERENCES consumer (id),
    minute                  INTEGER NOT NULL,
    late                    INTEGER NOT NULL,
    accepted                INTEGER NOT NULL CHECK (accepted >= 0),
    unauthenticated         INTEGER NOT NULL CHECK (unauthenticated >= 0),
    forbidden               INTEGER NOT NULL CHECK (forbidden >= 0),
    failed                  INTEGER NOT NULL CHECK (failed >= 0),
    first_seen              INTEGER NOT NULL,
    last_seen               INTEGER NOT NULL,
    counts_until            INTEGER NOT NULL,
    PRIMARY KEY (minute, source, key, consumer, late)
) STRICT, WITHOUT ROWID;

-- step: 0 a minute, 1 an hour, 2 a day. minute is the first of the window.
CREATE TABLE line_count (
    stream  INTEGER NOT NULL REFERENCES stream (id),
    step    INTEGER NOT NULL,
    minute  INTEGER NOT NULL,
    lines   INTEGER NOT NULL CHECK (lines >= 0),
    rejects INTEGER NOT NULL CHECK (rejects >= 0),
    PRIMARY KEY (step, minute, stream)
) STRICT, WITHOUT ROWID;

-- When a key last stood in a rejected line.
CREATE TABLE rejected_key (
    stream INTEGER NOT NULL REFERENCES stream (id),
    key    INTEGER NOT NULL REFERENCES key (id),
    at     INTEGER NOT NULL,
    PRIMARY KEY (stream, key)
) STRICT, WITHOUT ROWID;

-- Rotations ----------------------------------------------------------------------------------

CREATE TABLE rotation (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    credential   TEXT    NOT NULL,
    old_key_name TEXT    NOT NULL,
    old_key      INTEGER NOT NULL REFERENCES key (id),
    old_key_id   TEXT,
    new_key_name TEXT    NOT NULL,
    new_key      INTEGER NOT NULL REFERENCES key (id),
    new_key_id   TEXT,
    overlap      INTEGER CHECK (overlap >= 0)
) STRICT;

CREATE TABLE rotation_source (
    rotation INTEGER NOT NULL REFERENCES rotation (id),
    position INTEGER NOT NULL,
    source   INTEGER NOT NULL REFERENCES source (id),
    PRIMARY KEY (rotation, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE rotation_roster (
    rotation                INTEGER NOT NULL REFERENCES rotation (id),
    position                INTEGER NOT NULL,
    name                    TEXT    NOT NULL,
    third_party             INTEGER NOT NULL CHECK (third_party IN (0, 1)),
    single                  INTEGER NOT NULL CHECK (single IN (0, 1)),
    synthetic               INTEGER NOT NULL CHECK (synthetic IN (0, 1)),
    max_cache_ttl           INTEGER NOT NULL CHECK (max_cache_ttl >= 0),
    max_connection_lifetime INTEGER NOT NULL CHECK (max_connection_lifetime >= 0),
    notice_period           INTEGER CHECK (notice_period >= 0),
    owner                   TEXT,
    PRIMARY KEY (rotation, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE rotation_job (
    rotation    INTEGER NOT NULL REFERENCES rotation (id),
    position    INTEGER NOT NULL,
    consumer    TEXT    NOT NULL,
    schedule    TEXT    NOT NULL,
    zone        TEXT,
    max_runtime INTEGER NOT NULL CHECK (max_runtime >= 0),
    PRIMARY KEY (rotation, position)
) STRICT, WITHOUT ROWID;

-- What was said about rotations, in order. body: JSON with what the type needs besides.
CREATE TABLE journal (
    sequence    INTEGER PRIMARY KEY CHECK (sequence > 0),
    rotation    INTEGER NOT NULL REFERENCES rotation (id),
    type        TEXT    NOT NULL,
    body        TEXT,
    at          INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    by          TEXT    NOT NULL,
    note        TEXT
) STRICT;

CREATE TRIGGER journal_insert BEFORE INSERT ON journal
WHEN NEW.sequence <= (SELECT max (sequence) FROM journal)
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_update BEFORE UPDATE ON journal
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_delete BEFORE DELETE ON journal
BEGIN SELECT RAISE (ABORT, 'the journal is append-only'); END;

CREATE TABLE violation (
    id          INTEGER PRIMARY KEY,
    rotation    INTEGER NOT NULL REFERENCES rotation (id),
    kind        TEXT    NOT NULL,
    event_at    INTEGER,
    recorded_at INTEGER NOT NULL,
    message     TEXT    NOT NULL
) STRICT;

CREATE TRIGGER violation_insert BEFORE INSERT ON violation
WHEN EXISTS (SELECT 1 FROM violation WHERE id = NEW.id)
BEGIN SELECT RAISE (ABORT, 'a violation is for ever'); END;
CREATE TRIGGER violation_update BEFORE UPDATE ON violation
BEGIN SELECT RAISE (ABORT, 'a violation is for ever'); END;
CREATE TRIGGER violation_delete BEFORE DELETE ON violation
BEGIN SELECT RAISE (ABORT, 'a violation is for ever'); END;

-- The gates between the phases as they stood last. reasons: JSON list of texts.
CREATE TABLE checkpoint (
    rotation    INTEGER NOT NULL REFERENCES rotation (id),
    name        TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    reasons     TEXT    NOT NULL,
    judged_from INTEGER,
    PRIMARY KEY (rotation, name)
) STRICT, WITHOUT ROWID;

-- Incidents that the log shows: each occurrence once. Those that people post stand in the journal,
-- and a ready that was taken back is a violation.
CREATE TABLE incident (
    id       INTEGER PRIMARY KEY,
    rotation INTEGER NOT NULL REFERENCES rotation (id),
    kind     TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    ended_at INTEGER,
    message  TEXT    NOT NULL,
    UNIQUE (rotation, kind, subject, at)
) STRICT;

-- What the log said of a rotation when it ended: its figures never change afterwards.
CREATE TABLE rotation_summary (
    rotation       INTEGER PRIMARY KEY REFERENCES rotation (id),
    dual_accept_at INTEGER,
    last_use       INTEGER,
    allocated      INTEGER NOT NULL CHECK (allocated >= 0),
    consumers      INTEGER NOT NULL CHECK (consumers >= 0),
    moved          INTEGER NOT NULL CHECK (moved >= 0),
    t50            INTEGER CHECK (t50 >= 0),
    t90            INTEGER CHECK (t90 >= 0),
    last           INTEGER CHECK (last >= 0)
) STRICT;

CREATE TABLE published_verdict (
    rotation               INTEGER PRIMARY KEY REFERENCES rotation (id),
    verdict                TEXT    NOT NULL,
    epoch                  TEXT    NOT NULL,
    since                  INTEGER NOT NULL,
    ready_since            INTEGER,
    revocation_verified_at INTEGER,
    policy                 TEXT    NOT NULL,
    policy_since           INTEGER
) STRICT;
