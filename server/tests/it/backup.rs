use std::path::Path;
use std::process::{Command, Output};

use host::{Host, Options};
use reqwest::StatusCode;
use serde_json::{Value as Json, json};
use store::log::{Log, LogOptions};
use tempfile::TempDir;

use crate::support::{Running, banner, start};

/// Run the program; without a key unless the server is named.
async fn tidings(server: Option<&Running>, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(args).env_remove("TIDINGS_KEY");
    if let Some(server) = server {
        command.env("TIDINGS_URL", &server.base).env("TIDINGS_KEY", &server.keys.secret);
    }
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

async fn done(server: Option<&Running>, args: &[&str]) -> String {
    let output = tidings(server, args).await;
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn refused(server: Option<&Running>, args: &[&str]) -> String {
    let output = tidings(server, args).await;
    assert!(!output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn state_hash(folder: &Path) -> [u8; 32] {
    Host::open(folder, Options::default()).unwrap().state_hash()
}

/// What the records of a log up to a position lead to, without any help of the backup.
fn replayed(data: &Path, end: u64) -> [u8; 32] {
    let folder = TempDir::new().unwrap();
    let (from, _) = Log::open(&data.join("log"), LogOptions::default()).unwrap();
    let (mut to, _) = Log::open(&folder.path().join("log"), LogOptions::default()).unwrap();
    for record in from.reader().iterate(0) {
        let record = record.unwrap();
        if record.position < end {
            let at = to.append(record.partition, record.format, &record.payload).unwrap();
            assert_eq!(at, record.position);
        }
    }
    assert_eq!(to.end(), end, "the backup ends between two records");
    to.close().unwrap();
    drop(from);
    state_hash(folder.path())
}

/// Events and attributes until it is dropped.
fn load(server: &Running, name: &'static str) -> tokio::task::JoinHandle<()> {
    let (http, base, key) = (server.http.clone(), server.base.clone(), server.keys.public.clone());
    tokio::spawn(async move {
        for number in 0_u64.. {
            let user = format!("{name}-{}", number % 50);
            let (path, body) = match number % 3 {
                0 => ("identify", json!({"userId": user, "traits": {"round": number}})),
                _ => ("track", json!({"userId": user, "event": "Viewed", "n": number})),
            };
            let call = http.post(format!("{base}/v1/{path}")).basic_auth(&key, Some(""));
            let answer = call.json(&body).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_one_moment_of_the_server() {
    let mut server = start().await;
    server.live("hello", banner("Viewed", "Hi")).await;
    let place = TempDir::new().unwrap();
    let loads = [load(&server, "ann"), load(&server, "ben"), load(&server, "cleo")];
    let mut ends = Vec::new();
    for round in 0..3 {
        server.track("between", "Viewed", json!({})).await;
        let file = place.path().join(format!("{round}.backup"));
        done(Some(&server), &["backup", "--to", text(&file)]).await;
        let data = place.path().join(format!("restored-{round}"));
        done(None, &["restore", text(&file), "--data", text(&data)]).await;
        ends.push((server::backup::verify(&file).unwrap().end, data));
    }
    for load in loads {
        load.abort();
        assert!(load.await.unwrap_err().is_cancelled(), "the load has met an error");
    }
    server.end().await;
    assert!(ends.windows(2).all(|pair| pair[0].0 < pair[1].0), "the load went on: {ends:?}");
    for (end, data) in &ends {
        assert_eq!(state_hash(data), replayed(&server.data(), *end));
    }
    // The keys and the project are those of before, and it goes on.
    let (_, data) = ends.pop().unwrap();
    let again = server.elsewhere(&data).await;
    assert!(!again.get("/customers?limit=200").await["items"].as_array().unwrap().is_empty());
    let answer = again.track("somebody new", "Viewed", json!({})).await;
    assert_eq!(answer["deliver"].as_array().unwrap().len(), 1, "{answer:#}");
}

#[tokio::test]
async fn a_stopped_server_is_backed_up_from_its_folder() {
    let mut server = start().await;
    server.track("mara", "Viewed", json!({})).await;
    let place = TempDir::new().unwrap();
    let (data, to) = (server.data(), place.path());
    let words = refused(None, &["backup", "--to", text(to), "--data", text(&data)]).await;
    assert!(words.contains("a server runs on") && words.contains("--key"), "{words}");
    server.end().await;
    let said = done(None, &["backup", "--to", text(to), "--data", text(&data)]).await;
    let files: Vec<_> = std::fs::read_dir(to).unwrap().map(|file| file.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert!(said.contains(text(file)), "{said}");
    let sound = done(None, &["backup", "verify", text(file)]).await;
    assert!(sound.contains("1 segments") && sound.contains("sound"), "{sound}");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(file).unwrap());
    assert_eq!(mode & 0o777, 0o600, "there are customers in it");

    let copy = to.join("copy");
    done(None, &["restore", text(file), "--data", text(&copy), "--without-keys"]).await;
    assert_eq!(state_hash(&copy), state_hash(&data));
    assert!(!copy.join("keys.json").exists() && !copy.join("link.secret").exists());
    let words = refused(None, &["restore", text(file), "--data", text(&copy)]).await;
    assert!(words.contains("is not empty"), "{words}");
    let words = refused(None, &["backup", "--to", text(file), "--data", text(&data)]).await;
    assert!(words.contains("not overwritten"), "{words}");
}

#[tokio::test]
async fn a_damaged_backup_is_refused_in_words() {
    let mut server = start().await;
    server.track("mara", "Viewed", json!({})).await;
    server.end().await;
    let place = TempDir::new().unwrap();
    let (good, bad) = (place.path().join("good.backup"), place.path().join("bad.backup"));
    done(None, &["backup", "--to", text(&good), "--data", text(&server.data())]).await;
    let bytes = std::fs::read(&good).unwrap();
    let mut seed = 7_usize;
    for round in 0..400 {
        // Every byte of the lines at both ends, and some between them.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = match round {
            0..150 => round,
            150..300 => bytes.len() - 1 - (round - 150),
            _ => (seed >> 20) % bytes.len(),
        };
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << ((seed >> 60) % 8);
        std::fs::write(&bad, &damaged).unwrap();
        let error = server::backup::verify(&bad).unwrap_err().to_string();
        assert!(error.contains("bad.backup"), "byte {at}: {error}");
    }
    std::fs::write(&bad, &bytes[..bytes.len() / 2]).unwrap();
    let data = place.path().join("data");
    let words = refused(None, &["restore", text(&bad), "--data", text(&data)]).await;
    assert!(words.contains("is damaged") && words.contains("use another one"), "{words}");
    assert!(!data.exists());
    std::fs::write(&bad, b"something else, long enough to be a backup ".repeat(4)).unwrap();
    let words = refused(None, &["backup", "verify", text(&bad)]).await;
    assert!(words.contains("no backup of Tidings"), "{words}");
    let later = String::from_utf8_lossy(&bytes[..24]).replace("format 1", "format 9");
    std::fs::write(&bad, [later.as_bytes(), &bytes[24..]].concat()).unwrap();
    let words = refused(None, &["backup", "verify", text(&bad)]).await;
    assert!(words.contains("use the version of Tidings that wrote it"), "{words}");
}

#[tokio::test]
async fn only_an_admin_key_takes_a_backup() {
    let server = start().await;
    let new = json!({"id": "other"});
    let made = server.api(reqwest::Method::POST, "/projects", Some(new), StatusCode::CREATED).await;
    let key = made["secret_key"].as_str().unwrap();
    let url = format!("{}/api/v1/backup", server.base);
    let answer = server.http.get(url).bearer_auth(key).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let problem: Json = answer.json().await.unwrap();
    assert_eq!(problem["code"], "key_not_allowed");
}
