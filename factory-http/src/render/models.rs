//! Models on the screen: what each endpoint has, and what is known of one.

use factory_core::factory::{EndpointModels, ProbedModel};
use factory_core::llm::catalogue::ListedModel;
use factory_core::llm::{Capabilities, Support, WindowBasis};

use super::amount::{number, size};
use super::{sanitize, table};

/// Returns the endpoints with their models, and why there are none where there are none.
pub(crate) fn endpoints(endpoints: &[EndpointModels]) -> String {
    let blocks = endpoints.iter().map(|endpoint| {
        let head = format!(
            "{} ({}, {})",
            sanitize::line(&endpoint.endpoint),
            endpoint.kind,
            sanitize::line(&endpoint.url)
        );
        match &endpoint.failure {
            Some(failure) => format!("{head}\n  ✗ {}", sanitize::line(failure)),
            None if endpoint.models.is_empty() => format!("{head}\n  no model"),
            None => {
                let rows = endpoint.models.iter().map(row);
                let models = table::columns(
                    &[
                        "MODEL",
                        "SIZE",
                        "PARAMETERS",
                        "STORED AS",
                        "WINDOW",
                        "LOADED",
                        "CAN",
                    ],
                    rows,
                );
                let lines: Vec<_> = models.lines().map(|line| format!("  {line}")).collect();
                format!("{head}\n{}", lines.join("\n"))
            }
        }
    });
    blocks.collect::<Vec<_>>().join("\n\n")
}

fn row(model: &ListedModel) -> Vec<String> {
    let text = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), |text| sanitize::short(text, 16));
    let loaded = match model.loaded {
        None => "-",
        Some(false) => "no",
        Some(true) => "yes",
    };
    let can = abilities(&model.capabilities);
    vec![
        sanitize::short(&model.name, 64),
        model.size.map_or_else(|| "-".to_owned(), size),
        text(model.parameters.as_deref()),
        text(model.quantisation.as_deref()),
        window(&model.capabilities),
        loaded.to_owned(),
        if can.is_empty() {
            "-".to_owned()
        } else {
            can.join(", ")
        },
    ]
}

/// Returns what a model can do for sure.
fn abilities(capabilities: &Capabilities) -> Vec<&'static str> {
    [
        ("tools", capabilities.tools),
        ("schema", capabilities.schema),
        ("thinking", capabilities.thinking),
    ]
    .into_iter()
    .filter_map(|(name, support)| (support == Support::Yes).then_some(name))
    .collect()
}

/// Returns a window with how sure it is.
pub(crate) fn window(capabilities: &Capabilities) -> String {
    let Some(window) = capabilities.window else {
        return "untold".to_owned();
    };
    let basis = match window.basis {
        WindowBasis::Assumed => "assumed",
        WindowBasis::Declared => "declared",
        WindowBasis::Told => "told",
        WindowBasis::Verified => "verified",
    };
    format!("{} ({basis})", number(window.tokens))
}

/// Returns what is known of a model.
pub(crate) fn probed(probed: &ProbedModel) -> String {
    let known = &probed.capabilities;
    let supports = |support| match support {
        Support::Yes => "yes",
        Support::No => "no",
        Support::Unknown => "untold; only trying tells",
    };
    let mut lines = vec![
        format!("{} is ready", sanitize::line(&probed.model)),
        format!("  window    {}", window(known)),
        format!("  protocol  {}", probed.protocol),
        format!("  tools     {}", supports(known.tools)),
        format!("  schema    {}", supports(known.schema)),
        format!("  thinking  {}", supports(known.thinking)),
    ];
    lines.extend(probed.tries.iter().map(|tried| match &tried.failure {
        None => format!("  tried     {}: works", tried.protocol),
        Some(why) => format!("  tried     {}: {}", tried.protocol, sanitize::line(why)),
    }));
    if known
        .window
        .is_some_and(|window| window.basis == WindowBasis::Assumed)
    {
        lines.push(
            "nobody told the window; say `context = TOKENS` in the endpoint's table of factory.toml if it is another"
                .to_owned(),
        );
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use factory_core::factory::ProtocolTry;
    use factory_core::llm::Window;
    use factory_core::llm::endpoint::EndpointKind;
    use factory_core::model::Protocol;

    use super::*;

    fn endpoint(name: &str, models: Vec<ListedModel>, failure: Option<&str>) -> EndpointModels {
        EndpointModels {
            endpoint: name.to_owned(),
            kind: EndpointKind::Ollama,
            url: "http://127.0.0.1:11434".to_owned(),
            models,
            failure: failure.map(str::to_owned),
        }
    }

    fn capabilities(tokens: u64, basis: WindowBasis) -> Capabilities {
        Capabilities {
            tools: Support::Yes,
            schema: Support::Yes,
            window: Some(Window { tokens, basis }),
            ..Capabilities::default()
        }
    }

    #[test]
    fn each_endpoint_shows_its_models_or_why_not() {
        let coder = ListedModel {
            name: "qwen2.5-coder:7b".to_owned(),
            size: Some(4_683_087_332),
            parameters: Some("7.6B".to_owned()),
            quantisation: Some("Q4_K_M".to_owned()),
            capabilities: capabilities(8192, WindowBasis::Verified),
            loaded: Some(true),
        };
        let bare = ListedModel {
            name: "evil\u{1b}[2J".to_owned(),
            ..ListedModel::default()
        };
        let shown = endpoints(&[
            endpoint("ollama", vec![coder, bare], None),
            endpoint("empty", vec![], None),
            endpoint("away", vec![], Some("cannot reach it")),
        ]);
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn what_is_assumed_is_said() {
        let shown = probed(&ProbedModel {
            model: "work:m".to_owned(),
            capabilities: capabilities(32_768, WindowBasis::Assumed),
            protocol: Protocol::Text,
            tries: vec![
                ProtocolTry {
                    protocol: Protocol::Native,
                    failure: Some("it prints its calls into the text".to_owned()),
                },
                ProtocolTry {
                    protocol: Protocol::Text,
                    failure: None,
                },
            ],
        });
        insta::assert_snapshot!(shown);
    }
}
