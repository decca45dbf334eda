//! Configs of best-effort sources and probes: what is read, and what each contradiction says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use keydrain::config::{Config, ConfigError, KeyIdentity};
use keydrain::engine::credential::{Fingerprint, FingerprintSecret, SourceName};
use keydrain::engine::policy::Completeness;

/// Line 1 to 4: a complete source.
const EDGE: &str =
    "[[source]]\nname = \"edge\"\npaths = [\"/l/a.log*\"]\ncredential = \"query:k\"\n";
/// Line 5 to 8, after [`EDGE`]: a source whose evidence is told by the lines that follow.
const LB: &str = "[[source]]\nname = \"lb\"\npaths = [\"/l/lb*\"]\ncredential = \"query:k\"\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/etc/keydrain/k.toml"), &|_| None)
}

/// Asserts all problems, each with line and column, message and remedy.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found: Vec<String> = match parse(text) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Invalid { problems }) => problems
            .iter()
            .map(|problem| {
                let position = problem.position.to_string().replace("/etc/keydrain/k.toml:", "");
                format!("{position}: {}; {}", problem.message, problem.fix)
            })
            .collect(),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(found, expected, "{text}");
}

/// A load balancer's log that begins in line 9 after [`EDGE`].
fn lb(lines: &str) -> String {
    format!("{EDGE}{LB}{lines}")
}

fn probe(lines: &str) -> String {
    format!("{EDGE}[[probe]]\n{lines}")
}

#[test]
fn a_best_effort_source_may_be_covered_by_a_complete_one() {
    let completeness = |text: &str| parse(text).unwrap().sources[1].policy.completeness.clone();
    let edge = Some(SourceName::new("edge"));
    assert_eq!(
        completeness(&lb("evidence = \"positive-only\"\ncovered_by = \"edge\"\n")),
        Completeness::PositiveOnly { covered_by: edge }
    );
    assert_eq!(
        completeness(&lb("evidence = \"positive-only\"\n")),
        Completeness::PositiveOnly { covered_by: None }
    );
    for complete in ["", "evidence = \"complete\"\n"] {
        assert_eq!(completeness(&lb(complete)), Completeness::Complete);
    }
    // The one that covers may be declared later.
    let later = format!("{LB}evidence = \"positive-only\"\ncovered_by = \"edge\"\n{EDGE}");
    check(&later, &[]);
}

#[test]
fn what_covers_nothing_is_refused() {
    let covered_by =
        |name: &str| lb(&format!("evidence = \"positive-only\"\ncovered_by = \"{name}\"\n"));
    let remedy = "name a complete source that sees the same requests: one of edge";
    check(&covered_by("egde"), &["10:14: unknown source `egde`; did you mean `edge`?"]);
    check(&covered_by("firewall"), &[&format!("10:14: unknown source `firewall`; {remedy}")]);
    check(&covered_by("lb"), &[&format!("10:14: source `lb` covers itself; {remedy}")]);
    let both = format!(
        "{EDGE}evidence = \"positive-only\"\n{LB}evidence = \"positive-only\"\ncovered_by = \"edge\"\n"
    );
    check(
        &both,
        &["11:14: source `edge` may lose lines itself, so it covers nothing; \
           add a complete [[source]] that sees the same requests"],
    );
}

#[test]
fn a_complete_source_is_covered_by_nothing() {
    let message = "`covered_by` covers a source that may lose lines, and this one is complete; \
                   add `evidence = \"positive-only\"`, or remove it";
    check(&lb("covered_by = \"edge\"\n"), &[&format!("9:14: {message}")]);
    check(&lb("evidence = \"complete\"\ncovered_by = \"edge\"\n"), &[&format!("10:14: {message}")]);
    check(
        &lb("evidence = \"positiv-only\"\ncovered_by = \"edge\"\n"),
        &["9:12: unknown `evidence` \"positiv-only\"; write \"complete\" or \"positive-only\""],
    );
}

#[test]
fn a_credential_names_what_covers_its_sources() {
    let covered = lb("evidence = \"positive-only\"\ncovered_by = \"edge\"\n");
    let credential = |sources: &str| {
        format!("{covered}[[credential]]\nname = \"payments\"\nsources = {sources}\n")
    };
    check(&credential("[\"edge\", \"lb\"]"), &[]);
    check(
        &credential("[\"lb\"]"),
        &["13:11: source `lb` is covered by `edge`, which is not among them; \
           add `edge` to `sources`, or remove `lb`"],
    );
}

#[test]
fn a_best_effort_source_does_not_stretch_how_old_evidence_may_be() {
    let slow = "evidence = \"positive-only\"\ncovered_by = \"edge\"\nidle_after = \"2h\"\n";
    let credential = "[[credential]]\nname = \"payments\"\nsources = [\"edge\", \"lb\"]\n";
    let lag = |text: &str| parse(text).unwrap().credentials[0].policy.max_evidence_lag;
    let covered = format!("{}{credential}", lb(slow));
    assert_eq!(lag(&covered), Duration::from_mins(11));
    let complete = format!("{}{credential}", lb("idle_after = \"2h\"\n"));
    assert_eq!(lag(&complete), Duration::from_secs(2 * (2 * 3_600 + 30)));
}

#[test]
fn a_probe_is_read_with_its_defaults() {
    let text = probe(
        "name = \"door\"\nsecret_file = \"probe.key\"\nsources = [\"edge\"]\n\
         [[probe]]\nname = \"slow\"\nid = \"probe-1\"\nsources = [\"edge\"]\nevery = \"5m\"\nwithin = \"1m\"\n",
    );
    let probes = parse(&text).unwrap().probes;
    assert_eq!(&*probes[0].key.name, "door");
    let file = PathBuf::from("/etc/keydrain/probe.key");
    assert_eq!(probes[0].key.identity, KeyIdentity::SecretFile(file));
    assert_eq!(probes[0].sources, [SourceName::new("edge")]);
    let seconds = Duration::from_secs;
    assert_eq!((probes[0].every, probes[0].within), (seconds(60), seconds(30)));
    assert_eq!((probes[1].every, probes[1].within), (seconds(300), seconds(60)));
}

#[test]
fn a_probe_needs_a_name_a_key_and_sources() {
    check(
        &probe(""),
        &[
            "5:1: [[probe]] has no `name`; add `name = \"front-door\"`",
            "5:1: a key says nothing to tell it by; add one of `secret_file = \"/run/secrets/old\"`, \
             `fingerprint = \"kd1:…\"` or `id = \"…\"`",
            "5:1: [[probe]] has no `sources`; name each source whose log shows the key: \
             `sources = [\"edge\"]`",
        ],
    );
    check(
        &probe("name = \"door\"\nid = \"p\"\nsources = [\"egde\"]\nevrey = \"1m\"\n"),
        &[
            "8:12: unknown source `egde`; did you mean `edge`?",
            "9:1: unknown key in [[probe]]; did you mean `every`?",
        ],
    );
}

#[test]
fn a_probe_that_cannot_be_missed_is_refused() {
    let zero = |key: &str| {
        format!(
            "`{key}` of zero is no time in which a probe can show up; \
                 write a longer one, or remove it for the default"
        )
    };
    let probe =
        |line: &str| probe(&format!("name = \"door\"\nid = \"p\"\nsources = [\"edge\"]\n{line}\n"));
    check(&probe("every = \"0s\""), &[&format!("9:9: {}", zero("every"))]);
    check(&probe("within = \"0s\""), &[&format!("9:10: {}", zero("within"))]);
    let lossy = lb(
        "evidence = \"positive-only\"\n[[probe]]\nname = \"door\"\nid = \"p\"\nsources = [\"lb\"]\n",
    );
    check(
        &lossy,
        &[
            "10:1: source `lb` may lose lines, a probe's among them; take it off the probe's `sources`",
        ],
    );
}

#[test]
fn a_probe_has_a_key_of_its_own() {
    let credential = "[[credential]]\nname = \"payments\"\nsources = [\"edge\"]\n\
                      keys = [ { name = \"old\", id = \"k1\" } ]\n";
    let probe = |name: &str, id: &str| {
        format!("[[probe]]\nname = \"{name}\"\nid = \"{id}\"\nsources = [\"edge\"]\n")
    };
    check(&format!("{EDGE}{credential}{}", probe("door", "k2")), &[]);
    check(
        &format!("{EDGE}{credential}{}", probe("door", "k1")),
        &["9:1: probe `door` has the key of key `old` of credential `payments`; \
           give the probe a key of its own"],
    );
    check(
        &format!("{EDGE}{}{}", probe("door", "k2"), probe("side", "k2")),
        &["9:1: probe `side` has the key of probe `door`; give the probe a key of its own"],
    );
    check(
        &format!("{EDGE}{}{}", probe("door", "k2"), probe("door", "k3")),
        &["9:1: two probes are named `door`; rename one of them"],
    );
}

#[test]
fn a_probe_with_the_value_of_a_rotated_key_is_refused_however_it_is_told() {
    let secret = FingerprintSecret::new(b"pepper".to_vec());
    let rotated: [(String, Fingerprint); 1] =
        [("key `old` of rotation `payments-1`".to_owned(), secret.fingerprint(b"k1"))];
    let config = |id: &str| {
        parse(&probe(&format!("name = \"door\"\nid = \"{id}\"\nsources = [\"edge\"]\n"))).unwrap()
    };
    let same = config("k1");
    let refused = same.resolve_probes(&secret, &rotated).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "probe `door` has the key of key `old` of rotation `payments-1`: \
         give the probe a key of its own"
    );
    let own = config("k2");
    let resolved = own.resolve_probes(&secret, &rotated).unwrap();
    assert_eq!(resolved[0].1.fingerprint, secret.fingerprint(b"k2"));
    let twice = format!(
        "{EDGE}[[probe]]\nname = \"a\"\nid = \"k2\"\nsources = [\"edge\"]\n\
         [[probe]]\nname = \"b\"\nfingerprint = \"{}\"\nsources = [\"edge\"]\n",
        secret.fingerprint(b"k2")
    );
    let refused = parse(&twice).unwrap();
    let refused = refused.resolve_probes(&secret, &[]).unwrap_err().to_string();
    assert!(refused.contains("probe `b` has the key of probe `a`"), "{refused}");
}

#[test]
fn a_raw_key_in_a_probe_is_never_quoted() {
    let raw = "sk_live_raw";
    for line in [
        format!("key = \"{raw}\""),
        format!("secret_file = [\"{raw}\"]"),
        format!("fingerprint = \"{raw}\""),
        format!("sources = [\"edge\"] # {raw}\nevery = 5"),
    ] {
        let error = parse(&probe(&format!("name = \"door\"\n{line}\n"))).unwrap_err();
        assert!(!format!("{error}{error:?}").contains(raw), "{error}");
    }
}
