//! A client that sends exactly the bytes it is given.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use super::wait::DEADLINE;

/// Sends `bytes` to 127.0.0.1, reads what comes back until the server closes, and returns it.
pub fn send(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    // A server that refuses the first bytes may close before it has read the last.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}
