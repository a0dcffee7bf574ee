//! The vendor's error codes.

use std::fmt;

/// One of the vendor's codes, or `other`: what is counted by code must not grow with what a stranger sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(&'static str);

/// Those of the JSON API (<https://docs.capmonster.cloud/docs/api/api-errors/>) and of the legacy one
/// (<https://2captcha.com/2captcha-api#error_handling>), sorted.
const KNOWN: [&str; 54] = [
    "ERROR_BAD_DUPLICATES",
    "ERROR_BAD_PARAMETERS",
    "ERROR_BAD_PROXY",
    "ERROR_BAD_TOKEN_OR_PAGEURL",
    "ERROR_CAPTCHAIMAGE_BLOCKED",
    "ERROR_CAPTCHA_ID",
    "ERROR_CAPTCHA_UNSOLVABLE",
    "ERROR_DOMAIN_NOT_ALLOWED",
    "ERROR_DUPLICATE_REPORT",
    "ERROR_EMPTY_ACTION",
    "ERROR_GOOGLEKEY",
    "ERROR_IMAGE_TYPE_NOT_SUPPORTED",
    "ERROR_INVALID_TASK",
    "ERROR_IP_ADDRES",
    "ERROR_IP_BANNED",
    "ERROR_IP_BLOCKED",
    "ERROR_IP_NOT_ALLOWED",
    "ERROR_KEY_DOES_NOT_EXIST",
    "ERROR_NO_SLOT_AVAILABLE",
    "ERROR_NO_SUCH_CAPCHA_ID",
    "ERROR_NO_SUCH_METHOD",
    "ERROR_PAGEURL",
    "ERROR_PROXY_BANNED",
    "ERROR_PROXY_CONNECTION_FAILED",
    "ERROR_PROXY_CONNECT_REFUSED",
    "ERROR_PROXY_CREDENTIALS_INVALID_CHARACTER",
    "ERROR_PROXY_MISSING",
    "ERROR_PROXY_NOT_AUTHORISED",
    "ERROR_PROXY_READ_TIMEOUT",
    "ERROR_RECAPTCHA_INVALID_DOMAIN",
    "ERROR_RECAPTCHA_INVALID_SITEKEY",
    "ERROR_RECAPTCHA_TIMEOUT",
    "ERROR_REPORT_NOT_RECORDED",
    "ERROR_SERVICE_NOT_AVAILABLE",
    "ERROR_TASK_ABSENT",
    "ERROR_TASK_NOT_SUPPORTED",
    "ERROR_TOKEN_EXPIRED",
    "ERROR_TOO_BIG_CAPTCHA_FILESIZE",
    "ERROR_TOO_MUCH_REQUESTS",
    "ERROR_UPLOAD",
    "ERROR_WRONG_CAPTCHA_ID",
    "ERROR_WRONG_FILE_EXTENSION",
    "ERROR_WRONG_GOOGLEKEY",
    "ERROR_WRONG_ID_FORMAT",
    "ERROR_WRONG_USERAGENT",
    "ERROR_WRONG_USER_KEY",
    "ERROR_ZERO_BALANCE",
    "ERROR_ZERO_CAPTCHA_FILESIZE",
    "IP_BANNED",
    "MAX_USER_TURN",
    "REPORT_NOT_RECORDED",
    "TOO_MANY_BAD_IMAGES",
    "WRONG_CAPTCHA_ID",
    OTHER,
];

const OTHER: &str = "other";

impl ErrorCode {
    /// A code by its name.
    pub fn of(name: &str) -> Self {
        let known = KNOWN.binary_search(&name).map(|index| KNOWN[index]);
        Self(known.unwrap_or(OTHER))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_and_what_is_unknown_is_other() {
        assert!(KNOWN.is_sorted());
        for name in KNOWN {
            assert_eq!(ErrorCode::of(name).name(), name);
        }
        assert_eq!(ErrorCode::of("0123456789abcdef0123456789abcdef").name(), "other");
    }
}
