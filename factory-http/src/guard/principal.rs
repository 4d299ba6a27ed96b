//! Who asks: the holder of a credential, as the guard found it, for as long as the credential holds.

use std::sync::{Arc, OnceLock};

use factory_core::model::Role;
use poem::http::StatusCode;
use poem::{FromRequest, Request, RequestBody};
use tokio_util::sync::CancellationToken;

use crate::problem::Problem;

/// The holder of a credential. Put into the request by the guard, which alone makes it.
#[derive(Debug, Clone)]
pub(crate) struct Principal {
    /// The name under which events are recorded.
    pub(crate) name: Arc<str>,
    /// What its holder may do.
    pub(crate) role: Role,
    /// Cancelled once the credential no longer holds: it was revoked, or it lapsed. What is long open ends then.
    pub(crate) ended: CancellationToken,
}

impl Principal {
    /// Refuses whoever may do less than `role`.
    pub(crate) fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        let detail = format!(
            "`{}` is a {} and this takes an {role}; `factory token add NAME --role {role}` makes one who may",
            self.name, self.role
        );
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
    }

    fn of(request: &Request) -> Result<&Self, Problem> {
        // Nothing passes the guard without; a route that stands outside of it must not become open by that.
        request.extensions().get::<Self>().ok_or_else(|| {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "no credential came with the request",
            )
        })
    }
}

/// Where the guard leaves the name of who asks for layers that stand outside of it: the log names them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asker(Arc<OnceLock<Arc<str>>>);

impl Asker {
    /// Returns the name, once the guard has found it.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.get().map(|name| &**name)
    }

    /// Leaves the name.
    pub(crate) fn is(&self, principal: &Principal) {
        // Another gate before this one would have found the same.
        let _ = self.0.set(Arc::clone(&principal.name));
    }
}

/// Declares an extractor that lets those through who may do so much.
macro_rules! at_least {
    ($(#[$doc:meta])* $name:ident, $role:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name(pub(crate) Principal);

        impl<'a> FromRequest<'a> for $name {
            async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
                let principal = Principal::of(request)?;
                principal.require($role)?;
                Ok(Self(principal.clone()))
            }
        }
    };
}

at_least! {
    /// Somebody who may look.
    Viewer, Role::Viewer
}
at_least! {
    /// Somebody who may file and steer runs.
    Operator, Role::Operator
}
at_least! {
    /// Somebody who may set what commands run and where.
    Admin, Role::Admin
}
