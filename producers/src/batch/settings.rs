//! What a sender says of a batch when it makes one. Sealed at rest: a template holds words for citizens.

use std::sync::Arc;

use policy::batch::template::Template;
use policy::batch::window::minute_of;
use policy::contract::date;
use schemas::ids::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::rows::Format;

/// Makes a batch. Its rows follow by `PUT /batches/{id}/rows`.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchRequest {
    /// The sender's own name for the batch: asked again with the same request it is the same batch.
    #[schema(max_length = 200)]
    pub reference: Option<String>,
    /// A message with `{{columns}}`, which each row of a CSV fills: as an object, or as its text where a
    /// placeholder stands outside quotes. Without it each row is a line of JSON, a whole message.
    #[schema(value_type = Option<Object>)]
    pub template: Option<Value>,
    /// Between the columns of a CSV; a comma where absent.
    #[schema(min_length = 1, max_length = 1)]
    pub delimiter: Option<String>,
    /// The column that tells rows apart: a second row with the same value in it is refused.
    pub id_column: Option<String>,
    /// No row is sent earlier.
    #[schema(format = "date-time")]
    pub not_before: Option<String>,
    /// Rows are sent only within these hours of the Italian day.
    pub window: Option<Window>,
    /// Everything is checked, nothing is sent.
    pub dry_run: bool,
}

/// Hours of the day, `HH:MM`; across midnight where `to` is the earlier one.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    pub from: String,
    pub to: String,
}

/// A request that can be followed.
pub struct Wishes {
    pub format: Format,
    pub not_before: Option<Timestamp>,
    pub window: Option<(i32, i32)>,
}

const LONGEST_REFERENCE: usize = 200;

impl BatchRequest {
    /// What is asked for, checked.
    ///
    /// # Errors
    /// A sentence for the sender.
    pub fn wishes(&self) -> Result<Wishes, String> {
        if self.reference.as_ref().is_some_and(|it| it.is_empty() || it.len() > LONGEST_REFERENCE) {
            return Err(format!("reference must have 1 to {LONGEST_REFERENCE} bytes."));
        }
        let moment = |text: &String| date::parse(text).ok_or("not_before must be a date-time.");
        let not_before = self.not_before.as_ref().map(moment).transpose()?;
        let window = self.window.as_ref().map(minutes).transpose()?;
        Ok(Wishes { format: self.format()?, not_before, window })
    }

    fn format(&self) -> Result<Format, String> {
        let Some(template) = &self.template else {
            if self.id_column.is_some() || self.delimiter.is_some() {
                let why = "id_column and delimiter belong to a CSV, which needs a template.";
                return Err(why.to_owned());
            }
            return Ok(Format::Ndjson);
        };
        let text = template.as_str().map_or_else(|| template.to_string(), str::to_owned);
        let template = Template::parse(&text).map_err(|fault| format!("template: {fault}."))?;
        let delimiter = match self.delimiter.as_deref().map(str::as_bytes) {
            None => b',',
            Some([one]) if one.is_ascii() && !matches!(one, b'"' | b'\r' | b'\n') => *one,
            Some(_) => return Err("delimiter must be one ASCII character.".to_owned()),
        };
        Ok(Format::Csv { template: Arc::new(template), delimiter, id: self.id_column.clone() })
    }
}

fn minutes(window: &Window) -> Result<(i32, i32), String> {
    match (minute_of(&window.from), minute_of(&window.to)) {
        (Some(from), Some(to)) if from != to => Ok((from, to)),
        (Some(_), Some(_)) => Err("window: from and to are the same; leave it out.".to_owned()),
        (None, _) | (_, None) => Err("window: from and to must be times of day, HH:MM.".to_owned()),
    }
}
