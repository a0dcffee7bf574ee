//! Which method of the vendor's API a request's path names.

use percent_encoding::percent_decode_str;

/// The API that a request speaks, and that its answer has to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// The JSON API: `createTask`, `getTaskResult` and their kin.
    CreateTask,
    /// `in.php` and `res.php`.
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

/// The methods that the gateway tells apart. Everything else is [`Endpoint::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/createTask`
    CreateTask,
    /// `/getTaskResult`
    GetTaskResult,
    /// `/in.php`
    In,
    /// `/res.php`
    Res,
    /// Any other path.
    Other,
}

impl Endpoint {
    /// Reads a path generously, since a submission must not slip past the rules by its spelling: percent-decoded once,
    /// dot segments removed, doubled slashes folded, a trailing slash ignored, ASCII case-insensitively.
    pub fn of(path: &str) -> Self {
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        let mut segments: Vec<&str> = Vec::new();
        for segment in decoded.split('/') {
            match segment {
                "" | "." => {}
                ".." => {
                    segments.pop();
                }
                name => segments.push(name),
            }
        }
        let [name] = segments[..] else {
            return Self::Other;
        };
        [
            ("createTask", Self::CreateTask),
            ("getTaskResult", Self::GetTaskResult),
            ("in.php", Self::In),
            ("res.php", Self::Res),
        ]
        .into_iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known))
        .map_or(Self::Other, |(_, endpoint)| endpoint)
    }

    /// The dialect in which an answer of the gateway's own has to be given.
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
    fn paths_are_read_generously() {
        for (path, endpoint) in [
            ("/createTask", CreateTask),
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
        }
    }
}
