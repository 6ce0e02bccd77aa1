//! Fingerprints as the Avro specification computes them, written from its text alone.
//!
//! apache-avro leaves out the namespaces that nested types inherit, so its own fingerprints differ from
//! the specification's and from Java's.

use serde_json::Value;

const NAMESPACE: &str = "it.staffetta";
const PRIMITIVES: [&str; 8] =
    ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// CRC-64-AVRO of the parsing canonical form, little-endian.
pub fn fingerprint(text: &str) -> Vec<u8> {
    let schema: Value = serde_json::from_str(text).expect("JSON");
    crc_64_avro(form(&schema).as_bytes()).to_le_bytes().to_vec()
}

fn crc_64_avro(bytes: &[u8]) -> u64 {
    const EMPTY: u64 = 0xc15d_213a_a4d7_a795;
    let step = |print: u64| (print >> 1) ^ if print & 1 == 1 { EMPTY } else { 0 };
    bytes.iter().fold(EMPTY, |print, byte| {
        let entry = (0..8).fold((print ^ u64::from(*byte)) & 0xff, |entry, _| step(entry));
        (print >> 8) ^ entry
    })
}

fn form(schema: &Value) -> String {
    match schema {
        Value::String(name) if PRIMITIVES.contains(&name.as_str()) => format!("\"{name}\""),
        Value::String(name) => full(name),
        Value::Array(branches) => format!("[{}]", list(branches, form)),
        Value::Object(_) => complex(schema),
        Value::Null | Value::Bool(_) | Value::Number(_) => panic!("no schema: {schema}"),
    }
}

fn complex(schema: &Value) -> String {
    let name = || full(schema["name"].as_str().expect("a name"));
    match schema["type"].as_str() {
        Some("record") => {
            let field =
                |it: &Value| format!("{{\"name\":{},\"type\":{}}}", it["name"], form(&it["type"]));
            let fields = list(schema["fields"].as_array().expect("fields"), field);
            format!("{{\"name\":{},\"type\":\"record\",\"fields\":[{fields}]}}", name())
        }
        Some("enum") => {
            let symbols = list(schema["symbols"].as_array().expect("symbols"), Value::to_string);
            format!("{{\"name\":{},\"type\":\"enum\",\"symbols\":[{symbols}]}}", name())
        }
        Some("array") => format!("{{\"type\":\"array\",\"items\":{}}}", form(&schema["items"])),
        Some("map") => format!("{{\"type\":\"map\",\"values\":{}}}", form(&schema["values"])),
        Some(_) | None => form(&schema["type"]),
    }
}

fn full(name: &str) -> String {
    if name.contains('.') { format!("\"{name}\"") } else { format!("\"{NAMESPACE}.{name}\"") }
}

fn list(items: &[Value], each: impl Fn(&Value) -> String) -> String {
    items.iter().map(each).collect::<Vec<_>>().join(",")
}

/// The value that every implementation's own tests name.
#[test]
fn the_fingerprint_of_null_is_the_known_one() {
    assert_eq!(fingerprint("\"null\""), 7_195_948_357_588_979_594_u64.to_le_bytes());
}
