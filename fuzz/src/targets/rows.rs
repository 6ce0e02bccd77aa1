//! What the operator's file holds.

use staffetta::commands::fuzzing::{Read, csv as read_csv, ndjson as read_ndjson};

pub fn ndjson(bytes: &[u8]) {
    sound(read_ndjson(bytes));
}

/// The delimiter in one byte, then the file.
pub fn csv(bytes: &[u8]) {
    let Some((delimiter, file)) = bytes.split_first() else { return };
    if delimiter.is_ascii() && !matches!(delimiter, b'"' | b'\r' | b'\n') {
        sound(read_csv(file, *delimiter));
    }
}

/// Numbers run on without a gap, and what would be sent is one JSON object.
fn sound(rows: Vec<Read>) {
    for (row, expected) in rows.iter().zip(1..) {
        assert_eq!(row.number, expected);
        if let Some(body) = &row.body {
            let parsed: serde_json::Value = serde_json::from_str(body).expect("a row is JSON");
            assert!(parsed.is_object() && !body.contains('\n'));
        }
    }
}
