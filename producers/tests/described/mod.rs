//! Requests drawn from an OpenAPI document as it is served, valid and broken, and the check that every answer
//! is one that the document names.

mod draw;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Map, Value};

/// A request as it goes out; the path is below the server's.
#[derive(Debug, Clone)]
pub struct Asked {
    pub operation: String,
    pub method: String,
    pub path: String,
    pub body: Option<Vec<u8>>,
}

/// One description, and what is drawn from it.
pub struct Described {
    document: Value,
    chance: StdRng,
    /// Values that exist, by the name of their member or parameter.
    known: Vec<(&'static str, String)>,
}

impl Described {
    pub fn new(document: &str, seed: u64, known: Vec<(&'static str, String)>) -> Self {
        let document = serde_json::from_str(document).expect("the document is JSON");
        Self { document, chance: StdRng::seed_from_u64(seed), known }
    }

    /// Every operation, as `method path`.
    pub fn operations(&self) -> Vec<String> {
        let paths = self.document["paths"].as_object().expect("paths");
        let of = |(path, methods): (&String, &Value)| {
            let methods = methods.as_object().expect("methods").keys();
            methods.map(|method| format!("{method} {path}")).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of).collect()
    }

    /// A request for `operation`.
    pub fn ask(&mut self, operation: &str) -> Asked {
        let (method, template) = operation.split_once(' ').expect("method and path");
        let described = self.document["paths"][template][method].clone();
        let mut path = template.to_owned();
        let mut query = Vec::new();
        for parameter in described["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().expect("a name");
            let text = self.text(name, &parameter["schema"]);
            // Now and then no text at all.
            let text = if self.one_in(25) { "%FF%C0".to_owned() } else { escaped(&text) };
            match parameter["in"].as_str() {
                Some("path") => path = path.replace(&format!("{{{name}}}"), &text),
                Some("query") if self.one_in(2) => query.push(format!("{name}={text}")),
                _ => {}
            }
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let schema = &described["requestBody"]["content"]["application/json"]["schema"];
        let body = (!schema.is_null()).then(|| self.body(schema));
        let method = method.to_uppercase();
        Asked { operation: operation.to_owned(), method, path, body }
    }

    fn body(&mut self, schema: &Value) -> Vec<u8> {
        let mut value = self.value("", schema, 0);
        let faults = [0, 0, 0, 1, 1, 2, 5];
        for _ in 0..*faults.choose(&mut self.chance).unwrap_or(&0) {
            self.break_somewhere(&mut value);
        }
        let mut bytes = value.to_string().into_bytes();
        if self.one_in(20) {
            self.break_bytes(&mut bytes);
        }
        bytes
    }

    /// Why the answer is none of the documented ones.
    pub fn check(&self, asked: &Asked, status: u16, kind: &str, body: &[u8]) -> Result<(), String> {
        let (method, path) = asked.operation.split_once(' ').expect("method and path");
        let answers = &self.document["paths"][path][method]["responses"];
        let Some(answer) = answers.get(status.to_string()) else {
            return Err(format!("{}: {status} is not documented", asked.operation));
        };
        if status >= 500 {
            return Err(format!("{}: {status}", asked.operation));
        }
        let kinds: &Map<String, Value> = match answer["content"].as_object() {
            Some(kinds) => kinds,
            None if body.is_empty() => return Ok(()),
            None => return Err(format!("{}: {status} has a body, undocumented", asked.operation)),
        };
        let bare = kind.split(';').next().unwrap_or_default();
        if kinds.contains_key(bare) {
            Ok(())
        } else {
            Err(format!("{}: {status} is {kind:?}, undocumented", asked.operation))
        }
    }
}

/// As a path or query takes it: every byte that is not plainly harmless in its hexadecimal form.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let each = text.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    each.collect()
}
