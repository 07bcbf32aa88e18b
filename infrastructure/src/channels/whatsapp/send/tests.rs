//! Every way an exchange with Graph can end, over a real socket.

use std::time::Duration;

use domain::shared::ids::TenantId;
use domain::shared::phone::Phone;
use domain::shared::provider_error::ErrorClass;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::http_client;

/// What the other side does once it has the whole request.
enum Side {
    Answers(&'static str, &'static str, &'static str),
    HangsUp,
    StaysSilent,
}

fn line(phone_number_id: &str) -> Line {
    Line {
        tenant: TenantId(uuid::Uuid::nil()),
        phone_number_id: phone_number_id.to_owned(),
        access_token: "token-1".to_owned(),
        messages_per_second: 80,
        pair_limit: true,
    }
}

fn to() -> Address {
    Address { phone: Phone::from_wa_id("972501234567"), user_id: None }
}

fn hello() -> OutboundContent {
    OutboundContent::Text { text: "hello".to_owned(), preview_url: false }
}

/// Sends one message to a server that reads one request and then does as told; the request's text as well.
async fn exchange(side: Side) -> (Result<Accepted, SendError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("bound"));
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a caller");
        let mut seen = String::new();
        let mut buffer = [0; 8192];
        while !seen.contains("c-1") {
            let read = socket.read(&mut buffer).await.expect("readable");
            seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        match side {
            Side::Answers(status, header, body) => {
                let length = body.len();
                let text = format!("HTTP/1.1 {status}\r\n{header}content-length: {length}\r\n\r\n{body}");
                socket.write_all(text.as_bytes()).await.expect("writable");
            }
            Side::HangsUp => {}
            Side::StaysSilent => tokio::time::sleep(Duration::from_secs(3)).await,
        }
        seen
    });
    let whatsapp = WhatsApp::new(http_client::client(Duration::from_secs(1)), &base, "v24.0");
    let result = whatsapp.send(&line("1055"), &to(), &hello(), "c-1").await;
    (result, server.await.expect("the server ends"))
}

async fn ends(side: Side) -> Result<Accepted, SendError> {
    exchange(side).await.0
}

#[tokio::test]
async fn an_accepted_message_has_its_id_and_the_request_its_token() {
    let body =
        r#"{"messaging_product":"whatsapp","contacts":[{"input":"x","user_id":"IL.1"}],"messages":[{"id":"wamid.N"}]}"#;
    let (result, request) = exchange(Side::Answers("200 OK", "", body)).await;
    assert_eq!(result, Ok(Accepted { provider_message_id: "wamid.N".to_owned() }));
    assert!(request.starts_with("POST /v24.0/1055/messages HTTP/1.1"), "{request}");
    assert!(request.contains("authorization: Bearer token-1"), "{request}");
}

#[tokio::test]
async fn a_graph_error_is_a_refusal_whatever_the_status() {
    for (status, body, class) in [
        ("400 Bad Request", r#"{"error":{"message":"no","code":131056}}"#, ErrorClass::Transient),
        (
            "500 Internal Server Error",
            r#"{"error":{"message":"no","code":2,"is_transient":true}}"#,
            ErrorClass::Transient,
        ),
        ("500 Internal Server Error", r#"{"error":{"message":"no","code":131000}}"#, ErrorClass::Transient),
        ("200 OK", r#"{"error":{"message":"no","code":190}}"#, ErrorClass::Sender),
        ("403 Forbidden", "<html>edge</html>", ErrorClass::Sender),
        ("404 Not Found", "", ErrorClass::Request),
    ] {
        match ends(Side::Answers(status, "retry-after: 7\r\n", body)).await {
            Err(SendError::Refused { error, retry_after_ms }) => {
                assert_eq!((error.class, retry_after_ms), (class, Some(7_000)), "{status} {body}");
            }
            other => panic!("{status} {body}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn without_a_clear_answer_the_message_is_in_doubt() {
    for side in [
        Side::Answers("200 OK", "", "<html>"),
        Side::Answers("200 OK", "", r#"{"messages":[]}"#),
        Side::Answers("502 Bad Gateway", "", "<html>"),
        Side::HangsUp,
        Side::StaysSilent,
    ] {
        let result = ends(side).await;
        assert!(matches!(result, Err(SendError::InDoubt(_))), "{result:?}");
    }
}

#[tokio::test]
async fn what_never_left_is_not_sent() {
    let unreachable = WhatsApp::new(http_client::client(Duration::from_secs(2)), "http://127.0.0.1:1", "v24.0");
    let result = unreachable.send(&line("1055"), &to(), &hello(), "c-1").await;
    assert!(matches!(result, Err(SendError::NotSent(_))), "{result:?}");
    let no_name = WhatsApp::new(http_client::client(Duration::from_secs(4)), "http://graph.invalid", "v24.0");
    let result = no_name.mark_read(&line("1055"), "wamid.R", true).await;
    assert!(matches!(result, Err(SendError::NotSent(_))), "{result:?}");
    for (line, to) in [(line("10/../55"), to()), (line("1055"), Address::default())] {
        let result = unreachable.send(&line, &to, &hello(), "c-1").await;
        assert!(matches!(result, Err(SendError::Refused { .. })), "{result:?}");
    }
}
