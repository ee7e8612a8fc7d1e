//! DKIM signatures (RFC 6376), RSA-2048-SHA256 and Ed25519-SHA256 (RFC 8463), relaxed/relaxed.
//!
//! Our own because lettre's defaults leave the unsubscribe headers unsigned, which one-click
//! unsubscribe (RFC 8058) requires, and its signature did not verify elsewhere. Verifying, looking
//! up DNS and choosing keys are not here.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use aws_lc_rs::{digest, rsa};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::{ConfigError, Secret};

/// Signed when present. Everything a reader sees or a mailbox provider acts on.
const SIGNED_HEADERS: &[&str] = &[
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Reply-To",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];

/// RFC 8301 asks signers for at least this; shorter keys are ignored by large receivers.
const RSA_BITS_MIN: usize = 2048;

/// A signing key as an operator configures it.
#[derive(Debug, Clone)]
pub struct DkimKey {
    /// `d=`: the sender's domain or a parent of it.
    pub domain: String,
    /// `s=`: the public key is published at `<selector>._domainkey.<domain>`.
    pub selector: String,
    /// PKCS#8 or PKCS#1; RSA of 2048 bits or more, or Ed25519.
    pub private_key_pem: Secret,
}

/// The TXT record to publish for a key.
pub fn dns_record(key: &DkimKey) -> Result<String, ConfigError> {
    let signer = Signer::new(key)?;
    let unusable = || refused(key, "its public half cannot be computed");
    Ok(match &signer.key {
        Key::Rsa(pair) => {
            let public: PublicKeyX509Der<'_> =
                pair.public_key().as_der().map_err(|_| unusable())?;
            format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(public.as_ref()))
        }
        Key::Ed25519(pair) => {
            format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(pair.public_key()))
        }
    })
}

/// A key that has been read and can sign.
#[derive(Debug)]
pub(crate) struct Signer {
    domain: String,
    selector: String,
    key: Key,
}

/// Both kinds print only their public half in `Debug`.
#[derive(Debug)]
enum Key {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl Signer {
    pub(crate) fn new(config: &DkimKey) -> Result<Signer, ConfigError> {
        for name in [&config.domain, &config.selector] {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
            if name.is_empty() || !name.bytes().all(allowed) {
                return Err(refused(config, "domain and selector must be DNS names"));
            }
        }
        Ok(Signer {
            domain: config.domain.to_ascii_lowercase(),
            selector: config.selector.clone(),
            key: read_key(config)?,
        })
    }

    /// Whether mail from this domain is aligned with the key.
    pub(crate) fn covers(&self, sender_domain: &str) -> bool {
        let sender = sender_domain.to_ascii_lowercase();
        sender == self.domain || sender.ends_with(&format!(".{}", self.domain))
    }

    /// The complete `DKIM-Signature` header, with its final line break.
    pub(crate) fn sign(&self, message: &[u8], timestamp: i64) -> Option<String> {
        let (headers, body) = split(message)?;
        let present: Vec<Field<'_>> = SIGNED_HEADERS
            .iter()
            .filter_map(|wanted| {
                headers.iter().rfind(|(name, _)| name.eq_ignore_ascii_case(wanted))
            })
            .copied()
            .collect();
        let mut names: Vec<&str> = present.iter().map(|(name, _)| *name).collect();
        // Once more than it occurs: a second From added on the way breaks the signature.
        names.push("From");

        let body_hash = STANDARD.encode(digest::digest(&digest::SHA256, &relaxed_body(body)));
        let algorithm = match self.key {
            Key::Rsa(_) => "rsa-sha256",
            Key::Ed25519(_) => "ed25519-sha256",
        };
        let unsigned = format!(
            "v=1; a={algorithm}; c=relaxed/relaxed; d={};\r\n s={}; t={timestamp};\r\n h={};\r\n bh={body_hash};\r\n b=",
            self.domain,
            self.selector,
            names.join(":\r\n  "),
        );

        let mut input = String::new();
        for (name, value) in present {
            input.push_str(&relaxed_header(name, value));
            input.push_str("\r\n");
        }
        input.push_str(&relaxed_header("DKIM-Signature", &unsigned));
        let signature = STANDARD.encode(self.key.sign(input.as_bytes())?);
        Some(format!("DKIM-Signature: {unsigned}{}\r\n", folded(&signature)))
    }
}

impl Key {
    fn sign(&self, input: &[u8]) -> Option<Vec<u8>> {
        match self {
            Key::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature).ok()?;
                Some(signature)
            }
            // RFC 8463 §3: Ed25519 signs the SHA-256 of the input, not the input.
            Key::Ed25519(pair) => {
                let hash = digest::digest(&digest::SHA256, input);
                Some(pair.sign(hash.as_ref()).as_ref().to_vec())
            }
        }
    }
}

fn refused(key: &DkimKey, reason: &str) -> ConfigError {
    ConfigError::Dkim {
        domain: key.domain.clone(),
        selector: key.selector.clone(),
        reason: reason.to_owned(),
    }
}

fn read_key(config: &DkimKey) -> Result<Key, ConfigError> {
    let der = PrivateKeyDer::from_pem_slice(config.private_key_pem.expose().as_bytes())
        .map_err(|_| refused(config, "it is not a PEM private key"))?;
    let rsa = match &der {
        PrivateKeyDer::Pkcs8(pkcs8) => {
            let bytes = pkcs8.secret_pkcs8_der();
            if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes) {
                return Ok(Key::Ed25519(Box::new(pair)));
            }
            rsa::KeyPair::from_pkcs8(bytes)
        }
        PrivateKeyDer::Pkcs1(pkcs1) => rsa::KeyPair::from_der(pkcs1.secret_pkcs1_der()),
        _ => return Err(refused(config, "it is neither PKCS#8 nor PKCS#1")),
    };
    let pair =
        rsa.map_err(|_| refused(config, "it is neither Ed25519 nor RSA of 2048 to 8192 bits"))?;
    if pair.public_modulus_len() * 8 < RSA_BITS_MIN {
        return Err(refused(config, "RSA keys need at least 2048 bits"));
    }
    Ok(Key::Rsa(Box::new(pair)))
}

/// A header field: its name, and its raw value with its folds.
type Field<'a> = (&'a str, &'a str);

/// The header fields in order, and the body.
fn split(message: &[u8]) -> Option<(Vec<Field<'_>>, &[u8])> {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, rest) = message.split_at(end);
    let head = std::str::from_utf8(head).ok()?;
    let mut headers = Vec::new();
    let mut from = 0;
    while from < head.len() {
        let field_end = end_of_field(head, from);
        let (name, value) = head.get(from..field_end)?.split_once(':')?;
        headers.push((name.trim_end(), value));
        from = field_end + 2;
    }
    Some((headers, rest.get(4..)?))
}

/// The first line break from `from` on that is not followed by a continuation line.
fn end_of_field(head: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(found) = head.get(at..).and_then(|rest| rest.find("\r\n")) {
        let line_end = at + found;
        if !matches!(head.as_bytes().get(line_end + 2), Some(b' ' | b'\t')) {
            return line_end;
        }
        at = line_end + 2;
    }
    head.len()
}

/// RFC 6376 §3.4.2, without the final line break.
fn relaxed_header(name: &str, value: &str) -> String {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let words: Vec<&str> = value.split(blank).filter(|word| !word.is_empty()).collect();
    format!("{}:{}", name.to_ascii_lowercase(), words.join(" "))
}

/// RFC 6376 §3.4.4.
fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut empty_lines = 0;
    for line in body.split(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let start = out.len();
        let mut blank = false;
        for &byte in line {
            if matches!(byte, b' ' | b'\t') {
                blank = true;
                continue;
            }
            if out.len() == start {
                // Lines before this one count only once something follows them.
                out.extend(std::iter::repeat_n(*b"\r\n", empty_lines).flatten());
                empty_lines = 0;
            }
            if blank {
                out.push(b' ');
                blank = false;
            }
            out.push(byte);
        }
        if out.len() == start {
            empty_lines += 1;
        } else {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

fn folded(base64: &str) -> String {
    let mut out = String::with_capacity(base64.len() + 32);
    for (at, c) in base64.chars().enumerate() {
        if at % 70 == 0 {
            out.push_str("\r\n  ");
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // The worked example of RFC 6376 §3.4.5.
    #[test]
    fn canonical_forms_are_those_of_the_rfc() {
        let message = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n";
        let (headers, body) = split(message).unwrap();
        let canonical: Vec<String> =
            headers.iter().map(|(name, value)| relaxed_header(name, value)).collect();
        assert_eq!(canonical, ["a:X", "b:Y Z"]);
        assert_eq!(relaxed_body(body), b" C\r\nD E\r\n");
        assert_eq!(relaxed_body(b""), b"");
        assert_eq!(relaxed_body(b"\r\n \r\n"), b"");
        assert_eq!(relaxed_body(b"\r\n\r\na\r\n\r\nb"), b"\r\n\r\na\r\n\r\nb\r\n");
    }

    #[test]
    fn a_key_covers_its_domain_and_those_below() {
        let key = Ed25519KeyPair::generate().unwrap();
        let signer = Signer {
            domain: "example.com".into(),
            selector: "s".into(),
            key: Key::Ed25519(Box::new(key)),
        };
        assert!(signer.covers("Example.com") && signer.covers("mail.example.com"));
        assert!(!signer.covers("badexample.com") && !signer.covers("com"));
    }
}
