//! Rules: target sites × captchas → what to do about nocache.
//!
//! A rule lists site patterns ([`SitePattern`]) and captchas ([`CaptchaPattern`]). It applies to a submission if one of
//! each matches. The first such rule in file order decides; if none applies, the default decides, if its captchas match.
//!
//! # Site patterns
//! | pattern | matches |
//! |---|---|
//! | `example.com` | the domain and every subdomain |
//! | `*.example.com` | its subdomains only |
//! | `=example.com` | that host only |
//! | `*` | every site |
//! | `example.com/login` | as above, if the path is `/login` or below it |
//!
//! ```
//! use nocache_gateway::{rules::SitePattern, submission::Site};
//!
//! for (pattern, site, matches) in [
//!     ("example.com", "https://example.com/", true),
//!     ("example.com", "https://www.example.com/", true),
//!     ("example.com", "https://notexample.com/", false),
//!     ("*.example.com", "https://www.example.com/", true),
//!     ("*.example.com", "https://example.com/", false),
//!     ("=example.com", "https://example.com/", true),
//!     ("=example.com", "https://www.example.com/", false),
//!     ("*", "https://example.com/", true),
//!     ("example.com/login", "https://example.com/login", true),
//!     ("example.com/login", "https://example.com/login/form", true),
//!     ("example.com/login", "https://example.com/login2", false),
//!     ("example.com/login", "https://example.com/Login", false),
//! ] {
//!     let (pattern, site): (SitePattern, _) = (pattern.parse()?, Site::parse(site)?);
//!     assert_eq!(pattern.matches(&site), matches, "{pattern} {site}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Hosts compare as IDNA A-labels without a trailing dot; paths as bytes, case-sensitively, after percent-decoding.
//! An IP literal (`192.0.2.1`, `[::1]`) has no subdomains.
//!
//! # Captchas
//! | entry | covers |
//! |---|---|
//! | `recaptcha-v2` | every type name and method of that kind |
//! | `TurnstileTask` | that JSON type name, ignoring case |
//! | `method=hcaptcha` | that legacy method, ignoring case |
//! | `*` | every captcha |
//!
//! ```
//! use nocache_gateway::{rules::CaptchaPattern, submission::CaptchaNames};
//!
//! let names = CaptchaNames::default();
//! for (pattern, type_name, matches) in [
//!     ("recaptcha-v2", "NoCaptchaTaskProxyless", true),
//!     ("recaptcha-v2", "RecaptchaClickTask", false),
//!     ("TurnstileTask", "turnstiletask", true),
//!     ("method=turnstile", "turnstile", false),
//!     ("*", "ImageToTextTask", true),
//! ] {
//!     let pattern: CaptchaPattern = pattern.parse()?;
//!     assert_eq!(pattern.matches(&names.of_type(type_name, false)), matches, "{pattern} {type_name}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//! - [`rule_set`]: all rules of a configuration; [`RuleSet::decide`]
//! - [`rule`]: one rule; [`action`]: what it does to nocache
//! - [`site_pattern`], [`captcha_pattern`]: what it applies to; [`site_pattern_mistake`]: what is wrong with a text that is
//!   meant as one
//! - `index`: finds the first rule that applies; `captcha_selector`: captchas as numbers for it
//! - [`near_miss`]: rules that nearly applied

pub mod action;
pub mod captcha_pattern;
mod captcha_selector;
mod index;
pub mod near_miss;
pub mod rule;
pub mod rule_set;
pub mod site_pattern;
pub mod site_pattern_mistake;
#[cfg(test)]
mod tests;

pub use action::{Action, Via};
pub use captcha_pattern::{CaptchaPattern, CaptchaPatternError};
pub use near_miss::{MissReason, NearMiss};
pub use rule::Rule;
pub use rule_set::{LegacyPlace, Lookup, RuleSet, Unreadable};
pub use site_pattern::SitePattern;
pub use site_pattern_mistake::{SitePatternError, SitePatternMistake};
