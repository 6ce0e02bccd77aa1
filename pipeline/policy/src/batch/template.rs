//! A JSON template with `{{placeholders}}`, and how the fields of a row fill it. Pure.
//!
//! Inside quotes a value is escaped as JSON asks, so that no value can end the string it stands in.
//! Outside quotes it must itself be a number, `true`, `false` or `null`. To write two braces that are
//! no placeholder, escape one: `\u007b{`.

use serde_json::{Map, Value};

/// A message body with gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
    /// Each name once, in order of first use.
    names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A gap inside quotes, by its place in `names`.
    Quoted(usize),
    /// A gap outside quotes.
    Bare(usize),
}

/// Why a text is no template; a matter of the sender's file, before any row is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    #[error("line {0}: a placeholder opened by {{{{ is not closed by }}}} on the same line")]
    Unclosed(usize),
    #[error("line {0}: a placeholder needs a column's name between {{{{ and }}}}")]
    Nameless(usize),
    #[error("line {0}: not JSON, even with every placeholder filled in")]
    NotJson(usize),
    #[error("not a JSON object: a message is one, with fiscal_code and content")]
    NotAnObject,
}

/// Why template and header do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbound {
    #[error("the CSV has no column {}; its header has {columns}", quoted(.missing))]
    Missing { missing: Vec<String>, columns: usize },
    #[error("the CSV has two columns called {0:?}: which one is meant?")]
    Twice(String),
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// A field that cannot stand outside quotes. Says the column, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "column {0:?}: where the template has no quotes only a number, true, false or null may stand"
)]
pub struct NotBare(pub String);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateFault`], with the line.
    pub fn parse(text: &str) -> Result<Self, TemplateFault> {
        let template = split(text.trim_end())?;
        // Values that fit anywhere; none holds a line break, so that lines count as in the file.
        let probe = template.filled(|_| "0").unwrap_or_default();
        match serde_json::from_str::<Value>(&probe) {
            Ok(Value::Object(_)) => Ok(template),
            Ok(
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_),
            ) => Err(TemplateFault::NotAnObject),
            Err(error) => Err(TemplateFault::NotJson(error.line())),
        }
    }

    /// For each name of the template, the place of its column in `header`.
    ///
    /// # Errors
    /// [`Unbound`]. Names nothing of the header: the first row of a file without one is a person.
    pub fn bind(&self, header: &[String]) -> Result<Vec<usize>, Unbound> {
        let places = |name: &String| {
            let same = header.iter().enumerate().filter(move |(_, column)| *column == name);
            same.map(|(place, _)| place).collect::<Vec<_>>()
        };
        let missing: Vec<String> =
            self.names.iter().filter(|name| places(name).is_empty()).cloned().collect();
        if !missing.is_empty() {
            return Err(Unbound::Missing { missing, columns: header.len() });
        }
        let one = |name: &String| match places(name).as_slice() {
            [place] => Ok(*place),
            _ => Err(Unbound::Twice(name.clone())),
        };
        self.names.iter().map(one).collect()
    }

    /// The body, with `value(n)` in each gap of the n-th name.
    ///
    /// # Errors
    /// [`NotBare`]: the row's fault.
    pub fn filled<'a>(&self, value: impl Fn(usize) -> &'a str) -> Result<String, NotBare> {
        let mut body = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => body.push_str(text),
                Piece::Quoted(name) => {
                    let json = Value::from(value(*name)).to_string();
                    body.push_str(&json[1..json.len() - 1]);
                }
                Piece::Bare(name) => {
                    let text = value(*name).trim();
                    if !is_bare(text) {
                        return Err(NotBare(self.names[*name].clone()));
                    }
                    body.push_str(text);
                }
            }
        }
        Ok(body)
    }
}

fn is_bare(text: &str) -> bool {
    matches!(serde_json::from_str(text), Ok(Value::Number(_) | Value::Bool(_) | Value::Null))
}

/// Whether a body is what the endpoint takes at all: one JSON object.
#[must_use]
pub fn is_object(body: &str) -> bool {
    serde_json::from_str::<Map<String, Value>>(body).is_ok()
}

fn split(text: &str) -> Result<Template, TemplateFault> {
    let mut template = Template { pieces: Vec::new(), names: Vec::new() };
    let (mut plain, mut rest) = (String::new(), text);
    let (mut in_quotes, mut escaped, mut line) = (false, false, 1);
    while let Some(next) = rest.chars().next() {
        if !escaped && rest.starts_with("{{") {
            let after = &rest[2..];
            let end = after.find("}}").ok_or(TemplateFault::Unclosed(line))?;
            let name = after[..end].trim();
            if name.contains(['\n', '"', '{']) {
                return Err(TemplateFault::Unclosed(line));
            }
            if name.is_empty() {
                return Err(TemplateFault::Nameless(line));
            }
            template.pieces.push(Piece::Text(std::mem::take(&mut plain)));
            let place = template.place(name);
            template.pieces.push(if in_quotes { Piece::Quoted(place) } else { Piece::Bare(place) });
            rest = &after[end + 2..];
            continue;
        }
        if next == '"' && !escaped {
            in_quotes = !in_quotes;
        }
        escaped = in_quotes && next == '\\' && !escaped;
        line += usize::from(next == '\n');
        plain.push(next);
        rest = &rest[next.len_utf8()..];
    }
    template.pieces.push(Piece::Text(plain));
    Ok(template)
}

impl Template {
    fn place(&mut self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const MESSAGE: &str = r#"{
  "fiscal_code": "{{codice fiscale}}",
  "content": {"subject": "Rata {{ n }} di {{n}}", "payment_data": {"amount": {{importo}}}}
}
"#;

    fn header(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn fill(template: &str, columns: &[(&str, &str)]) -> Result<Value, NotBare> {
        let template = Template::parse(template).unwrap();
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let bound = template.bind(&header(&names)).unwrap();
        let body = template.filled(|name| columns[bound[name]].1)?;
        Ok(serde_json::from_str(&body).unwrap())
    }

    #[test]
    fn every_gap_is_filled_from_its_column_wherever_that_stands() {
        let columns = [
            ("importo", "1050"),
            ("note", "-"),
            ("n", "3"),
            ("codice fiscale", "AAAAAA00A00A000A"),
        ];
        let expected = json!({
            "fiscal_code": "AAAAAA00A00A000A",
            "content": {"subject": "Rata 3 di 3", "payment_data": {"amount": 1050}}
        });
        assert_eq!(fill(MESSAGE, &columns), Ok(expected));
    }

    #[test]
    fn outside_quotes_only_a_number_or_a_word_of_json_may_stand() {
        let check = |value: &str, taken: bool| {
            let filled = fill(r#"{"a": {{a}}}"#, &[("a", value)]);
            assert_eq!(filled.is_ok(), taken, "{value:?}");
            if let Err(fault) = filled {
                assert_eq!(fault, NotBare("a".to_owned()));
            }
        };
        for value in ["0", "-1.5e3", " 10 ", "9999999999", "true", "false", "null"] {
            check(value, true);
        }
        for value in ["", "12,50", "007", "yes", "\"a\"", "1, \"b\": 2", "{}", "[1]", "NaN"] {
            check(value, false);
        }
    }

    #[test]
    fn a_name_that_is_no_column_is_told_before_any_row() {
        let template = Template::parse(MESSAGE).unwrap();
        let unbound = template.bind(&header(&["n", "Importo"])).unwrap_err();
        let missing = vec!["codice fiscale".to_owned(), "importo".to_owned()];
        assert_eq!(unbound, Unbound::Missing { missing, columns: 2 });
        let said = unbound.to_string();
        assert!(said.contains("\"codice fiscale\", \"importo\"") && !said.contains("Importo"));
    }

    #[test]
    fn a_column_that_stands_there_twice_is_refused_where_it_is_used() {
        let template = Template::parse(r#"{"a": "{{a}}"}"#).unwrap();
        assert_eq!(template.bind(&header(&["a", "b", "a"])), Err(Unbound::Twice("a".to_owned())));
        assert_eq!(template.bind(&header(&["b", "a", "b"])), Ok(vec![1]));
    }

    #[test]
    fn what_is_no_template_is_named_by_its_line() {
        let check = |text: &str, expected: TemplateFault| {
            assert_eq!(Template::parse(text), Err(expected), "{text}");
        };
        check("{\"a\":\n\"{{b\"}", TemplateFault::Unclosed(2));
        check("{\"a\": \"{{b\", \"c\": \"}}\"}", TemplateFault::Unclosed(1));
        check("{\"a\":\n\n\"{{ }}\"}", TemplateFault::Nameless(3));
        check("{\"a\": {{b}}\n\"c\": 1}", TemplateFault::NotJson(2));
        check("{\"a\": {{b}}0x}", TemplateFault::NotJson(1));
        check("", TemplateFault::NotJson(1));
        check("[{\"a\": \"{{b}}\"}]", TemplateFault::NotAnObject);
        check("\"{{b}}\"", TemplateFault::NotAnObject);
    }

    #[test]
    fn braces_that_are_escaped_are_no_placeholder() {
        let filled = fill(r#"{"a": "\u007b{b}} \"{{c}}\""}"#, &[("c", "d")]);
        assert_eq!(filled, Ok(json!({"a": "{{b}} \"d\""})));
        let nested = fill(r#"{"a": {"b": {"c": {{c}}}}}"#, &[("c", "1")]);
        assert_eq!(nested, Ok(json!({"a": {"b": {"c": 1}}})));
    }

    proptest! {
        #[test]
        fn no_value_leaves_the_quotes_it_stands_in(value in any::<String>()) {
            let filled = fill(r#"{"a": "<{{v}}>", "b": "{{v}}{{v}}"}"#, &[("v", &value)]).unwrap();
            prop_assert_eq!(filled, json!({"a": format!("<{value}>"), "b": format!("{value}{value}")}));
        }

        #[test]
        fn no_value_outside_quotes_adds_a_key(value in any::<String>()) {
            if let Ok(filled) = fill(r#"{"a": {{v}}}"#, &[("v", &value)]) {
                prop_assert_eq!(filled.as_object().map(Map::len), Some(1));
            }
        }
    }
}
