//! Sends an image, video, audio, document or sticker.

use serde::{Deserialize, Serialize};

use crate::flow::nodes::{Next, NodeKind, Step};
use crate::flow::run::{Action, TEXT_CHARS_MAX};
use crate::flow::validation::Report;
use crate::shared::content::{MediaType, OutboundContent};
use crate::reason;

const CAPTION_MAX: usize = 1024;
const FILENAME_MAX: usize = 240;

/// `{"mediaType": "image", "url": "https://example.com/{{ sku }}.jpg", "caption": "This one?"}`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SendMedia {
    /// What it is.
    pub media_type: MediaType,
    /// A public link …
    #[serde(default)]
    pub url: Option<String>,
    /// … or a file uploaded before.
    #[serde(default)]
    pub upload_id: Option<String>,
    /// The text under it; WhatsApp shows none under audio and stickers.
    #[serde(default)]
    pub caption: Option<String>,
    /// A document's name.
    #[serde(default)]
    pub filename: Option<String>,
}

impl SendMedia {
    fn takes_caption(&self) -> bool {
        match self.media_type {
            MediaType::Image | MediaType::Video | MediaType::Document => true,
            MediaType::Audio | MediaType::Sticker => false,
        }
    }
}

impl NodeKind for SendMedia {
    fn exits(&self) -> Vec<String> {
        vec!["next".to_owned()]
    }

    fn check(&self, report: &mut Report<'_>) {
        let given = |field: &Option<String>| field.as_deref().is_some_and(|text| !text.trim().is_empty());
        if !given(&self.url) && !given(&self.upload_id) {
            report.problem("url", reason!("url_or_upload_id", "one of `url` and `uploadId` is needed"));
        }
        report.shown_if_any("url", self.url.as_deref(), TEXT_CHARS_MAX);
        report.shown_if_any("uploadId", self.upload_id.as_deref(), TEXT_CHARS_MAX);
        report.shown_if_any("caption", self.caption.as_deref(), CAPTION_MAX);
        report.shown_if_any("filename", self.filename.as_deref(), FILENAME_MAX);
        if given(&self.caption) && !self.takes_caption() {
            report.warn("caption", reason!("caption_not_shown", "is not shown with {kind} messages", kind = self.media_type));
        }
    }

    fn enter(&self, step: &mut Step<'_>) -> Next {
        let url = step.render_if_any(self.url.as_deref(), TEXT_CHARS_MAX);
        let upload_id = step.render_if_any(self.upload_id.as_deref(), TEXT_CHARS_MAX);
        if url.is_none() && upload_id.is_none() {
            step.warn("a media message without a file was not sent");
            return Next::exit("next");
        }
        let caption = self.caption.as_deref().filter(|_| self.takes_caption());
        let caption = step.render_if_any(caption, CAPTION_MAX);
        let filename = step.render_if_any(self.filename.as_deref(), FILENAME_MAX);
        let media_type = self.media_type;
        step.act(Action::Send(OutboundContent::Media { media_type, url, upload_id, caption, filename }));
        Next::exit("next")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::nodes::testing;

    #[test]
    fn without_a_file_nothing_is_sent() {
        let node: SendMedia = testing::node(json!({"mediaType": "image", "url": "{{ link }}"}));
        let (next, actions, _, warnings) = testing::outcome(&node, &testing::run(), None);
        assert_eq!((next, actions, warnings.len()), (Next::exit("next"), vec![], 2));
    }

    #[test]
    fn it_is_checked() {
        let node: SendMedia = testing::node(json!({"mediaType": "image", "caption": "a".repeat(1025)}));
        assert_eq!(testing::wrong_fields(&node), ["url", "caption"]);
        assert!(serde_json::from_value::<SendMedia>(json!({"mediaType": "smell"})).is_err());
    }
}
