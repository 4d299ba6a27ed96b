//! What browsers are served: the page that opens a session, the page that says who is logged in, and the API under
//! `/api`, behind the session.

mod pages;
mod session;

use std::sync::Arc;

use poem::{Endpoint, Route, RouteMethod};

use crate::documents::Document;
use crate::guard::{Demand, Front, Gate, GateSettings, Shown};
use crate::observe::RouteTable;

/// Returns every route of the browser's port, where the API has these.
pub(crate) fn table(api: &RouteTable) -> RouteTable {
    let session = api
        .under("/api")
        .with("/api/session", ["GET", "POST", "DELETE"])
        .with("/docs", ["GET", "HEAD"]);
    pages::PAGES
        .iter()
        .fold(session, |table, page| table.with(page.path, ["GET", "HEAD"]))
}

/// Returns everything that the browser's port serves. `api` is the API without any guard; `settings` are those of the
/// gate before it, whatever they demand.
pub(crate) fn routes<E: Endpoint + 'static>(api: E, settings: &GateSettings) -> impl Endpoint + use<E> {
    let with = |demand| GateSettings {
        demand,
        ..settings.clone()
    };
    let session = RouteMethod::new()
        .post(Gate::new(session::Open::new(settings), with(Demand::Nothing)))
        .get(Gate::new(session::show, with(Demand::Session)))
        .delete(Gate::new(session::Close::new(settings), with(Demand::Session)));
    let mut routes = Route::new()
        .at("/api/session", session)
        .nest("/api", Gate::new(api, with(Demand::Session)));
    for page in pages::PAGES {
        routes = routes.at(page.path, RouteMethod::new().get(page).head(page));
    }
    let routes = routes.at(
        "/docs",
        RouteMethod::new().get(Document::Page).head(Document::Page),
    );
    Front::new(routes, Arc::clone(&settings.sites), Shown::Page)
}
