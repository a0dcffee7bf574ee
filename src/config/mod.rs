//! Configuration: one TOML file, and a few flags and environment variables over it.
//!
//! # Layout
//! - `model`: the configuration as the program uses it
//! - `sections`: every setting, declared once; `value`, `address_value` and `rule_value`:
//!   the kinds of values, how each is read and shown
//! - `load`: which file is read, and what overrides it; `files`: reads their text, the first time and again; `read`: reads
//!   a configuration, and reports all its mistakes
//! - `syntax`: what is wrong with a file that is not TOML
//! - `report`: shows mistakes with their line; `mask`: hides secrets in it
//! - `sample` and `schema`: what is made from the settings for users and their editors
//! - `code`: the kinds of problems
//! - `warnings`: valid settings that are probably not intended; `expectations`: the file's own tests
//! - `shown`: the configuration as users see it; `provenance`: where a value comes from; `units`: durations and sizes; `vendor`: names that others have for captchas

pub(crate) mod address_value;
pub(crate) mod code;
pub(crate) mod expectations;
pub(crate) mod files;
pub(crate) mod load;
pub(crate) mod mask;
pub(crate) mod model;
pub(crate) mod provenance;
pub(crate) mod read;
pub(crate) mod report;
pub(crate) mod rule_value;
pub(crate) mod sample;
pub(crate) mod schema;
pub(crate) mod sections;
pub(crate) mod shown;
pub(crate) mod syntax;
pub(crate) mod units;
pub(crate) mod value;
pub(crate) mod vendor;
pub(crate) mod warnings;

pub use code::Code;
pub use files::Reading;
pub use load::{LoadError, Overrides, load};
pub use model::{AdminListen, Config, Log, LogFormat, LogLevel, Server, Test};
pub use provenance::Provenance;
pub use read::read;
pub use report::{Report, Source};
