//! Where a list's next page begins, as a text that says nothing to its reader and cannot be made up.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::http::StatusCode;
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// How much of the hash goes with it: enough to see a slip of the pen, or a cursor of another list.
const CHECK: usize = 6;

/// Returns the cursor of the page after the item `last` of the list that `list` names, its filters included.
pub(crate) fn write(list: &str, item: impl std::fmt::Display) -> String {
    let item = item.to_string();
    let mut bytes = checksum(list, &item).to_vec();
    bytes.extend(item.bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the item after which the page begins. Refuses what this list did not give out.
pub(crate) fn read<T: std::str::FromStr>(list: &str, cursor: &str) -> Result<T, Problem> {
    let refused = || {
        let detail = "this cursor is none that this list gave out; begin without one, or give `next_cursor` unchanged \
                      and with the same filters";
        Problem::new(StatusCode::BAD_REQUEST, "bad_cursor", detail)
            .at("query:cursor", "not a cursor of this list")
    };
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
    let (given, item) = bytes.split_at_checked(CHECK).ok_or_else(refused)?;
    let item = std::str::from_utf8(item).map_err(|_| refused())?;
    if given != checksum(list, item) {
        return Err(refused());
    }
    item.parse().map_err(|_| refused())
}

fn checksum(list: &str, item: &str) -> [u8; CHECK] {
    let hash = Sha256::new()
        .chain_update(list)
        .chain_update([0])
        .chain_update(item)
        .finalize();
    let mut sum = [0; CHECK];
    sum.copy_from_slice(&hash[..CHECK]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_holds_for_its_own_list_alone() {
        let cursor = write("runs?status=QUEUED", 17);
        assert_eq!(read::<i64>("runs?status=QUEUED", &cursor).unwrap(), 17);
        let mut other = cursor.clone();
        other.pop();
        for (list, cursor) in [
            ("runs", cursor.as_str()),
            ("runs?status=QUEUED", other.as_str()),
            ("runs?status=QUEUED", "17"),
            ("runs?status=QUEUED", ""),
            ("runs?status=QUEUED", "ä"),
        ] {
            let problem = read::<i64>(list, cursor).unwrap_err();
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST, "{list} {cursor}");
        }
    }
}
