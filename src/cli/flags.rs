//! The flags that all commands share, and which command is meant.
//!
//! Order of precedence: flag, then `KEYDRAIN_*` environment, then config file, then default.

use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

use super::client::Endpoint;
use super::{
    Exit, Failure, Output, check, consumers, demo, explain, fingerprint, plan, probe, ready,
    rotation, run, scan, state, status, verify,
};
use crate::config::Config;
use crate::publish::Token;

/// Where the daemon listens, unless told.
const LISTEN: &str = "127.0.0.1:7677";

/// Watches a key drain: says when the old key of a rotation is safe to revoke.
#[derive(Parser, Debug)]
#[command(name = "keydrain", version, about, max_term_width = 100)]
pub struct Flags {
    /// Config file
    #[arg(long, global = true, env = "KEYDRAIN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say more on stderr; twice for every file
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say errors alone on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

/// How to reach the daemon, and how to show what it says.
#[derive(clap::Args, Debug)]
struct Asking {
    /// The daemon's address; by default the one of the config file
    #[arg(long, global = true, env = "KEYDRAIN_URL", value_name = "URL")]
    url: Option<String>,
    /// File with the daemon's token; by default the one of the config file
    #[arg(long, global = true, env = "KEYDRAIN_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Form of the answer
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Output,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Count who uses which key in log files: needs no daemon
    Scan(scan::Args),
    /// Run the daemon
    Run(run::Args),
    /// Watch a recorded rotation, re-timed, with a daemon of its own
    Demo(demo::Args),
    /// Ask whether the old key of a credential is safe to revoke
    #[command(
        after_help = "Exit: 0 ready, 1 not ready, 2 usage, 3 unknown, 4 daemon unreachable, \
                            124 timed out.\n\nExample:\n  keydrain ready payments-api --wait \
                            --timeout 2h && revoke-the-old-key"
    )]
    Ready {
        #[command(flatten)]
        args: ready::Args,
        #[command(flatten)]
        asking: Asking,
    },
    /// Open a rotation, tell what happens to it, look at it
    #[command(after_help = "Example:\n  keydrain rotation start payments-api --old 2025-q4 --new \
                            2026-q1")]
    Rotation {
        #[command(flatten)]
        args: rotation::Args,
        #[command(flatten)]
        asking: Asking,
    },
    /// List who is still on the old key
    Consumers {
        #[command(flatten)]
        args: consumers::Args,
        #[command(flatten)]
        asking: Asking,
    },
    /// Show sources and rotations on one screen
    Status {
        #[command(flatten)]
        args: status::Args,
        #[command(flatten)]
        asking: Asking,
    },
    /// Tell how a log file is read, and the [[source]] block for it
    Explain(explain::Args),
    /// Check config, paths and permissions; with a credential also what stands in the way of its
    /// rotation
    Check {
        #[command(flatten)]
        args: check::Args,
        #[command(flatten)]
        asking: Asking,
    },
    /// Recommend quiet and overlap periods from history, with the reasons
    Plan {
        #[command(flatten)]
        args: plan::Args,
        #[command(flatten)]
        asking: Asking,
    },
    /// Send the probe through the real front door
    #[command(
        after_help = "Exit: 0 answered (with --wait: seen in every source), 2 usage, 4 front door \
                            or daemon unreachable, 124 not seen in time.\n\nExample:\n  keydrain \
                            probe --url https://api.example.com/health --header X-Api-Key \
                            --every 60s"
    )]
    Probe(probe::Args),
    /// Count logs once more and compare them with the state; the daemon may run
    #[command(
        after_help = "Exit: 0 equal, 1 they differ, 2 usage, 3 a file could not be compared.\n\n\
                      Example:\n  keydrain verify /var/log/nginx/access.log*"
    )]
    Verify(verify::Args),
    /// Copy the state while the daemon runs
    #[command(
        after_help = "Example:\n  keydrain state backup /var/backups/keydrain-$(date +%F).db"
    )]
    State(state::Args),
    /// Turn a secret on stdin into its fingerprint
    Fingerprint(fingerprint::Args),
}

impl Flags {
    /// Returns the default filter of the log.
    pub fn log_level(&self) -> &'static str {
        match (&self.command, self.quiet, self.verbose) {
            (_, true, _) => "error",
            (Command::Run(_), _, 0) => "keydrain=info,warn",
            (_, _, 0) => "warn",
            (_, _, 1) => "keydrain=debug,info",
            _ => "keydrain=trace,debug",
        }
    }

    /// Tells whether the log on stderr may be coloured.
    pub fn colour_on_stderr(&self) -> bool {
        std::env::var_os("NO_COLOR").is_none() && std::io::stderr().is_terminal()
    }

    fn config_path(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new(crate::config::DEFAULT_PATH))
    }

    /// Returns where the daemon is: told, else as configured, else the default.
    fn endpoint(&self, asking: &Asking) -> Result<Endpoint, Failure> {
        let wanted = asking.url.is_none() || asking.token_file.is_none();
        let configured = wanted && (self.config.is_some() || self.config_path().exists());
        let config = match Config::load(self.config_path()) {
            Ok(config) if configured => Some(config),
            // With an explicit address a broken config on this host is of no concern.
            Err(error) if configured && asking.url.is_none() => return Err(Failure::usage(error)),
            _ => None,
        };
        let server = config.as_ref().map(|config| &config.server);
        let file = asking.token_file.as_deref();
        let token = match (file, server.and_then(|server| server.token_file.as_deref())) {
            (Some(file), _) => Some(token_text(file)?),
            // A reader of answers need not be allowed to read the token.
            (None, Some(file)) => token_text(file).ok(),
            (None, None) => None,
        };
        Ok(match (&asking.url, server) {
            (Some(url), _) => Endpoint { base: url.clone(), token },
            (None, Some(server)) => Endpoint::listening(server.listen, token),
            (None, None) => Endpoint { base: LISTEN.to_owned(), token },
        })
    }
}

fn token_text(file: &Path) -> Result<String, Failure> {
    // The token is checked by its own reader; the client sends its text.
    Token::read(file).map_err(|error| Failure::usage(crate::engine::wording::chain(&error)))?;
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("token file {}: {error}", file.display())))?;
    Ok(text.trim().to_owned())
}

/// Does what the flags say.
pub fn dispatch(
    flags: &Flags,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Exit, Failure> {
    match &flags.command {
        Command::Scan(args) => {
            let is_watched = !flags.quiet && std::io::stderr().is_terminal();
            scan::run(args, flags.config.as_deref(), is_watched, out, err)
        }
        Command::Explain(args) => explain::run(args, out),
        Command::Run(args) => run::run(args, flags.config_path()),
        Command::Demo(args) => demo::run(args, out),
        Command::Check { args, asking } => {
            let endpoint = || flags.endpoint(asking);
            check::run(args, flags.config_path(), endpoint, asking.output, out)
        }
        Command::Plan { args, asking } => {
            plan::run(args, &flags.endpoint(asking)?, asking.output, out, err)
        }
        Command::Probe(args) => {
            let asking = Asking { url: args.daemon.clone(), token_file: None, output: args.output };
            let endpoint = || flags.endpoint(&asking);
            probe::run(args, flags.config_path(), endpoint, out, err)
        }
        Command::Verify(args) => verify::run(args, flags.config_path(), out, err),
        Command::State(args) => state::run(args, flags.config_path(), out),
        Command::Fingerprint(args) => fingerprint::run(args, flags.config_path(), out, err),
        Command::Ready { args, asking } => {
            ready::run(args, &flags.endpoint(asking)?, asking.output, out, err)
        }
        Command::Rotation { args, asking } => {
            rotation::run(args, &flags.endpoint(asking)?, asking.output, out, err)
        }
        Command::Consumers { args, asking } => {
            consumers::run(args, &flags.endpoint(asking)?, asking.output, out, err)
        }
        Command::Status { args, asking } => {
            status::run(args, &flags.endpoint(asking)?, asking.output, out, err)
        }
    }
}
