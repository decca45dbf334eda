//! CloudTrail, one record per line: long records, most with a key.

use keydrain::engine::parse::{FormatSpec, Layout};

use crate::corpus::{Log, key_id};

/// A user with a key in most records, a service without one in the others. No event comes twice.
pub fn cloudtrail() -> (Log, Layout) {
    let mut events = 0u64;
    let log = Log::generate(88, |request| {
        events += 1;
        let identity = match request.key {
            Some(key) => {
                let user = request.below(400);
                format!(
                    r#"{{"type":"IAMUser","principalId":"AIDAEXAMPLE{user:010}","arn":"arn:aws:iam::111122223333:user/service/user-{user}","accountId":"111122223333","accessKeyId":"{}","userName":"user-{user}"}}"#,
                    key_id(key)
                )
            }
            None => r#"{"type":"AWSService","invokedBy":"autoscaling.amazonaws.com"}"#.to_owned(),
        };
        let error = match request.below(20) {
            0 => {
                r#","errorCode":"AccessDenied","errorMessage":"User is not authorized to perform this action""#
            }
            1 => r#","errorCode":"ThrottlingException","errorMessage":"Rate exceeded""#,
            _ => "",
        };
        format!(
            r#"{{"eventVersion":"1.08","userIdentity":{identity},"eventTime":"2015-05-17T{clock}Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1","sourceIPAddress":"{address}","userAgent":"[aws-sdk-java/2.20.26 Linux/5.10.184 Java/17.0.7 vendor/Amazon.com_Inc. http/Apache]"{error},"requestParameters":{{"bucketName":"example-items-{bucket}","Host":"example-items-{bucket}.s3.eu-west-1.amazonaws.com","key":"items/2015/05/17/part-{part:05}.parquet","x-id":"GetObject"}},"responseElements":null,"additionalEventData":{{"SignatureVersion":"SigV4","CipherSuite":"ECDHE-RSA-AES128-GCM-SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"{padding:032x}","bytesTransferredOut":{bytes}}},"requestID":"{padding:016X}","eventID":"{events:08x}-0000-4000-8000-{padding:012x}","readOnly":true,"resources":[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::example-items-{bucket}/items/2015/05/17/part-{part:05}.parquet"}}],"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"111122223333","eventCategory":"Data","tlsDetails":{{"tlsVersion":"TLSv1.2","cipherSuite":"ECDHE-RSA-AES128-GCM-SHA256","clientProvidedHostHeader":"example-items-{bucket}.s3.eu-west-1.amazonaws.com"}}}}"#,
            clock = request.clock(),
            address = request.address(),
            bucket = request.below(50),
            part = request.below(100_000),
            padding = request.below(1 << 32),
            bytes = request.below(1 << 24),
        )
    });
    (log, Layout::new(FormatSpec::CloudTrail, Vec::new(), Vec::new()))
}
