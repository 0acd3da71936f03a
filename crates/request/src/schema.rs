//! The JSON Schema of a request: what editors and other languages read.

use schemars::Schema;
use schemars::generate::SchemaSettings;

use crate::Request;

/// The schema, draft 2020-12.
pub fn schema() -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Request>();
    schema.insert("title".to_owned(), "A request of seclude".into());
    schema
}

/// It as text, as it is kept in docs/request.schema.json.
pub fn schema_text() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).unwrap_or_default();
    text.push('\n');
    text
}
