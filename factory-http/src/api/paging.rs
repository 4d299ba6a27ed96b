//! Lists in pages: the limits that a client may ask for, and the page that it gets.

use factory_core::store::Page as StorePage;
use poem_openapi::param::Query;

use super::cursor;
use super::payload::Page;
use crate::problem::Problem;

/// How many items a page has where the client does not say.
pub(crate) const DEFAULT_LIMIT: u32 = 50;

/// The most items of a page.
pub(crate) const MAX_LIMIT: u32 = 500;

/// A list, named with its filters, as a client pages through it.
#[derive(Debug)]
pub(crate) struct List {
    name: String,
    limit: u32,
}

impl List {
    /// Returns the list of this name.
    pub(crate) fn new(name: impl Into<String>, limit: &Query<Option<u32>>) -> Self {
        Self {
            name: name.into(),
            limit: limit.0.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT),
        }
    }

    /// Returns the page that the cursor asks for. One item more than the client wants tells whether there is another.
    pub(crate) fn page<K: std::str::FromStr>(&self, cursor: Option<&str>) -> Result<StorePage<K>, Problem> {
        let after = cursor
            .map(|cursor| cursor::read(&self.name, cursor))
            .transpose()?;
        Ok(StorePage {
            after,
            limit: self.limit.min(StorePage::<K>::MAX - 1) + 1,
        })
    }

    /// Returns the page that the cursor asks for, by what the cursor's text is read as.
    pub(crate) fn page_of<C: std::str::FromStr>(&self, cursor: Option<&str>) -> Result<PageOf<C>, Problem> {
        self.page::<C>(cursor).map(PageOf)
    }

    /// Returns the page of what was read for it.
    pub(crate) fn answer<T, K: std::fmt::Display, W>(
        &self,
        mut read: Vec<T>,
        key: impl Fn(&T) -> K,
        wire: impl FnMut(T) -> W,
    ) -> Page<W> {
        let most = usize::try_from(self.limit.min(StorePage::<K>::MAX - 1)).unwrap_or(usize::MAX);
        let more = read.len() > most;
        read.truncate(most);
        let next_cursor = match read.last() {
            Some(last) if more => Some(cursor::write(&self.name, key(last))),
            _ => None,
        };
        Page {
            items: read.into_iter().map(wire).collect(),
            next_cursor,
        }
    }
}

/// A page whose key is read as another type than the store's.
#[derive(Debug)]
pub(crate) struct PageOf<C>(StorePage<C>);

impl<C> PageOf<C> {
    /// Returns the page with the store's own key.
    pub(crate) fn map<K>(self, key: impl FnOnce(C) -> K) -> StorePage<K> {
        StorePage {
            after: self.0.after.map(key),
            limit: self.0.limit,
        }
    }
}
