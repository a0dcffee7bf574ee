//! The request to explain, in any form that people have it in: a URL, a body, a raw HTTP request, a curl command line.

use std::{fs, io::Read, path::Path};

use super::output::Failure;
use crate::submission::{Dialect, Endpoint, Request};

/// The request to explain, as the gateway would get it.
#[derive(Debug, PartialEq, Eq)]
pub struct Input {
    pub dialect: Dialect,
    target: String,
    content_type: Option<String>,
    pub body: Vec<u8>,
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
    if is_literal(argument) {
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

/// Whether an argument is a request itself.
fn is_literal(argument: &str) -> bool {
    let argument = argument.trim_start();
    argument.starts_with('{') || argument.starts_with("curl ") || is_form(argument)
}

fn is_form(text: &str) -> bool {
    let mut names = text
        .trim()
        .split('&')
        .map(|pair| pair.split('=').next().unwrap_or_default());
    !text.contains([' ', '\n', '/']) && text.contains('=') && names.any(|name| name.eq_ignore_ascii_case("method"))
        || text.starts_with("key=")
}

fn of_content(content: Vec<u8>) -> Result<Input, Failure> {
    let text = String::from_utf8_lossy(&content);
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let first_line = start.lines().next().unwrap_or_default();
    if start.starts_with("curl ") {
        of_curl(start)
    } else if first_line
        .split(' ')
        .nth(2)
        .is_some_and(|version| version.starts_with("HTTP/"))
    {
        of_raw(&content)
    } else if is_form(start) {
        let body = start.trim_end().as_bytes().to_vec();
        Input::to("/in.php", Some(FORM.to_owned()), body)
    } else {
        Ok(Input::create_task(content))
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

/// A command line of curl as people paste it.
fn of_curl(command: &str) -> Result<Input, Failure> {
    let wrong = |what: &str| Failure::wrong(format!("this curl command cannot be read: {what}"));
    let words = shlex::split(&command.replace("\\\r\n", " ").replace("\\\n", " "))
        .ok_or_else(|| wrong("a quotation mark is not closed"))?;
    let (mut url, mut content_type, mut data, mut is_get) = (None, None, Vec::new(), false);
    let mut words = words.into_iter().skip(1);
    while let Some(word) = words.next() {
        // A short option may have its value attached.
        let short = word
            .get(..2)
            .filter(|short| word.len() > 2 && !word.starts_with("--") && TAKES_VALUE.contains(short));
        let (option, attached) = match (word.split_once('='), short) {
            (Some((option, value)), _) if word.starts_with("--") => (option.to_owned(), Some(value.to_owned())),
            (_, Some(short)) => (short.to_owned(), Some(word[short.len()..].to_owned())),
            _ => (word.clone(), None),
        };
        if !option.starts_with('-') {
            url = Some(word);
            continue;
        }
        let takes_value = TAKES_VALUE.contains(&option.as_str());
        let value = match attached {
            Some(value) => value,
            None if takes_value => words.next().ok_or_else(|| wrong(&format!("{option} has no value")))?,
            None => String::new(),
        };
        match option.as_str() {
            "-d" | "--data" | "--data-raw" | "--data-binary" | "--data-ascii" => {
                if value.starts_with('@') && option != "--data-raw" {
                    return Err(wrong("its body is in a file: explain that file"));
                }
                data.push(value);
            }
            "--json" => {
                content_type = Some("application/json".to_owned());
                data.push(value);
            }
            "--data-urlencode" => {
                let (name, text) = value.split_once('=').unwrap_or(("", &value));
                let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
                data.push(if name.is_empty() {
                    encoded
                } else {
                    format!("{name}={encoded}")
                });
            }
            "-H" | "--header" => {
                let field = value
                    .split_once(':')
                    .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
                content_type = field.map(|(_, value)| value.trim().to_owned()).or(content_type);
            }
            "--url" => url = Some(value),
            "-G" | "--get" => is_get = true,
            "-F" | "--form" | "--form-string" => return Err(wrong("a multipart body is explained as a raw request")),
            _ => {}
        }
    }
    let mut target = target_of(&url.ok_or_else(|| wrong("it has no URL"))?);
    let body = data.join("&");
    if is_get {
        let mark = if target.contains('?') { "&" } else { "?" };
        target = format!("{target}{mark}{body}");
        return Input::to(&target, None, Vec::new());
    }
    let content_type = content_type.or((!body.is_empty()).then(|| FORM.to_owned()));
    Input::to(&target, content_type, body.into_bytes())
}

/// curl's options that take a value, as far as people paste them.
const TAKES_VALUE: [&str; 25] = [
    "-d",
    "--data",
    "--data-raw",
    "--data-binary",
    "--data-ascii",
    "--data-urlencode",
    "--json",
    "-H",
    "--header",
    "-X",
    "--request",
    "--url",
    "-F",
    "--form",
    "--form-string",
    "-A",
    "--user-agent",
    "-o",
    "--output",
    "-x",
    "--proxy",
    "-m",
    "--max-time",
    "-w",
    "--connect-timeout",
];

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
        assert_eq!(of(&format!("{PAIRS}\n")), legacy("/in.php", PAIRS));
        let raw = format!("POST /createTask HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\r\n{JSON}");
        assert_eq!(of(&raw), create(JSON));
        assert_eq!(of(&raw.replace("\r\n", "\n")), create(JSON));
        assert_eq!(
            of(&format!("GET http://h/in.php?{PAIRS} HTTP/1.1\nHost: h\n\n")),
            legacy(&format!("/in.php?{PAIRS}"), "")
        );
        for curl in [
            format!("curl http://127.0.0.1:6622/createTask -d '{JSON}'"),
            format!(
                "curl -sS -X POST \\\n  -H 'Content-Type: application/json' --data-raw '{JSON}' \\\n  https://h/createTask"
            ),
            format!("curl --url=https://h/createTask --json '{JSON}'"),
            format!("curl -m5 -XPOST https://h/createTask '-d{JSON}'"),
        ] {
            assert_eq!(of(&curl), create(JSON), "{curl}");
        }
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

    #[test]
    fn what_is_no_submission_says_so() {
        for text in [
            "curl https://h/getBalance -d '{}'",
            "curl -é=€",
            "curl -d 'x",
            "curl -d @body.json https://h/createTask",
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
