//! A local HTTP gateway for the CapMonster Cloud API that sets `nocache` on reCAPTCHA tasks, by rules per target site,
//! and forwards everything else untouched.
//!
//! # Layout
//! The core is pure: bytes and values in, values out; no I/O, no async, no clock.
//! - [`submission`] reads a request that creates a task: which captcha, which site, where nocache is
//! - [`rules`] decides by site and captcha
//! - [`rewrite`] turns a decision into edits of byte ranges, and applies them

pub mod rewrite;
pub mod rules;
pub mod submission;
