//! Which route a request's path belongs to, found part by part in a tree. One table is asked by whoever wants to know:
//! metrics and logs, which name the pattern and never the path, and the problems that name parameters and methods.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownRoute {
    pattern: Arc<str>,
    methods: Vec<String>,
    place: usize,
}

impl KnownRoute {
    /// Returns the pattern, as `/runs/{run_id}`.
    pub(crate) fn pattern(&self) -> &Arc<str> {
        &self.pattern
    }

    /// Returns the methods that it takes, in order.
    pub(crate) fn methods(&self) -> &[String] {
        &self.methods
    }

    /// Returns the names of its parameters, in the order of the path.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.pattern.split('/').filter_map(parameter)
    }

    /// Returns its number in the table, below [`RouteTable::len`].
    pub(crate) fn place(&self) -> usize {
        self.place
    }
}

/// What follows after a part of a path.
#[derive(Debug, Clone, Default)]
struct Node {
    /// The parts that are said in the pattern.
    literals: BTreeMap<Box<str>, usize>,
    /// Any one part.
    parameter: Option<usize>,
    /// The route that takes whatever follows.
    rest: Option<usize>,
    /// The route that ends here.
    route: Option<usize>,
}

/// All routes.
#[derive(Debug, Clone)]
pub(crate) struct RouteTable {
    routes: Vec<KnownRoute>,
    nodes: Vec<Node>,
}

impl Default for RouteTable {
    /// A table without routes.
    fn default() -> Self {
        Self {
            routes: Vec::new(),
            nodes: vec![Node::default()],
        }
    }
}

impl RouteTable {
    /// Returns the table of these paths, each with its methods.
    pub(crate) fn of(paths: impl IntoIterator<Item = (String, Vec<String>)>) -> Self {
        let paths = paths.into_iter();
        paths.fold(Self::default(), |table, (path, methods)| {
            table.with(&path, methods)
        })
    }

    /// Returns the table with one more route. Parameters are written `{name}`; `{*name}` at the end takes all parts that
    /// follow. Where the pattern is known, the methods are added to it.
    #[must_use]
    pub(crate) fn with<M: Into<String>>(
        mut self,
        pattern: &str,
        methods: impl IntoIterator<Item = M>,
    ) -> Self {
        let mut at = 0;
        let mut takes_rest = false;
        for part in pattern.split('/') {
            match parameter(part) {
                Some(name) if name.starts_with('*') => takes_rest = true,
                Some(_) => at = self.parameter_after(at),
                None => at = self.literal_after(at, part),
            }
        }
        let next = self.routes.len();
        let node = &mut self.nodes[at];
        let end = if takes_rest {
            &mut node.rest
        } else {
            &mut node.route
        };
        let place = *end.get_or_insert(next);
        if place == next {
            self.routes.push(KnownRoute {
                pattern: pattern.into(),
                methods: Vec::new(),
                place,
            });
        }
        let known = &mut self.routes[place].methods;
        known.extend(methods.into_iter().map(Into::into));
        known.sort_unstable();
        known.dedup();
        self
    }

    /// Returns the table of the same routes below a prefix, as `/api`.
    pub(crate) fn under(&self, prefix: &str) -> Self {
        self.routes.iter().fold(Self::default(), |table, route| {
            table.with(&format!("{prefix}{}", route.pattern), route.methods.clone())
        })
    }

    /// Returns the route that the path belongs to: one that says a part before one that takes any.
    pub(crate) fn find(&self, path: &str) -> Option<&KnownRoute> {
        self.find_after(0, Some(path)).map(|place| &self.routes[place])
    }

    /// Returns all routes, each at its place.
    pub(crate) fn routes(&self) -> &[KnownRoute] {
        &self.routes
    }

    /// Returns how many routes there are.
    pub(crate) fn len(&self) -> usize {
        self.routes.len()
    }

    /// Goes back where a part that is said leads nowhere. A pattern is a handful of parts, and so is the work.
    fn find_after(&self, at: usize, path: Option<&str>) -> Option<usize> {
        let node = &self.nodes[at];
        let Some(path) = path else {
            return node.route;
        };
        let (part, after) = match path.split_once('/') {
            Some((part, after)) => (part, Some(after)),
            None => (path, None),
        };
        let said = node
            .literals
            .get(part)
            .and_then(|next| self.find_after(*next, after));
        said.or_else(|| {
            let any = node.parameter.filter(|_| !part.is_empty());
            any.and_then(|next| self.find_after(next, after))
        })
        .or(node.rest)
    }

    fn literal_after(&mut self, at: usize, part: &str) -> usize {
        if let Some(known) = self.nodes[at].literals.get(part) {
            return *known;
        }
        let next = self.add_node();
        self.nodes[at].literals.insert(part.into(), next);
        next
    }

    fn parameter_after(&mut self, at: usize) -> usize {
        if let Some(known) = self.nodes[at].parameter {
            return known;
        }
        let next = self.add_node();
        self.nodes[at].parameter = Some(next);
        next
    }

    fn add_node(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }
}

fn parameter(part: &str) -> Option<&str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> RouteTable {
        RouteTable::default()
            .with("/runs", ["GET", "POST"])
            .with("/runs/bulk", ["POST"])
            .with("/runs/{run_id}", ["GET"])
            .with("/runs/{run_id}/events", ["GET"])
            .with("/runs/{run_id}/{action}", ["POST"])
            .with("/", ["GET"])
            .with("/assets/{*file}", ["GET"])
    }

    fn check(path: &str, expected: Option<&str>) {
        let table = table();
        let found = table.find(path).map(|route| &**route.pattern());
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn a_path_is_matched_part_by_part() {
        check("/", Some("/"));
        check("/runs", Some("/runs"));
        check("/runs/", None);
        check("/runs/bulk", Some("/runs/bulk"));
        check("/runs/7", Some("/runs/{run_id}"));
        check("/runs/x", Some("/runs/{run_id}"));
        check("/runs/7/events", Some("/runs/{run_id}/events"));
        check("/runs/7/pause", Some("/runs/{run_id}/{action}"));
        check("/runs/bulk/events", Some("/runs/{run_id}/events"));
        check("/runs/7/events/8", None);
        check("/runs//events", None);
        check("/assets/a/b.js", Some("/assets/{*file}"));
        check("/nothing", None);
        check("", None);
        check("*", None);
    }

    #[test]
    fn a_route_knows_its_methods_and_parameters() {
        let table = table().with("/runs", ["HEAD", "GET"]);
        let runs = table.find("/runs").unwrap();
        assert_eq!(runs.methods(), ["GET", "HEAD", "POST"]);
        let acting = table.find("/runs/7/pause").unwrap();
        assert_eq!(acting.parameters().collect::<Vec<_>>(), ["run_id", "action"]);
        for (place, route) in table.routes().iter().enumerate() {
            assert_eq!(route.place(), place);
        }
    }

    #[test]
    fn the_same_routes_are_found_below_a_prefix() {
        let table = table().under("/api").with("/", ["GET"]);
        let found = |path| table.find(path).map(|route| route.pattern().to_string());
        assert_eq!(found("/api/runs/7").as_deref(), Some("/api/runs/{run_id}"));
        assert_eq!(found("/runs/7"), None);
        assert_eq!(found("/").as_deref(), Some("/"));
    }
}
