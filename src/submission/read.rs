//! What is read of a submission.

use std::fmt;

use arrayvec::ArrayVec;

use super::{
    Captcha, CaptchaNames, Dialect, NocacheValue, Parameter, Parameters, Part, Site, SiteError, Wishes, create_task,
    hidden::Hidden, legacy, plain_shape::Doubt,
};

/// The parts of a submission's request that are read.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Path and query, as received.
    pub target: &'a str,
    /// The Content-Type field. Only a multipart boundary is taken from it; the syntax of a body is recognised by its
    /// bytes, because official clients send `text/plain` or no type at all.
    pub content_type: Option<&'a [u8]>,
    /// The whole body, without any content coding.
    pub body: &'a [u8],
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("target", &Hidden(self.target.len()))
            .field("content_type", &self.content_type.map(|value| Hidden(value.len())))
            .field("body", &Hidden(self.body.len()))
            .finish()
    }
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

/// The reason why a submission could not be read, so that no rule can apply to it. A submission that was read and only
/// lacks a site has a [`SiteError`] instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// A content coding that is not decoded here.
    #[error("the body has a content coding that is not decoded here")]
    EncodingUnknown,
    /// Broken JSON or multipart, text that is not Unicode where it matters, nesting beyond
    /// [`MAX_DEPTH`](super::json::MAX_DEPTH), or more than the [`limits`](super::limits) allow.
    #[error("the body cannot be read")]
    Unreadable,
    /// No `task` member, or one that is not an object.
    #[error("there is no task object")]
    NoTask,
    /// A member that decides the captcha or the site is given twice, so that two readers could differ.
    #[error("a field that decides the captcha or the site is given twice")]
    Ambiguous,
}

/// A submission as read: what it asks for, and where its parameters are.
#[derive(Clone, Debug)]
pub struct Submission<'a> {
    /// The API that it uses.
    pub dialect: Dialect,
    /// The captcha; `None` if the request has no `type` or `method`.
    pub captcha: Option<Captcha>,
    /// The target page.
    pub site: Result<Site, SiteError>,
    /// The reason why another reader could see another captcha or site in it. Such a submission is refused. Only
    /// [`plain_shape::judge`](super::plain_shape::judge()) sets it, where `unreadable` is `deny`.
    pub doubt: Option<Doubt>,
    /// How a legacy client wants its responses.
    pub wishes: Wishes,
    /// The lists of parameters in it.
    pub lists: Lists<'a>,
    /// Index in `lists` of the list that a new nocache is added to.
    pub nocache_list: usize,
    /// The API key; of several the one that counts.
    pub key: Option<ParameterRef>,
    /// The client's own nocache parameters. A legacy one with an odd value is not among them: it says nothing, and may be
    /// the end of a page's URL that is not encoded.
    pub nocache: Vec<ParameterRef>,
}

/// The lists of parameters of one submission: top object and task, or query and body.
pub type Lists<'a> = ArrayVec<Parameters<'a>, 2>;

/// A reference to a parameter in [`Submission::lists`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterRef {
    /// Index of the list.
    pub list: usize,
    /// Index of the parameter in it.
    pub parameter: usize,
}

impl<'a> Submission<'a> {
    /// The index of a legacy submission's query in `lists`.
    pub const QUERY: usize = 0;

    /// The parameter that a reference names, with its list.
    pub fn parameter(&self, at: ParameterRef) -> (&Parameters<'a>, &Parameter<'a>) {
        let list = &self.lists[at.list];
        (list, &list.items[at.parameter])
    }

    /// The value of the client's own nocache parameter, if it sent one. Of several the last counts that is not odd; if all
    /// are, the client set nocache, and not to on.
    pub fn nocache_value(&self) -> Option<NocacheValue> {
        let mut values = self.nocache.iter().rev().map(|at| self.nocache_value_at(*at));
        let known = values.find(|value| *value != NocacheValue::Odd);
        known.or((!self.nocache.is_empty()).then_some(NocacheValue::Off))
    }

    /// The value of one of the client's nocache parameters.
    pub fn nocache_value_at(&self, at: ParameterRef) -> NocacheValue {
        let (list, parameter) = self.parameter(at);
        NocacheValue::of(&list.scalar(parameter))
    }
}

/// Reads a submission of the given dialect. `names` adds to the built-in list of task types.
pub fn read<'a>(dialect: Dialect, request: Request<'a>, names: &CaptchaNames) -> Result<Submission<'a>, Unread> {
    match dialect {
        Dialect::CreateTask => create_task::read(request, names),
        Dialect::Legacy => legacy::read(request),
    }
}
