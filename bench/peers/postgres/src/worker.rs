//! The worker: wakes up at a notification, takes up to a hundred rows that nobody else has, posts
//! them over connections that stay open, and lets go of them when every receiver has answered.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Notify};
use tokio_postgres::{AsyncMessage, NoTls};

/// Transactions that take rows at the same time.
const TAKERS: usize = 4;
/// Posts of one transaction at the same time.
const POSTS: usize = 16;
/// A look without a notification, should one be lost.
const LOOK: Duration = Duration::from_secs(5);

const TAKE: &str = "DELETE FROM outbox WHERE id IN
    (SELECT id FROM outbox ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED)
    RETURNING rule, customer, event, number";

pub(crate) async fn run(to: &str, port: u16) -> anyhow::Result<()> {
    let wake = Arc::new(Notify::new());
    let mut tasks = Vec::new();
    for _ in 0..TAKERS {
        let (to, wake) = (to.to_owned(), Arc::clone(&wake));
        tasks.push(tokio::spawn(async move { take(&to, port, &wake).await }));
    }
    let (client, mut connection) = tokio_postgres::connect(to, NoTls).await?;
    let told = Arc::clone(&wake);
    let listening = tokio::spawn(async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if matches!(message, Ok(AsyncMessage::Notification(_))) {
                told.notify_waiters();
                told.notify_one();
            }
        }
    });
    client.batch_execute("LISTEN outbox").await?;
    println!("listening");
    listening.await?;
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn take(to: &str, port: u16, wake: &Notify) -> anyhow::Result<()> {
    let mut client = crate::connect(to).await?;
    let take = client.prepare(TAKE).await?;
    let pool: Arc<Vec<Mutex<Option<TcpStream>>>> =
        Arc::new((0..POSTS).map(|_| Mutex::new(None)).collect());
    loop {
        let woken = wake.notified();
        let transaction = client.transaction().await?;
        let rows = transaction.query(&take, &[]).await?;
        if rows.is_empty() {
            transaction.rollback().await?;
            // A timeout is the look without a notification.
            let _ = tokio::time::timeout(LOOK, woken).await;
            continue;
        }
        let mut posts = Vec::new();
        for place in 0..POSTS.min(rows.len()) {
            let mine: Vec<String> = rows.iter().skip(place).step_by(POSTS).map(request).collect();
            let pool = Arc::clone(&pool);
            posts.push(tokio::spawn(async move { post(&pool[place], port, mine).await }));
        }
        for post in posts {
            post.await??;
        }
        transaction.commit().await?;
    }
}

fn request(row: &tokio_postgres::Row) -> String {
    let (rule, customer, event): (i32, &str, &str) = (row.get(0), row.get(1), row.get(2));
    let number: Option<i64> = row.get(3);
    let body = format!("{{\"rule\":{rule},\"customer\":\"{customer}\",\"event\":\"{event}\"}}");
    format!(
        "POST /hook/{} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         webhook-id: {rule}-{customer}\r\ncontent-length: {}\r\n\r\n{body}",
        number.unwrap_or(-1),
        body.len()
    )
}

async fn post(
    slot: &Mutex<Option<TcpStream>>,
    port: u16,
    requests: Vec<String>,
) -> anyhow::Result<()> {
    let mut slot = slot.lock().await;
    for request in requests {
        if slot.is_none() {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.context("the receiver")?;
            stream.set_nodelay(true)?;
            *slot = Some(stream);
        }
        let stream = slot.as_mut().context("connected")?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut part = [0; 512];
            let read = stream.read(&mut part).await?;
            anyhow::ensure!(read > 0, "the receiver hung up");
            answer.extend_from_slice(&part[..read]);
        }
        anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200"), "refused");
    }
    Ok(())
}
