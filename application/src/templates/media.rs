//! Samples of media: a file that comes with a template is uploaded, and its handle takes its place.

use serde_json::{Value, json};

use crate::templates::accounts::BusinessAccount;
use crate::templates::ports::{ProviderFailure, Sample, TemplateProvider};

/// The member that holds a file.
const FILE: &str = "header_media";
/// The member that holds handles.
const HANDLES: &str = "header_handle";

/// The components with a handle in the place of every file.
///
/// # Errors
/// A file was not taken.
pub async fn uploaded(
    provider: &dyn TemplateProvider,
    account: &BusinessAccount,
    mut components: Value,
) -> Result<Value, ProviderFailure> {
    let mut places = Vec::new();
    find(&components, String::new(), &mut places);
    for place in places {
        let Some(example) = components.pointer_mut(&place).and_then(Value::as_object_mut) else { continue };
        let Some(file) = example.remove(FILE) else { continue };
        let text = |name: &str| file[name].as_str().unwrap_or_default().to_owned();
        let named = Some(text("fileName")).filter(|name| !name.is_empty());
        let sample = Sample {
            file_name: named.unwrap_or_else(|| "sample".to_owned()),
            content_type: text("contentType"),
            data: text("data"),
        };
        let handle = provider.upload(account, &sample).await?;
        example.insert(HANDLES.to_owned(), json!([handle]));
    }
    Ok(components)
}

/// The places, as JSON pointers, of the objects that hold a file.
fn find(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if members.contains_key(FILE) {
                places.push(at.clone());
            }
            members.iter().for_each(|(name, inner)| find(inner, format!("{at}/{name}"), places));
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(n, item)| find(item, format!("{at}/{n}"), places)),
        _ => {}
    }
}
