//! Limits of what is read. A submission beyond them is [`Unread::Unreadable`]: no client needs as much, and without a limit
//! a body of 32 MiB could take gigabytes of memory for its parameters. Readers stop at a limit.

use super::{Parameter, Parameters, Unread};

/// The most parameters of a query or a form, parts of a multipart body, and members of the top object or the task.
pub const MAX_PARAMETERS: usize = 1_000;
/// The parameters that room is made for at once: few submissions have more.
pub(super) const USUAL_PARAMETERS: usize = 16;
/// The longest name of a parameter or a member, in bytes as written.
pub const MAX_NAME: usize = 4 << 10;
/// The most parameters of one name that decides or of nocache, and the most nocache segments of a key.
pub const MAX_OF_ONE_NAME: usize = 64;

/// Adds a parameter to those that were read.
pub(super) fn push<'a>(items: &mut Vec<Parameter<'a>>, parameter: Parameter<'a>) -> Result<(), Unread> {
    if items.len() == MAX_PARAMETERS {
        return Err(Unread::Unreadable);
    }
    if items.is_empty() {
        items.reserve(USUAL_PARAMETERS);
    }
    items.push(parameter);
    Ok(())
}

/// Checks the length of a name as written.
pub(super) fn name(written: &[u8]) -> Result<&[u8], Unread> {
    Some(written)
        .filter(|written| written.len() <= MAX_NAME)
        .ok_or(Unread::Unreadable)
}

/// Checks how often each of some names is given in all lists together.
pub(super) fn of_one_name(lists: &[Parameters<'_>], names: &[&str]) -> Result<(), Unread> {
    // Most submissions do not have as many parameters at all.
    if lists.iter().map(|list| list.items.len()).sum::<usize>() <= MAX_OF_ONE_NAME {
        return Ok(());
    }
    let count = |name: &&str| lists.iter().map(|list| list.named(name).count()).sum::<usize>();
    if names.iter().any(|name| count(name) > MAX_OF_ONE_NAME) {
        return Err(Unread::Unreadable);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submission::{CaptchaNames, Dialect, Request, read};

    /// Whether a request is within the limits.
    fn is_read(dialect: Dialect, target: &str, content_type: Option<&str>, body: &str) -> bool {
        let request = Request {
            target,
            content_type: content_type.map(str::as_bytes),
            body: body.as_bytes(),
        };
        match read(dialect, request, &CaptchaNames::default()) {
            Ok(_) => true,
            // Given twice; the limits come first.
            Err(Unread::Ambiguous) => true,
            Err(unread) => {
                assert_eq!(unread, Unread::Unreadable);
                false
            }
        }
    }

    #[test]
    fn what_is_beyond_a_limit_is_unreadable() {
        type Case = (&'static str, usize, fn(usize) -> bool);
        let cases: [Case; 16] = [
            ("members at the top", 999, |n| {
                task(&format!("{{{}\"task\":{{}}}}", "\"a\":1,".repeat(n)))
            }),
            ("members of the task", 999, |n| {
                task(&format!("{{\"task\":{{{}\"b\":1}}}}", "\"a\":1,".repeat(n)))
            }),
            ("a name at the top", 4096, |n| {
                task(&format!("{{\"{}\":1,\"task\":{{}}}}", "a".repeat(n)))
            }),
            ("a name in the task", 4096, |n| {
                task(&format!("{{\"task\":{{\"{}\":1}}}}", "a".repeat(n)))
            }),
            ("task", 64, |n| {
                task(&format!("{{\"a\":1{}}}", ",\"task\":{}".repeat(n)))
            }),
            ("nocache", 64, |n| {
                task(&format!("{{\"task\":{{\"a\":1{}}}}}", ",\"nocache\":1".repeat(n)))
            }),
            ("isEnterprise", 64, |n| {
                task(&format!("{{\"task\":{{\"a\":1{}}}}}", ",\"isEnterprise\":1".repeat(n)))
            }),
            ("nocache of a key", 64, |n| {
                task(&format!(
                    "{{\"clientKey\":\"K{}\",\"task\":{{}}}}",
                    "__nocache".repeat(n)
                ))
            }),
            ("parameters of a query", 1000, |n| {
                is_read(Dialect::Legacy, &format!("/in.php?{}", "&&a".repeat(n)), None, "")
            }),
            ("parameters of a form", 1000, |n| form(&"&&a".repeat(n))),
            ("a name of a form", 4096, |n| form(&format!("{}=1", "a".repeat(n)))),
            ("pageurl", 64, |n| form(&"pageurl=a&".repeat(n))),
            ("nocache of a form", 64, |n| form(&"nocache=1&".repeat(n))),
            ("members of legacy JSON", 1000, |n| {
                form(&format!("{{{}}}", vec!["\"a\":1"; n].join(",")))
            }),
            ("parts", 1000, |n| parts(&part("a").repeat(n))),
            ("a name of a part", 4096, |n| parts(&part(&"a".repeat(n)))),
        ];
        for (name, most, is_read) in cases {
            assert!(is_read(most), "{name}: {most}");
            assert!(!is_read(most + 1), "{name}: {}", most + 1);
        }
    }

    #[test]
    fn values_and_empty_pairs_have_no_limit() {
        assert!(form(&format!("{}a={}", "&".repeat(100_000), "b".repeat(1 << 20))));
        assert!(
            form(&format!("a={}", ";a=1".repeat(10_000))),
            "data:image/png;base64, is common"
        );
    }

    fn task(body: &str) -> bool {
        is_read(Dialect::CreateTask, "/createTask", None, body)
    }

    fn form(body: &str) -> bool {
        is_read(Dialect::Legacy, "/in.php", None, body)
    }

    fn part(name: &str) -> String {
        format!("--B\r\nContent-Disposition: form-data; name={name}\r\n\r\n1\r\n")
    }

    fn parts(parts: &str) -> bool {
        let content_type = Some("multipart/form-data; boundary=B");
        is_read(Dialect::Legacy, "/in.php", content_type, &format!("{parts}--B--"))
    }
}
