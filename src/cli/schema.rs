//! `schema`: prints the JSON Schema of the configuration file.

use super::output::{Failure, print};
use crate::config::schema;

pub fn run() -> Result<(), Failure> {
    print(&serde_json::to_string_pretty(&schema::schema()).map_err(Failure::failed)?)
}
