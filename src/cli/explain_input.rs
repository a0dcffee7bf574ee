//! The request to explain, in any form that people have it in: a URL, a body, a raw HTTP request, a curl command line.

use std::{borrow::Cow, fs, io::Read, path::Path};

use super::{curl_command, output::Failure};
use crate::{
    rewrite,
    rules::RuleSet,
    submission::{Dialect, Endpoint, Request, Submission, Unread, plain_shape::Sent},
};

/// The request to explain, as the gateway would get it.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    dialect: Dialect,
    target: String,
    content_type: Option<String>,
    body: Vec<u8>,
}

impl Input {
    /// As the core reads it.
    pub fn request(&self) -> Request<'_> {
        Request {
            target: &self.target,
            content_type: self.content_type.as_deref().map(str::as_bytes),
            body: &self.body,
        }
    }

    /// What the core makes of it.
    pub fn read(&self, rules: &RuleSet) -> Result<Submission<'_>, Unread> {
        rewrite::read(
            self.dialect,
            self.request(),
            &Sent::usual(self.dialect, &self.body),
            rules,
        )
    }

    fn create_task(body: Vec<u8>) -> Self {
        Self {
            dialect: Dialect::CreateTask,
            target: "/createTask".to_owned(),
            content_type: None,
            body,
        }
    }

    /// A request for a target, in the dialect of its path.
    fn to(target: &str, content_type: Option<String>, body: Vec<u8>) -> Result<Self, Failure> {
        let path = target.split('?').next().unwrap_or_default();
        let dialect = match Endpoint::of(path) {
            Endpoint::CreateTask => Dialect::CreateTask,
            Endpoint::In => Dialect::Legacy,
            _ => {
                return Err(Failure::wrong(
                    "this request is no submission: createTask and in.php are, and everything else is forwarded as sent",
                ));
            }
        };
        Ok(Self {
            dialect,
            target: target.to_owned(),
            content_type,
            body,
        })
    }
}

/// The request that an argument is, or names: "-" is stdin.
pub fn read(argument: &str) -> Result<Input, Failure> {
    if argument == "-" {
        let mut content = Vec::new();
        std::io::stdin().read_to_end(&mut content).map_err(Failure::failed)?;
        return of_content(content);
    }
    if Shape::of(argument.as_bytes()).is_some() {
        return of_content(argument.as_bytes().to_vec());
    }
    if argument.contains("://") {
        return of_url(argument);
    }
    match fs::read(Path::new(argument)) {
        Ok(content) => of_content(content),
        // Nobody names a file like a site.
        Err(_) if argument.contains('.') && !argument.contains(['/', '\\']) && !argument.ends_with(".json") => {
            Err(page(&format!("https://{argument}/")))
        }
        Err(error) => Err(Failure::wrong(format!("{argument} cannot be read: {error}"))),
    }
}

/// What a text shows that it is.
enum Shape {
    Json,
    Form,
    Raw,
    Curl,
}

impl Shape {
    fn of(content: &[u8]) -> Option<Self> {
        let text = start_of(content);
        let first_line = text.lines().next().unwrap_or_default();
        let version = first_line.split(' ').nth(2).unwrap_or_default();
        if text.starts_with('{') {
            Some(Self::Json)
        } else if curl_command::NAMES
            .iter()
            .any(|name| text.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))
        {
            Some(Self::Curl)
        } else if version.starts_with("HTTP/") {
            Some(Self::Raw)
        } else {
            is_form(&text).then_some(Self::Form)
        }
    }
}

/// Without a byte order mark and white space.
fn start_of(content: &[u8]) -> Cow<'_, str> {
    let text = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    String::from_utf8_lossy(text.trim_ascii_start())
}

/// Whether a text is a legacy form: names and values without white space, "method" or "key" among them. A path has a slash
/// before its first "=".
fn is_form(text: &str) -> bool {
    let text = text.trim();
    let before = text.split('=').next().unwrap_or_default();
    let mut names = text
        .split('&')
        .map(|pair| pair.split('=').next().unwrap_or_default().to_ascii_lowercase());
    before.len() < text.len()
        && !before.contains(['/', '\\', '.', ':'])
        && !text.contains([' ', '\n'])
        && names.any(|name| name == "method" || name == "key")
}

fn of_content(content: Vec<u8>) -> Result<Input, Failure> {
    match Shape::of(&content) {
        Some(Shape::Curl) => of_curl(&start_of(&content)),
        Some(Shape::Raw) => of_raw(&content),
        Some(Shape::Form) => {
            let body = start_of(&content).trim_end().as_bytes().to_vec();
            Input::to("/in.php", Some(FORM.to_owned()), body)
        }
        Some(Shape::Json) | None => Ok(Input::create_task(content)),
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn of_url(url: &str) -> Result<Input, Failure> {
    let target = target_of(url);
    let path = target.split('?').next().unwrap_or_default();
    if Endpoint::of(path) == Endpoint::Other {
        return Err(page(url));
    }
    Input::to(&target, None, Vec::new())
}

/// The target in origin form, as a client would send it.
fn target_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let target = rest.find('/').map_or("/", |slash| &rest[slash..]);
    target.split('#').next().unwrap_or(target).to_owned()
}

fn page(url: &str) -> Failure {
    Failure::wrong(format!(
        "that is a page, not a request: did you mean explain --site {url}? A legacy request has the path /in.php"
    ))
}

/// A request as it is on the wire; line ends may be those of a text file.
fn of_raw(content: &[u8]) -> Result<Input, Failure> {
    let end = |mark: &[u8]| {
        content
            .windows(mark.len())
            .position(|window| window == mark)
            .map(|at| (at, at + mark.len()))
    };
    let (head, body) = match end(b"\r\n\r\n").into_iter().chain(end(b"\n\n")).min() {
        Some((head, body)) => (&content[..head], &content[body..]),
        None => (content, &b""[..]),
    };
    let head = String::from_utf8_lossy(head);
    let mut lines = head.trim_start().lines();
    let target = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let target = match target.contains("://") {
        true => target_of(target),
        false => target.to_owned(),
    };
    let content_type = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-type")
            .then(|| value.trim().to_owned())
    });
    Input::to(&target, content_type, body.to_vec())
}

fn of_curl(command: &str) -> Result<Input, Failure> {
    let request = curl_command::read(command)
        .map_err(|reason| Failure::wrong(format!("this curl command cannot be read: {reason}")))?;
    Input::to(
        &target_of(&request.url),
        request.content_type,
        request.body.into_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"clientKey":"K","task":{"type":"RecaptchaV2Task"}}"#;
    const PAIRS: &str = "key=K&method=userrecaptcha&pageurl=https://a.example/";

    fn of(text: &str) -> (Dialect, String, String) {
        let input = of_content(text.as_bytes().to_vec()).unwrap_or_else(|_| panic!("{text}"));
        (input.dialect, input.target, String::from_utf8(input.body).unwrap())
    }

    #[test]
    fn requests_are_understood_in_every_form() {
        let create = |body: &str| (Dialect::CreateTask, "/createTask".to_owned(), body.to_owned());
        let legacy = |target: &str, body: &str| (Dialect::Legacy, target.to_owned(), body.to_owned());
        assert_eq!(of(JSON), create(JSON));
        for pairs in [
            PAIRS.to_owned(),
            PAIRS.replacen("key=K&", "", 1),
            PAIRS.replacen("key=K&", "json=1&key=K&", 1),
        ] {
            assert_eq!(of(&format!("{pairs}\n")), legacy("/in.php", &pairs));
        }
        let raw = format!("POST /createTask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\r\n{JSON}");
        assert_eq!(of(&raw), create(JSON));
        assert_eq!(of(&raw.replace("\r\n", "\n")), create(JSON));
        assert_eq!(
            of(&format!("GET http://h/in.php?{PAIRS} HTTP/1.1\nHost: h\n\n")),
            legacy(&format!("/in.php?{PAIRS}"), "")
        );
        let curl =
            "curl -G https://h/in.php -d key=K -d method=userrecaptcha --data-urlencode pageurl=https://a.example/";
        assert_eq!(
            of(curl),
            legacy(
                "/in.php?key=K&method=userrecaptcha&pageurl=https%3A%2F%2Fa.example%2F",
                ""
            )
        );
        let curl = format!("curl 'https://h/in.php?{PAIRS}'");
        assert_eq!(of(&curl), legacy(&format!("/in.php?{PAIRS}"), ""));
    }

    /// Nobody has to put it in a file first.
    #[test]
    fn requests_are_arguments() {
        for argument in [
            JSON.to_owned(),
            PAIRS.replacen("key=K&", "", 1),
            format!("POST /createTask HTTP/1.1\r\nHost: x\r\n\r\n{JSON}"),
            format!("curl https://h/createTask -d '{JSON}'"),
            format!("https://h/in.php?{PAIRS}"),
        ] {
            assert!(read(&argument).is_ok(), "{argument}");
        }
        for argument in ["bodies/method=post", "./key=1&method=2", "C:\\key=1", "body.json"] {
            assert!(Shape::of(argument.as_bytes()).is_none(), "{argument}");
        }
    }

    #[test]
    fn what_is_no_submission_says_so() {
        for text in [
            "curl https://h/getBalance -d '{}'",
            "curl -d 'x",
            "GET /res.php HTTP/1.1\n\n",
        ] {
            assert!(of_content(text.as_bytes().to_vec()).is_err(), "{text}");
        }
        for argument in [
            "https://a.example/",
            "https://a.example/login?next=/in.php",
            "a.example",
        ] {
            assert!(read(argument).is_err(), "{argument}");
        }
    }
}
