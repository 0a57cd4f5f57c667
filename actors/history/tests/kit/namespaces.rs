//! One namespace, whose service can forget it or panic.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use perdure_kernel::{Namespace, NamespaceId};
use perdure_rpc::NamespaceSnapshots;

/// The namespace of the tests.
pub(crate) struct Namespaces {
    namespace: Mutex<Arc<Namespace>>,
    unknown: AtomicBool,
    panics: AtomicBool,
}

impl Namespaces {
    pub(crate) fn new(namespace: Namespace) -> Self {
        let namespace = Mutex::new(Arc::new(namespace));
        Self { namespace, unknown: AtomicBool::new(false), panics: AtomicBool::new(false) }
    }

    /// The snapshot in force.
    pub(crate) fn snapshot(&self) -> Arc<Namespace> {
        Arc::clone(&self.namespace.lock().unwrap())
    }

    /// Changes the settings.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Namespace)) {
        change(Arc::make_mut(&mut self.namespace.lock().unwrap()));
    }

    /// Whether the namespace is not in the cache for a while.
    pub(crate) fn set_unknown(&self, unknown: bool) {
        self.unknown.store(unknown, Ordering::SeqCst);
    }

    /// The next look-up panics.
    pub(crate) fn panic_once(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    fn look_up(&self) -> Option<Arc<Namespace>> {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "a panic that the test ordered");
        (!self.unknown.load(Ordering::SeqCst)).then(|| self.snapshot())
    }
}

impl NamespaceSnapshots for Namespaces {
    fn by_name(&self, name: &str) -> Option<Arc<Namespace>> {
        self.look_up().filter(|namespace| namespace.name == name)
    }

    fn by_id(&self, id: &NamespaceId) -> Option<Arc<Namespace>> {
        self.look_up().filter(|namespace| namespace.id == *id)
    }
}
