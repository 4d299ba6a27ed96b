//! Tokens and sessions on the screen.

use factory_core::factory::credentials::CredentialView;
use factory_core::model::{CredentialKind, Timestamp};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use super::{sanitize, table};
use crate::failure::Failure;

/// Returns credentials as a table.
pub(crate) fn table(credentials: &[CredentialView]) -> String {
    let rows = credentials.iter().map(|credential| {
        let ended = match (credential.holds, credential.revoked_at, credential.redeemed_at) {
            (true, ..) => credential
                .expires_at
                .map_or_else(|| "holds".to_owned(), |at| format!("holds until {}", minute(at))),
            (false, Some(at), _) => format!("revoked {}", minute(at)),
            (false, None, Some(at)) => format!("used {}", minute(at)),
            (false, None, None) => credential
                .expires_at
                .map_or_else(|| "over".to_owned(), |at| format!("lapsed {}", minute(at))),
        };
        vec![
            credential.id.to_string(),
            sanitize::short(&credential.name, 32),
            credential.kind.to_string(),
            credential.role.to_string(),
            minute(credential.created_at),
            ended,
        ]
    });
    table::columns(&["NUMBER", "NAME", "WHAT", "ROLE", "MADE (UTC)", "NOW"], rows)
}

/// Returns what is said of a token that was just made.
pub(crate) fn issued(credential: &CredentialView) -> String {
    let until = match (credential.kind, credential.expires_at) {
        (CredentialKind::Owner, _) => {
            "; it lies in the data folder, and `factory token` prints it".to_owned()
        }
        (_, None) => ", until it is revoked; it is shown this once".to_owned(),
        (_, Some(at)) => format!(", until {}; it is shown this once", minute(at)),
    };
    format!(
        "the {} of `{}` ({}, number {}){until}",
        credential.kind, credential.name, credential.role, credential.id
    )
}

/// Returns what was taken back.
pub(crate) fn revoked(credentials: &[CredentialView]) -> String {
    let lines = credentials.iter().map(|credential| {
        let name = sanitize::line(&credential.name);
        format!("revoked: {} {} of `{name}`", credential.kind, credential.id)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the text as a QR code of characters, dark on light whatever the terminal's colours are.
pub(crate) fn qr(text: &str) -> Result<String, Failure> {
    let code = QrCode::new(text).map_err(|error| Failure::caused("the link cannot be drawn", &error))?;
    Ok(code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build())
}

fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use factory_core::model::{CredentialId, Role};

    use super::*;

    fn view(number: i64, name: &str, kind: CredentialKind) -> CredentialView {
        CredentialView {
            id: CredentialId(number),
            kind,
            name: name.to_owned(),
            role: Role::Operator,
            created_at: "2026-01-31T12:00:00Z".parse().unwrap(),
            expires_at: None,
            revoked_at: None,
            redeemed_at: None,
            holds: true,
        }
    }

    #[test]
    fn credentials_are_listed_with_what_became_of_them() {
        let later: Option<Timestamp> = Some("2026-02-28T12:00:00Z".parse().unwrap());
        let over = |view: CredentialView| CredentialView { holds: false, ..view };
        let listed = [
            view(1, "ann", CredentialKind::Owner),
            CredentialView {
                expires_at: later,
                ..view(2, "ci", CredentialKind::Token)
            },
            over(CredentialView {
                redeemed_at: later,
                expires_at: later,
                ..view(3, "ann", CredentialKind::LoginCode)
            }),
            over(CredentialView {
                revoked_at: later,
                ..view(4, "ann", CredentialKind::Session)
            }),
            over(CredentialView {
                expires_at: later,
                ..view(5, "old", CredentialKind::Token)
            }),
        ];
        insta::assert_snapshot!(table(&listed), @r"
        NUMBER  NAME  WHAT           ROLE      MADE (UTC)        NOW
        1       ann   owner's token  operator  2026-01-31 12:00  holds
        2       ci    token          operator  2026-01-31 12:00  holds until 2026-02-28 12:00
        3       ann   login code     operator  2026-01-31 12:00  used 2026-02-28 12:00
        4       ann   session        operator  2026-01-31 12:00  revoked 2026-02-28 12:00
        5       old   token          operator  2026-01-31 12:00  lapsed 2026-02-28 12:00
        ");
    }

    #[test]
    fn a_qr_code_fits_a_terminal() {
        let link = format!("http://127.0.0.1:3001/login#{}", "a".repeat(43));
        let drawn = qr(&link).unwrap();
        let lines: Vec<_> = drawn.lines().collect();
        assert!(lines.len() <= 24, "{}", lines.len());
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
        assert!(qr(&"a".repeat(5000)).is_err());
    }
}
