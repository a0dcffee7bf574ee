//! `in.php` in its five shapes: GET with a query; POST with a query and no body; an urlencoded body; a multipart body; a
//! JSON body. Parameters may be split between query and body, so both are read.
//! (The vendor documents one example, <https://docs.capmonster.cloud/docs/api/token-accept/>; the rest is 2captcha's protocol.)

use super::{
    Dialect, Lists, NocacheValue, ParameterRef, Parameters, Request, Scalar, Site, SiteError, Submission, Syntax,
    Unread, Wishes, captcha, form, json::Document, key_suffix, limits, multipart,
};

/// Reads an `in.php` request.
pub fn read(request: Request<'_>) -> Result<Submission<'_>, Unread> {
    let mut lists = Lists::new();
    lists.push(form::whole_query(request.target)?);
    lists.extend(body(&request)?);
    limits::of_one_name(&lists, &DECIDING)?;
    limits::of_one_name(&lists, &["nocache"])?;
    let all = All(&lists);
    let key = all.named("key").next();
    if let Some(key) = key {
        let list = &lists[key.list];
        key_suffix::check(list, &list.items[key.parameter])?;
    }

    let method = all.only("method")?;
    let url = all.only("pageurl")?;
    let version = all.last("version");
    let enterprise = all.last("enterprise");
    let is_v3 = version.as_ref().and_then(Scalar::as_text).is_some_and(is_v3);
    let is_enterprise = enterprise.as_ref().is_some_and(Scalar::is_on);

    Ok(Submission {
        dialect: Dialect::Legacy,
        captcha: method
            .as_ref()
            .and_then(Scalar::as_text)
            .map(|method| captcha::of_method(method, is_v3, is_enterprise)),
        doubt: None,
        site: match &url {
            None | Some(Scalar::Bare("null")) => Err(SiteError::Missing),
            Some(Scalar::Text(text)) => Site::parse(text),
            Some(_) => Err(SiteError::Bad),
        },
        wishes: Wishes::of_lists(&lists),
        nocache_list: ["method", "key"]
            .into_iter()
            .find_map(|name| all.named(name).next())
            .map_or(0, |at| at.list),
        key,
        nocache: all
            .named("nocache")
            .filter(|at| says_something(&lists[at.list], at.parameter))
            .collect(),
        lists,
    })
}

/// The parameters that decide.
const DECIDING: [&str; 4] = ["method", "version", "enterprise", "pageurl"];

/// Whether a version is v3.
pub(super) fn is_v3(version: &str) -> bool {
    version.eq_ignore_ascii_case("v3") || version == "3"
}

/// Whether a nocache parameter says something. An odd value does in JSON only: elsewhere it may be the end of a page's URL
/// that is not encoded, such as `https://a.example/?nocache=1732540000123`.
fn says_something(list: &Parameters<'_>, nocache: usize) -> bool {
    list.syntax == Syntax::Json || NocacheValue::of(&list.scalar(&list.items[nocache])) != NocacheValue::Odd
}

/// The body's parameters. Its first byte tells JSON from a form; the Content-Type gives only a multipart boundary.
fn body<'a>(request: &Request<'a>) -> Result<Option<Parameters<'a>>, Unread> {
    let body = request.body;
    if body.is_empty() {
        return Ok(None);
    }
    if let Some(boundary) = request.content_type.and_then(multipart::boundary) {
        return multipart::body(body, boundary?).map(Some);
    }
    match is_json(body) {
        true => Document::new(body)?.top().map(Some),
        false => form::body(body).map(Some),
    }
}

/// Whether a body is read as JSON: by its first byte, after a byte order mark and white space.
pub(super) fn is_json(body: &[u8]) -> bool {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    text.trim_ascii_start().first() == Some(&b'{')
}

/// The parameters of all lists together, the query's first.
struct All<'l, 'a>(&'l [Parameters<'a>]);

impl<'a> All<'_, 'a> {
    fn named(&self, name: &str) -> impl DoubleEndedIterator<Item = ParameterRef> {
        let lists = self.0.iter().enumerate();
        lists.flat_map(move |(list, parameters)| {
            parameters
                .named(name)
                .map(move |parameter| ParameterRef { list, parameter })
        })
    }

    fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = Scalar<'a>> {
        self.named(name).map(|at| {
            let list = &self.0[at.list];
            list.scalar(&list.items[at.parameter])
        })
    }

    fn last(&self, name: &str) -> Option<Scalar<'a>> {
        self.values(name).next_back()
    }

    /// The value of a parameter that decides. Given twice with different values, it is ambiguous.
    fn only(&self, name: &str) -> Result<Option<Scalar<'a>>, Unread> {
        let mut values = self.values(name);
        let first = values.next();
        match values.any(|other| Some(&other) != first.as_ref()) {
            true => Err(Unread::Ambiguous),
            false => Ok(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submission::Kind;

    fn request<'a>(target: &'a str, content_type: Option<&'a str>, body: &'a str) -> Request<'a> {
        Request {
            target,
            content_type: content_type.map(str::as_bytes),
            body: body.as_bytes(),
        }
    }

    fn key(submission: &Submission<'_>) -> String {
        let (list, parameter) = submission.parameter(submission.key.unwrap());
        list.scalar(parameter).as_text().unwrap().to_owned()
    }

    #[test]
    fn the_five_shapes_say_the_same() {
        let multipart = "--B\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\nuserrecaptcha\r\n\
            --B\r\nContent-Disposition: form-data; name=pageURL\r\n\r\nhttps://a.example/x\r\n\
            --B\r\nContent-Disposition: form-data; name=key\r\n\r\nK\r\n--B--\r\n";
        let query = "/in.php?key=K&method=userrecaptcha&pageurl=https://a.example/x";
        for (request, list) in [
            (request(query, None, ""), 0),
            (
                request(
                    "/in.php",
                    None,
                    "key=K&method=UserRecaptcha&pageurl=https%3A%2F%2Fa.example/x",
                ),
                1,
            ),
            (
                request(
                    "/in.php?key=K",
                    Some("text/html"),
                    "method=userrecaptcha&PageURL=a.example/x",
                ),
                1,
            ),
            (
                request("/in.php?pageurl=a.example/x&method=userrecaptcha", None, "key=K"),
                0,
            ),
            (
                request("/in.php", Some("multipart/form-data; boundary=B"), multipart),
                1,
            ),
            (
                request(
                    "/in.php",
                    None,
                    r#" {"key":"K","method":"userrecaptcha","pageurl":"https:\/\/a.example\/x"}"#,
                ),
                1,
            ),
        ] {
            let submission = read(request).unwrap();
            assert_eq!(
                submission.captcha.as_ref().unwrap().kind,
                Some(Kind::RecaptchaV2),
                "{request:?}"
            );
            assert_eq!(
                submission.site.as_ref().unwrap().to_string(),
                "a.example/x",
                "{request:?}"
            );
            assert_eq!(submission.nocache_list, list, "{request:?}");
            assert_eq!(key(&submission), "K", "{request:?}");
        }
    }

    #[test]
    fn version_and_enterprise_tell_the_kind() {
        for (query, kind) in [
            ("version=v2&enterprise=0", Kind::RecaptchaV2),
            ("version=v3", Kind::RecaptchaV3),
            ("version=3", Kind::RecaptchaV3),
            ("version=V3", Kind::RecaptchaV3),
            ("version=v33", Kind::RecaptchaV2),
            ("enterprise=TRUE", Kind::RecaptchaV2Enterprise),
            ("enterprise=yes", Kind::RecaptchaV2),
            ("version=v3&enterprise=1", Kind::RecaptchaV3Enterprise),
            ("enterprise=true", Kind::RecaptchaV2Enterprise),
        ] {
            let target = format!("/in.php?method=userrecaptcha&{query}");
            let submission = read(request(&target, None, "")).unwrap();
            assert_eq!(submission.captcha.unwrap().kind, Some(kind), "{query}");
        }
        assert_eq!(read(request("/in.php?key=K", None, "")).unwrap().captcha, None);
        assert!(read(request("/in.php?json=True", None, "")).unwrap().wishes.json);
    }

    #[test]
    fn multipart_with_bare_line_feeds_is_read() {
        let body = "--B\nContent-Disposition: form-data; name=method\n\na\nb\n--B\nContent-Disposition: form-data; name=x\n\n\n--B--\n";
        let read = |body: &str| {
            let submission = read(request("/in.php", Some("multipart/form-data; boundary=B"), body)).unwrap();
            let list = &submission.lists[1];
            list.scalar(&list.items[0]).as_text().unwrap().to_owned()
        };
        assert_eq!(read(body), "a\nb");
        assert_eq!(read(&body.replace('\n', "\r\n")), "a\r\nb");
    }

    #[test]
    fn a_parameter_given_twice_with_two_values_is_ambiguous() {
        for (target, expected) in [
            ("/in.php?method=a&method=b", Some(Unread::Ambiguous)),
            ("/in.php?pageurl=a&pageurl=b", Some(Unread::Ambiguous)),
            ("/in.php?method=a&METHOD=a&pageurl=x&pageurl=%78", None),
        ] {
            assert_eq!(read(request(target, None, "")).err(), expected, "{target}");
        }
        let submission = read(request("/in.php?key=A&nocache=1", None, "key=B&nocache=0")).unwrap();
        assert_eq!(key(&submission), "A");
        assert_eq!(submission.nocache_value(), Some(crate::submission::NocacheValue::Off));
    }
}
