"""The whole job in a database: events by minute, key and outcome, as lines of text.

    whole.py duckdb|chdb combined|json|cloudtrail LOG

The queries are the fastest we know that give the right answer for these logs, on one thread. They
take more on trust than keydrain does: each looks for the first place where a name stands, so a
client who writes that name into a URL or an agent is counted as somebody else.
"""

import sys

LINES = {
    "combined": ("read_csv({log}, delim='\\x01', quote='', escape='', header=false,"
                 " auto_detect=false, columns={{line: 'VARCHAR'}})"),
    "json": ("read_json({log}, format='newline_delimited', ignore_errors=true, columns="
             "{{time: 'VARCHAR', http: 'STRUCT(status SMALLINT)',"
             " auth: 'STRUCT(api_key_id VARCHAR)'}})"),
    "cloudtrail": ("read_json({log}, format='newline_delimited', ignore_errors=true, columns="
                   "{{eventTime: 'VARCHAR', errorCode: 'VARCHAR',"
                   " userIdentity: 'STRUCT(accessKeyId VARCHAR)'}})"),
}

# By kind: minute, key, condition that the line counts, condition of outcome 1 and of outcome 2.
DUCKDB = {
    "combined": (
        "substr(line, strpos(line, '[') + 1, 17)",
        "substr(line, strpos(line, '?api_key=') + 9, 32)",
        "contains(line, '?api_key=')",
        "substr(line, strpos(line, ' HTTP/1.1\" ') + 11, 3) IN ('401', '403')",
        "substr(line, strpos(line, ' HTTP/1.1\" ') + 11, 1) = '5'",
    ),
    "json": (
        "substr(time, 12, 5)", "auth.api_key_id", "auth.api_key_id IS NOT NULL",
        "http.status IN (401, 403)", "http.status >= 500",
    ),
    "cloudtrail": (
        "substr(eventTime, 12, 5)", "userIdentity.accessKeyId",
        "userIdentity.accessKeyId IS NOT NULL AND eventTime[12] <> '?'",
        "errorCode LIKE 'AccessDenied%'", "errorCode IS NOT NULL",
    ),
}

CHDB = {
    "combined": (
        "substring(line, position(line, '[') + 1, 17)",
        "extractURLParameter(line, 'api_key')",
        "position(line, 'api_key=') > 0",
        "substring(line, position(line, 'HTTP/1.1\" ') + 10, 3) IN ('401', '403')",
        "substring(line, position(line, 'HTTP/1.1\" ') + 10, 1) = '5'",
    ),
    "json": (
        "substring(simpleJSONExtractString(line, 'time'), 12, 5)",
        "simpleJSONExtractString(line, 'api_key_id')",
        "key != ''",
        "simpleJSONExtractUInt(line, 'status') IN (401, 403)",
        "simpleJSONExtractUInt(line, 'status') >= 500",
    ),
    "cloudtrail": (
        "substring(simpleJSONExtractString(line, 'eventTime'), 12, 5)",
        "simpleJSONExtractString(line, 'accessKeyId')",
        "key != '' AND minute != '??:??'",
        "startsWith(simpleJSONExtractString(line, 'errorCode'), 'AccessDenied')",
        "simpleJSONExtractString(line, 'errorCode') != ''",
    ),
}


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def duckdb(kind, log):
    import duckdb

    minute, key, counts, denied, failed = DUCKDB[kind]
    lines = LINES[kind].format(log=quoted(log))
    database = duckdb.connect()
    database.execute("SET threads = 1")
    database.execute("SET preserve_insertion_order = false")
    database.execute(
        f"COPY (SELECT {minute} AS minute, {key} AS key,"
        f" CASE WHEN {denied} THEN 1 WHEN {failed} THEN 2 ELSE 0 END AS outcome, count(*)"
        f" FROM {lines} WHERE {counts} GROUP BY ALL)"
        " TO '/dev/stdout' (DELIMITER '\t', HEADER false)"
    )


def chdb(kind, log):
    import chdb

    minute, key, counts, denied, failed = CHDB[kind]
    answer = chdb.query(
        f"SELECT {minute} AS minute, {key} AS key,"
        f" multiIf({denied}, 1, {failed}, 2, 0) AS outcome, count()"
        f" FROM file({quoted(log)}, 'LineAsString', 'line String') WHERE {counts}"
        " GROUP BY minute, key, outcome SETTINGS max_threads = 1",
        "TabSeparated",
    )
    sys.stdout.buffer.write(answer.bytes())


def main():
    engine, kind, log = sys.argv[1:]
    {"duckdb": duckdb, "chdb": chdb}[engine](kind, log)


main()
