//! `keydrain fingerprint`: a secret from stdin or a prompt -> its fingerprint for the config.
//!
//! The secret is never echoed, printed or taken from the command line, where every process of the
//! host could read it.

use std::io::{self, IsTerminal as _, Read, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use zeroize::Zeroizing;

use super::columns::put;
use super::{Exit, Failure};
use crate::config::{Config, MAX_KEY_LEN, read_key};
use crate::store::secret;

/// What Ctrl-C sends while the terminal makes no signal of it.
const INTERRUPT: u8 = 0x03;

/// Options of `keydrain fingerprint`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// State directory whose fingerprint secret is used [default: the one of the config]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// Reads one secret from this process's stdin and prints its fingerprint. On a terminal it asks
/// on `err`, without echo.
pub fn run(
    args: &Args,
    config_path: &Path,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, Failure> {
    let state = match &args.state {
        Some(state) => state.clone(),
        None => Config::load(config_path).map_err(Failure::usage)?.state_dir,
    };
    let stdin = io::stdin();
    if stdin.is_terminal() {
        let line = ask(stdin.as_fd(), err).map_err(|error| unreadable(&error))?;
        if line.contains(&INTERRUPT) {
            return Err(Failure::usage("cancelled"));
        }
        return print_fingerprint(&line[..], &state, out);
    }
    print_fingerprint(stdin.lock(), &state, out)
}

/// Prints the fingerprint of what `input` holds, keyed with the secret in `state`.
fn print_fingerprint(input: impl Read, state: &Path, out: &mut dyn Write) -> Result<Exit, Failure> {
    let key = read_key(input).map_err(|error| unreadable(&error))?.map_err(|error| {
        let fix = "give the key alone, as in `printf %s \"$KEY\" | keydrain fingerprint`";
        Failure::usage(format!("the secret {error}: {fix}"))
    })?;
    let secret = secret::load_or_create(state).map_err(Failure::usage)?;
    put(out, &format!("{}\n", secret.fingerprint(key.expose())))?;
    Ok(Exit::Ok)
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::usage(format!("the secret cannot be read from stdin: {error}"))
}

/// Reads one line from the terminal without showing it.
fn ask(terminal: BorrowedFd<'_>, err: &mut dyn Write) -> io::Result<Zeroizing<Vec<u8>>> {
    write!(err, "key (not shown): ")?;
    err.flush()?;
    let silenced = Silenced::new(terminal)?;
    let mut line = Zeroizing::new(vec![0; MAX_KEY_LEN + 2]);
    // A terminal hands out one line per read.
    let length = rustix::io::retry_on_intr(|| rustix::io::read(terminal, line.as_mut_slice()))?;
    line.truncate(length);
    drop(silenced);
    writeln!(err)?;
    Ok(line)
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Silenced<'t> {
    terminal: BorrowedFd<'t>,
    before: Termios,
}

impl<'t> Silenced<'t> {
    /// Ctrl-C makes no signal meanwhile: it would end the process and leave the echo off.
    fn new(terminal: BorrowedFd<'t>) -> io::Result<Self> {
        let before = termios::tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        termios::tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silenced<'_> {
    fn drop(&mut self) {
        // Nothing is left to do for a terminal that has gone away.
        let _ = termios::tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(input: &[u8], state: &Path) -> Result<String, String> {
        let mut out = Vec::new();
        print_fingerprint(input, state, &mut out).map_err(|failure| failure.message)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_secret_with_or_without_its_newline_has_the_fingerprint_of_the_state() {
        let state = tempfile::tempdir().unwrap();
        let printed = print(b"sk_live_1\n", state.path()).unwrap();
        assert_eq!(print(b"sk_live_1", state.path()).unwrap(), printed);
        let expected = secret::load_existing(state.path()).unwrap().fingerprint(b"sk_live_1");
        assert_eq!(printed, format!("{expected}\n"));
    }

    #[test]
    fn what_is_no_key_is_refused_before_a_state_is_made_and_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        for (input, what) in [("", "is empty"), ("\n", "is empty"), ("hunter2 \n", "holds white")] {
            let message = print(input.as_bytes(), &state).unwrap_err();
            assert!(message.starts_with(&format!("the secret {what}")), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
        assert!(!state.exists());
    }
}
