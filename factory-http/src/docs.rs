//! `/docs`: the API for people to read, made of the `OpenAPI` document. Plain HTML without a script, so that it needs no
//! network, no build and no exception from the page policy.

use std::fmt::Write as _;

use serde_json::Value;

use crate::problem::codes;

/// Returns the page.
pub(crate) fn page(document: &Value) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>AI Dev Factory: HTTP API</title><link rel=stylesheet href=/login/login.css>\
         <body class=docs><main><h1>HTTP API</h1>",
    );
    for paragraph in text(&document["info"]["description"]).split("\n\n") {
        push(&mut page, format_args!("<p>{}</p>", prose(paragraph)));
    }
    page.push_str("<nav><ul>");
    for tag in items(&document["tags"]) {
        let name = escaped(text(&tag["name"]));
        push(&mut page, format_args!("<li><a href=\"#{name}\">{name}</a></li>"));
    }
    page.push_str("<li><a href=\"#problems\">Problems</a></li>");
    page.push_str("<li><a href=\"#schemas\">Schemas</a></li></ul></nav>");
    for tag in items(&document["tags"]) {
        let name = text(&tag["name"]);
        let (shown, about) = (escaped(name), escaped(text(&tag["description"])));
        push(
            &mut page,
            format_args!("<section id=\"{shown}\"><h2>{shown}</h2><p>{about}</p>"),
        );
        for (path, methods) in members(&document["paths"]) {
            for (method, operation) in members(methods) {
                if items(&operation["tags"]).any(|tag| tag == name) {
                    push_operation(&mut page, path, method, operation);
                }
            }
        }
        page.push_str("</section>");
    }
    page.push_str("<section id=problems><h2>Problems</h2><dl>");
    for (code, meaning) in codes::ALL {
        let meaning = escaped(meaning);
        push(
            &mut page,
            format_args!("<dt id=\"problem-{code}\"><code>{code}</code></dt><dd>{meaning}</dd>"),
        );
    }
    page.push_str("</dl></section>");
    page.push_str("<section id=schemas><h2>Schemas</h2>");
    for (name, schema) in members(&document["components"]["schemas"]) {
        let name = escaped(name);
        let schema = serde_json::to_string_pretty(schema).unwrap_or_default();
        let schema = escaped(&schema);
        push(
            &mut page,
            format_args!(
                "<details id=\"schema-{name}\"><summary>{name}</summary><pre>{schema}</pre></details>"
            ),
        );
    }
    page.push_str("</section></main></body></html>");
    page
}

fn push_operation(page: &mut String, path: &str, method: &str, operation: &Value) {
    let (method, path) = (method.to_uppercase(), escaped(path));
    let (summary, about) = (
        escaped(text(&operation["summary"])),
        prose(text(&operation["description"])),
    );
    push(
        page,
        format_args!(
            "<article><h3><code>{method} {path}</code></h3><p><strong>{summary}</strong></p><p>{about}</p>"
        ),
    );
    let parameters: Vec<&Value> = items(&operation["parameters"]).collect();
    if !parameters.is_empty() {
        page.push_str("<dl>");
        for parameter in parameters {
            let (name, place) = (escaped(text(&parameter["name"])), escaped(text(&parameter["in"])));
            let about = prose(text(&parameter["description"]));
            let needed = if parameter["required"] == true {
                ", required"
            } else {
                ""
            };
            push(
                page,
                format_args!("<dt><code>{name}</code> ({place}{needed})</dt><dd>{about}</dd>"),
            );
        }
        page.push_str("</dl>");
    }
    if let Some(schema) = reference(&operation["requestBody"]) {
        push(page, format_args!("<p>Takes {}</p>", link(&schema)));
    }
    page.push_str("<ul>");
    for (status, response) in members(&operation["responses"]) {
        let about = prose(text(&response["description"]));
        let schema = reference(response)
            .map(|schema| link(&schema))
            .unwrap_or_default();
        push(page, format_args!("<li>{status}: {about} {schema}</li>"));
    }
    page.push_str("</ul></article>");
}

/// Returns the schema that a request or a response names.
fn reference(holder: &Value) -> Option<String> {
    let (_, content) = members(&holder["content"]).next()?;
    let reference = content["schema"]["$ref"].as_str()?;
    reference.rsplit('/').next().map(str::to_owned)
}

fn link(schema: &str) -> String {
    let schema = escaped(schema);
    format!("<a href=\"#schema-{schema}\">{schema}</a>")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn push(page: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = page.write_fmt(arguments);
}

/// Returns a description as HTML: of Markdown the two marks alone that descriptions here have.
fn prose(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (number, part) in text.split('`').enumerate() {
        if number % 2 == 1 {
            push(&mut shown, format_args!("<code>{}</code>", escaped(part)));
            continue;
        }
        for (number, part) in part.split("**").enumerate() {
            let part = escaped(part);
            if number % 2 == 1 {
                push(&mut shown, format_args!("<strong>{part}</strong>"));
            } else {
                shown.push_str(&part);
            }
        }
    }
    shown
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_a_description_become_markup_and_nothing_else_does() {
        assert_eq!(
            prose("**Who.** Give `a<b>`, not <i>."),
            "<strong>Who.</strong> Give <code>a&lt;b&gt;</code>, not &lt;i&gt;."
        );
        assert_eq!(prose("one ` alone"), "one <code> alone</code>");
    }

    #[test]
    fn every_operation_and_schema_is_on_the_page_and_every_link_leads_somewhere() {
        let document = crate::openapi::document(&crate::api::service());
        let page = page(&document);
        for (path, methods) in members(&document["paths"]) {
            for (method, _) in members(methods) {
                let heading = format!("<code>{} {}</code>", method.to_uppercase(), escaped(path));
                assert!(page.contains(&heading), "{heading}");
            }
        }
        for link in page.split("href=\"#").skip(1) {
            let target = link.split('"').next().unwrap();
            let (quoted, plain) = (format!("id=\"{target}\""), format!("id={target}>"));
            assert!(page.contains(&quoted) || page.contains(&plain), "{target}");
        }
        assert!(!page.contains("<script"));
    }

    #[test]
    fn what_stands_in_the_document_is_text() {
        assert_eq!(escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
