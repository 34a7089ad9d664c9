//! Lists: selected, cut into pages, and as they were at one version.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::catalog::Resource;
use super::failure::Failure;
use super::request::Query;
use super::select::Selector;
use super::store::{Objects, Store, Stored, within};

/// How many lists can be continued at once; the oldest has then expired.
const PAGED: usize = 8;

/// Namespace and name.
type Place = (Arc<str>, Arc<str>);

/// One page of a list.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) objects: Vec<Arc<Stored>>,
    /// Its version.
    pub(super) revision: u64,
    /// What asks for the next page.
    pub(super) next: Option<String>,
    /// How many objects there are after it, where that is known.
    pub(super) remaining: Option<usize>,
}

/// The lists that are being read page by page, each as it was when its first page was.
#[derive(Debug, Default)]
pub(super) struct Paging(Vec<(u64, Arc<str>, Objects)>);

/// What a list is asked for.
pub(super) struct Asked<'a> {
    pub(super) resource: &'a Resource,
    pub(super) namespace: Option<&'a str>,
    pub(super) selector: &'a Selector,
    pub(super) query: &'a Query,
}

impl Paging {
    /// One page of what is asked for.
    ///
    /// # Errors
    /// 410 where the list can no longer be continued, 400 where the query is wrong.
    pub(super) fn page(&mut self, store: &Store, asked: &Asked<'_>) -> Result<Page, Failure> {
        let limit = usize::try_from(asked.query.number("limit").unwrap_or(0)).unwrap_or(0);
        let collection = &asked.resource.collection;
        let Some(token) = asked.query.get("continue") else {
            let empty = Objects::new();
            let objects = store.objects(collection).unwrap_or(&empty);
            let page = cut(objects, asked, None, limit, store.revision());
            if page.next.is_some() {
                self.remember(store.revision(), collection, objects);
            }
            return Ok(page);
        };
        let (revision, after) = read_token(token)
            .ok_or_else(|| Failure::bad_request("continue key is not valid: illegal base64 data or unknown format"))?;
        let held = self.0.iter().find(|(held, of, _)| *held == revision && of == collection);
        let Some((_, _, objects)) = held else {
            return Err(Failure::expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.",
            ));
        };
        Ok(cut(objects, asked, Some(&after), limit, revision))
    }

    /// Lets every list that was begun expire.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    fn remember(&mut self, revision: u64, collection: &Arc<str>, objects: &Objects) {
        if self.0.iter().any(|(held, of, _)| *held == revision && of == collection) {
            return;
        }
        if self.0.len() == PAGED {
            self.0.remove(0);
        }
        self.0.push((revision, collection.clone(), objects.clone()));
    }
}

fn cut(objects: &Objects, asked: &Asked<'_>, after: Option<&Place>, limit: usize, revision: u64) -> Page {
    let place = |object: &Stored| (object.key.namespace.clone(), object.key.name.clone());
    let mut selected = within(objects, asked.namespace)
        .filter(|object| asked.selector.selects(object))
        .skip_while(|object| after.is_some_and(|after| place(object) <= *after));
    let mut found: Vec<Arc<Stored>> = Vec::new();
    while limit == 0 || found.len() < limit {
        let Some(object) = selected.next() else { break };
        found.push(object.clone());
    }
    let left = selected.count();
    let next = found.last().filter(|_| left > 0).map(|last| token(revision, &place(last)));
    // Of a selected list the real one does not know how many are left.
    let remaining = Some(left).filter(|left| *left > 0 && asked.selector.is_everything());
    Page { objects: found, revision, next, remaining }
}

fn token(revision: u64, (namespace, name): &Place) -> String {
    let start = format!("{namespace}/{name}");
    STANDARD_NO_PAD.encode(json!({ "v": "meta.k8s.io/v1", "rv": revision, "start": start }).to_string())
}

fn read_token(token: &str) -> Option<(u64, Place)> {
    let text = STANDARD_NO_PAD.decode(token).ok()?;
    let read: Value = serde_json::from_slice(&text).ok()?;
    let (namespace, name) = read["start"].as_str()?.split_once('/')?;
    Some((read["rv"].as_u64()?, (namespace.into(), name.into())))
}

/// `metadata` of a list.
pub(super) fn list_metadata(page: &Page) -> Value {
    let mut metadata = json!({ "resourceVersion": page.revision.to_string() });
    if let Some(next) = &page.next {
        metadata["continue"] = json!(next);
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    metadata
}

/// A list as it is sent, of texts that are sent as they are.
pub(super) fn list_text(kind: &str, api_version: &str, metadata: &Value, items: &[Bytes]) -> Bytes {
    let head = format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":[");
    let size = head.len() + items.iter().map(|item| item.len() + 1).sum::<usize>() + 2;
    let mut text = Vec::with_capacity(size);
    text.extend_from_slice(head.as_bytes());
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        text.extend_from_slice(item);
    }
    text.extend_from_slice(b"]}");
    text.into()
}

#[cfg(test)]
mod tests {
    use super::super::catalog::Catalog;
    use super::super::object::Key;
    use super::*;

    fn filled() -> (Store, Arc<Resource>) {
        let mut store = Store::default();
        for (namespace, name) in [("a", "1"), ("a", "2"), ("b", "1")] {
            let object = json!({ "metadata": { "name": name, "namespace": namespace } });
            store.put(&Key::new("/configmaps", namespace, name), object, &[]);
        }
        (store, Catalog::new().find("", "v1", "configmaps").unwrap())
    }

    fn page(paging: &mut Paging, store: &Store, resource: &Resource, query: &str) -> Result<Page, Failure> {
        let (selector, query) = (Selector::default(), Query::of(query));
        paging.page(store, &Asked { resource, namespace: None, selector: &selector, query: &query })
    }

    #[test]
    fn pages_show_the_collection_as_it_was_at_the_first() {
        let (mut store, resource) = filled();
        let mut paging = Paging::default();
        let first = page(&mut paging, &store, &resource, "limit=2").unwrap();
        assert_eq!((first.objects.len(), first.remaining), (2, Some(1)));
        store.remove(&Key::new("/configmaps", "b", "1")).unwrap();
        let next = format!("limit=2&continue={}", first.next.unwrap());
        let second = page(&mut paging, &store, &resource, &next).unwrap();
        assert_eq!((second.objects.len(), second.next, second.revision), (1, None, first.revision));
        paging.forget();
        assert_eq!(page(&mut paging, &store, &resource, &next).unwrap_err().code, 410);
    }

    #[test]
    fn a_list_is_sent_as_one_text() {
        let (store, resource) = filled();
        let all = page(&mut Paging::default(), &store, &resource, "").unwrap();
        let items: Vec<Bytes> = all.objects.iter().map(|object| object.text.clone()).collect();
        let text = list_text("ConfigMapList", "v1", &list_metadata(&all), &items);
        let read: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(read["items"][2]["metadata"]["namespace"], "b");
        assert_eq!(read["metadata"]["resourceVersion"], "3");
    }
}
