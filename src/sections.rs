//! Directives that add to a list, line by line: the list grows while the configuration is read, and is used afterwards.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sender_constraint::decision::Verifiers;
use sender_constraint::target::TargetSettings;
use sender_constraint::token_source::{TokenSource, TokenSources};
use sender_constraint::verifier::Verifier;

use crate::pool::Pool;

/// The lines of one section, and what they make together.
pub(crate) struct Lines<L, M> {
    lines: Mutex<Vec<L>>,
    made: OnceLock<M>,
}

impl<L, M> Default for Lines<L, M> {
    fn default() -> Self {
        Self { lines: Mutex::default(), made: OnceLock::new() }
    }
}

/// `OAuth2TokenVerify`
pub(crate) type VerifierLines = Lines<Arc<Verifier>, Verifiers>;
/// `OAuth2AcceptTokenIn`
pub(crate) type SourceLines = Lines<TokenSource, TokenSources>;
/// `OAuth2TargetPass`
pub(crate) type TargetLines = Lines<Arc<TargetSettings>, Arc<TargetSettings>>;

impl<L: Clone, M> Lines<L, M> {
    /// One more line, while the configuration is read.
    pub(crate) fn add(&self, line: L) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn made(&self, make: impl FnOnce(Vec<L>) -> M) -> &M {
        self.made.get_or_init(|| make(self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()))
    }
}

impl VerifierLines {
    pub(crate) fn verifiers(&self) -> &Verifiers {
        self.made(Verifiers::new)
    }
}

impl SourceLines {
    pub(crate) fn sources(&self) -> &TokenSources {
        self.made(TokenSources::new)
    }
}

impl TargetLines {
    /// What an outer and an inner section say together; lives as long as `pool`.
    pub(crate) fn joined(outer: &Self, inner: &Self, pool: Pool<'static>) -> &'static Self {
        let joined: &Self = pool.place(Self::default());
        joined.add(Arc::clone(outer.target()));
        joined.add(Arc::clone(inner.target()));
        joined
    }

    /// What several lines say together: a later one wins, option by option.
    pub(crate) fn target(&self) -> &Arc<TargetSettings> {
        self.made(|lines| {
            let joined = lines.iter().fold(TargetSettings::default(), |outer, line| line.over(&outer));
            Arc::new(joined)
        })
    }
}
