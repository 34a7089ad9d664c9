//! The watches of a run: opened by the first wait on them, shared by all, closed after the last.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use futures::future::join_all;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, ObjectMeta};
use tokio::sync::watch;
use tokio::time::timeout;

use super::feed::{Feed, Objects, View, key};
use super::kinds::Kinds;
use super::manned::Manned;
use super::{Ear, WatchError};
use crate::kinds::endpoint;

/// How long a watch is kept after its last wait: checks follow each other.
const LINGER: Duration = Duration::from_secs(30);

/// How long the watches are given to see what the API server says that there is.
const CATCHING_UP: Duration = Duration::from_secs(10);

/// One object in the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectRef {
    /// Its kind.
    pub resource: ApiResource,
    /// Its namespace; `None` for a kind without.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// The watches of one run; clones share them.
#[derive(Clone)]
pub struct Hub {
    client: Client,
    feeds: Feeds,
    pub(super) kinds: Arc<Kinds>,
    pub(super) manned: Manned,
    /// How many times faster than everywhere else time passes in the cluster.
    pub(super) tempo: u32,
    pub(super) ear: Arc<OnceLock<Weak<dyn Ear>>>,
}

/// One kind in one namespace.
type Place = (String, String, Option<String>);
type Feeds = Arc<Mutex<BTreeMap<Place, Arc<watch::Sender<View>>>>>;

/// One kind in one namespace, as its shared watch sees it. The watch stays open for as long as a window does.
pub struct Window {
    kind: String,
    view: watch::Receiver<View>,
}

impl Hub {
    /// No watch is opened before something waits.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let kinds = Arc::new(Kinds::new(client.clone()));
        Self { client, feeds: Feeds::default(), kinds, manned: Manned::default(), tempo: 1, ear: Arc::default() }
    }

    /// The same for a cluster in which time passes so many times faster, at least once: whatever must last to be believed
    /// must last that much less.
    #[must_use]
    pub const fn at_tempo(mut self, tempo: u32) -> Self {
        self.tempo = if tempo == 0 { 1 } else { tempo };
        self
    }

    /// How long a time of the cluster lasts for its clients.
    #[must_use]
    pub fn here(&self, there: Duration) -> Duration {
        there / self.tempo
    }

    /// The client that the watches use.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// From now on the last words that the cluster does not have any more are asked of this one, for as long as it lives. The
    /// first who says so is the one.
    pub fn heard_by(&self, ear: Weak<dyn Ear>) {
        self.ear.set(ear).ok();
    }

    /// Waits until `decide` makes something of the objects of a kind in a namespace (`None`: all of them, or a kind
    /// without namespaces). It is asked once when the first list is complete, and again after every change.
    ///
    /// # Errors
    /// Where the API server refuses the watch for good: the kind is not served, or access is denied.
    pub async fn until<T>(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        mut decide: impl FnMut(&[Arc<DynamicObject>]) -> Option<T> + Send,
    ) -> Result<T, WatchError> {
        let mut window = self.window(resource, namespace);
        loop {
            if let Some(objects) = window.objects()?
                && let Some(decision) = decide(&objects)
            {
                return Ok(decision);
            }
            window.changed().await;
        }
    }

    /// The object as its watch sees it now; `None` where it is not there.
    ///
    /// # Errors
    /// As [`Hub::until`].
    pub async fn current(&self, object: &ObjectRef) -> Result<Option<Arc<DynamicObject>>, WatchError> {
        let found = |objects: &[Arc<DynamicObject>]| Some(object.among(objects).cloned());
        self.until(&object.resource, object.namespace.as_deref(), found).await
    }

    /// Waits until the watches that are open have seen these objects as they are now: who wrote them has the answer at
    /// once, a watch a little later, and until then would show them as they were. Ends after a while, or where the API
    /// server does not say how they are, without that.
    pub async fn catch_up(&self, objects: &[ObjectRef]) {
        let mut places: Vec<(&ApiResource, Option<&str>)> = Vec::new();
        for object in objects {
            let place = (&object.resource, object.namespace.as_deref());
            if !places.contains(&place) && lock(&self.feeds).contains_key(&place_of(place.0, place.1)) {
                places.push(place);
            }
        }
        let caught_up = places.into_iter().map(|place| timeout(CATCHING_UP, self.caught_up(place, objects)));
        join_all(caught_up).await;
    }

    async fn caught_up(
        &self,
        (resource, namespace): (&ApiResource, Option<&str>),
        objects: &[ObjectRef],
    ) -> Option<()> {
        let endpoint: Api<DynamicObject> = endpoint(&self.client, resource, namespace);
        let now = endpoint.list_metadata(&ListParams::default()).await.ok()?.items;
        let mut wanted = Vec::new();
        for object in objects.iter().filter(|one| one.resource == *resource && one.namespace.as_deref() == namespace) {
            let there = now.iter().find(|one| one.metadata.name.as_deref() == Some(object.name.as_str()));
            wanted.extend(there.and_then(|there| Some((object, version(&there.metadata)?))));
        }
        let seen = |seen: &[Arc<DynamicObject>]| {
            let is_seen = |(object, at): &(&ObjectRef, u64)| {
                object.among(seen).is_some_and(|seen| version(&seen.metadata) >= Some(*at))
            };
            wanted.iter().all(is_seen).then_some(())
        };
        self.until(resource, namespace, seen).await.ok()
    }

    /// Opens a window on a kind in a namespace, and the watch behind it unless it is open already.
    #[must_use]
    pub fn window(&self, resource: &ApiResource, namespace: Option<&str>) -> Window {
        let place = place_of(resource, namespace);
        let kind = format!("{}.{}", resource.plural, resource.api_version);
        let mut feeds = lock(&self.feeds);
        if let Some(view) = feeds.get(&place) {
            let mut view = view.subscribe();
            // What is known already is news to this window.
            view.mark_changed();
            return Window { kind, view };
        }
        let (view, window) = watch::channel(View::default());
        let view = Arc::new(view);
        feeds.insert(place.clone(), Arc::clone(&view));
        drop(feeds);
        let feed = Feed::new(endpoint(&self.client, resource, namespace), resource, Arc::clone(&view));
        tokio::spawn(keep(feed, view, Arc::clone(&self.feeds), place));
        Window { kind, view: window }
    }
}

fn place_of(resource: &ApiResource, namespace: Option<&str>) -> Place {
    (resource.api_version.clone(), resource.plural.clone(), namespace.map(str::to_owned))
}

/// An object's version as a number, which its order is read from (KEP-5504).
fn version(metadata: &ObjectMeta) -> Option<u64> {
    metadata.resource_version.as_deref()?.parse().ok()
}

/// Runs a feed until it is refused or nobody has looked at it for a while.
async fn keep(feed: Feed, view: Arc<watch::Sender<View>>, feeds: Feeds, place: Place) {
    tokio::select! {
        () = feed.run() => drop(lock(&feeds).remove(&place)),
        () = unused(&view, &feeds, &place) => {}
    }
}

/// Ends, with the feed forgotten, once it has had no window for [`LINGER`].
async fn unused(view: &watch::Sender<View>, feeds: &Feeds, place: &Place) {
    loop {
        view.closed().await;
        tokio::time::sleep(LINGER).await;
        let mut feeds = lock(feeds);
        // Windows are opened under this lock, so none can come between the look and the removal.
        if view.receiver_count() == 0 {
            feeds.remove(place);
            return;
        }
    }
}

fn lock(feeds: &Feeds) -> MutexGuard<'_, BTreeMap<Place, Arc<watch::Sender<View>>>> {
    feeds.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Window {
    /// The objects now; `None` before the first list is complete.
    ///
    /// # Errors
    /// As [`Hub::until`].
    pub fn objects(&mut self) -> Result<Option<Objects>, WatchError> {
        let view = self.view.borrow_and_update();
        match (&view.trouble, view.refused) {
            (Some(trouble), true) => Err(WatchError::Refused { kind: self.kind.clone(), source: Arc::clone(trouble) }),
            _ => Ok(view.objects.clone()),
        }
    }

    /// Why nothing newer is heard at the moment: the API server cannot be reached, or is not itself.
    #[must_use]
    pub fn trouble(&self) -> Option<Arc<kube::Error>> {
        self.view.borrow().trouble.clone()
    }

    /// The Jobs that are gone since and clean up after themselves, as they were at last.
    pub(super) fn ended(&self) -> Objects {
        Arc::clone(&self.view.borrow().ended)
    }

    pub(super) fn is_refused(&self) -> bool {
        self.view.borrow().refused
    }

    /// Waits for a change since [`Window::objects`] was last asked; what was known before the first time is one.
    pub async fn changed(&mut self) {
        if self.view.changed().await.is_err() {
            // The watch has ended with its last word, which `objects` has told; nothing will change any more.
            std::future::pending::<()>().await;
        }
    }
}

impl ObjectRef {
    /// This object among those of its kind.
    #[must_use]
    pub fn among<'a>(&self, objects: &'a [Arc<DynamicObject>]) -> Option<&'a Arc<DynamicObject>> {
        self.place(objects).map(|at| &objects[at])
    }

    /// Where it is among the objects of its kind.
    pub(super) fn place(&self, objects: &[Arc<DynamicObject>]) -> Option<usize> {
        let wanted = (self.namespace.as_deref(), Some(self.name.as_str()));
        objects.binary_search_by(|object| key(object).cmp(&wanted)).ok()
    }
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.resource.kind, self.name)
    }
}
