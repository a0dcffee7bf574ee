//! The path: ASCII, in any case, with doubled slashes and a trailing one.

use super::{Doubt, skeleton};

/// The paths that create a task, in lowercase.
const SUBMISSIONS: [&str; 2] = ["createtask", "in.php"];

/// Refuses a path that is an unusual spelling of one that creates a task.
pub fn check(path: &str) -> Result<(), Doubt> {
    if is_plain(path) {
        return Ok(());
    }
    let (bytes, is_stable) = skeleton::decoded(path.as_bytes());
    if !is_stable {
        return Err(Doubt::Path);
    }
    // Overlong forms of ASCII are not UTF-8.
    let text = str::from_utf8(&bytes).map_err(|_| Doubt::Path)?;
    let folded = skeleton::folded(text);
    let is_submission = |segment: &str| SUBMISSIONS.contains(&cut(segment).as_str());
    if folded.split(['/', '\\']).any(is_submission) {
        return Err(Doubt::Path);
    }
    Ok(())
}

/// Whether a path is `createTask` or `in.php`, spelled plainly.
pub fn is_plain(path: &str) -> bool {
    let name = path.trim_matches('/');
    path.starts_with('/') && SUBMISSIONS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// A segment as a server sees it that cuts parameters, streams and what follows a NUL, and drops what is not seen.
fn cut(segment: &str) -> String {
    let end = segment.find([';', '?', '#', '\0']).unwrap_or(segment.len());
    let segment = &segment[..end];
    let segment = &segment[..segment.find("::").unwrap_or(segment.len())];
    let seen: String = segment.chars().filter(|c| !skeleton::takes_no_place(*c)).collect();
    let is_blank_or_dot = |c: char| c == '.' || c.is_whitespace();
    seen.trim_start().trim_end_matches(is_blank_or_dot).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_spellings_of_a_submissions_path_pass() {
        for (path, is_fine) in [
            ("/createTask", true),
            ("/CREATETASK/", true),
            ("//in.php", true),
            ("/", true),
            ("*", true),
            ("/getTaskResult/", true),
            ("/res.php", true),
            ("/createTasks", true),
            ("/in.phpx", true),
            ("/caf%C3%A9", true),
            ("/create%54ask", false),
            ("/./createTask", false),
            ("/createTask/..", false),
            ("/api/createTask", false),
            ("/createTask.", false),
            ("/createTask%20", false),
            ("/%5ccreateTask;x", false),
            ("/in.php::$DATA", false),
            ("/in.php%00.png", false),
            ("/createTas%E2%84%AA", false),
            ("/%25252525", true),
            ("/%2525252525", false),
            ("/%ff", false),
        ] {
            assert_eq!(check(path).is_ok(), is_fine, "{path}");
        }
    }
}
