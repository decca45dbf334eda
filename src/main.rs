//! The `keydrain` binary: flags, tracing, exit code.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use keydrain::cli::Exit;
use keydrain::cli::flags::{Flags, dispatch};

fn main() -> ExitCode {
    let flags = Flags::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("KEYDRAIN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(flags.log_level()));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    subscriber.with_ansi(flags.colour_on_stderr()).init();
    let mut out = std::io::stdout().lock();
    let done = dispatch(&flags, &mut out, &mut std::io::stderr());
    let flushed = out.flush();
    let unwritten = flushed.err().filter(|error| error.kind() != ErrorKind::BrokenPipe);
    match (&done, &unwritten) {
        // A command that could not write has said so: once is enough.
        (Err(failure), _) if !failure.message.is_empty() => eprintln!("keydrain: {failure}"),
        (_, Some(error)) => eprintln!("keydrain: the answer cannot be written to stdout: {error}"),
        _ => {}
    }
    let exit = match unwritten {
        Some(_) => Exit::Unknown,
        None => done.unwrap_or_else(|failure| failure.exit),
    };
    ExitCode::from(exit as u8)
}
