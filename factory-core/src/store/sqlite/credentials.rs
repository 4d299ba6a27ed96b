//! Credentials: what is read and written of them.

use rusqlite::{Connection, Row, params};

use super::super::{CredentialFilter, Page, Redemption, rules};
use super::failure::Failure;
use super::queries::{many, one};
use super::rows;
use crate::model::{Credential, CredentialId, NewCredential, NewSession, SecretHash, Timestamp};

const COLUMNS: &str =
    "id, kind, name, role, hash, page_hash, created_at, expires_at, revoked_at, redeemed_at";

pub(super) fn add(database: &Connection, new: &NewCredential) -> Result<Credential, Failure> {
    insert(database, new, None)
}

fn insert(
    database: &Connection,
    new: &NewCredential,
    page_hash: Option<SecretHash>,
) -> Result<Credential, Failure> {
    if find(database, &new.hash)?.is_some() {
        return Err(rules::credential_exists(&new.name).into());
    }
    let sql = "INSERT INTO credentials (kind, name, role, hash, page_hash, created_at, expires_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    database.prepare_cached(sql)?.execute(params![
        new.kind.as_str(),
        new.name,
        new.role.as_str(),
        new.hash.as_bytes(),
        page_hash.as_ref().map(SecretHash::as_bytes),
        new.created_at.to_string(),
        new.expires_at.map(|at| at.to_string()),
    ])?;
    let id = CredentialId(database.last_insert_rowid());
    Ok(Credential {
        page_hash,
        ..rules::credential(id, new.clone())
    })
}

pub(super) fn by_hash(database: &Connection, hash: &SecretHash) -> Result<Credential, Failure> {
    find(database, hash)?.ok_or_else(|| rules::no_such_credential().into())
}

fn find(database: &Connection, hash: &SecretHash) -> Result<Option<Credential>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM credentials WHERE hash = ?1");
    one(database, &sql, [hash.as_bytes()], row)
}

pub(super) fn list(
    database: &Connection,
    filter: CredentialFilter,
    page: Page<CredentialId>,
) -> Result<Vec<Credential>, Failure> {
    let after = page.after.map_or(i64::MIN, |id| id.0);
    let limit = page.bounded_limit();
    match filter {
        CredentialFilter::All => {
            let sql = format!("SELECT {COLUMNS} FROM credentials WHERE id > ?1 ORDER BY id LIMIT ?2");
            many(database, &sql, params![after, limit], row)
        }
        CredentialFilter::HoldingAt(now) => {
            // Timestamps of ours sort as text in the order of time.
            let sql = format!(
                "SELECT {COLUMNS} FROM credentials WHERE revoked_at IS NULL AND redeemed_at IS NULL \
                 AND (expires_at IS NULL OR expires_at > ?3) AND id > ?1 ORDER BY id LIMIT ?2"
            );
            many(database, &sql, params![after, limit, now.to_string()], row)
        }
    }
}

pub(super) fn revoke(database: &Connection, id: CredentialId, at: Timestamp) -> Result<Credential, Failure> {
    let sql = format!(
        "UPDATE credentials SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1 RETURNING {COLUMNS}"
    );
    let revoked = one(database, &sql, params![id.0, at.to_string()], row)?;
    revoked.ok_or_else(|| rules::not_found("credential", &id).into())
}

pub(super) fn redeem(
    database: &Connection,
    code: &SecretHash,
    session: NewSession,
    at: Timestamp,
) -> Result<Redemption, Failure> {
    let Some(code) = find(database, code)? else {
        return Ok(Redemption::Unknown);
    };
    if let Some(refused) = rules::refused_code(&code, at) {
        return Ok(refused);
    }
    database
        .prepare_cached("UPDATE credentials SET redeemed_at = ?2 WHERE id = ?1")?
        .execute(params![code.id.0, at.to_string()])?;
    let new = rules::session_of(&code, session, at);
    Ok(Redemption::Opened(insert(
        database,
        &new,
        Some(session.page_hash),
    )?))
}

fn row(row: &Row<'_>) -> Result<Credential, Failure> {
    let id: i64 = row.get(0)?;
    let word = |column: usize| rows::required::<String>(row, column, "credential", id);
    let moment = |column: usize| -> Result<Option<Timestamp>, Failure> {
        let text: Option<String> = row.get(column)?;
        text.map(|text| rows::readable(text.parse(), "credential", id))
            .transpose()
    };
    Ok(Credential {
        id: CredentialId(id),
        kind: rows::readable(word(1)?.parse(), "credential", id)?,
        name: word(2)?,
        role: rows::readable(word(3)?.parse(), "credential", id)?,
        hash: rows::required::<[u8; 32]>(row, 4, "credential", id)?.into(),
        page_hash: row.get::<_, Option<[u8; 32]>>(5)?.map(SecretHash::from),
        created_at: rows::readable(word(6)?.parse(), "credential", id)?,
        expires_at: moment(7)?,
        revoked_at: moment(8)?,
        redeemed_at: moment(9)?,
    })
}
