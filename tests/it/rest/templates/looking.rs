//! One template, looked at by its name.

use serde_json::json;
use tests::app::TestApp;
use tests::templates::{WABA, hebrew, hebrew_with};

use crate::rest::refused;

const OTHER_LINE: &str = "100000000000077";
const OTHER_WABA: &str = "200000000000077";

#[tokio::test]
async fn a_name_means_one_template_or_has_to_be_told_apart() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    dana.has_line().await;
    let path = "/api/templates/ours";
    let unknown = dana.get(path).await;
    refused(&unknown, 404, "not_found");
    dana.submits(&hebrew("ours")).await;
    let row = dana.template("ours").await.expect("a row");
    let lists = app.at_meta().await["lists"].clone();
    assert_eq!(dana.get(path).await.ok(), row);
    assert_eq!(app.at_meta().await["lists"], lists, "Meta is not asked");
    dana.submits(&hebrew_with("ours", json!({ "language": "en_US" }))).await;
    refused(&dana.get(path).await, 400, "invalid_request");
    for (language, status) in [("he", 200), ("en_US", 200), ("fr", 404)] {
        let one = dana.get(&format!("{path}?language={language}")).await;
        assert_eq!(one.status.as_u16(), status, "{}", one.text);
        assert!(status == 404 || one.body["language"] == language, "{}", one.text);
    }
    // The account moves to another business account, which has the name, too.
    let line = json!({ "phoneNumberId": OTHER_LINE, "wabaId": OTHER_WABA, "accessToken": "sandbox-token",
                       "displayPhoneNumber": "+1 555 000 2222", "isPrimary": true });
    dana.post("/api/settings/whatsapp", &line).await.ok();
    dana.submits(&hebrew("ours")).await;
    refused(&dana.get(&format!("{path}?language=he")).await, 400, "invalid_request");
    for waba in [WABA, OTHER_WABA] {
        let one = dana.get(&format!("{path}?language=he&wabaId={waba}")).await.ok();
        assert_eq!((&one["wabaId"], &one["language"]), (&json!(waba), &json!("he")), "{one}");
    }
    dana.delete(&format!("{path}?language=he")).await.ok();
    let left = dana.get(path).await.ok();
    assert_eq!((&left["language"], &left["status"]), (&json!("en_US"), &json!("PENDING")), "{left}");
    dana.delete(path).await.ok();
    let gone = dana.get(&format!("{path}?language=en_US")).await.ok();
    assert_eq!((&gone["status"], &gone["sendable"]), (&json!("DELETED"), &json!(false)), "{gone}");
    let mallory = app.account("mallory").await;
    let foreign = mallory.get(&format!("{path}?language=en_US")).await;
    assert_eq!((foreign.status, foreign.body), (unknown.status, unknown.body));
}
