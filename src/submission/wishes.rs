//! How a client of the legacy API wants its responses (<https://2captcha.com/2captcha-api>).

use super::{Parameters, Request, Scalar, form, json::Document, legacy, multipart};

/// What a client asks of the form of its responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// `json`: a JSON object instead of plain text.
    pub json: bool,
    /// `header_acao`: a field that lets a page of any origin read the response.
    pub any_origin: bool,
}

const JSON: &str = "json";
const HEADER_ACAO: &str = "header_acao";

impl Wishes {
    /// The wishes in the query of a request target.
    pub fn of_query(target: &str) -> Self {
        let mut wishes = Self::default();
        wishes.add_pairs(target.as_bytes(), form::query_start(target.as_bytes()));
        wishes
    }

    /// The wishes in a request, query and body. Its body may be cut off: what can be read of it counts.
    pub fn of(request: &Request<'_>) -> Self {
        let mut wishes = Self::of_query(request.target);
        let body = request.body;
        if let Some(boundary) = request.content_type.and_then(multipart::boundary) {
            if let Ok(boundary) = boundary {
                wishes.add_parts(body, boundary);
            }
        } else if !legacy::is_json(body) {
            wishes.add_pairs(body, 0);
        } else if let Ok(list) = Document::new(body).and_then(|document| document.top()) {
            wishes.add(&list);
        }
        wishes
    }

    /// The wishes in parameters that were read, the last of each name.
    pub(super) fn of_lists(lists: &[Parameters<'_>]) -> Self {
        let mut wishes = Self::default();
        lists.iter().for_each(|list| wishes.add(list));
        wishes
    }

    fn add(&mut self, list: &Parameters<'_>) {
        for name in [JSON, HEADER_ACAO] {
            if let Some(last) = list.named(name).last() {
                self.set(name, list.scalar(&list.items[last]).is_on());
            }
        }
    }

    fn add_pairs(&mut self, source: &[u8], start: usize) {
        for (name, raw) in form::pairs_named(source, start, form::Separators::Ampersand, &[JSON, HEADER_ACAO]) {
            self.set(name, Scalar::Text(form::decode(raw)).is_on());
        }
    }

    /// The parts that are there as a whole: a body that is cut off is closed after the last of them.
    fn add_parts(&mut self, body: &[u8], boundary: String) {
        let delimiter = format!("--{boundary}");
        let Some(end) = memchr::memmem::rfind(body, delimiter.as_bytes()) else {
            return;
        };
        let whole = [&body[..end], delimiter.as_bytes(), b"--"].concat();
        if let Ok(list) = multipart::body(&whole, boundary) {
            self.add(&list);
        }
    }

    fn set(&mut self, name: &str, is_on: bool) {
        match name {
            JSON => self.json = is_on,
            _ => self.any_origin = is_on,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_found_wherever_they_are() {
        let parts = "--B\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n1\r\n\
            --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
        let multipart = Some("multipart/form-data; boundary=B");
        for (target, content_type, body, json, any_origin) in [
            ("/in.php", None, "", false, false),
            ("/in.php?json=1", None, "", true, false),
            ("/in.php?JSON=True&header_acao=1", None, "", true, true),
            ("/in.php?json=1", None, "a=b&json=0", false, false),
            ("/res.php", None, "action=get&json=1", true, false),
            ("/res.php", None, r#"{"json":1,"header_acao":"1"}"#, true, true),
            ("/in.php", multipart, parts, true, false),
            // Cut off.
            ("/in.php", None, "json=1&body=aaaa", true, false),
            ("/in.php?header_acao=1", None, r#"{"json":1,"body":"aaa"#, false, true),
            ("/in.php", multipart, &parts[..40], false, false),
            ("/in.php", multipart, &format!("{parts}aaaa"), true, false),
        ] {
            let wishes = Wishes::of(&Request {
                target,
                content_type: content_type.map(str::as_bytes),
                body: body.as_bytes(),
            });
            assert_eq!(wishes, Wishes { json, any_origin }, "{target} {body}");
        }
    }
}
