//! What is wrong with a shape.

/// The reason why another reader could see another captcha or site in a request. Its words hold nothing of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The path would be `createTask` or `in.php` to a reader that decodes or folds more.
    #[error("the path is an unusual spelling of createTask or in.php")]
    Path,
    /// The method is not one that is read.
    #[error("the method is not one of POST for createTask, and GET, HEAD and POST for in.php")]
    Method,
    /// Bytes that are not UTF-8 outside of files.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Content-Type is given twice, or one that readers understand differently.
    #[error("Content-Type is given twice, has a comma or is malformed")]
    ContentType,
    /// A charset other than UTF-8.
    #[error("the charset is not UTF-8")]
    Charset,
    /// A name that is one that decides to a reader that decodes, folds or cuts it.
    #[error("a name is an unusual spelling of \"{0}\"")]
    Name(&'static str),
    /// A name that decides is given twice.
    #[error("\"{0}\" is given twice")]
    Twice(&'static str),
    /// A value that decides is of another type, or not one of the known ones.
    #[error("the value of \"{0}\" is not one that it can have")]
    Value(&'static str),
    /// JSON that does not begin with `{`, or what is sent as JSON and is none.
    #[error("the body is sent as JSON and does not begin with a brace")]
    Json,
    /// A JSON body in which a form reader would find a parameter that decides.
    #[error("the JSON body is a form with \"{0}\" in it as well")]
    JsonAndForm(&'static str),
    /// Splitting at `;` too gives another value.
    #[error("splitting at \";\" gives another captcha or site")]
    Semicolon,
    /// A multipart body that readers split differently.
    #[error("{0}")]
    Multipart(&'static str),
    /// A site that readers understand differently.
    #[error("{0}")]
    Site(&'static str),
}
