//! What the decisions need of the world: time, memory, caches, the network, the log.

use std::time::{Duration, Instant};

use backchannel::http;
use backchannel::redis_cache::Unavailable;
use sender_constraint::exchange::{Answer, Exchange, Transport};
use sender_constraint::services::{Errand, Event, Memory, Services};
use sender_constraint::verdict::CacheKey;
use sender_constraint::verifier_config::CacheName;
use sender_constraint::waiting_room::WaitingRoom;

use crate::common::{Common, Process};
use crate::counters::Count;
use crate::log;
use crate::pool::Pool;
use crate::request::Request;
use crate::waiting_room;

/// A process that starts serves nobody while it fetches keys, so all of that together does not take long.
const AT_START: Duration = Duration::from_secs(2);
/// A worker that looks after keys when it has answered a request keeps the next one on that connection waiting.
const BETWEEN_REQUESTS: Duration = Duration::from_secs(5);

/// The world as one request sees it.
pub(crate) struct Surroundings<'r> {
    request: Option<Request<'r>>,
    common: &'r Common,
    process: &'r Process,
    pool: Pool<'r>,
    now: i64,
    /// Until when all that is done here together may take; nothing limits the one request that waits for its own token.
    deadline: Option<Instant>,
}

impl<'r> Surroundings<'r> {
    pub(crate) fn of_request(request: Request<'r>, common: &'r Common) -> Self {
        let process = common.process();
        Self {
            request: Some(request),
            common,
            process,
            pool: request.pool(),
            now: request.time(),
            deadline: None,
        }
    }

    /// The world as a child process sees it that has no request yet.
    pub(crate) fn of_process(common: &'r Common, pool: Pool<'r>) -> Self {
        // SAFETY: reads the clock.
        let now = unsafe { crate::ffi::apr_time_now() } / 1_000_000;
        Self {
            request: None,
            common,
            process: common.process(),
            pool,
            now,
            deadline: Some(Instant::now() + AT_START),
        }
    }

    /// For what is done between requests.
    pub(crate) fn between_requests(request: Request<'r>, common: &'r Common) -> Self {
        Self { deadline: Some(Instant::now() + BETWEEN_REQUESTS), ..Self::of_request(request, common) }
    }

    /// Whether there is time for one more exchange.
    pub(crate) fn has_time(&self) -> bool {
        self.deadline.is_none_or(|deadline| Instant::now() < deadline)
    }

    fn timeout(&self, configured: Duration) -> Duration {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        left.map_or(configured, |left| configured.min(left.max(Duration::from_millis(1))))
    }

    fn count(&self, count: Count<'_>) {
        let number = self.request.map_or(0, |request| request.connection().number());
        self.common.lane(number).add(count);
    }

    /// The administrator's business.
    fn complain(&self, complaint: std::fmt::Arguments<'_>) {
        match self.request {
            Some(request) => log::request!(request, Error, "{complaint}"),
            None => log::server!(None, Error, "{complaint}"),
        }
    }

    /// A shared cache that is away is no fault of the request, and one line per failure is enough.
    fn cache_failed(&self, error: &Unavailable) {
        if matches!(error, Unavailable::Failed { .. }) {
            self.count(Count::CacheFailed);
            self.complain(format_args!("token cache: {error}"));
        }
    }
}

impl Transport for Surroundings<'_> {
    fn send(&self, request: &Exchange<'_>) -> Result<Answer, String> {
        let timeout = self.timeout(request.endpoint.timeout);
        let endpoint = http::Endpoint { timeout, ..request.endpoint.clone() };
        let method = match &request.form {
            Some(form) => http::Method::PostForm(form.as_bytes()),
            None => http::Method::Get,
        };
        let headers: Vec<_> = request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        match self.process.http.send(&endpoint, method, &headers) {
            Ok(http::Response { status, cache_control, body }) => Ok(Answer { status, cache_control, body }),
            Err(failure) => Err(failure.to_string()),
        }
    }
}

impl Services for Surroundings<'_> {
    fn now(&self) -> i64 {
        self.now
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn memory(&self) -> &Memory {
        &self.process.memory
    }

    fn shared(&self, cache: &CacheName, key: &CacheKey) -> Option<Vec<u8>> {
        let finished = self.common.finished()?;
        match finished.cache(cache)?.get(key, finished.sealer(), self.pool) {
            Ok(value) => value,
            Err(error) => {
                self.cache_failed(&error);
                None
            }
        }
    }

    fn share(&self, cache: &CacheName, key: &CacheKey, value: &[u8], until: i64) {
        let Some(finished) = self.common.finished() else { return };
        let Some(cache) = finished.cache(cache) else { return };
        let Some(seconds) = until.checked_sub(self.now).and_then(|seconds| u64::try_from(seconds).ok())
        else {
            return;
        };
        if let Err(error) = cache.set(key, value, seconds, finished.sealer(), self.pool) {
            self.cache_failed(&error);
        }
    }

    /// A process that starts is no worker yet, and all of them start at the same time.
    fn waiting_rooms(&self) -> [Option<WaitingRoom<'_>>; 2] {
        if self.request.is_none() {
            return [None, None];
        }
        let (process, now) = (self.process, waiting_room::milliseconds());
        let of_all = self.common.places().and_then(|places| places.room(process.workers, now));
        [process.places.room(process.threads, now), of_all]
    }

    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Fetched { .. } => self.count(Count::Fetched),
            Event::Introspected => self.count(Count::Introspected),
            Event::Failed { errand, url, outage } => {
                self.count(match errand {
                    Errand::Document => Count::FetchFailed,
                    Errand::Introspection => Count::IntrospectionFailed,
                });
                self.complain(format_args!("authorization server {url}: {outage}"));
            }
            // The request's verdict is counted when it is complete.
            Event::Remembered | Event::Shared | Event::Verified => (),
        }
    }
}
