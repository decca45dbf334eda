//! The requests of a hostile client: named ones, and random ones over an alphabet of trouble.

/// A request, as the bytes that are sent.
#[derive(Debug)]
pub struct Request {
    /// What is special about it.
    pub name: String,
    /// What is sent.
    pub bytes: Vec<u8>,
}

/// A key that no request presents in the place of a key of its own.
const FORGED: &str = "FORGED";

/// Returns the named requests, and `random` random ones.
pub fn requests(random: u64) -> Vec<Request> {
    let mut all = named();
    all.extend((0..random).map(|seed| Request {
        name: format!("random {seed}"),
        bytes: Random(seed * 2 + 1).request(),
    }));
    all
}

/// Puts a request together; a header without a name is left out.
fn request(line: &[u8], headers: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = [line, b"\r\nHost: localhost\r\nConnection: close\r\n"].concat();
    for (name, value) in headers {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn named() -> Vec<Request> {
    let mut all = Vec::new();
    let mut add = |name: String, bytes: Vec<u8>| all.push(Request { name, bytes });
    for line in lines() {
        let headers: [(&str, &[u8]); 2] = [("X-Api-Key", b"K1"), ("X-Client", b"checkout")];
        add(String::from_utf8_lossy(&line).into_owned(), request(&line, &headers));
    }
    for value in values() {
        let name = String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned();
        for header in ["X-Api-Key", "X-Client", "Referer", "User-Agent", "Authorization"] {
            let line = b"GET /denied?api_key=K1 HTTP/1.1";
            let headers = [(header, value.as_slice()), ("X-Other", b"x")];
            add(format!("{header}: {name}"), request(line, &headers));
        }
    }
    for user in USERS {
        use base64::Engine as _;
        let pair = [user, b":password"].concat();
        let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let headers: [(&str, &[u8]); 2] =
            [("Authorization", value.as_bytes()), ("X-Api-Key", b"K1")];
        let name = format!("user {}", String::from_utf8_lossy(user));
        add(name.clone(), request(b"GET /?api_key=K2 HTTP/1.1", &headers));
        add(format!("{name}, protected"), request(b"GET /users HTTP/1.1", &headers));
    }
    let twice: [(&str, &[u8]); 3] =
        [("X-Api-Key", b"K1"), ("X-Api-Key", b"FORGED"), ("x-api-key", b"FORGED")];
    add("a header three times".to_owned(), request(b"GET / HTTP/1.1", &twice));
    let lookalikes: [(&str, &[u8]); 3] =
        [("X_Api_Key", b"FORGED"), ("X-Api-Key ", b"FORGED"), ("X-Api-KeyX", b"FORGED")];
    add("headers that look alike".to_owned(), request(b"GET / HTTP/1.1", &lookalikes));
    add("no headers".to_owned(), b"GET /?api_key=K1 HTTP/1.0\r\n\r\n".to_vec());
    add("HTTP/0.9".to_owned(), b"GET /?api_key=K1\r\n".to_vec());
    add("HTTP/0.9 with two spaces".to_owned(), b"GET  /?api_key=K1\r\n".to_vec());
    add(
        "lines that end at LF".to_owned(),
        b"GET /?api_key=K1 HTTP/1.0\nX-Api-Key: K1\n\n".to_vec(),
    );
    add("TLS".to_owned(), b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03?api_key=K1\r\n\r\n".to_vec());
    let folded = b"GET / HTTP/1.0\r\nX-Api-Key: K1\r\n FORGED\r\n\r\n".to_vec();
    add("a folded header".to_owned(), folded);
    let bare = b"GET / HTTP/1.0\r\nX-Api-Key: K1\rX-Client: FORGED\r\n\r\n".to_vec();
    add("a bare CR".to_owned(), bare);
    add("a NUL".to_owned(), b"GET / HTTP/1.0\r\nX-Api-Key: K1\0FORGED\r\n\r\n".to_vec());
    all
}

/// Request lines that a server may take or refuse.
fn lines() -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = [
        "GET / HTTP/1.1",
        "GET /?api_key=K1 HTTP/1.1",
        "POST /denied?api_key=K1 HTTP/1.1",
        "GET /forbidden?api_key=K1 HTTP/1.1",
        "GET /broken?api_key=K1 HTTP/1.1",
        "GET /?api_key=K1&api_key=FORGED HTTP/1.1",
        "GET /?a=1&api_key=K1&b=2 HTTP/1.1",
        "GET /?api_key HTTP/1.1",
        "GET /?api_key= HTTP/1.1",
        "GET /?api_key=- HTTP/1.1",
        "GET /?api_key=&api_key=K2 HTTP/1.1",
        "GET /?a=api_key=FORGED HTTP/1.1",
        "GET /?a=?api_key=FORGED HTTP/1.1",
        "GET /?xapi_key=FORGED&api_keyx=FORGED HTTP/1.1",
        "GET /api_key=FORGED HTTP/1.1",
        "GET /&api_key=FORGED?x HTTP/1.1",
        "GET /a%3Fapi_key=FORGED HTTP/1.1",
        "GET /a%3Fapi_key=FORGED?api_key=K1 HTTP/1.1",
        "GET /a%3F?api_key=K1 HTTP/1.1",
        "GET /a%23?api_key=K1 HTTP/1.1",
        "GET /a%20b%22?api_key=K1 HTTP/1.1",
        "GET /a%0a%22%5c?api_key=K1 HTTP/1.1",
        "GET /?api_key=K%31&x=%22 HTTP/1.1",
        "GET /?api_key=%22K%0a%5c%00 HTTP/1.1",
        "GET /?api_key=a+b%2Bc%zz% HTTP/1.1",
        "GET /?api_key=K1#&api_key=FORGED HTTP/1.1",
        "GET /#?api_key=FORGED HTTP/1.1",
        "GET /?api_key=\"K1\" HTTP/1.1",
        "GET /?api_key=K\\1\\x41 HTTP/1.1",
        "GET /?x=\" 200 5 \"-\" \"&api_key=K1 HTTP/1.1",
        "GET /?api_key=K1\t HTTP/1.1",
        "GET /?api_key=a b HTTP/1.1",
        "GET /?x HTTP/1.1&api_key=FORGED HTTP/1.1",
        "GET  /?api_key=K1 HTTP/1.1",
        "GET /?api_key=K1  HTTP/1.1",
        "GET /?api_key=K1 HTTP/1.1 ",
        " GET /?api_key=K1 HTTP/1.1",
        "GET /?api_key=K1 HTTP/1.1 x",
        "GET /?api_key=K1 HTTP/1.10",
        "GET /?api_key=K1 HTTP/01.1",
        "GET /?api_key=K1 HTTP/2.0",
        "GET /?api_key=K1 http/1.1",
        "get /?api_key=K1 HTTP/1.1",
        "A|B /?api_key=K1 HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET http://localhost/?api_key=K1 HTTP/1.1",
        "GET http://localhost?api_key=K1 HTTP/1.1",
        "GET http://a:b@localhost/?api_key=K1 HTTP/1.1",
        "GET http://a?api_key=FORGED@localhost/?api_key=K1 HTTP/1.1",
        "GET ?api_key=K1 HTTP/1.1",
        "GET /../?api_key=K1 HTTP/1.1",
        "GET //a//b?api_key=K1 HTTP/1.1",
        "GET HTTP/1.1",
        "GET",
        "?api_key=K1",
        "\" 200 5 \"-\" \"GET /?api_key=FORGED HTTP/1.1\"",
    ]
    .map(|line| line.as_bytes().to_vec())
    .into();
    lines.push(b"GET /\xc3\xa9\xff?api_key=K\xe9\xff HTTP/1.1".to_vec());
    lines.push([b"GET /?x=", "y".repeat(6000).as_bytes(), b"&api_key=K1 HTTP/1.1"].concat());
    lines
}

/// Values of a header.
fn values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        "",
        "-",
        "K1",
        "K1 K2",
        " K1 ",
        "\tK1\t",
        "a\tb",
        "\"",
        "\\",
        "\\\"",
        "a\\",
        "\"\"",
        "K\" \"FORGED",
        "K\\\" \\\"FORGED",
        "K\\x22 \\x22FORGED",
        "\" 200 5 \"-\" \"FORGED",
        "http://h/?api_key=FORGED",
        "GET /?api_key=FORGED HTTP/1.1",
        "x [01/Jan/2020:00:00:00 +0000] FORGED",
        "x 2020-01-01T00:00:00+00:00 FORGED",
        "] \"",
        "a - b [c",
        ": x FORGED",
        "a, b : c",
        "a|b|c",
        "\",\"k\":\"FORGED",
        "\\u0046",
        "{\"k\":\"FORGED\"}",
        "%22%0a%5c",
        "\u{e9}\u{1F600}",
        "\u{7f}\u{1}\u{1b}",
        "REDACTED",
        "***",
        "Bearer K1",
        "bearer  K1",
        "Bearer",
        "Bearer -",
        "Basic bm9ib2R5OnB3",
        "Basic bm9ib2R5",
        "Basic !",
        "AWS4-HMAC-SHA256 Credential=AKIAX/20240501/r/s/aws4_request, SignedHeaders=host",
        "Token FORGED",
    ]
    .map(|value| value.as_bytes().to_vec())
    .into();
    values.push(b"K\xff\xfe\x80".to_vec());
    values.push(b"\xc3".to_vec());
    values.push(FORGED.repeat(1000).into_bytes());
    values
}

/// Names of users, as they stand before the colon of `Basic`.
const USERS: [&[u8]; 14] = [
    b"bob",
    b"",
    b"-",
    b"a b",
    b" ",
    b"- -",
    b"x [01/Jan/2020:00:00:00 +0000]",
    b"] \"GET /?api_key=FORGED HTTP/1.1\" 200 5",
    b"\"\"",
    b"\"",
    b"\\",
    b"a\tb\x01\x7f",
    b"caf\xe9",
    b"[",
];

/// A xorshift generator: the same requests in each run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % below as u64).expect("it is below a usize")
    }

    /// Returns up to twelve pieces of trouble.
    fn text(&mut self, pieces: &[&[u8]]) -> Vec<u8> {
        let count = self.next(12);
        (0..count).flat_map(|_| pieces[self.next(pieces.len())].to_vec()).collect()
    }

    fn request(&mut self) -> Vec<u8> {
        const TARGET: &[&[u8]] = &[
            b"?",
            b"&",
            b"=",
            b"#",
            b"%22",
            b"%3f",
            b"%23",
            b"%20",
            b"%0a",
            b"\"",
            b"\\",
            b"+",
            b"/",
            b"a",
            b"api_key=",
            b"api_key=K1",
            b"?api_key=K2",
            b"&api_key=K3",
            b"\xe9",
            b"|",
            b"[",
            b"%",
            b"%4",
        ];
        const VALUE: &[&[u8]] = &[
            b"\"",
            b"\\",
            b" ",
            b"  ",
            b"-",
            b" - ",
            b"[",
            b"]",
            b"] \"",
            b" [",
            b"\t",
            b"\x7f",
            b"\xff",
            b"\xc3\xa9",
            b"K1",
            b"a",
            b":",
            b" : ",
            b", ",
            b"|",
            b"\\x22",
            b"\\u0022",
            b"\",\"",
            b"[17/May/2015:10:05:03 +0000]",
            b"1431857103.250",
            b"200",
            b"\x01",
            b"{",
            b"}",
            b"%22",
        ];
        let paths: [&[u8]; 5] = [b"/", b"/denied", b"/forbidden", b"/broken", b"http://localhost/"];
        let methods: [&[u8]; 4] = [b"GET", b"POST", b"HEAD", b"PUT"];
        let versions: [&[u8]; 3] = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.1 "];
        let (method, path) = (methods[self.next(4)], paths[self.next(5)]);
        let (rest, version) = (self.text(TARGET), versions[self.next(3)]);
        let line = [method, b" ", path, &rest, b" ", version].concat();
        let names = ["X-Api-Key", "X-Client", "Referer", "User-Agent", "Authorization"];
        let sent: Vec<(&str, Vec<u8>)> = names
            .into_iter()
            .filter_map(|name| if self.next(4) > 0 { Some((name, self.text(VALUE))) } else { None })
            .collect();
        let headers: Vec<(&str, &[u8])> =
            sent.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        request(&line, &headers)
    }
}
