//! CloudTrail: the shapes it is delivered in, what counts, and what a client can only write as text.

use std::path::Path;
use std::time::Duration;

use keydrain::engine::parse::{FormatSpec, Layout, LayoutError, LineParser, RejectReason, Scratch};
use keydrain::engine::scan::records::{Framer, Record};
use keydrain::engine::sessions::{ROLE_SESSION_LIFETIME, SESSION_LIFETIME};
use keydrain::engine::usage::Outcome;

fn parser(credential: &[&str], consumer: &[&str]) -> Result<LineParser, LayoutError> {
    LineParser::compile(&Layout::new(
        FormatSpec::CloudTrail,
        credential.iter().map(|place| place.parse().expect("a place")).collect(),
        consumer.iter().map(|&field| field.to_owned()).collect(),
    ))
}

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    at: String,
    key: Option<String>,
    consumer: Option<(String, bool)>,
    outcome: Outcome,
    event_id: Option<String>,
    issued: Option<String>,
}

fn read_with(parser: &LineParser, record: &[u8]) -> Result<Said, RejectReason> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut scratch = Scratch::default();
    parser.parse(record, &mut scratch).map(|event| Said {
        at: event.event_at.to_string(),
        key: event.keys.first().map(|key| text(key)),
        consumer: event.consumer.map(|(name, named)| (text(name), named)),
        outcome: event.outcome,
        event_id: event.event_id.map(text),
        issued: event.issued.map(text),
    })
}

fn read(record: &str) -> Result<Said, RejectReason> {
    read_with(&parser(&[], &[]).expect("a good layout"), record.as_bytes())
}

/// Reads a record with a time, a key and these members behind them.
fn read_members(members: &str) -> Said {
    let record = format!(
        r#"{{"eventTime":"2024-05-01T12:00:00Z","userIdentity":{{"accessKeyId":"AKIAEXAMPLE0"}},{members}}}"#
    );
    read(&record).unwrap_or_else(|reason| panic!("{reason:?}: {record}"))
}

/// Reads the records of a fixture.
fn fixture(name: &str) -> Vec<Result<Said, RejectReason>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scan/cloudtrail");
    let log = std::fs::read(folder.join(name)).expect("a readable fixture");
    let parser = parser(&[], &[]).expect("a good layout");
    let mut said = Vec::new();
    let mut take = |record: Record<'_>| match record {
        Record::Whole(record) => said.push(read_with(&parser, record)),
        broken => panic!("{broken:?}"),
    };
    let mut framer = Framer::new(parser.framing());
    log.chunks(97).for_each(|chunk| framer.feed(chunk, &mut take));
    framer.finish(&mut take);
    said
}

/// What every fixture says.
fn expected() -> Vec<Result<Said, RejectReason>> {
    const USER: &str = "arn:aws:iam::111122223333:user/billing";
    let said = |at: &str, id: u8, key: Option<&str>, outcome| Said {
        at: format!("2024-05-01T12:{at}Z"),
        key: key.map(|key| format!("AKIAEXAMPLE00000000{key}")),
        consumer: Some((USER.to_owned(), true)),
        outcome,
        event_id: Some(format!("00000000-0000-0000-0000-{id:012}")),
        issued: None,
    };
    let session = "ASIAEXAMPLE000000001".to_owned();
    let role = "arn:aws:sts::111122223333:assumed-role/job/nightly".to_owned();
    vec![
        Ok(said("00:00", 1, Some("A"), Outcome::Accepted)),
        Ok(said("00:30", 2, Some("A"), Outcome::Forbidden)),
        Ok(said("01:00", 3, Some("B"), Outcome::Forbidden)),
        Ok(said("01:10", 4, Some("A"), Outcome::Failed)),
        Ok(Said {
            issued: Some(session.clone()),
            ..said("02:00", 5, Some("A"), Outcome::Accepted)
        }),
        Ok(Said {
            key: Some(session),
            consumer: Some((role, true)),
            ..said("03:00", 6, None, Outcome::Accepted)
        }),
        Ok(Said {
            consumer: Some(("ec2.amazonaws.com".to_owned(), true)),
            ..said("04:00", 7, None, Outcome::Accepted)
        }),
        Ok(said("04:30", 8, Some("A"), Outcome::Accepted)),
        Ok(said("02:00", 5, Some("A"), Outcome::Accepted)),
    ]
}

#[test]
fn every_shape_of_delivery_says_the_same() {
    for name in [
        "records.json",
        "pretty.json",
        "lines.ndjson",
        "timestamp.ndjson",
        "eventbridge.ndjson",
        "subscription.json",
        "lookup-events.json",
        "transport.ndjson",
    ] {
        assert_eq!(fixture(name), expected(), "{name}");
    }
}

#[test]
fn the_outcome_goes_by_the_error_code() {
    for (members, outcome) in [
        (r#""x":1"#, Outcome::Accepted),
        (r#""errorCode":null"#, Outcome::Accepted),
        (r#""errorCode":"""#, Outcome::Accepted),
        (r#""errorCode":"AccessDenied""#, Outcome::Forbidden),
        (r#""errorCode":"AccessDeniedException""#, Outcome::Forbidden),
        (r#""errorCode":"Access\u0044enied""#, Outcome::Forbidden),
        (r#""errorCode":"Client.UnauthorizedOperation""#, Outcome::Forbidden),
        (r#""errorCode":"UnauthorizedAccess""#, Outcome::Forbidden),
        (r#""errorCode":"InvalidClientTokenId""#, Outcome::Unauthenticated),
        (r#""errorCode":"SignatureDoesNotMatch""#, Outcome::Unauthenticated),
        (r#""errorCode":"NoSuchBucket""#, Outcome::Failed),
        (r#""errorCode":"-""#, Outcome::Failed),
        (r#""errorCode":404"#, Outcome::Failed),
        (r#""errorMessage":"AccessDenied""#, Outcome::Accepted),
        (r#""responseElements":{"ConsoleLogin":"Failure"}"#, Outcome::Accepted),
        (r#""requestParameters":{"errorCode":"AccessDenied"}"#, Outcome::Accepted),
    ] {
        assert_eq!(read_members(members).outcome, outcome, "{members}");
    }
}

#[test]
fn a_record_without_a_key_is_keyless() {
    for identity in [
        r#"{"type":"AWSService","invokedBy":"ec2.amazonaws.com"}"#,
        r#"{"accessKeyId":null}"#,
        r#"{"accessKeyId":""}"#,
        r#"{"accessKeyId":"HIDDEN_DUE_TO_SECURITY_REASONS"}"#,
        r#"{"accessKeyId":["AKIAEXAMPLE0"]}"#,
        r#"{"sessionContext":{"accessKeyId":"AKIAEXAMPLE0"}}"#,
        "null",
    ] {
        let record = format!(r#"{{"eventTime":"2024-05-01T12:00:00Z","userIdentity":{identity}}}"#);
        assert_eq!(read(&record).expect("well-formed").key, None, "{identity}");
    }
}

#[test]
fn the_time_is_that_of_the_event_or_its_stand_in() {
    let at = |times: &str| read(&format!(r#"{{{times}"userIdentity":{{}}}}"#)).map(|said| said.at);
    let noon = || Ok("2024-05-01T12:00:00Z".to_owned());
    assert_eq!(at(r#""eventTime":"2024-05-01T12:00:00Z","#), noon());
    assert_eq!(at(r#""@timestamp":"2024-05-01T12:00:00.000Z","#), noon());
    assert_eq!(at(r#""eventTime":null,"@timestamp":"2024-05-01T12:00:00.000Z","#), noon());
    assert_eq!(
        at(r#""@timestamp":"2024-05-02T00:00:00Z","eventTime":"2024-05-01T12:00:00Z","#),
        noon()
    );
    for none in [
        "",
        r#""eventTime":"","@timestamp":"2024-05-01T12:00:00Z","#,
        r#""eventTime":"yesterday","@timestamp":"2024-05-01T12:00:00Z","#,
        r#""eventTime":"2024-05-01 12:00:00","#,
        r#""eventTime":{"x":"2024-05-01T12:00:00Z"},"#,
        r#""requestParameters":{"eventTime":"2024-05-01T12:00:00Z"},"#,
    ] {
        assert_eq!(at(none), Err(RejectReason::Time), "{none}");
    }
}

#[test]
fn an_address_names_nobody_and_a_service_does() {
    let consumer =
        |source: &str| read_members(&format!(r#""sourceIPAddress":"{source}""#)).consumer;
    for address in ["192.0.2.1", "2001:db8::beef", "::ffff:192.0.2.1", "192.0.2.1, 198.51.100.7"] {
        assert_eq!(consumer(address), Some((address.to_owned(), false)));
    }
    for service in ["AWS Internal", "cloudtrail.amazonaws.com"] {
        assert_eq!(consumer(service), Some((service.to_owned(), true)));
    }
    assert_eq!(consumer(""), None);
}

#[test]
fn the_consumer_is_the_first_that_is_given() {
    let consumer = |identity: &str| {
        let record = format!(
            r#"{{"eventTime":"2024-05-01T12:00:00Z","sourceIPAddress":"192.0.2.1","userIdentity":{identity}}}"#
        );
        read(&record).expect("well-formed").consumer
    };
    let named = |name: &str| Some((name.to_owned(), true));
    assert_eq!(consumer(r#"{"principalId":"AIDA","arn":"arn:x"}"#), named("arn:x"));
    assert_eq!(consumer(r#"{"principalId":"AIDA","arn":null}"#), named("AIDA"));
    assert_eq!(consumer(r#"{"principalId":"","arn":""}"#), Some(("192.0.2.1".into(), false)));
}

#[test]
fn other_places_and_fields_can_be_declared() {
    let record = r#"{"eventTime":"2024-05-01T12:00:00Z","userIdentity":{"accessKeyId":"AKIAEXAMPLE0","userName":"bob","sessionContext":{"sessionIssuer":{"principalId":"AROA"}}},"userAgent":"curl"}"#;
    let places =
        ["field:userIdentity.none", "field:userIdentity.sessionContext.sessionIssuer.principalId"];
    let said = |consumer: &[&str]| {
        let parser = parser(&places, consumer).expect("a good layout");
        read_with(&parser, record.as_bytes()).expect("well-formed")
    };
    assert_eq!(said(&["userIdentity.userName"]).key.as_deref(), Some("AROA"));
    assert_eq!(said(&["userIdentity.userName"]).consumer, Some(("bob".into(), true)));
    assert_eq!(said(&["userAgent"]).consumer, Some(("curl".into(), false)));
    let refused = parser(&["query:key"], &[]).err();
    assert_eq!(refused, Some(LayoutError::NoQuery { name: "key".into() }));
}

#[test]
fn a_session_is_issued_by_a_request_that_was_accepted() {
    let issued = |rest: &str| {
        read_members(&format!(
            r#""responseElements":{{"credentials":{{"accessKeyId":"ASIAEXAMPLE0"}}}}{rest}"#
        ))
        .issued
    };
    assert_eq!(issued("").as_deref(), Some("ASIAEXAMPLE0"));
    assert_eq!(issued(r#","errorCode":"AccessDenied""#), None);
    assert_eq!(issued(r#","responseElements":null"#), None);
    let elsewhere =
        r#""requestParameters":{"responseElements":{"credentials":{"accessKeyId":"ASIAFORGED0"}}}"#;
    assert_eq!(read_members(elsewhere).issued, None);
    let new_key = r#""responseElements":{"accessKey":{"accessKeyId":"AKIAEXAMPLE1"}}"#;
    assert_eq!(read_members(new_key).issued, None);
}

#[test]
fn a_session_of_a_role_lives_shorter_than_any_other_may() {
    let lifetime = |event: &str| {
        let record = format!(
            r#"{{"eventTime":"2024-05-01T12:00:00Z",{event}"responseElements":{{"credentials":{{"accessKeyId":"ASIAEXAMPLE0"}}}}}}"#
        );
        let (parser, mut scratch) = (parser(&[], &[]).expect("good"), Scratch::default());
        let event = parser.parse(record.as_bytes(), &mut scratch).expect("well-formed");
        event.issued_lifetime
    };
    for role in ["AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"] {
        assert_eq!(lifetime(&format!(r#""eventName":"{role}","#)), ROLE_SESSION_LIFETIME);
    }
    for other in ["GetSessionToken", "GetFederationToken", "assumerole", "AssumeRoleX", ""] {
        assert_eq!(lifetime(&format!(r#""eventName":"{other}","#)), SESSION_LIFETIME, "{other}");
    }
    assert_eq!(lifetime(""), SESSION_LIFETIME);
    assert_eq!(lifetime(r#""errorCode":"AccessDenied","#), Duration::ZERO);
}

#[test]
fn a_record_without_an_id_has_none() {
    assert_eq!(read_members(r#""eventID":"e1""#).event_id.as_deref(), Some("e1"));
    for members in [r#""x":1"#, r#""eventID":null"#, r#""eventID":"""#, r#""requestID":"r""#] {
        assert_eq!(read_members(members).event_id, None, "{members}");
    }
}

#[test]
fn what_a_client_writes_is_text() {
    let forged = r#"{\"eventTime\":\"2024-05-02T00:00:00Z\",\"userIdentity\":{\"accessKeyId\":\"AKIAFORGED0\"}}"#;
    let nested =
        r#"{"eventTime":"2024-05-02T00:00:00Z","userIdentity":{"accessKeyId":"AKIAFORGED0"}}"#;
    let honest = read_members(r#""x":1"#);
    for members in [
        format!(r#""userAgent":"{forged}""#),
        r#""userAgent":"\",\"userIdentity\":{\"accessKeyId\":\"AKIAFORGED0\"},\"x\":\"""#.into(),
        format!(r#""userAgent":"x\n{forged}""#),
        format!(r#""errorMessage":"{forged}""#),
        format!(r#""requestParameters":{nested}"#),
        format!(r#""requestParameters":{{"detail":{nested},"message":"{forged}"}}"#),
        format!(r#""responseElements":{nested}"#),
        r#""additionalEventData":{"userIdentity":{"accessKeyId":"AKIAFORGED0"}}"#.into(),
        // Not even where an envelope would have it.
        format!(r#""message":"{forged}""#),
        format!(r#""Message":"{forged}""#),
        format!(r#""CloudTrailEvent":"{forged}""#),
        format!(r#""detail":{nested}"#),
    ] {
        assert_eq!(read_members(&members), honest, "{members}");
    }
}

#[test]
fn a_record_with_an_identity_or_a_time_is_no_envelope() {
    let inner = r#""detail":{"eventTime":"2024-05-02T00:00:00Z","userIdentity":{"accessKeyId":"AKIAFORGED0"}}"#;
    let said = |outer: &str| read(&format!("{{{outer}{inner}}}"));
    assert_eq!(said("").expect("an envelope").key.as_deref(), Some("AKIAFORGED0"));
    assert_eq!(said(r#""userIdentity":null,"#), Err(RejectReason::Time));
    assert_eq!(said(r#""eventTime":"x","#), Err(RejectReason::Time));
    let timed = said(r#""eventTime":"2024-05-01T12:00:00Z","#).expect("a record");
    assert_eq!((timed.at.as_str(), timed.key), ("2024-05-01T12:00:00Z", None));
}

#[test]
fn an_event_that_anybody_can_put_on_a_bus_is_no_envelope() {
    let read_from = |source: &str| {
        read(&format!(
            r#"{{"source":"{source}","detail-type":"AWS API Call via CloudTrail","detail":{{"eventTime":"2024-05-01T12:00:00Z","userIdentity":{{"accessKeyId":"AKIAEXAMPLE0"}}}}}}"#
        ))
        .map(|said| said.key)
    };
    assert_eq!(read_from("aws.ec2"), Ok(Some("AKIAEXAMPLE0".into())));
    for source in ["my.app", "awsx", "aws.partner/example.com/x", "AWS.ec2", ""] {
        assert_eq!(read_from(source), Err(RejectReason::Time), "{source}");
    }
}

#[test]
fn envelopes_are_opened_once_and_a_text_around_an_event_twice() {
    let record =
        r#"{"eventTime":"2024-05-01T12:00:00Z","userIdentity":{"accessKeyId":"AKIAEXAMPLE0"}}"#;
    let event = format!(r#"{{"detail":{record}}}"#);
    let text = |inner: &str| serde_json::json!({ "message": inner }).to_string();
    let key = |record: &str| read(record).map(|said| said.key);
    let found = Ok(Some("AKIAEXAMPLE0".to_owned()));
    assert_eq!(key(&event), found);
    assert_eq!(key(&text(record)), found);
    assert_eq!(key(&text(&event)), found);
    for too_deep in [
        text(&text(record)),
        text(&text(&event)),
        format!(r#"{{"detail":{event}}}"#),
        format!(r#"{{"detail":{}}}"#, text(record)),
    ] {
        assert_eq!(key(&too_deep), Err(RejectReason::Time), "{too_deep}");
    }
}

#[test]
fn an_envelope_around_something_else_is_a_reject() {
    for (record, reason) in [
        (r#"{"message":"plain text"}"#, RejectReason::Time),
        (r#"{"message":"{not json"}"#, RejectReason::Json),
        (r#"{"message":"{} x"}"#, RejectReason::Json),
        (r#"{"message":"{}"}"#, RejectReason::Time),
        (r#"{"message":"{\"x\":\"\ud83d\"}"}"#, RejectReason::Encoding),
        (r#"{"detail":[{"eventTime":"2024-05-01T12:00:00Z"}]}"#, RejectReason::Time),
        (r#"{"detail":{"userIdentity":{}}}"#, RejectReason::Time),
        // The envelope's own time is that of the transport.
        (r#"{"@timestamp":"2024-05-01T12:00:00Z","message":"{}"}"#, RejectReason::Time),
    ] {
        assert_eq!(read(record), Err(reason), "{record}");
    }
}

#[test]
fn of_a_name_that_comes_twice_the_last_value_counts() {
    let record = r#"{"userIdentity":{"accessKeyId":"AKIAOLD","arn":"arn:old"},"eventTime":"x","eventTime":"2024-05-01T12:00:00Z","userIdentity":{"accessKeyId":"a","accessKeyId":"AKIANEW"}}"#;
    let said = read(record).expect("well-formed");
    assert_eq!((said.key.as_deref(), said.consumer), (Some("AKIANEW"), None));
}

#[test]
fn a_number_is_its_lexeme() {
    let record = r#"{"eventTime":"2024-05-01T12:00:00Z","eventID":1.50,"userIdentity":{"accessKeyId":1e3,"arn":7}}"#;
    let said = read(record).expect("well-formed");
    assert_eq!((said.key.as_deref(), said.event_id.as_deref()), (Some("1e3"), Some("1.50")));
    assert_eq!(said.consumer, Some(("7".into(), true)));
}

#[test]
fn half_a_character_hides_no_key() {
    let said =
        read_members(r#""userAgent":"\ud83d","sourceIPAddress":"\ud83d","eventID":"\ude00""#);
    assert_eq!(said.key.as_deref(), Some("AKIAEXAMPLE0"));
    assert_eq!(said.event_id.as_deref(), Some("\\ude00"));
    let record = r#"{"eventTime":"2024-05-01T12:00:00Z","userIdentity":{"accessKeyId":"A\ud83d"}}"#;
    assert_eq!(read(record), Err(RejectReason::Encoding));
}

#[test]
fn what_is_no_json_object_is_a_reject() {
    for record in ["1", "\"x\"", "null", "[{}]", "{", "{}{}", r#"{"eventTime":"\x"}"#, "x {}"] {
        assert_eq!(read(record), Err(RejectReason::Json), "{record}");
    }
}

#[test]
fn the_fields_of_a_record_are_those_within_its_envelope() {
    let parser = parser(&[], &[]).expect("a good layout");
    let record = serde_json::json!({ "message": r#"{"detail":{"eventTime":"x","a":{"b":[1]}}}"# });
    let fields = parser.fields(record.to_string().as_bytes()).expect("a record");
    let expected = [("eventTime".to_owned(), b"x".to_vec()), ("a.b.0".into(), b"1".to_vec())];
    assert_eq!(fields, expected);
    assert!(parser.field_names().any(|name| name == "userIdentity.accessKeyId"));
}
