use std::process::{Command, Output};

use serde_json::json;

use crate::support::{Running, mail, start};

async fn tidings(server: &Running, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command
        .args(args)
        .env("TIDINGS_URL", &server.base)
        .env("TIDINGS_KEY", &server.keys.secret)
        .current_dir(server.folder.path());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn files_are_imported_and_customers_exported() {
    let server = start().await;
    let folder = server.folder.path();
    std::fs::write(
        folder.join("customers.csv"),
        "userId,email,plan,postalCode\nmara,mara@x.example,pro,0042\nben,,free,\n",
    )
    .unwrap();
    let orders = [
        json!({"userId": "mara", "event": "Bought", "timestamp": "2025-01-01T00:00:00Z", "total": 3}),
        json!({"userId": "ben", "event": "Bought", "properties": {"total": 4}}),
    ];
    let lines: Vec<String> = orders.iter().map(ToString::to_string).collect();
    std::fs::write(folder.join("orders.ndjson"), lines.join("\n")).unwrap();

    let first = tidings(&server, &["import", "customers", "customers.csv"]).await;
    assert!(said(&first).contains("2 accepted"), "{}", said(&first));
    let again = tidings(&server, &["import", "customers", "customers.csv"]).await;
    assert!(said(&again).contains("0 accepted, 2 known already"), "{}", said(&again));
    tidings(&server, &["import", "events", "orders.ndjson"]).await;
    let mara = server.get("/customers/mara").await;
    assert_eq!(mara["attributes"]["postalCode"], json!(null));
    assert_eq!(mara["attributes"]["postal_code"], "0042");
    assert_eq!(server.get("/catalogue").await["events"][0]["count"], 2);

    let export = said(&tidings(&server, &["export"]).await);
    assert_eq!(export.lines().count(), 2, "{export}");
    assert!(export.contains("mara@x.example"));
}

#[tokio::test]
async fn outreaches_are_planned_applied_and_pulled() {
    let server = start().await;
    let folder = server.folder.path();
    std::fs::create_dir(folder.join("outreaches")).unwrap();
    let write = |definition: &serde_json::Value| {
        std::fs::write(folder.join("outreaches/thanks.json"), definition.to_string()).unwrap();
    };
    write(&mail("Bought"));
    let plan = said(&tidings(&server, &["outreach", "plan", "outreaches"]).await);
    assert!(plan.contains("+ thanks (new)") && plan.contains("0 of 0 customers"), "{plan}");
    tidings(&server, &["outreach", "apply", "outreaches"]).await;
    let mut changed = mail("Bought");
    changed["content"]["subject"] = json!("Thank you");
    write(&changed);
    let plan = said(&tidings(&server, &["outreach", "plan", "outreaches"]).await);
    assert!(plan.contains("~ /content/subject"), "{plan}");
    let applied = said(&tidings(&server, &["outreach", "apply", "outreaches"]).await);
    assert!(applied.contains("~ thanks version 2"), "{applied}");
    let applied = said(&tidings(&server, &["outreach", "apply", "outreaches"]).await);
    assert!(applied.contains("= thanks"), "{applied}");
    tidings(&server, &["outreach", "pull", "pulled"]).await;
    let pulled = std::fs::read_to_string(folder.join("pulled/thanks.json")).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&pulled).unwrap(), changed);

    server.track("mara", "Bought", json!({})).await;
    let why = said(&tidings(&server, &["explain", "mara", "thanks"]).await);
    assert!(why.contains("status") && why.contains("refuses"), "{why}");
}

#[tokio::test]
async fn the_log_is_checked_and_keys_are_made() {
    let mut server = start().await;
    server.track("mara", "Bought", json!({})).await;
    server.end().await;
    let data = server.data();
    let data = data.to_str().unwrap();
    let check = said(&tidings(&server, &["check", "--data", data]).await);
    assert!(check.contains("sound"), "{check}");
    let key = said(&tidings(&server, &["keys", "create", "--secret", "--data", data]).await);
    assert!(key.starts_with("sk_main_"));
    let list = said(&tidings(&server, &["keys", "list", "--data", data]).await);
    assert_eq!(list.lines().count(), 3);
    assert!(!list.contains(key.trim()));
}
