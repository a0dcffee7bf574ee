//! The id of a task.

use std::fmt;

/// The vendor's id of a task, a number that both dialects share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u64);

impl TaskId {
    /// Reads an id: digits, and not 0, which the vendor sends with an error.
    pub fn of(text: &str) -> Option<Self> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number)?;
        (number != 0).then_some(Self(number))
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_number() {
        for text in ["7654321", "18446744073709551615"] {
            assert_eq!(TaskId::of(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "0",
            "+1",
            "-1",
            "1.0",
            "18446744073709551616",
            "ERROR_ZERO_BALANCE",
            "७",
        ] {
            assert_eq!(TaskId::of(text), None, "{text}");
        }
    }
}
