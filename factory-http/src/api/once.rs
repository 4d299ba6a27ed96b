//! `Idempotency-Key`: a client that does not know whether its request arrived sends it again, and nothing is made twice.
//!
//! What is written to runs keeps the key in its own transaction. A key that is being used at this very moment answers
//! 409; one that was used for another request, 422.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use factory_core::store::{Once, StoreError};
use factory_core::{Error, Factory};
use poem::http::{HeaderMap, HeaderValue, StatusCode};
use poem_openapi::param::Header;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::payload::Digest;
use crate::guard::Principal;
use crate::problem::Problem;

/// The longest key.
const MOST: usize = 255;

/// The header, as operations take it.
pub(crate) type KeyHeader = Header<Option<String>>;

/// Keys that are being used at this moment. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<(String, String)>>>);

/// A key in use; free again when it is dropped.
#[derive(Debug)]
struct InUse {
    keys: InFlight,
    place: (String, String),
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut keys = self.keys.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.remove(&self.place);
    }
}

impl InFlight {
    fn begin(&self, once: &Once) -> Result<InUse, Problem> {
        let place = (once.scope.clone(), once.key.clone());
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !keys.insert(place.clone()) {
            let detail =
                "a request with this `Idempotency-Key` is being carried out; ask again for its answer";
            return Err(Problem::new(StatusCode::CONFLICT, "key_in_use", detail).retry_after(1));
        }
        Ok(InUse {
            keys: self.clone(),
            place,
        })
    }
}

/// Refuses a key that is none, whatever is asked with it. The framework takes a header that is no text for one that is
/// not there, by which the request would be done twice.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), Problem> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let is_key = |key: &HeaderValue| {
        (1..=MOST).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    match (keys.next(), keys.next()) {
        (None, _) => Ok(()),
        (Some(key), None) if is_key(key) => Ok(()),
        _ => {
            let detail =
                format!("an `Idempotency-Key` is 1 to {MOST} visible ASCII characters, and comes once");
            Err(Problem::new(StatusCode::BAD_REQUEST, "bad_key", detail)
                .at("header:Idempotency-Key", "not a key"))
        }
    }
}

/// Something made, and whether it was made before.
#[derive(Debug)]
pub(crate) struct Made<T> {
    pub(crate) value: T,
    pub(crate) replayed: bool,
}

impl<T> Made<T> {
    fn now(value: T) -> Self {
        Self {
            value,
            replayed: false,
        }
    }
}

/// A request that is done at most once where its client gave it a key.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    factory: &'a Factory,
    in_flight: &'a InFlight,
    caller: &'a Principal,
    once: Option<Once>,
}

impl<'a> Request<'a> {
    /// Returns the request. `operation` names what is asked and of what; `digest` is the body's.
    pub(crate) fn new(
        factory: &'a Factory,
        in_flight: &'a InFlight,
        caller: &'a Principal,
        key: KeyHeader,
        operation: &str,
        digest: &Digest,
    ) -> Self {
        let once = key.0.map(|key| Once {
            scope: format!("{} {operation}", caller.name),
            key,
            fingerprint: digest.to_string(),
        });
        Self {
            factory,
            in_flight,
            caller,
            once,
        }
    }

    /// Does what is written to runs. The key is kept by that very write.
    pub(crate) async fn write<T: DeserializeOwned>(
        self,
        work: impl AsyncFnOnce(Factory) -> Result<T, Error>,
    ) -> Result<Made<T>, Problem> {
        let factory = self.factory.acting_as(&self.caller.name);
        let Some(once) = self.once else {
            return Ok(Made::now(work(factory).await?));
        };
        let _in_use = self.in_flight.begin(&once)?;
        if let Some(answer) = known(&factory, &once).await? {
            return Ok(answer);
        }
        match work(factory.once(once.clone())).await {
            Ok(value) => Ok(Made::now(value)),
            Err(Error::Store(StoreError::Repeated { fingerprint, answer })) => {
                replay(&once, &fingerprint, &answer)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Does something else, and keeps the answer afterwards. A crash between the two leaves the key free.
    pub(crate) async fn make<T: Serialize + DeserializeOwned>(
        self,
        work: impl AsyncFnOnce(Factory) -> Result<T, Error>,
    ) -> Result<Made<T>, Problem> {
        let factory = self.factory.acting_as(&self.caller.name);
        let Some(once) = self.once else {
            return Ok(Made::now(work(factory).await?));
        };
        let _in_use = self.in_flight.begin(&once)?;
        if let Some(answer) = known(&factory, &once).await? {
            return Ok(answer);
        }
        let value = work(factory.clone()).await?;
        match serde_json::to_string(&value) {
            Ok(answer) => factory.remember(once, answer).await?,
            Err(error) => tracing::error!(%error, "an answer cannot be kept"),
        }
        Ok(Made::now(value))
    }
}

async fn known<T: DeserializeOwned>(factory: &Factory, once: &Once) -> Result<Option<Made<T>>, Problem> {
    let remembered = factory.reader().remembered(&once.scope, &once.key).await?;
    remembered
        .map(|remembered| replay(once, &remembered.fingerprint, &remembered.answer))
        .transpose()
}

fn replay<T: DeserializeOwned>(once: &Once, fingerprint: &str, answer: &str) -> Result<Made<T>, Problem> {
    if fingerprint != once.fingerprint {
        let detail = "this `Idempotency-Key` was used for another request; take a new key for a new request";
        return Err(
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", detail)
                .at("header:Idempotency-Key", "used for another request"),
        );
    }
    let value = serde_json::from_str(answer).map_err(|error| {
        let error = Error::Internal(format!("a kept answer cannot be read: {error}"));
        Problem::from(error)
    })?;
    Ok(Made {
        value,
        replayed: true,
    })
}

/// Returns the digest of a request that has no body.
pub(crate) fn no_body() -> Digest {
    Digest::of(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_plain_and_comes_once() {
        let checked = |keys: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for key in keys {
                headers.append("idempotency-key", HeaderValue::from_bytes(key).unwrap());
            }
            check(&headers).is_ok()
        };
        assert!(checked(&[]) && checked(&[b"a-1"]) && checked(&[&[b'x'; MOST]]));
        let bad: [&[&[u8]]; 5] = [
            &[b""],
            &["ü".as_bytes()],
            &[b"a b"],
            &[&[b'x'; MOST + 1]],
            &[b"a", b"a"],
        ];
        for keys in bad {
            assert!(!checked(keys), "{keys:?}");
        }
    }
}
