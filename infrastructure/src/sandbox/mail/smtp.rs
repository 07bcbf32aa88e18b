//! As much SMTP as a client needs to hand over mail (RFC 5321): one state a connection, one answer a line.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Mailbox;

/// Bytes of a line at most (RFC 5321, 4.5.3.1.6, with room to spare).
const LINE_MAX: u64 = 4_096;
/// Bytes of a mail at most.
const MAIL_MAX: usize = 1 << 20;
/// Recipients of a mail at most.
const RECIPIENTS_MAX: usize = 100;

/// Takes connections for as long as the task lives.
pub(super) async fn serve(listener: TcpListener, mailbox: Arc<Mailbox>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(talk(stream, Arc::clone(&mailbox)));
                }
                Err(error) => tracing::debug!(%error, "the sandbox's mail server takes no connection"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn talk(stream: TcpStream, mailbox: Arc<Mailbox>) {
    if let Err(error) = converse(stream, &mailbox).await {
        tracing::debug!(%error, "a client left the sandbox's mail server");
    }
}

/// What one mail's commands said so far.
#[derive(Default)]
struct Envelope {
    from: Option<String>,
    to: Vec<String>,
}

async fn converse(stream: TcpStream, mailbox: &Mailbox) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut envelope = Envelope::default();
    answer(&mut stream, "220 sandbox ESMTP").await?;
    while let Some(line) = line(&mut stream).await? {
        let (verb, rest) = line.split_once(' ').unwrap_or((line.as_str(), ""));
        let words = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => "250-sandbox\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1048576",
            "HELO" | "NOOP" => "250 sandbox",
            "RSET" => {
                envelope = Envelope::default();
                "250 OK"
            }
            "MAIL" => match address(rest, "FROM:") {
                Some(from) => {
                    envelope = Envelope { from: Some(from), to: Vec::new() };
                    "250 OK"
                }
                None => "501 MAIL FROM:<address>",
            },
            "RCPT" => recipient(&mut envelope, rest),
            "DATA" if envelope.to.is_empty() => "503 RCPT first",
            "DATA" => {
                answer(&mut stream, "354 end with a line that is a dot").await?;
                let Some(bytes) = data(&mut stream).await? else { return Ok(()) };
                let Envelope { from, to } = std::mem::take(&mut envelope);
                match bytes {
                    Some(bytes) if mailbox.take(from.unwrap_or_default(), to, &bytes) => "250 taken",
                    Some(_) => "554 that is no mail",
                    None => "552 too large",
                }
            }
            "QUIT" => return answer(&mut stream, "221 bye").await,
            _ => "502 no such command",
        };
        answer(&mut stream, words).await?;
    }
    Ok(())
}

fn recipient(envelope: &mut Envelope, rest: &str) -> &'static str {
    if envelope.from.is_none() {
        return "503 MAIL first";
    }
    let Some(to) = address(rest, "TO:").filter(|to| to.contains('@')) else { return "501 RCPT TO:<address>" };
    let before = to.split('@').next().unwrap_or_default();
    if before.ends_with("+550") {
        return "550 no such mailbox";
    }
    if before.ends_with("+451") {
        return "451 try again later";
    }
    if envelope.to.len() == RECIPIENTS_MAX {
        return "452 too many recipients";
    }
    envelope.to.push(to);
    "250 OK"
}

/// `FROM:<a@b>` and what may follow it.
fn address(text: &str, word: &str) -> Option<String> {
    let text = text.trim_start();
    let rest = text.get(..word.len()).filter(|start| start.eq_ignore_ascii_case(word)).and(text.get(word.len()..))?;
    let (address, _) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    Some(address.to_owned())
}

/// A line without its end; none when the client is gone, or says too much.
async fn line(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    (&mut *stream).take(LINE_MAX).read_until(b'\n', &mut bytes).await?;
    if !bytes.ends_with(b"\n") {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()))
}

/// A mail up to the line that is a dot: nothing when the client is gone, `Some(None)` when it is too large.
async fn data(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Option<Vec<u8>>>> {
    let (mut mail, mut fits) = (Vec::new(), true);
    loop {
        let mut bytes = Vec::new();
        (&mut *stream).take(MAIL_MAX as u64).read_until(b'\n', &mut bytes).await?;
        match bytes.as_slice() {
            b".\r\n" | b".\n" => return Ok(Some(fits.then_some(mail))),
            line if !line.ends_with(b"\n") => return Ok(None),
            line => {
                // A dot at the start of a line was doubled (RFC 5321, 4.5.2).
                let line = line.strip_prefix(b".").unwrap_or(line);
                fits = fits && mail.len() + line.len() <= MAIL_MAX;
                if fits {
                    mail.extend_from_slice(line);
                }
            }
        }
    }
}

async fn answer(stream: &mut BufReader<TcpStream>, words: &str) -> std::io::Result<()> {
    stream.get_mut().write_all(format!("{words}\r\n").as_bytes()).await
}
