//! What keeps a daemon from looking while the log changes.

use rustix::process::{Signal, kill_process};

use crate::support::daemon::{Daemon, Site};

/// Whether, and how, the daemon looks away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daemons {
    /// It looks.
    Look,
    /// It stands still, with its files open.
    StandStill,
    /// There is none: it was stopped, and starts again.
    AreDown,
}

impl Daemons {
    /// Calls `act` in this state; afterwards there is a daemon that looks.
    pub fn during<'s>(self, site: &'s Site, daemon: Daemon<'s>, act: impl FnOnce()) -> Daemon<'s> {
        match self {
            Self::Look => {
                act();
                daemon
            }
            Self::StandStill => {
                kill_process(daemon.pid(), Signal::STOP).expect("it is our own child");
                act();
                kill_process(daemon.pid(), Signal::CONT).expect("it is our own child");
                daemon
            }
            Self::AreDown => {
                assert_eq!(daemon.stop(), Some(0));
                act();
                site.start()
            }
        }
    }
}
