//! Randomness, hashes and signatures, from the one crypto provider.

use aws_lc_rs::{digest, hmac, rand};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Bytes that nobody can guess.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The generator is seeded by the operating system at start; without it nothing here is safe.
    if rand::fill(&mut bytes).is_err() {
        std::process::abort();
    }
    bytes
}

/// A text of letters and digits that nobody can guess, every one equally likely.
pub(crate) fn random_text(letters: usize) -> String {
    let mut text = String::with_capacity(letters);
    while text.len() < letters {
        for byte in random_bytes::<32>() {
            // 248 is the largest multiple of 62 in a byte; above it letters would not be even.
            if byte < 248 && text.len() < letters {
                let letter = BASE62.get(usize::from(byte % 62)).copied().unwrap_or(b'0');
                text.push(char::from(letter));
            }
        }
    }
    text
}

/// SHA-256 as lower-case hexadecimal text.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// HMAC-SHA-256 of the parts, each with its length before it.
pub(crate) fn sign(secret: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut context = hmac::Context::with_key(&key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut signature = [0; 32];
    signature.copy_from_slice(context.sign().as_ref());
    signature
}

/// Whether two byte strings are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_well_known_ones() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256_hex(b""), empty);
    }

    #[test]
    fn signatures_depend_on_where_the_parts_end() {
        assert_ne!(sign(b"k", &[b"ab", b"c"]), sign(b"k", &[b"a", b"bc"]));
        assert!(same(&sign(b"k", &[b"a"]), &sign(b"k", &[b"a"])));
    }

    #[test]
    fn random_texts_have_their_length() {
        assert_eq!(random_text(24).len(), 24);
        assert_ne!(random_text(24), random_text(24));
    }
}
