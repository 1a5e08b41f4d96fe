//! The words of mails: plain text, with one link each.

use levee_domain::mail::Says;

/// The subject and the body of a mail; `page` is where its link leads.
pub(crate) fn of(says: &Says, page: &str) -> (String, String) {
    match says {
        Says::Verify { key } => (
            "Is this your e-mail address?".into(),
            format!(
                "Hello,\n\nsomebody, most likely you, has entered this e-mail address for an account at {page}.\n\n\
                 To confirm that it is yours, or to say that it is not, open this link within a week:\n\n\
                 {link}\n\n\
                 If you know nothing of it, you need not do anything.\n",
                link = link(page, key),
            ),
        ),
        Says::Reset { key } => (
            "Choose a new password".into(),
            format!(
                "Hello,\n\nsomebody, most likely you, wants a new password for the account with this e-mail address \
                 at {page}.\n\n\
                 To choose one, open this link within a day. It works once:\n\n\
                 {link}\n\n\
                 If it was not you, you need not do anything: your password stays as it is.\n",
                link = link(page, key),
            ),
        ),
        Says::Invite { key, by, channel, realm } => {
            let by = by.as_deref().map_or_else(|| "Somebody".to_owned(), line);
            let channel = channel
                .as_deref()
                .map_or_else(|| "a channel".to_owned(), |name| format!("\"{}\"", line(name)));
            let realm = realm.as_deref().map(|name| format!(" of {}", line(name))).unwrap_or_default();
            (
                format!("{by} invites you"),
                format!(
                    "Hello,\n\n{by} invites you to {channel}{realm} at {page}.\n\n\
                     To join, open this link within a week. It works once:\n\n\
                     {link}\n\n\
                     If you don't want to, you need not do anything.\n",
                    link = link(page, key),
                ),
            )
        }
    }
}

fn link(page: &str, key: &str) -> String {
    format!("{page}/#/access/{key}")
}

/// What somebody is called, as a short line: it is somebody else's text.
fn line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mail_has_its_link_once_and_short_lines_of_others() {
        let says = [
            Says::Verify { key: "00key".into() },
            Says::Reset { key: "00key".into() },
            Says::Invite {
                key: "00key".into(),
                by: Some("Ann\nBen".into()),
                channel: Some("c".repeat(500).into()),
                realm: Some("Acme".into()),
            },
        ];
        for says in says {
            let (subject, body) = of(&says, "https://chat.example.org");
            assert_eq!(body.matches("https://chat.example.org/#/access/00key").count(), 1, "{body}");
            assert!(!subject.contains('\n') && subject.len() < 120, "{subject}");
            assert!(!body.contains("Ann\nBen") && !body.contains(&"c".repeat(100)), "{body}");
        }
    }
}
