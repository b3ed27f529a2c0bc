//! Exchanges two names for ever: `racer FIRST SECOND`. The other side of every path race.

use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let (Some(first), Some(second)) = (args.next(), args.next()) else { return ExitCode::from(2) };
    loop {
        // One side may be busy for a moment, as a mount point is: try again.
        let _ = renameat_with(CWD, &first, CWD, &second, RenameFlags::EXCHANGE);
    }
}
