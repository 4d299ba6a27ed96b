//! The pages and their files, embedded. They hold nothing that is not public.

use poem::http::header;
use poem::{Endpoint, Request, Response};

/// A file that anybody may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) path: &'static str,
    media_type: &'static str,
    content: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Every page and file.
pub(super) const PAGES: [Page; 5] = [
    Page {
        path: "/",
        media_type: HTML,
        content: include_str!("../../assets/login/home.html"),
    },
    Page {
        path: "/login",
        media_type: HTML,
        content: include_str!("../../assets/login/login.html"),
    },
    Page {
        path: "/login/home.js",
        media_type: SCRIPT,
        content: include_str!("../../assets/login/home.js"),
    },
    Page {
        path: "/login/login.js",
        media_type: SCRIPT,
        content: include_str!("../../assets/login/login.js"),
    },
    Page {
        path: "/login/login.css",
        media_type: STYLE,
        content: include_str!("../../assets/login/login.css"),
    },
];

impl Endpoint for Page {
    type Output = Response;

    async fn call(&self, _request: Request) -> poem::Result<Response> {
        Ok(Response::builder()
            .header(header::CONTENT_TYPE, self.media_type)
            .body(self.content))
    }
}
