//! nocache-gateway, the program.

use std::process::ExitCode;

fn main() -> ExitCode {
    nocache_gateway::run()
}
