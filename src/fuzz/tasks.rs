//! What requests and responses say about tasks.

use serde_json::Value;

use crate::{
    submission::Endpoint,
    task::{Call, Opinion, VendorResult, request, response},
};

/// A line with the target, and the body, of a request about a task; and the same body as a response. Another reader of JSON
/// finds the same ids.
pub fn task(data: &[u8]) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let (Some(target), Some(body)) = (lines.next(), lines.next()) else {
        return;
    };
    let Ok(target) = str::from_utf8(target) else {
        return;
    };
    let endpoint = Endpoint::of(target.split('?').next().unwrap_or_default());
    if let Some(request) = request::read(endpoint, target, body) {
        assert!(request::is_about_task(endpoint, target));
        if let Some(task) = request.task() {
            let written = request.id.as_deref().unwrap();
            assert_eq!(written.trim_start_matches('0'), task.to_string());
        }
    }
    for call in [None, Some(Call::Poll), Some(Call::Report(Opinion::Bad))] {
        let result = response::read(call, body);
        let Some(VendorResult::Created(id)) = result else {
            continue;
        };
        assert_eq!(call, None);
        match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(members)) => {
                let is_it =
                    |value: &Value| value.to_string().trim_matches('"').trim_start_matches('0') == id.to_string();
                assert!(members.values().any(is_it), "{id}");
            }
            _ => assert!(body.trim_ascii().starts_with(b"OK|"), "{id}"),
        }
    }
}
