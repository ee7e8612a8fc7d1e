//! Hostile requests: heads, lengths, encodings and addresses.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Piece, Target};

/// All of them.
pub(super) fn pieces(target: &Target) -> Vec<Piece> {
    let mut pieces = bodies(target);
    pieces.extend(addresses(target));
    pieces.extend(heads(target));
    pieces
}

fn piece(name: &str, bytes: Vec<u8>) -> Piece {
    Piece { name: name.to_owned(), bytes, is_about_the_head: false, saves: None }
}

fn bodies(target: &Target) -> Vec<Piece> {
    let gzip = |bytes: &[u8]| {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        // Into memory; there is nothing that could fail.
        let _ = packer.write_all(bytes);
        packer.finish().unwrap_or_default()
    };
    let event: &[u8] = br#"{"userId":"p","event":"e"}"#;
    let packed = gzip(event);
    let half = packed.get(..packed.len() / 2).unwrap_or_default().to_vec();
    let mut flipped = packed;
    if let Some(byte) = flipped.last_mut() {
        *byte ^= 0xff;
    }
    let bomb = gzip(&vec![b' '; 200 * 1024 * 1024]);
    let nested = gzip(&gzip(event));
    let mut pieces = Vec::new();
    for path in ["/v1/track", "/v1/batch", "/v1/collect", "/v1/import", "/api/v1/outreaches"] {
        for (name, body) in [
            ("a bomb of gzip", &bomb),
            ("half a gzip", &half),
            ("a gzip with a wrong sum", &flipped),
            ("gzip in gzip", &nested),
            ("no gzip", &event.to_vec()),
        ] {
            let bytes = target.request("POST", path, "content-encoding: gzip\r\n", body);
            pieces.push(piece(&format!("{name} to {path}"), bytes));
        }
        for encoding in ["br", "gzip, gzip", "nonsense", "identity", "", "gzip;q=0"] {
            let header = format!("content-encoding: {encoding}\r\n");
            let bytes = target.request("POST", path, &header, event);
            pieces.push(piece(&format!("the encoding {encoding:?} to {path}"), bytes));
        }
        let large = vec![b'['; 3 * 1024 * 1024];
        pieces.push(piece(&format!("3 MB to {path}"), target.request("POST", path, "", &large)));
        pieces.push(piece(&format!("nothing to {path}"), target.request("POST", path, "", b"")));
    }
    pieces
}

fn addresses(target: &Target) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for path in [
        "/api/v1/customers/%00",
        "/api/v1/customers/%ff%fe",
        "/api/v1/customers/..%2f..%2fetc",
        "/api/v1/customers/%",
        "/api/v1/customers/%zz/timeline",
        "/api/v1/outreaches/%ff",
        "/api/v1/deliveries/dlv_%00",
        "/api/v1/segments/%ff",
        "/v1/inbox/%ff/clicked?userId=p",
        "/v1/inbox/dlv_x/%ff?userId=p",
        "/api/v1/customers?limit=0",
        "/api/v1/customers?limit=99999999999999999999",
        "/api/v1/customers?limit=-1",
        "/api/v1/customers?cursor=-1",
        "/api/v1/customers?cursor=99999999999999999999999",
        "/api/v1/customers?cursor=%00",
        "/api/v1/deliveries?cursor=18446744073709551615",
        "/api/v1/decisions?cursor=x&limit=200",
        "/api/v1/decisions?from=+999999999-01-01T00:00:00Z",
        "/api/v1/decisions?to=-9999-01-01",
        "/api/v1/decisions?gate=%ff",
        "/api/v1/deliveries?state=nonsense",
        "/api/v1/customers?nonsense=1",
        "/api/v1/explain?customer=%00&outreach=%ff",
        "/api/v1/explain",
        "/v1/inbox",
        "/v1/inbox?userId=%ff",
        "/v1/inbox?userId=%00",
        "/unsubscribe/%ff",
        "/unsubscribe?token=%00",
        "/errors/%ff",
        "/errors/..%2f..%2fx",
        "/outbox/%2e%2e%2f",
        "/outbox/..%2fkeys.json",
        "/%ff",
        "/a%00b",
        "/..",
        "//",
        "/?a[]=1&a[]=2&&&=",
        "/api/v1/customers/p/timeline?cursor=18446744073709551615&limit=200",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let bytes = target.request(method, path, "", b"");
            pieces.push(piece(&format!("{method} {path}"), bytes));
        }
    }
    let long = format!("/api/v1/customers/{}", "x".repeat(20_000));
    pieces.push(piece("an id of 20 KB", target.request("GET", &long, "", b"")));
    pieces
}

fn heads(target: &Target) -> Vec<Piece> {
    let (address, key) = (&target.address, &target.key);
    let head =
        |line: &str, rest: &str| format!("{line}\r\nhost: {address}\r\n{rest}\r\n").into_bytes();
    let track = "POST /v1/track HTTP/1.1";
    let many: String = (0..10_000).map(|number| format!("x-{number}: y\r\n")).collect();
    let large = format!("x: {}\r\n", "y".repeat(1024 * 1024));
    let key_line = format!("authorization: Bearer {key}\r\n");
    let mut heads: Vec<(&str, Vec<u8>)> = vec![
        ("10,000 headers", head(track, &many)),
        ("a header of 1 MB", head(track, &large)),
        ("two lengths", head(track, "content-length: 2\r\ncontent-length: 3\r\n\r\n{}")),
        ("a negative length", head(track, "content-length: -1\r\n")),
        ("a length beyond all numbers", head(track, "content-length: 99999999999999999999999\r\n")),
        (
            "a length and chunks",
            head(track, "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"),
        ),
        (
            "a chunk without an end",
            head(track, &format!("{key_line}transfer-encoding: chunked\r\n\r\nzz\r\n")),
        ),
        (
            "a chunk of all numbers",
            head(
                track,
                &format!("{key_line}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n"),
            ),
        ),
        ("a method of nothing", head(" /v1/track HTTP/1.1", "")),
        ("a long method", head(&format!("{} / HTTP/1.1", "A".repeat(100_000)), "")),
        ("a strange version", head("GET / HTTP/7.3", "")),
        ("an address of 1 MB", head(&format!("GET /{} HTTP/1.1", "a".repeat(1024 * 1024)), "")),
        ("a raw NUL", b"GET /\0 HTTP/1.1\r\n\r\n".to_vec()),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("a hello of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
        ("noise", b"\xff\xfe\xfd\r\n\r\n".to_vec()),
        ("a folded header", head(track, "x: a\r\n b\r\n")),
        ("a space before the colon", head(track, "content-length : 2\r\n")),
    ];
    heads.push((
        "an old version",
        format!("GET /healthz HTTP/1.0\r\nhost: {address}\r\n\r\n").into_bytes(),
    ));
    let mut pieces: Vec<Piece> = heads
        .into_iter()
        .map(|(name, bytes)| Piece { is_about_the_head: true, ..piece(name, bytes) })
        .collect();
    for (name, header) in [
        ("no key", ""),
        ("half a key", "authorization: Bearer\r\n"),
        ("noise as a key", "authorization: Bearer \u{e9}\u{e9}\r\n"),
        ("a broken Basic", "authorization: Basic ====\r\n"),
        ("a Basic of noise", "authorization: Basic /////w==\r\n"),
        ("a scheme of nothing", "authorization: Nonsense abc\r\n"),
        ("two keys", "authorization: Bearer a\r\nauthorization: Bearer b\r\n"),
    ] {
        let rest = format!("{header}content-length: 2\r\n\r\n{{}}");
        let mut bytes = head("POST /v1/track HTTP/1.1", &rest);
        // The head's own last line end would be read as the beginning of another request.
        bytes.truncate(bytes.len() - 2);
        pieces.push(piece(name, bytes));
        let bytes = head("GET /api/v1/customers HTTP/1.1", header);
        pieces.push(piece(&format!("{name} for the API"), bytes));
    }
    pieces
}
