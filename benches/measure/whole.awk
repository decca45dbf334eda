# The whole job in awk: events by minute, key and outcome. -v kind=combined|json|cloudtrail
# Like whole.py it trusts the first place where a name stands.

function count(minute, key, outcome) { cells[minute "\t" key "\t" outcome]++ }

function outcome_of(status) {
    return status == "401" || status == "403" ? 1 : substr(status, 1, 1) == "5" ? 2 : 0
}

kind == "combined" {
    if (at = index($0, "?api_key="))
        count(substr($0, index($0, "[") + 1, 17), substr($0, at + 9, 32),
              outcome_of(substr($0, index($0, " HTTP/1.1\" ") + 11, 3)))
}

kind == "json" {
    if (at = index($0, "\"api_key_id\":\""))
        count(substr($0, 21, 5), substr($0, at + 14, 20),
              outcome_of(substr($0, index($0, "\"status\":") + 9, 3)))
}

kind == "cloudtrail" {
    if ((at = index($0, "\"accessKeyId\":\"")) && !index($0, "T??:"))
        count(substr($0, index($0, "\"eventTime\":\"") + 24, 5), substr($0, at + 15, 20),
              index($0, "\"errorCode\":\"AccessDenied") ? 1 : index($0, "\"errorCode\":") ? 2 : 0)
}

END {
    for (cell in cells) print cell "\t" cells[cell]
}
