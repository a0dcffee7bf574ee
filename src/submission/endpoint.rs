//! Which method of the vendor's API a request's path names.

use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

/// One of the vendor's two APIs. A response uses the dialect of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
pub enum Dialect {
    /// The JSON API: `createTask`, `getTaskResult` and the like.
    #[strum(serialize = "json")]
    CreateTask,
    /// `in.php` and `res.php`.
    #[strum(serialize = "legacy")]
    Legacy,
}

impl Dialect {
    /// The field that holds the target page.
    pub fn site_field(self) -> &'static str {
        match self {
            Self::CreateTask => "websiteURL",
            Self::Legacy => "pageurl",
        }
    }
}

/// The API methods that the gateway distinguishes. Everything else is [`Endpoint::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(ascii_case_insensitive)]
pub enum Endpoint {
    /// `/createTask`
    #[strum(serialize = "createTask")]
    CreateTask,
    /// `/getTaskResult`
    #[strum(serialize = "getTaskResult")]
    GetTaskResult,
    /// `/in.php`
    #[strum(serialize = "in.php")]
    In,
    /// `/res.php`
    #[strum(serialize = "res.php")]
    Res,
    /// Any other path.
    #[strum(serialize = "other")]
    Other,
}

impl Endpoint {
    /// The endpoint of a path. A submission must not slip past the rules by its spelling, so the path is percent-decoded
    /// once, dot segments are removed, doubled slashes folded, a trailing slash ignored, and ASCII case too.
    pub fn of(path: &str) -> Self {
        match path {
            "/createTask" => Self::CreateTask,
            "/getTaskResult" => Self::GetTaskResult,
            "/in.php" => Self::In,
            "/res.php" => Self::Res,
            path => Self::of_spelling(path),
        }
    }

    fn of_spelling(path: &str) -> Self {
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        let mut segments: SmallVec<[&str; 4]> = SmallVec::new();
        for segment in decoded.split('/') {
            match segment {
                "" | "." => {}
                ".." => {
                    segments.pop();
                }
                name => segments.push(name),
            }
        }
        match segments[..] {
            [name] => name.parse().unwrap_or(Self::Other),
            _ => Self::Other,
        }
    }

    /// The dialect of the gateway's own responses.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::In | Self::Res => Dialect::Legacy,
            Self::CreateTask | Self::GetTaskResult | Self::Other => Dialect::CreateTask,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint::{self, *};

    #[test]
    fn other_spellings_of_a_path_are_recognised() {
        for (path, endpoint) in [
            ("/createTask", CreateTask),
            ("/getTaskResult", GetTaskResult),
            ("/in.php", In),
            ("/res.php", Res),
            ("/CreateTask/", CreateTask),
            ("//createTask", CreateTask),
            ("/createtask//", CreateTask),
            ("/create%54ask", CreateTask),
            ("/%2FcreateTask", CreateTask),
            ("/x/../createTask", CreateTask),
            ("/./createTask/.", CreateTask),
            ("/x/%2e%2e/createTask", CreateTask),
            ("/IN.PHP", In),
            ("/in%2Ephp", In),
            ("/res.php/", Res),
            ("/getTaskResult/", GetTaskResult),
            ("/", Other),
            ("*", Other),
            ("/createTasks", Other),
            ("/api/createTask", Other),
            ("/create%2554ask", Other),
            ("/getBalance", Other),
        ] {
            assert_eq!(Endpoint::of(path), endpoint, "{path}");
            assert_eq!(Endpoint::of_spelling(path), endpoint, "{path}");
        }
    }
}
