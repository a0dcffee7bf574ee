//! A command line of curl as people paste it: from a shell's history, from a document, from a browser's "Copy as cURL".

use std::ffi::OsStr;

use clap_lex::RawArgs;

/// The request that a command sends, as far as a submission has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CurlRequest {
    /// The URL, with or without a scheme.
    pub url: String,
    /// The value of its Content-Type field.
    pub content_type: Option<String>,
    /// The content.
    pub body: String,
}

/// What the program is called.
pub const NAMES: [&str; 2] = ["curl", "curl.exe"];

const FORM: &str = "application/x-www-form-urlencoded";

/// curl's short options that take a value, and its long ones (`curl --help all`, 8.10).
const SHORT_WITH_VALUE: &str = "AbcCdDeEFHKmoPQrtTuUwxXyYz";
const LONG_WITH_VALUE: &str = "abstract-unix-socket alt-svc aws-sigv4 cacert capath cert cert-type ciphers config \
    connect-timeout connect-to continue-at cookie cookie-jar create-file-mode crlfile curves data data-ascii data-binary \
    data-raw data-urlencode delegation dns-interface dns-ipv4-addr dns-ipv6-addr dns-servers doh-url dump-header ech \
    egd-file engine etag-compare etag-save expect100-timeout form form-string ftp-account ftp-alternative-to-user \
    ftp-method ftp-port ftp-ssl-ccc-mode happy-eyeballs-timeout-ms haproxy-clientip header hostpubmd5 hostpubsha256 hsts \
    interface ip-tos ipfs-gateway json keepalive-cnt keepalive-time key key-type krb libcurl limit-rate local-port \
    login-options mail-auth mail-from mail-rcpt max-filesize max-redirs max-time netrc-file noproxy oauth2-bearer output \
    output-dir parallel-max pass pinnedpubkey preproxy proto proto-default proto-redir proxy proxy-cacert proxy-capath \
    proxy-cert proxy-cert-type proxy-ciphers proxy-crlfile proxy-header proxy-key proxy-key-type proxy-pass \
    proxy-pinnedpubkey proxy-service-name proxy-tls13-ciphers proxy-tlsauthtype proxy-tlspassword proxy-tlsuser \
    proxy-user proxy1.0 pubkey quote random-file range rate referer request request-target resolve retry retry-delay \
    retry-max-time sasl-authzid service-name socks4 socks4a socks5 socks5-gssapi-service socks5-hostname speed-limit \
    speed-time stderr telnet-option tftp-blksize time-cond tls-max tls13-ciphers tlsauthtype tlspassword tlsuser trace \
    trace-ascii trace-config unix-socket upload-file url url-query user user-agent variable vlan-priority write-out";

/// Reads a command line that begins with `curl`, in the quotes of a POSIX shell, of bash (`$'…'`), or of cmd (`^"`).
///
/// # Errors
/// Says why it cannot be read.
pub fn read(command: &str) -> Result<CurlRequest, String> {
    let command = match command.contains("^\"") {
        true => without_carets(command),
        false => with_plain_quotes(&command.replace("\\\r\n", " ").replace("\\\n", " ")),
    };
    let words = shlex::split(&command).ok_or("a quotation mark is not closed")?;
    let mut parts = Parts::default();
    let args = RawArgs::new(words.iter().skip(1));
    let mut cursor = args.cursor();
    while let Some(arg) = args.next(&mut cursor) {
        if let Some((name, attached)) = arg.to_long() {
            let name = name.unwrap_or_default();
            let takes_value = LONG_WITH_VALUE.split(' ').any(|known| known == name);
            let value = attached.or_else(|| takes_value.then(|| args.next_os(&mut cursor)).flatten());
            parts.option(name, takes_value, value)?;
        } else if let Some(mut flags) = arg.to_short() {
            while let Some(Ok(flag)) = flags.next_flag() {
                let takes_value = SHORT_WITH_VALUE.contains(flag);
                let attached = takes_value.then(|| flags.next_value_os()).flatten();
                let value = attached.or_else(|| takes_value.then(|| args.next_os(&mut cursor)).flatten());
                parts.option(flag.encode_utf8(&mut [0; 4]), takes_value, value)?;
            }
        } else {
            parts.words.push(arg.to_value_os().to_string_lossy().into_owned());
        }
    }
    parts.request()
}

/// What the options of a command say.
#[derive(Default)]
struct Parts {
    /// What is no option: the URL, or the value of an option that is not known here.
    words: Vec<String>,
    content_type: Option<String>,
    data: String,
    is_json: bool,
    is_get: bool,
    query: Vec<String>,
}

impl Parts {
    fn option(&mut self, name: &str, takes_value: bool, value: Option<&OsStr>) -> Result<(), String> {
        if takes_value && value.is_none() {
            let dashes = if name.len() > 1 { "--" } else { "-" };
            return Err(format!("{dashes}{name} has no value"));
        }
        let value = value.unwrap_or_default().to_string_lossy().into_owned();
        let in_a_file = Err("its body is in a file: explain that file".to_owned());
        match name {
            "d" | "data" | "data-ascii" | "data-binary" | "json" if value.starts_with('@') => return in_a_file,
            "T" | "upload-file" => return in_a_file,
            "data-urlencode" if !value.contains('=') && value.contains('@') => return in_a_file,
            "F" | "form" | "form-string" => {
                return Err("a multipart body is explained as a raw request".to_owned());
            }
            "d" | "data" | "data-raw" | "data-binary" | "data-ascii" => self.add(&value),
            "json" => {
                self.is_json = true;
                self.data.push_str(&value);
            }
            "data-urlencode" => self.add(&urlencoded(&value)),
            "H" | "header" => {
                if let Some((name, text)) = value.split_once(':')
                    && name.eq_ignore_ascii_case("content-type")
                {
                    self.content_type = Some(text.trim().to_owned());
                }
            }
            "url-query" => self.query.push(
                value
                    .strip_prefix('+')
                    .map_or_else(|| urlencoded(&value), str::to_owned),
            ),
            "url" => self.words.insert(0, value),
            "G" | "get" => self.is_get = true,
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, data: &str) {
        if !self.data.is_empty() {
            self.data.push('&');
        }
        self.data.push_str(data);
    }

    fn request(self) -> Result<CurlRequest, String> {
        let has_scheme = |word: &&String| word.starts_with("http://") || word.starts_with("https://");
        let url = self.words.iter().find(has_scheme).or(self.words.first());
        let url = url.ok_or("it has no URL")?;
        let mut url = url.split('#').next().unwrap_or_default().to_owned();
        let of_body = self.is_get.then_some(&self.data).filter(|data| !data.is_empty());
        for pairs in self.query.iter().chain(of_body) {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(pairs);
        }
        if self.is_get {
            return Ok(CurlRequest {
                url,
                ..CurlRequest::default()
            });
        }
        let default = match self.is_json {
            true => Some("application/json"),
            false => (!self.data.is_empty()).then_some(FORM),
        };
        Ok(CurlRequest {
            url,
            content_type: self.content_type.or(default.map(str::to_owned)),
            body: self.data,
        })
    }
}

/// What `--data-urlencode` makes of `name=text` or `text`.
fn urlencoded(value: &str) -> String {
    let (name, text) = value.split_once('=').unwrap_or(("", value));
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    match name {
        "" => encoded,
        name => format!("{name}={encoded}"),
    }
}

/// A command for cmd without its escapes: a caret before each special character, and before the end of a line.
fn without_carets(command: &str) -> String {
    let mut plain = String::new();
    let mut chars = command.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '^' => match chars.next() {
                Some('\r') => _ = chars.next_if_eq(&'\n'),
                Some('\n') | None => {}
                Some(escaped) => plain.push(escaped),
            },
            char => plain.push(char),
        }
    }
    plain
}

/// A command with bash's `$'…'` in plain single quotes, its escapes decoded: browsers write it for text with a quote or an
/// exclamation mark in it.
fn with_plain_quotes(command: &str) -> String {
    let mut plain = String::new();
    let mut chars = command.chars().peekable();
    let mut quote = None;
    while let Some(char) = chars.next() {
        match (quote, char) {
            (None | Some('"'), '\\') => {
                plain.push(char);
                plain.extend(chars.next());
            }
            (None, '$') if chars.next_if_eq(&'\'').is_some() => {
                plain.push('\'');
                plain.push_str(&ansi_c(&mut chars).replace('\'', r"'\''"));
                plain.push('\'');
            }
            (None, '\'' | '"') => {
                quote = Some(char);
                plain.push(char);
            }
            (Some(open), _) if open == char => {
                quote = None;
                plain.push(char);
            }
            _ => plain.push(char),
        }
    }
    plain
}

/// The text of a `$'…'` up to its end, which is taken.
fn ansi_c(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(char) = chars.next() {
        match char {
            '\'' => break,
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some('x') => text.extend(coded(chars, 16, 2, 0)),
                Some('u') => text.extend(coded(chars, 16, 4, 0)),
                Some('U') => text.extend(coded(chars, 16, 8, 0)),
                Some(octal @ '0'..='7') => text.extend(coded(chars, 8, 2, octal.to_digit(8).unwrap_or_default())),
                Some(escaped) => text.push(escaped),
                None => {}
            },
            char => text.push(char),
        }
    }
    text
}

/// The character of a code with so many further digits at most.
fn coded(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, radix: u32, most: usize, first: u32) -> Option<char> {
    let mut code = first;
    for _ in 0..most {
        match chars
            .next_if(|digit| digit.is_digit(radix))
            .and_then(|digit| digit.to_digit(radix))
        {
            Some(digit) => code = code.wrapping_mul(radix).wrapping_add(digit),
            None => break,
        }
    }
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"clientKey":"K","task":{"type":"RecaptchaV2Task"}}"#;
    const URL: &str = "https://h/createTask";

    #[test]
    fn commands_are_read_as_curl_reads_them() {
        for command in [
            format!("curl {URL} -d '{JSON}'"),
            format!("curl -sS -X POST \\\n  -H 'Content-Type: application/json' --data-raw '{JSON}' \\\n  {URL}"),
            format!("curl --url={URL} --json '{JSON}'"),
            format!("curl -m5 -XPOST {URL} '-d{JSON}'"),
            format!("curl -sX POST {URL} -sd '{JSON}'"),
            format!("curl -isSkLd '{JSON}' -- {URL}"),
            format!("curl -b c=d -u user:pass -e https://r/ -c jar --retry 3 --oauth2-bearer t {URL} -d '{JSON}'"),
            format!("curl {URL} --compressed --an-option-of-tomorrow https://x/y -d '{JSON}'"),
            format!("curl -d \"{}\" {URL}", JSON.replace('"', "\\\"")),
        ] {
            let request = read(&command).unwrap_or_else(|error| panic!("{command}: {error}"));
            assert_eq!((request.url.as_str(), request.body.as_str()), (URL, JSON), "{command}");
        }
        for (command, url) in [
            (
                "curl https://h/in.php --url-query key=K --url-query pageurl=https://a/",
                "https://h/in.php?key=K&pageurl=https%3A%2F%2Fa%2F",
            ),
            ("curl -G https://h/in.php#x -d key=K", "https://h/in.php?key=K"),
            (r"curl $'https://h/\151n.php?k=\U0001F600'", "https://h/in.php?k=😀"),
        ] {
            assert_eq!(read(command).unwrap().url, url, "{command}");
        }
        let form = read("curl https://h/in.php -d key=K -d method=post").unwrap();
        assert_eq!(form.body, "key=K&method=post");
        assert_eq!(form.content_type.as_deref(), Some(FORM));
    }

    /// Chromium's "Copy as cURL (bash)" and "(cmd)", Firefox's "Copy as cURL".
    #[test]
    fn what_browsers_copy_is_read() {
        let body = r#"{"clientKey":"K!","task":{"websiteURL":"https://a.example/it's"}}"#;
        let bash = r#"curl 'https://h/createTask' \
  -H 'accept: */*' \
  -b 'a=b; c="d"' \
  -H 'content-type: application/json' \
  --data-raw $'{"clientKey":"K\u0021","task":{"websiteURL":"https://a.example/it\'s"}}'"#;
        let cmd = "curl ^\"https://h/createTask^\" ^\r\n  -H ^\"accept: */*^\" ^\r\n  \
                   -H ^\"content-type: application/json^\" ^\r\n  --data-raw \
                   ^\"^{^\\^\"clientKey^\\^\":^\\^\"K^!^\\^\",^\\^\"task^\\^\":^{^\\^\"websiteURL^\\^\":^\\^\"https://a.example/it's^\\^\"^}^}^\"";
        for command in [bash, cmd] {
            let request = read(command).unwrap();
            assert_eq!((request.url.as_str(), request.body.as_str()), (URL, body), "{command}");
            assert_eq!(request.content_type.as_deref(), Some("application/json"));
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (command, reason) in [
            ("curl -d 'x", "not closed"),
            ("curl -d x", "no URL"),
            ("curl https://h/createTask -d", "-d has no value"),
            ("curl https://h/createTask --data", "--data has no value"),
            ("curl -d @body.json https://h/createTask", "in a file"),
            ("curl -T body.json https://h/createTask", "in a file"),
            ("curl -F a=b https://h/in.php", "raw request"),
            ("curl -é=€", "no URL"),
        ] {
            let error = read(command).unwrap_err();
            assert!(error.contains(reason), "{command}: {error}");
        }
    }
}
