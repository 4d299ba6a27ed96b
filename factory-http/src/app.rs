//! Every route on one screen, and what stands before all of them.

use std::sync::Arc;

use factory_core::Factory;
use poem::{Endpoint, EndpointExt as _, Request, Response, Route};

use crate::api::once::{self, InFlight};
use crate::api::{self, Defaults};
use crate::documents::Document;
use crate::live::{self, Live};
use crate::observe::{self, Metrics, RouteTable};
use crate::problem::Explained;
use crate::pulls::Pulls;

/// What the routes are made of.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// The factory.
    pub(crate) factory: Factory,
    /// What runs are filed with where nothing is said.
    pub(crate) defaults: Defaults,
    /// The models that are being got.
    pub(crate) pulls: Pulls,
    /// Those who follow events.
    pub(crate) live: Live,
    /// What is counted.
    pub(crate) metrics: Metrics,
}

/// The API, and what is known of its routes.
pub(crate) struct Routes<E> {
    /// What answers.
    pub(crate) endpoint: E,
    /// Every route that it has.
    pub(crate) table: Arc<RouteTable>,
}

impl App {
    /// Returns the API: what stands in the document, the documents themselves, and the pages that show them.
    pub(crate) fn routes(&self) -> Routes<impl Endpoint<Output = Response> + use<>> {
        let plain = ["/openapi.json", "/asyncapi.json", "/docs", "/metrics"];
        let table = plain
            .into_iter()
            .chain(live::PATHS)
            .fold(RouteTable::of(api::paths()), |table, path| {
                table.with(path, ["GET"])
            });
        let table = Arc::new(table);
        let routes = live::routes(Route::new())
            .at("/openapi.json", Document::OpenApi)
            .at("/asyncapi.json", Document::AsyncApi)
            .at("/docs", Document::Page)
            .at(
                "/metrics",
                observe::endpoint(self.metrics.clone(), Arc::new(self.factory.clone())),
            )
            .nest("/", api::service())
            .data(self.factory.clone())
            .data(self.defaults.clone())
            .data(self.pulls.clone())
            .data(InFlight::default())
            .data(self.live.clone());
        let routes = routes.before(async |request: Request| {
            once::check(request.headers())?;
            Ok(request)
        });
        Routes {
            endpoint: Explained::new(routes, Arc::clone(&table)),
            table,
        }
    }
}
