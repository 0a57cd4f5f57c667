//! The handle that services hold.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::Settings;

/// The dynamic configuration in force. Clones share it; reading is a pointer load, so a caller may read on
/// every request, or keep what it computed together with [`Settings::version`] and compute again when that
/// has changed.
#[derive(Clone, Debug, Default)]
pub struct DynamicConfig(Arc<ArcSwap<Settings>>);

impl DynamicConfig {
    /// A handle to `settings`.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(settings)))
    }

    /// The settings now in force. Hold it for one decision, not across waits.
    pub fn settings(&self) -> Guard<Arc<Settings>> {
        self.0.load()
    }

    /// Puts new settings in force, with a version one above the former.
    pub fn replace(&self, settings: Settings) {
        self.0.rcu(|now| settings.clone().with_version(now.version() + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_see_the_replacement_and_a_new_version() {
        let config = DynamicConfig::default();
        let other = config.clone();
        let before = other.settings().version();
        config.replace(Settings::default());
        assert_eq!(other.settings().version(), before + 1);
    }
}
