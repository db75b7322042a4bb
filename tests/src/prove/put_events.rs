//! A bus that takes some of the events put to it and refuses the others, each by itself, as EventBridge may.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::Result;

/// The request without the refused events, and which those are; none if `which` (bit by bit) takes all or nothing.
pub(super) fn some(body: &[u8], which: u16) -> Option<(Bytes, Vec<bool>)> {
    let mut request: Value = serde_json::from_slice(body).ok()?;
    let entries = request["Entries"].as_array_mut()?;
    let refused: Vec<_> = (0..entries.len()).map(|index| which >> (index % 16) & 1 == 0).collect();
    if refused.iter().all(|&refused| refused) || !refused.contains(&true) {
        return None;
    }
    let mut place = 0;
    entries.retain(|_| {
        place += 1;
        !refused[place - 1]
    });
    Some((Bytes::from(request.to_string()), refused))
}

/// The whole answer to the whole request, in its order.
pub(super) fn answer(of_the_taken: &[u8], refused: &[bool]) -> Result<Bytes> {
    let mut answer: Value = serde_json::from_slice(of_the_taken)?;
    let mut taken = answer["Entries"].as_array().cloned().unwrap_or_default().into_iter();
    let entries = refused.iter().map(|&refused| {
        if refused {
            Some(json!({ "ErrorCode": "InternalFailure", "ErrorMessage": "as planned" }))
        } else {
            taken.next()
        }
    });
    let entries =
        entries.collect::<Option<Vec<_>>>().ok_or("the bus answered for fewer events than it got")?;
    let failed = entries.iter().filter(|entry| entry.get("ErrorCode").is_some()).count();
    answer["Entries"] = Value::Array(entries);
    answer["FailedEntryCount"] = json!(failed);
    Ok(Bytes::from(answer.to_string()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_answered_for_in_its_place() {
        let body =
            json!({ "Entries": [{ "Detail": "a" }, { "Detail": "b" }, { "Detail": "c" }] }).to_string();
        let (sent, refused) = some(body.as_bytes(), 0b101).unwrap();
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(sent["Entries"], json!([{ "Detail": "a" }, { "Detail": "c" }]));
        let took = json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "1" }, { "EventId": "3" }] });
        let answer: Value =
            serde_json::from_slice(&answer(took.to_string().as_bytes(), &refused).unwrap()).unwrap();
        assert_eq!(answer["FailedEntryCount"], 1);
        assert_eq!(answer["Entries"][0]["EventId"], "1");
        assert_eq!(answer["Entries"][1]["ErrorCode"], "InternalFailure");
        assert_eq!(answer["Entries"][2]["EventId"], "3");
    }
}
