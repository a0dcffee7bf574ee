//! `POST /createTask`: `{"clientKey": …, "task": {"type": …, "websiteURL": …}}`
//! (<https://docs.capmonster.cloud/docs/api/methods/create-task/>).

use std::slice;

use super::{
    CaptchaNames, Dialect, Lists, ParameterRef, Parameters, Request, Scalar, Site, SiteError, Submission, Unread,
    Wishes, json::Document, key_suffix, limits,
};

/// The indices of the two lists of a createTask submission.
const TOP: usize = 0;
const TASK: usize = 1;

/// Reads a createTask body.
pub fn read<'a>(request: Request<'a>, names: &CaptchaNames) -> Result<Submission<'a>, Unread> {
    let (top, task) = Document::new(request.body)?.top_with("task")?;
    limits::of_one_name(slice::from_ref(&top), &["task"])?;
    let key = top.named("clientKey").last();
    if let Some(key) = key {
        key_suffix::check(&top, &top.items[key])?;
    }
    let task = match top.named("task").take(2).count() {
        0 => return Err(Unread::NoTask),
        1 => task.ok_or(Unread::NoTask)??,
        _ => return Err(Unread::Ambiguous),
    };
    submission(top, task, key, names)
}

/// Reads as much of a createTask body as its beginning has, without asking whether the whole is JSON. Returns `None` unless
/// that names a captcha, and one that is not a reCAPTCHA: of a reCAPTCHA, what follows could say more.
pub fn read_beginning<'a>(beginning: &'a [u8], names: &CaptchaNames) -> Option<Submission<'a>> {
    let document = Document::beginning(beginning)?;
    // Of most long bodies that are not pictures, this is all that is read.
    if names.of_type(&document.text_in("task", "type")?, false).kind.is_some() {
        return None;
    }
    let (top, task) = document.whole_with("task")?;
    let key = top.named("clientKey").last();
    let submission = submission(top, task, key, names).ok()?;
    (submission.captcha.as_ref()?.kind.is_none()).then_some(submission)
}

/// The submission of two lists, and of the key's index in the first.
fn submission<'a>(
    top: Parameters<'a>,
    task: Parameters<'a>,
    key: Option<usize>,
    names: &CaptchaNames,
) -> Result<Submission<'a>, Unread> {
    limits::of_one_name(
        slice::from_ref(&task),
        &["type", "websiteURL", "isEnterprise", "nocache"],
    )?;

    let kind = once(&task, "type")?;
    let url = once(&task, "websiteURL")?;
    let enterprise = task.named("isEnterprise").last();
    let is_enterprise = enterprise.is_some_and(|i| task.scalar(&task.items[i]).is_on());

    Ok(Submission {
        dialect: Dialect::CreateTask,
        captcha: match kind {
            Some(Scalar::Text(name)) => Some(names.of_type(&name, is_enterprise)),
            _ => None,
        },
        site: match url {
            None | Some(Scalar::Bare("null")) => Err(SiteError::Missing),
            Some(Scalar::Text(text)) => Site::parse(&text),
            Some(_) => Err(SiteError::Bad),
        },
        doubt: None,
        wishes: Wishes::default(),
        key: key.map(|parameter| ParameterRef { list: TOP, parameter }),
        nocache: task
            .named("nocache")
            .map(|parameter| ParameterRef { list: TASK, parameter })
            .collect(),
        lists: Lists::from([top, task]),
        nocache_list: TASK,
    })
}

/// The value of a member that may be given only once.
fn once<'a>(task: &Parameters<'a>, name: &str) -> Result<Option<Scalar<'a>>, Unread> {
    let mut found = task.named(name);
    let Some(first) = found.next() else {
        return Ok(None);
    };
    if found.next().is_some() {
        return Err(Unread::Ambiguous);
    }
    let item = &task.items[first];
    match task.scalar(item) {
        // A string that is not valid Unicode. The caller judges every other value that is not a string.
        Scalar::Other
            if item
                .value
                .as_ref()
                .is_some_and(|value| task.source[value.start] == b'"') =>
        {
            Err(Unread::Unreadable)
        }
        value => Ok(Some(value)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unread(body: &str) -> Option<Unread> {
        read(
            Request {
                target: "/createTask",
                content_type: None,
                body: body.as_bytes(),
            },
            &CaptchaNames::default(),
        )
        .err()
    }

    #[test]
    fn a_body_that_cannot_be_read_has_a_reason() {
        for (body, reason) in [
            ("", Unread::Unreadable),
            ("[]", Unread::Unreadable),
            (r#"{"task":{"#, Unread::Unreadable),
            ("{}", Unread::NoTask),
            (r#"{"task":[]}"#, Unread::NoTask),
            (r#"{"task":null}"#, Unread::NoTask),
            (r#"{"task":"{}"}"#, Unread::NoTask),
            (r#"{"task":{},"Task":{}}"#, Unread::Ambiguous),
            (r#"{"task":{"type":"a","TYPE":"a"}}"#, Unread::Ambiguous),
            (r#"{"task":{"websiteURL":"a","websiteUrl":"a"}}"#, Unread::Ambiguous),
            (r#"{"task":{"type":"\ud800"}}"#, Unread::Unreadable),
        ] {
            assert_eq!(unread(body), Some(reason), "{body}");
        }
        assert_eq!(unread(r#"{"task":{}}"#), None);
        assert_eq!(unread(r#"{"task":{"type":["a"],"websiteURL":{}}}"#), None);
    }

    #[test]
    fn a_beginning_is_enough_where_it_names_a_picture() {
        let names = CaptchaNames::default();
        let beginning = |text: &'static str| read_beginning(text.as_bytes(), &names);
        let image =
            beginning(r#"{"clientKey":"K","task":{"websiteURL":"a.example","type":"ImageToTextTask","body":"iVBO"#)
                .unwrap();
        assert_eq!(image.captcha.unwrap().to_string(), "ImageToTextTask");
        assert_eq!(image.site.unwrap().host().to_string(), "a.example");
        assert!(image.key.is_some() && image.nocache.is_empty());
        for text in [
            "",
            "[",
            r#"{"clientKey":"K""#,
            r#"{"task":{"#,
            r#"{"task":{"body":"iVBO"#,
            r#"{"task":{"type":"#,
            r#"{"task":{"type":"ImageToTextTask""#,
            r#"{"task":{"type":"ImageToTextTas"#,
            r#"{"task":{"type":"ImageToTextTask","type":"ImageToTextTask","#,
            r#"{"task":{"type":"RecaptchaV2Task","body":"iVBO"#,
            r#"{"task":{"type":1,"#,
            r#"{"task":[{"type":"ImageToTextTask"},"#,
            r#"{"task":1,"type":"ImageToTextTask","#,
            r#"{"task":{"a":{"type":"ImageToTextTask"},"#,
        ] {
            assert!(beginning(text).is_none(), "{text}");
        }
    }

    /// Members of an object, some of them given twice or with escapes in their names.
    fn members(names: &'static str, values: &'static str) -> impl Strategy<Value = Vec<String>> {
        let member = (names, values).prop_map(|(name, value)| format!("\"{name}\": {value}"));
        proptest::collection::vec(member, 0..3)
    }

    /// A createTask whose task has a type.
    fn any_task() -> impl Strategy<Value = String> {
        const NAMES: &str = "type|Type|\\\\u0074ype|websiteURL|isEnterprise|body|a";
        const VALUES: &str = "\"(ImageToTextTask|RecaptchaV2Task|https://a\\.example/|\\\\\"|\\},)\"|\\[1\\]|\\{\"type\":\"TurnstileTask\"\\}|1";
        const TOP: &str = "clientKey|a|type|t\\\\u0061sk|Task";
        const OF_TOP: &str = "\"K\"|1|\\[\\{\\}\\]|\\{\"type\":\"ImageToTextTask\"\\}";
        let kind = "\"type\" ?: \"(ImageToTextTask|TurnstileTask|RecaptchaV2Task)\"";
        let task = (members(NAMES, VALUES), kind, members(NAMES, VALUES))
            .prop_map(|(before, kind, after)| [before, vec![kind], after].concat().join(","));
        (members(TOP, OF_TOP), task, members(TOP, OF_TOP)).prop_map(|(before, task, after)| {
            let members = [before, vec![format!("\"task\": {{{task}}}")], after].concat();
            format!("{{{}}}", members.join(" , "))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// What a beginning says is what the whole says, if that can be read; and the whole is a beginning, too.
        #[test]
        fn a_beginning_says_what_the_whole_says(text in any_task(), cut: prop::sample::Index) {
            let names = CaptchaNames::default();
            let request = Request { target: "/createTask", content_type: None, body: text.as_bytes() };
            let whole = read(request, &names).ok().and_then(|whole| whole.captcha);
            let of = |beginning| read_beginning(beginning, &names).and_then(|read| read.captcha);
            let beginning = of(&text.as_bytes()[..cut.index(text.len())]);
            if let (Some(_), Some(_)) = (&beginning, &whole) {
                prop_assert_eq!(&beginning, &whole);
            }
            if let Some(captcha) = whole.filter(|captcha| captcha.kind.is_none()) {
                prop_assert_eq!(of(text.as_bytes()), Some(captcha));
            }
        }

        /// Whatever the bytes are, nothing panics.
        #[test]
        fn any_bytes_can_be_a_beginning(text in "\\{?( ?[\"\\\\{}\\[\\]:,a1]| ?\"task\" ?:| ?\"type\" ?:|\\{){0,20}") {
            let _ = read_beginning(text.as_bytes(), &CaptchaNames::default());
        }
    }
}
