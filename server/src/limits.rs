//! Every limit of the border, with its reason.

use std::time::Duration;

/// One event as sent, like Segment's own limit, so that clients that split for it fit.
pub const EVENT_BYTES: usize = 32 * 1024;
/// One ingest call after decompression, like Segment's own limit.
pub const BATCH_BYTES: usize = 500 * 1024;
/// Items of one batch, like Segment's own limit.
pub const BATCH_ITEMS: usize = 2_500;
/// Any body of the REST API: definitions with an email of half a megabyte fit twice.
pub const BODY_BYTES: usize = 1024 * 1024;
/// How long an inbox waits for what it shows to be durable. A sync takes milliseconds; with a full
/// disk an inbox that may be forgotten in a crash is better than none.
pub const DURABLE_WAIT: Duration = Duration::from_secs(2);
/// Levels of nesting: real data has a handful, and recursion must end somewhere.
pub const JSON_DEPTH: usize = 64;
/// A client's own id; also the longest key that the store sees from outside.
pub const ID_CHARS: usize = 512;
/// The name of an event: it is shown in lists.
pub const EVENT_NAME_CHARS: usize = 200;
/// Properties of an event, attributes of one write.
pub const PROPERTIES: usize = 500;
/// The longest key of an attribute.
pub const KEY_CHARS: usize = 200;
/// Items of one page of a list.
pub const PAGE_ITEMS: usize = 200;
/// Items of one page of a list when the client does not say.
pub const PAGE_ITEMS_DEFAULT: usize = 50;
/// Open streams (in-app and live tail) of the whole server: each holds a socket and a task.
pub const STREAMS: usize = 10_000;
/// A line of silence on a stream, so that proxies keep it open.
pub const STREAM_PING: Duration = Duration::from_secs(20);
/// How long a shutdown waits for requests and attempts that are under way.
pub const DRAIN: Duration = Duration::from_secs(20);
/// Attempts under way at a time, per channel: enough to hide the receiver's latency.
pub const ATTEMPTS_PER_CHANNEL: usize = 16;
/// The head of a request, and an idle connection: longer than the usual load balancer keeps its
/// own, or it would send a request into a connection that we are closing.
pub const HEAD_TIME: Duration = Duration::from_secs(75);
/// The body of a request: half a megabyte over a bad mobile line still fits.
pub const BODY_TIME: Duration = Duration::from_secs(60);
/// When no connection can be accepted, the next attempt waits so long.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
