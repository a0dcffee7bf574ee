//! The embedded stand-in of the vendor's API: for testing bots without an account, and for the gateway's own tests.
//!
//! It reads requests with other code than the gateway's (a JSON tree, `form_urlencoded`, multer), so that it is an
//! independent witness of what arrives. It is deterministic: ids count up from [`tasks::FIRST_ID`], and a token says whether nocache
//! reached its task. Legacy and JSON ids share one space.
//!
//! | key | what it does |
//! |---|---|
//! | `wrong-key`, or none | `ERROR_KEY_DOES_NOT_EXIST` |
//! | `zero-balance` | `ERROR_ZERO_BALANCE` |
//! | any other | works; suffixes after `__` are understood |
//!
//! The JSON API has `createTask`, `getTaskResult`, `getBalance` and `reportIncorrect…`. Of 2captcha's protocol it serves:
//!
//! | request | response |
//! |---|---|
//! | `in.php` in its five shapes | `OK\|id` |
//! | `res.php`, `action=get&id=1` | `OK\|token`, or `CAPCHA_NOT_READY` |
//! | `action=get&ids=1,2,3` | the results joined with `\|`, without `OK` |
//! | `action=get2&id=1` | `OK\|token\|price`; as JSON a further member `price` |
//! | `action=getbalance` | the balance |
//! | `action=reportbad`, `action=reportgood` | `OK_REPORT_RECORDED` |
//!
//! `json=1` asks for `{"status":1,"request":"…"}`, and `header_acao=1` for `Access-Control-Allow-Origin: *`.
//!
//! Besides the API it has `GET /sandbox/tasks` (what became of each task), and with [`Settings::record`]
//! `GET /sandbox/requests` (every request as it arrived). `GET /sandbox/bans` says why keys were locked. `POST /sandbox/check` says whether the site takes the token in its
//! body.
//!
//! # Layout
//! - [`service`]: the sandbox as a service; `json_api` and `legacy_api`: one dialect each
//! - [`tasks`]: the tasks; `keys`: what a key does; `bans`: keys that are locked; [`certificate`]: TLS

mod bans;
pub mod certificate;
mod json_api;
mod keys;
pub(crate) mod legacy_api;
pub mod service;
pub mod tasks;

pub use service::{Odds, Received, Sandbox, Settings};
