//! Errors in the language of whoever reads them: the words change, the codes do not.

mod problems;

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{Answer, TestApp};

use super::refused;

/// The answer's language, code and words.
fn said(answer: &Answer) -> (String, String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let language = answer.header("content-language").unwrap_or_default().to_owned();
    (language, text(&answer.body["code"]), text(&answer.body["error"]))
}

#[tokio::test]
async fn errors_are_in_the_language_the_browser_likes_best() {
    let app = TestApp::start().await;
    let login = json!({ "username": "admin", "password": "wrong" });
    let ask = async |accepted: &str| {
        let headers = [("accept-language", accepted)];
        let wrong = app.call(Method::POST, "/api/auth/login", Some(&login), &headers).await;
        let nowhere = app.call(Method::GET, "/api/nowhere", None, &headers).await;
        refused(&wrong, 401, "unauthorized");
        refused(&nowhere, 404, "unknown_path");
        (said(&wrong), said(&nowhere).2)
    };
    for (accepted, language, wrong, nowhere) in [
        ("en-US", "en", "the username or the password is wrong", "there is no such path"),
        ("fr, de;q=0.9", "en", "the username or the password is wrong", "there is no such path"),
        ("he-IL, en;q=0.8", "he", "יש להתחבר, או לשלוח פרטי גישה תקפים.", "הנתיב אינו קיים."),
        ("en;q=0.3, ar", "ar", "سجّل الدخول أو أرسل بيانات اعتماد صالحة.", "المسار غير موجود."),
        ("ru", "ru", "Войдите в систему или отправьте действительные учётные данные.", "Такого пути не существует."),
    ] {
        let expected = ((language.to_owned(), "unauthorized".to_owned(), wrong.to_owned()), nowhere.to_owned());
        assert_eq!(ask(accepted).await, expected, "{accepted}");
    }
}

#[tokio::test]
async fn the_language_a_person_chose_goes_before_the_browsers() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    let missing = "/api/flows/00000000-0000-0000-0000-000000000001";
    let ask = async || said(&dana.call_with(Method::GET, missing, None, &[("accept-language", "ru")]).await);
    assert_eq!(ask().await.0, "ru");
    for (language, words) in [
        ("he", "הפריט המבוקש לא נמצא."),
        ("ar", "العنصر المطلوب غير موجود."),
        ("ru", "Запрошенный объект не найден."),
        ("en", "flow not found"),
    ] {
        dana.post("/api/auth/language", &json!({ "language": language })).await.ok();
        assert_eq!(ask().await, (language.to_owned(), "not_found".to_owned(), words.to_owned()));
        assert_eq!(dana.get("/api/auth/me").await.ok()["user"]["language"], language);
    }
    // What names fields goes on naming them.
    dana.post("/api/auth/language", &json!({ "language": "he" })).await.ok();
    let wrong = dana.post("/api/flows", &json!({ "colour": 1 })).await;
    refused(&wrong, 400, "invalid_request");
    assert_eq!((wrong.header("content-language"), &wrong.body["error"]), (Some("he"), &json!("הבקשה אינה תקינה.")));
    assert!(wrong.body["problems"].to_string().contains("colour"), "{}", wrong.text);
    assert_eq!(dana.get("/api/flows").await.header("content-language"), None);
}

#[tokio::test]
async fn preferences_are_kept_and_told() {
    let app = TestApp::start().await;
    let dana = app.account("dana").await;
    for theme in ["light", "dark", "system"] {
        assert_eq!(dana.post("/api/auth/theme", &json!({ "theme": theme })).await.ok(), json!({ "success": true }));
        assert_eq!(dana.get("/api/auth/me").await.ok()["user"]["theme"], theme);
    }
    dana.post("/api/auth/language", &json!({ "language": "ar" })).await.ok();
    refused(&dana.post("/api/auth/theme", &json!({ "theme": "neon" })).await, 400, "invalid_request");
    refused(&dana.post("/api/auth/language", &json!({ "language": "xx" })).await, 400, "invalid_request");
    refused(&dana.post("/api/auth/language", &json!({ "language": "he", "user": "x" })).await, 400, "invalid_request");
    let nobody = app.call(Method::POST, "/api/auth/theme", Some(&json!({ "theme": "dark" })), &[]).await;
    refused(&nobody, 401, "unauthorized");
    let told: Vec<String> = sqlx::query_scalar(
        "select action from audit_entries where subject = $1 and action like 'user.%_changed' order by id",
    )
    .bind(&dana.id)
    .fetch_all(&app.database.pool)
    .await
    .expect("entries");
    let themes = ["user.theme_changed"; 3];
    assert_eq!(told, [&themes[..], &["user.language_changed"]].concat());
}
