//! The sandbox's mail server and our own mailer, talking over loopback.

use application::identity::letters::{Mail, MailError, Mailer};
use chrono::DateTime;

use super::*;
use crate::mail::SmtpMailer;

fn mail(to: &str, text: &str) -> Mail {
    Mail {
        to: to.into(),
        subject: "הקוד שלך".into(),
        text: text.into(),
        id: "letter-1".into(),
        at: DateTime::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_written() {
    let sandbox = MailSandbox::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mailer = SmtpMailer::new(&format!("smtp://{}", sandbox.address), "FlowBot <no-reply@example.com>").unwrap();
    let text = "קוד 012345\n.\n..dots, and a long line: ".to_owned() + &"слово ".repeat(200);
    mailer.send(&mail("Dana@example.com", &text)).await.unwrap();
    mailer.send(&mail("other@example.com", "x")).await.unwrap();
    let [received] = &sandbox.mails(Some("dana@example.com"))[..] else { panic!("one mail") };
    assert_eq!(received.text.replace("\r\n", "\n").trim_end(), text.trim_end());
    assert_eq!((received.subject.as_str(), received.from.as_str()), ("הקוד שלך", "no-reply@example.com"));
    assert_eq!((received.id.as_str(), sandbox.mails(None).len()), ("letter-1@example.com", 2));
}

#[tokio::test]
async fn addresses_choose_what_goes_wrong_and_nobody_there_is_for_now() {
    let sandbox = MailSandbox::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let mailer = SmtpMailer::new(&format!("smtp://{}", sandbox.address), "no-reply@example.com").unwrap();
    assert!(matches!(mailer.send(&mail("dana+550@example.com", "x")).await, Err(MailError::Refused(_))));
    assert!(matches!(mailer.send(&mail("dana+451@example.com", "x")).await, Err(MailError::Failed(_))));
    assert!(sandbox.mails(None).is_empty());
    drop(sandbox);
    let failed = crate::mail::SmtpMailer::new("smtp://127.0.0.1:1", "no-reply@example.com").unwrap();
    assert!(matches!(failed.send(&mail("dana@example.com", "x")).await, Err(MailError::Failed(_))));
}
