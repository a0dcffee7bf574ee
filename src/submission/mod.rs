//! Reads a submission, the request that creates a task, without changing or re-serialising a byte of it.
//!
//! The readers yield *where things stand* ([`Parameters`]: byte ranges in the target or the body) and *what they say*
//! ([`Captcha`], [`Site`], the client's own word on nocache). Deciding is left to [`crate::rules`], changing to
//! [`crate::rewrite`].
//!
//! # Layout
//! - [`endpoint`]: which method of the API a path names
//! - [`create_task`]: the JSON dialect; [`legacy`]: the five shapes of `in.php`
//! - [`json`], [`form`], [`multipart`]: one syntax each, bytes to [`Parameters`]
//! - [`captcha`]: task types and methods; [`site`]: the target page; [`key`]: the suffixes of an API key

pub mod captcha;
pub mod create_task;
pub mod endpoint;
pub mod form;
pub mod json;
pub mod key;
pub mod legacy;
pub mod multipart;
pub mod parameters;
pub mod site;

pub use captcha::{Captcha, CaptchaNames, Kind};
pub use endpoint::{Dialect, Endpoint};
pub use parameters::{Parameter, Parameters, Part, Scalar, Syntax, Word};
pub use site::{Site, SiteError};

/// The parts of a submission's request that are read.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Path and query, as received.
    pub target: &'a str,
    /// The Content-Type field. Only a multipart boundary is taken from it: what a body is shows in its bytes, since
    /// official clients send `text/plain` or no type at all.
    pub content_type: Option<&'a [u8]>,
    /// The whole body, without any content coding.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The bytes of one part, which ranges in [`Parameters`] of that part refer to.
    pub fn part(&self, part: Part) -> &'a [u8] {
        match part {
            Part::Target => self.target.as_bytes(),
            Part::Body => self.body,
        }
    }
}

/// Why a submission could not be read, so that rules cannot speak of it. See [`SiteError`] for a submission that was
/// read and only lacks a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// A content coding that is not decoded here.
    #[error("the body has a content coding that is not decoded here")]
    EncodingUnknown,
    /// Broken JSON or multipart, text that is not Unicode where it matters, or nesting beyond [`json::MAX_DEPTH`].
    #[error("the body cannot be read")]
    Unreadable,
    /// No `task` member, or one that is not an object.
    #[error("there is no task object")]
    NoTask,
    /// Two members that say which captcha or site it is, so that two readers could differ.
    #[error("a member that decides stands there twice")]
    Ambiguous,
}

/// A submission as read: what it asks for, and where its parameters stand.
#[derive(Clone, Debug)]
pub struct Submission<'a> {
    /// The API it speaks.
    pub dialect: Dialect,
    /// The captcha; none where the request names none (no `type`, no `method`).
    pub captcha: Option<Captcha>,
    /// The target page.
    pub site: Result<Site, SiteError>,
    /// Where a reader other than ours might see another captcha or site. Rewriting does not mind; a rule that denies does.
    pub doubtful: bool,
    /// Whether a legacy client asked for its answer in JSON (`json=1`).
    pub wants_json: bool,
    /// The lists of parameters in it.
    pub lists: Vec<Parameters<'a>>,
    /// The list that takes a new nocache, as an index of `lists`.
    pub home: usize,
    /// The API key. Of several the one that counts.
    pub key: Option<At>,
    /// The client's own nocache parameters; the last one counts.
    pub nocache: Vec<At>,
}

/// A parameter's place in [`Submission::lists`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Index of the list.
    pub list: usize,
    /// Index of the parameter in it.
    pub parameter: usize,
}

impl<'a> Submission<'a> {
    /// The index of a legacy submission's query in `lists`.
    pub const QUERY: usize = 0;

    /// A submission that says nothing but its captcha and its site: what a rule is asked for without a whole request.
    pub fn bare(captcha: Captcha, site: &str) -> Self {
        Self {
            dialect: Dialect::CreateTask,
            captcha: Some(captcha),
            site: Site::parse(site),
            doubtful: false,
            wants_json: true,
            lists: vec![form::body(b"")],
            home: 0,
            key: None,
            nocache: Vec::new(),
        }
    }

    /// The list and the parameter at a place.
    pub fn at(&self, at: At) -> (&Parameters<'a>, &Parameter<'a>) {
        let list = &self.lists[at.list];
        (list, &list.items[at.parameter])
    }

    /// What the client's own nocache parameter says, if it sent one.
    pub fn word(&self) -> Option<Word> {
        self.nocache.last().map(|at| self.word_at(*at))
    }

    /// What one of the client's nocache parameters says.
    pub fn word_at(&self, at: At) -> Word {
        let (list, parameter) = self.at(at);
        Word::of(&list.scalar(parameter))
    }
}

/// Reads a submission of the given dialect. `names` adds to the built-in list of task types.
pub fn read<'a>(dialect: Dialect, request: Request<'a>, names: &CaptchaNames) -> Result<Submission<'a>, Unread> {
    match dialect {
        Dialect::CreateTask => create_task::read(request, names),
        Dialect::Legacy => legacy::read(request),
    }
}
