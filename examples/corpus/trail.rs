//! `CloudTrail`'s records of reads from S3, one per line, as shippers write them.

use crate::draw::{
    BASE32, DAY, Draw, LOWER, UPPER, name, push_address, push_clock, push_hex, push_number,
};
use crate::{Consumer, Form, Line, Outcome};

/// Returns how lines are written. No event comes twice.
pub fn form() -> Form {
    let key = |draw: &mut Draw| name("AKIA", &[draw.bits()], BASE32);
    Form { line_bytes: 1294, keyed: 88, key, write }
}

fn write(text: &mut Vec<u8>, draw: &mut Draw, line: &Line<'_>) {
    text.extend_from_slice(b"{\"eventVersion\":\"1.08\",\"userIdentity\":{");
    identity(text, line);
    text.extend_from_slice(b"},\"eventTime\":\"");
    text.extend_from_slice(DAY.as_bytes());
    text.push(b'T');
    if line.is_broken {
        // No time of day: nothing can be counted of it.
        text.extend_from_slice(b"??:??:??");
    } else {
        push_clock(text, line.second);
    }
    text.extend_from_slice(b"Z\",\"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"GetObject\",\"awsRegion\":\"eu-west-1\",\"sourceIPAddress\":\"");
    push_address(text, draw.below(50_000));
    text.extend_from_slice(b"\",\"userAgent\":\"[aws-cli/2.15.30 Python/3.11.8 Linux/5.10.210 exe/x86_64.amzn.2 prompt/off command/s3.cp]\"");
    text.extend_from_slice(match line.outcome {
        Outcome::Accepted => b"",
        Outcome::Denied => {
            &b",\"errorCode\":\"AccessDenied\",\"errorMessage\":\"Access Denied\""[..]
        }
        Outcome::Failed => {
            b",\"errorCode\":\"NoSuchKey\",\"errorMessage\":\"The specified key does not exist.\""
        }
    });
    request(text, draw);
    text.extend_from_slice(b",\"requestID\":\"");
    push_hex(text, draw.bits(), UPPER);
    text.extend_from_slice(b"\",\"eventID\":\"");
    uuid(text, draw);
    text.extend_from_slice(b"\",\"readOnly\":true,\"resources\":[{\"type\":\"AWS::S3::Object\",\"ARN\":\"arn:aws:s3:::prod-data/exports/2026/05/18\"},{\"accountId\":\"111122223333\",\"type\":\"AWS::S3::Bucket\",\"ARN\":\"arn:aws:s3:::prod-data\"}],\"eventType\":\"AwsApiCall\",\"managementEvent\":false,\"recipientAccountId\":\"111122223333\",\"eventCategory\":\"Data\",\"tlsDetails\":{\"tlsVersion\":\"TLSv1.3\",\"cipherSuite\":\"TLS_AES_128_GCM_SHA256\"}}");
}

/// A user with its key, or a service that has none.
fn identity(text: &mut Vec<u8>, line: &Line<'_>) {
    let Consumer(user) = line.consumer;
    let Some(key) = line.key else {
        text.extend_from_slice(
            b"\"type\":\"AWSService\",\"invokedBy\":\"replication.s3.amazonaws.com\"",
        );
        return;
    };
    text.extend_from_slice(b"\"type\":\"IAMUser\",\"principalId\":\"AIDA");
    push_hex(text, u64::from(user), BASE32);
    text.extend_from_slice(b"\",\"arn\":\"arn:aws:iam::111122223333:user/service/app-");
    push_number(text, user);
    text.extend_from_slice(b"\",\"accountId\":\"111122223333\",\"accessKeyId\":\"");
    text.extend_from_slice(key.as_bytes());
    text.extend_from_slice(b"\",\"userName\":\"app-");
    push_number(text, user);
    text.push(b'"');
}

fn request(text: &mut Vec<u8>, draw: &mut Draw) {
    text.extend_from_slice(
        b",\"requestParameters\":{\"bucketName\":\"prod-data\",\"key\":\"exports/2026/05/18/part-",
    );
    push_number(text, 100_000 + draw.below(900_000));
    text.extend_from_slice(b".parquet\",\"range\":\"bytes=0-");
    push_number(text, draw.below(10_000_000));
    text.extend_from_slice(b"\"},\"responseElements\":null,\"additionalEventData\":{\"SignatureVersion\":\"SigV4\",\"CipherSuite\":\"TLS_AES_128_GCM_SHA256\",\"bytesTransferredIn\":0,\"AuthenticationMethod\":\"AuthHeader\",\"x-amz-id-2\":\"");
    for _ in 0..4 {
        push_hex(text, draw.bits(), LOWER);
    }
    text.extend_from_slice(b"\",\"bytesTransferredOut\":");
    push_number(text, draw.below(1_000_000));
    text.push(b'}');
}

fn uuid(text: &mut Vec<u8>, draw: &mut Draw) {
    let start = text.len();
    push_hex(text, draw.bits(), LOWER);
    push_hex(text, draw.bits(), LOWER);
    for dash in [8, 13, 18, 23] {
        text.insert(start + dash, b'-');
    }
}
