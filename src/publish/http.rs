//! The server: routes, limits and the loop that accepts connections.
//!
//! One task per connection, a bounded number of them. On shutdown no request is cut: listening
//! stops, long polls end with the answer of the moment, open requests are finished.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request as HttpRequest, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::PublishError;
use super::auth::{Token, guard};
use super::desk::{Desk, Request};
use super::problem::Problem;
use super::{advise, gate, metrics, read, write};
use crate::engine::time::Timestamp;
use crate::engine::view::Snapshot;

/// Most connections at a time; more wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 512;
/// A client must send the head of a request within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes of a request's head.
const MAX_HEAD: usize = 32 * 1024;
/// The daemon must answer a request within this time.
const DESK_TIMEOUT: Duration = Duration::from_secs(10);
/// Open requests are given this time to end at shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// Pause after an accept that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How to serve.
#[derive(Debug)]
pub struct HttpOptions {
    /// Token of every POST; without one every POST is refused.
    pub token: Option<Token>,
    /// Whether only this host can connect; otherwise GET needs the token too.
    pub loopback: bool,
    /// Tells the time: an answer past its lease is not shown.
    pub clock: fn() -> Timestamp,
    /// Tells the time that passes, as [`Snapshot::steady`] does: a clock that steps back lengthens
    /// no lease.
    pub steady: fn() -> Duration,
}

/// What every handler shares.
#[derive(Clone)]
pub(super) struct App {
    pub(super) desk: Desk,
    pub(super) token: Option<Arc<Token>>,
    pub(super) loopback: bool,
    pub(super) clock: fn() -> Timestamp,
    steady: fn() -> Duration,
    pub(super) shutdown: CancellationToken,
}

impl App {
    /// Returns the newest snapshot.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.desk.snapshot.borrow().clone()
    }

    /// Returns the time at which `snapshot` is shown: by the wall clock, but as much time after it as
    /// has passed.
    pub(super) fn time_of(&self, snapshot: &Snapshot) -> Timestamp {
        let passed = (self.steady)().saturating_sub(snapshot.steady);
        (self.clock)().max(snapshot.taken_at.plus(passed))
    }

    /// Puts a request on the desk and waits for the reply, both within [`DESK_TIMEOUT`].
    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.desk.requests.send(request(reply)).await.map_err(|_| Problem::stopping())?;
            answer.await.map_err(|_| Problem::stopping())
        };
        tokio::time::timeout(DESK_TIMEOUT, asked).await.map_err(|_| Problem::busy())?
    }
}

/// Serves the API on `listener` until `shutdown` is cancelled.
///
/// Returns an error only if the listener itself breaks.
pub async fn serve(
    listener: TcpListener,
    desk: Desk,
    options: HttpOptions,
    shutdown: CancellationToken,
) -> Result<(), PublishError> {
    let HttpOptions { token, loopback, clock, steady } = options;
    let token = token.map(Arc::new);
    let app = routes(App { desk, token, loopback, clock, steady, shutdown: shutdown.clone() });
    let connections = TaskTracker::new();
    let result = accept(&listener, &app, &connections, &shutdown).await;
    drop(listener);
    connections.close();
    if tokio::time::timeout(SHUTDOWN_GRACE, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "Connections were cut at shutdown.");
    }
    result
}

fn routes(app: App) -> Router {
    // The same questions can be put to a rotation and to a credential's current one.
    let questions = |prefix: &str| {
        let path = |name: &str| format!("{prefix}/{name}");
        Router::new()
            .route(&path("readiness"), get(gate::readiness))
            .route(&path("gate"), get(gate::gate).post(gate::gate))
            .route(&path("consumers"), get(read::consumers))
            .route(&path("migration"), get(read::migration))
            .route(&path("journal"), get(read::journal))
            .route(&path("checkpoints"), get(read::checkpoints))
            .route(&path("events"), post(write::record))
            .route(&path("revoke-intent"), post(write::revoke_intent))
    };
    Router::new()
        .route("/v1/credentials", get(read::credentials))
        .route("/v1/credentials/{name}", get(read::credential))
        .route("/v1/credentials/{name}/preflight", get(advise::preflight))
        .route("/v1/credentials/{name}/plan", get(advise::plan))
        .merge(questions("/v1/credentials/{name}"))
        .route("/v1/rotations", get(read::rotations).post(write::start))
        .route("/v1/rotations/{id}", get(read::rotation))
        .merge(questions("/v1/rotations/{id}"))
        .route("/v1/sources", get(read::sources))
        .route("/v1/health", get(read::health))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(read::healthz))
        .route("/readyz", get(read::readyz))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(app.clone(), guard))
        .layer(from_fn_with_state(app.clone(), log))
        .with_state(app)
}

async fn unknown_path() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown_path",
        "there is nothing at this path; the API lives under /v1, see the README",
    )
}

async fn wrong_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong_method",
        "this path does not take this method; the `Allow` header lists those it takes",
    )
}

/// Logs a request by its route: the raw path and query may hold a key.
async fn log(State(app): State<App>, request: HttpRequest, next: Next) -> Response {
    let began = (app.clock)();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    };
    let response = next.run(request).await;
    let milliseconds = (app.clock)().since(began).as_millis();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let status = response.status().as_u16();
    tracing::debug!(method, route, status, milliseconds, "Request answered.");
    response
}

async fn accept(
    listener: &TcpListener,
    app: &Router,
    connections: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<(), PublishError> {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let slot = Arc::clone(&slots).acquire_owned();
        let slot = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            slot = slot => slot.expect("the semaphore is never closed"),
        };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, app.clone(), shutdown.clone(), slot));
            }
            Err(error) if is_lasting(&error) => return Err(PublishError::Listener(error)),
            Err(error) => {
                tracing::warn!(%error, "A connection could not be accepted.");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Tells whether the listener is broken: a client that hung up or a want of descriptors passes.
fn is_lasting(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    Errno::from_io_error(error)
        .is_some_and(|errno| matches!(errno, Errno::BADF | Errno::INVAL | Errno::NOTSOCK))
}

async fn connection(
    stream: TcpStream,
    app: Router,
    shutdown: CancellationToken,
    _slot: OwnedSemaphorePermit,
) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    tokio::pin!(served);
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "A connection ended early.");
    }
}
