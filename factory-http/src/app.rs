//! Every route on one screen, and what stands before all of them.

use std::sync::Arc;

use factory_core::Factory;
use poem::endpoint::make_sync;
use poem::{Endpoint, EndpointExt as _, Request, Response, Route};

use crate::api::once::{self, InFlight};
use crate::api::{self, Defaults};
use crate::live::{self, Live};
use crate::openapi;
use crate::problem::{Explained, Methods};
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
}

impl App {
    /// Returns the API: what stands in the document, the documents themselves, and the pages that show them.
    pub(crate) fn routes(&self) -> impl Endpoint<Output = Response> + use<> {
        let service = api::service();
        let document = openapi::document(&service);
        let methods = methods(&document);
        let text: Arc<str> = serde_json::to_string(&document)
            .expect("a document is JSON")
            .into();
        let page = service.swagger_ui_html();
        let routes = live::routes(Route::new())
            .at("/openapi.json", make_sync(move |_| json(&text)))
            .at("/docs", make_sync(move |_| html(&page)))
            .nest("/", service)
            .data(self.factory.clone())
            .data(self.defaults.clone())
            .data(self.pulls.clone())
            .data(InFlight::default())
            .data(self.live.clone());
        let routes = routes.before(async |request: Request| {
            once::check(request.headers())?;
            Ok(request)
        });
        Explained::new(routes, methods)
    }
}

/// Returns the methods that each path of the document takes.
fn methods(document: &serde_json::Value) -> Methods {
    let paths = document["paths"].as_object().into_iter().flatten();
    let methods = paths.map(|(path, operations)| {
        let methods = operations.as_object().into_iter().flatten();
        (
            path.clone(),
            methods.map(|(method, _)| method.to_uppercase()).collect(),
        )
    });
    let live = live::PATHS.map(|path| (path.to_owned(), vec!["GET".to_owned()]));
    Arc::new(methods.chain(live).collect())
}

fn json(text: &Arc<str>) -> Response {
    Response::builder()
        .content_type("application/json")
        .body(text.to_string())
}

fn html(page: &str) -> Response {
    Response::builder()
        .content_type("text/html; charset=utf-8")
        .body(page.to_owned())
}
