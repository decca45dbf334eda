//! `keydrain state`: what can be done with the state from outside. A copy, beside a running daemon.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::client::pretty;
use super::columns::{csv, put, table};
use super::{Exit, Failure, Output};
use crate::config::Config;
use crate::engine::wording::chain;
use crate::store::Look;

/// Options of `keydrain state`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Copy the state while the daemon runs, whole and as of one moment
    Backup {
        /// The copy: a name that does not exist yet
        file: PathBuf,
        /// Form of the answer
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
}

/// Does what is asked for. Exit 0 done, 2 it cannot be.
pub fn run(args: &Args, config: &Path, out: &mut dyn Write) -> Result<Exit, Failure> {
    let Act::Backup { file, output } = &args.act;
    let config = Config::load(config).map_err(Failure::usage)?;
    let dir = &config.state_dir;
    let copied = Look::open(dir).and_then(|(look, _)| look.copy_to(file));
    let copied = copied.map_err(|error| Failure::usage(chain(&error)))?;
    let at = copied.last_commit_at.map(|at| at.to_string());
    let name = file.display().to_string();
    let text = match output {
        Output::Json => pretty(&json!({
            "schema": "keydrain/backup/v1",
            "file": name,
            "bytes": copied.bytes,
            "sequence": copied.sequence,
            "last_commit_at": at,
        })),
        form => {
            let row = [
                name,
                copied.bytes.to_string(),
                copied.sequence.to_string(),
                at.unwrap_or_else(|| "-".to_owned()),
            ];
            let rows = [row.to_vec()];
            if *form == Output::Csv {
                csv(&["file", "bytes", "sequence", "last_commit_at"], &rows)
            } else {
                let hint = format!(
                    "keep {} with it: without that secret the copy is of no use\n",
                    dir.join("fingerprint.key").display()
                );
                table(&["FILE", "BYTES", "SEQUENCE", "LAST COMMIT"], &rows) + &hint
            }
        }
    };
    put(out, &text)?;
    Ok(Exit::Ok)
}
