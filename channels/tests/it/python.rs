//! Verifiers that are not ours, from the Python package index, in an environment under `target/`.
//!
//! Without Python or the packages the tests fail: a check that quietly does not run is none.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

const PACKAGES: &[&str] = &["dkimpy==1.1.8", "pynacl==1.6.2", "standardwebhooks==1.1.0"];

/// Runs `tests/it/<script>` with `input` on stdin and reads JSON from its stdout.
pub(crate) fn run(script: &str, input: &Value) -> Value {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(script);
    let mut child = Command::new(interpreter())
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the Python verifier failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The environment's interpreter. The first caller builds it while the others wait.
fn interpreter() -> PathBuf {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("python");
    fs::create_dir_all(&home).unwrap();
    let lock = File::create(home.join("lock")).unwrap();
    lock.lock().unwrap();
    let interpreter = home.join("venv/bin/python");
    let ready = home.join("ready");
    let wanted = PACKAGES.join(" ");
    if fs::read_to_string(&ready).is_ok_and(|installed| installed == wanted) {
        return interpreter;
    }
    must(Command::new("python3").args(["-m", "venv", "--clear"]).arg(home.join("venv")));
    must(Command::new(&interpreter).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES));
    fs::write(ready, wanted).unwrap();
    interpreter
}

fn must(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?} failed");
}
