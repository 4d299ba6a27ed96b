//! What stands before every route: who asks, from where, and how much.

mod principal;

pub(crate) use principal::{Admin, Operator, Principal, Viewer};
