//! What an endpoint said of a row, without what stood in the row. Pure.
//!
//! A 400 of IO's contract quotes the value that it refuses, which may be a fiscal code. Row number and
//! path say enough to whoever holds the file; results and lines of text hold no person.

use serde_json::Value;

const LEFT_OUT: &str = "[…]";
/// Shorter texts ("true", "IT") name nobody, and would leave holes in ordinary words.
const SHORTEST: usize = 6;
/// Longest text that is kept of an answer, in characters.
const LONGEST: usize = 2_000;

/// `text` without the values that it quotes and without any string of `body`.
#[must_use]
pub fn without_the_row(text: &str, body: &str) -> String {
    let lines: Vec<String> = text.lines().map(without_quoted_value).collect();
    let mut text = lines.join("\n");
    let mut strings = Vec::new();
    if let Ok(body) = serde_json::from_str(body) {
        collect(&body, &mut strings);
    }
    // The longest first: one may be a part of another.
    strings.sort_by_key(|string| std::cmp::Reverse(string.len()));
    for string in strings {
        let json = Value::from(string.as_str()).to_string();
        text = text.replace(&string, LEFT_OUT).replace(&json[1..json.len() - 1], LEFT_OUT);
    }
    text.chars().filter(|c| *c == '\n' || !c.is_control()).take(LONGEST).collect()
}

/// `value <JSON> at root.path …`, in both forms of the contract.
fn without_quoted_value(line: &str) -> String {
    let places = [line.rfind(" at root"), line.rfind(" at [root")];
    match (line.strip_prefix("value "), places.into_iter().flatten().max()) {
        (Some(_), Some(place)) => format!("value {LEFT_OUT}{}", &line[place..]),
        (_, _) => line.to_owned(),
    }
}

fn collect(value: &Value, strings: &mut Vec<String>) {
    match value {
        Value::String(text) if text.chars().count() >= SHORTEST => strings.push(text.clone()),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::Array(values) => values.iter().for_each(|value| collect(value, strings)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, strings)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"fiscal_code": "aaaaaa00a00a000a", "time_to_live": 1,
        "content": {"subject": "Dear \"Ada\"", "tags": ["Rossi-Bianchi"], "lang": "IT"}}"#;

    fn check(said: &str, expected: &str) {
        assert_eq!(without_the_row(said, BODY), expected);
    }

    #[test]
    fn a_quoted_value_is_left_out_and_its_place_stays() {
        check(
            "value \"aaaaaa00a00a000a\" at root.fiscal_code is not a valid [string]\n\
             value 1 at root.time_to_live is not a valid [integer]",
            "value […] at root.fiscal_code is not a valid [string]\n\
             value […] at root.time_to_live is not a valid [integer]",
        );
        check(
            "value [\"a at root b\"] at [root.x] is not a valid [y]",
            "value […] at [root.x] is not a valid [y]",
        );
    }

    #[test]
    fn no_text_of_the_row_comes_back_in_other_words_either() {
        check("cannot write to aaaaaa00a00a000a!", "cannot write to […]!");
        check(
            r#"{"subject":"Dear \"Ada\"","tags":["Rossi-Bianchi"]}"#,
            r#"{"subject":"[…]","tags":["[…]"]}"#,
        );
    }

    #[test]
    fn ordinary_words_stay() {
        let said = "You are not allowed to issue requests for the recipient. IT";
        check(said, said);
    }

    #[test]
    fn a_long_answer_is_cut_and_nothing_in_it_moves_a_cursor() {
        assert_eq!(without_the_row(&"x".repeat(9_000), BODY).len(), LONGEST);
        check("\u{1b}[2Ja\u{7}\r", "[2Ja");
    }
}
