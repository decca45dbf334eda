//! The `keydrain` binary: flags, tracing, exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
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
    let exit = done.unwrap_or_else(|failure| {
        if !failure.message.is_empty() {
            eprintln!("keydrain: {failure}");
        }
        failure.exit
    });
    match flushed {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("keydrain: cannot write the answer: {error}");
            ExitCode::from(keydrain::cli::Exit::Unknown as u8)
        }
        _ => ExitCode::from(exit as u8),
    }
}
