//! What the logs of all families are made of: a fixed sequence, keys, and the truth about a log.

/// Bytes of each log.
pub const LOG_BYTES: usize = 8 << 20;

/// Distinct keys.
const KEYS: u64 = 2000;

/// A generated log and what is true of it.
#[derive(Default)]
pub struct Log {
    pub text: Vec<u8>,
    pub lines: u64,
    pub events: u64,
    /// Events with key 0.
    pub first_key: u64,
}

/// One request of a log.
pub struct Request {
    pub next: Sequence,
    /// Seconds since midnight of 17 May 2015.
    pub second: u64,
    /// Number of the key, if it carries one.
    pub key: Option<u64>,
}

impl Log {
    /// Lets `write` write lines until the log is long enough; `keyed` percent of them carry a key.
    pub fn generate(keyed: u64, mut write: impl FnMut(&mut Request) -> String) -> Self {
        let mut log = Self::default();
        let mut next = Sequence(0x6b65_7964_7261_696e);
        while log.text.len() < LOG_BYTES {
            // The smaller of two draws: some keys are used far more than others.
            let key = next.below(KEYS).min(next.below(KEYS));
            let key = (next.below(100) < keyed).then_some(key);
            let mut request = Request { next, second: log.lines / 40 % 86_400, key };
            log.text.extend_from_slice(write(&mut request).as_bytes());
            log.text.push(b'\n');
            next = request.next;
            log.lines += 1;
            log.events += u64::from(key.is_some());
            log.first_key += u64::from(key == Some(0));
        }
        log
    }
}

impl Request {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next.below(bound)
    }

    /// The time of day as `hh:mm:ss`.
    pub fn clock(&self) -> String {
        let second = self.second;
        format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    }

    pub fn status(&mut self) -> u64 {
        [200, 200, 200, 200, 304, 401, 403, 404, 500]
            [usize::try_from(self.below(9)).expect("small")]
    }

    pub fn address(&mut self) -> String {
        format!("10.{}.{}.{}", self.below(4), self.below(200), self.below(60))
    }
}

/// A fixed sequence of numbers (xorshift64*).
#[derive(Clone, Copy)]
pub struct Sequence(u64);

impl Sequence {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// A secret key.
pub fn key_text(number: u64) -> String {
    format!("sk_live_{:024x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A public key id.
pub fn key_id(number: u64) -> String {
    format!("AKIA{:016X}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
