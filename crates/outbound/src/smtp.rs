//! Mail by SMTP.

use crate::text;
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use levee_domain::mail::Mail;
use std::time::Duration;

/// How long the server may take for each of its answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server answers whom it does not let in.
const OUR_FAULTS: [&str; 4] = ["530", "534", "535", "538"];

/// Why a mail did not go out, or can't at all.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// The address of the server is none.
    #[error("smtp_url: {0}")]
    Url(String),
    /// The sender is no address.
    #[error("mail_from is no e-mail address: {0}")]
    From(String),
    /// It may go out later.
    #[error("{0}")]
    Later(String),
    /// It will never go out.
    #[error("{0}")]
    Never(String),
}

/// A way to a mail server.
#[derive(Debug, Clone)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// The address of the page that mails lead to.
    page: String,
}

impl Smtp {
    /// A way to the server at `url` (`smtp://user:password@host:port?tls=required`, `smtps://…`). Mails come from
    /// `from` (an address, or `Name <address>`) and lead to the page at `page`.
    ///
    /// # Errors
    /// When one of them can't be understood.
    pub fn new(url: &str, from: &str, page: &str) -> Result<Self, SmtpError> {
        let from: Mailbox = from.parse().map_err(|_| SmtpError::From(from.to_owned()))?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            // What it says of a wrong address never holds the password.
            .map_err(|error| SmtpError::Url(error.to_string()))?
            .timeout(Some(PATIENCE))
            .hello_name(ClientId::Domain(from.email.domain().to_owned()))
            .build();
        Ok(Self { transport, from, page: page.trim_end_matches('/').to_owned() })
    }

    /// Whether mail can be sent to an address at all.
    pub fn takes(address: &str) -> bool {
        address.parse::<Address>().is_ok()
    }

    /// Sends a mail. One that is sent again has the same `id`, by which others may tell.
    ///
    /// # Errors
    /// [`SmtpError::Later`] or [`SmtpError::Never`].
    pub async fn send(&self, id: &str, mail: &Mail) -> Result<(), SmtpError> {
        let never = |error: String| SmtpError::Never(error);
        let to: Address = mail.to.parse().map_err(|_| never("the receiver is no address".into()))?;
        let (subject, body) = text::of(&mail.says, &self.page);
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(body)
            .map_err(|error| never(error.to_string()))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => {
                // What is wrong with our own credentials says nothing about the mail.
                let ours = error.status().is_some_and(|code| OUR_FAULTS.contains(&code.to_string().as_str()));
                let reason = error.to_string();
                Err(if error.is_permanent() && !ours { never(reason) } else { SmtpError::Later(reason) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use levee_domain::mail::Says;
    use levee_testbed::{Smtp as Server, Verdict};

    fn mail(to: &str) -> Mail {
        Mail { to: to.into(), says: Says::Verify { key: "00secret".into() } }
    }

    #[tokio::test]
    async fn a_mail_arrives_as_it_was_meant() {
        let server = Server::start().unwrap();
        let smtp = Smtp::new(&server.url(), "Levee <chat@example.org>", "https://chat.example.org/").unwrap();
        smtp.send("u-1", &mail("ann@example.com")).await.unwrap();
        let got = server.taken();
        assert_eq!((got.len(), got[0].from.as_str()), (1, "chat@example.org"));
        assert_eq!(got[0].to, ["ann@example.com"]);
        assert!(got[0].text.contains("https://chat.example.org/#/access/00secret"), "{}", got[0].text);
        assert!(got[0].text.contains("Message-ID: <u-1@example.org>"), "{}", got[0].text);
    }

    #[tokio::test]
    async fn what_the_server_refuses_for_now_is_told_from_what_it_refuses_for_good() {
        let server = Server::start().unwrap();
        let smtp = Smtp::new(&server.url(), "chat@example.org", "https://chat.example.org").unwrap();
        for (verdict, later) in [(Verdict::Later, true), (Verdict::Never, false), (Verdict::HangUp, true)] {
            server.answer(verdict);
            let error = smtp.send("u-1", &mail("ann@example.com")).await.unwrap_err();
            assert_eq!(matches!(error, SmtpError::Later(_)), later, "{verdict:?}: {error}");
        }
        server.answer(Verdict::Take);
        smtp.send("u-1", &mail("ann@example.com")).await.unwrap();
        assert_eq!(server.taken().len(), 1);
        drop(server);
        assert!(matches!(smtp.send("u-1", &mail("ann@example.com")).await, Err(SmtpError::Later(_))));
    }

    #[tokio::test]
    async fn no_header_can_be_put_in_by_an_address_or_a_name() {
        let server = Server::start().unwrap();
        let smtp = Smtp::new(&server.url(), "chat@example.org", "https://chat.example.org").unwrap();
        for to in
            ["a@example.com\r\nBcc: b@example.com", "a@example.com, b@example.com", "<a@example.com>", ""]
        {
            assert!(!Smtp::takes(to), "{to:?}");
            let outcome = smtp.send("u-1", &mail(to)).await;
            assert!(matches!(outcome, Err(SmtpError::Never(_))), "{to:?}");
        }
        let by = Some("Eve\r\nBcc: b@example.com".into());
        let says =
            Says::Invite { key: "00k".into(), by, channel: Some("x\r\n.\r\nQUIT".into()), realm: None };
        smtp.send("u-2", &Mail { to: "a@example.com".into(), says }).await.unwrap();
        let got = server.taken();
        assert_eq!((got.len(), got[0].to.as_slice()), (1, &["a@example.com".to_owned()][..]));
        let head = got[0].text.split("\r\n\r\n").next().unwrap();
        assert!(!head.contains("\nBcc"), "{head}");
    }

    #[test]
    fn wrong_settings_are_refused_and_no_password_is_told() {
        for (url, from) in
            [("http://x", "a@example.org"), ("smtp://", "a@example.org"), ("smtp://x", "nobody")]
        {
            assert!(Smtp::new(url, from, "").is_err(), "{url} {from}");
        }
        let error = Smtp::new("smtp://user:hidden@host?tls=maybe", "a@example.org", "").unwrap_err();
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
}
