//! Where a webhook may go.
//!
//! A customer types the URL; it must not reach what only this machine can reach. Two checks, because
//! each alone leaks: the URL's own host (an HTTP client never asks a resolver about an IP literal,
//! and there are many ways to spell one), and every address the resolver returns, at the moment of
//! connecting (so a name cannot change its mind in between). Redirects and proxies are off in
//! [`crate::webhook`].

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The rules. By default: https, public addresses.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    allow_private: bool,
    allow_http: bool,
    /// Hosts the operator vouches for: any address, and http too.
    allow_hosts: Arc<HashSet<String>>,
}

/// Why a target is not reached. Names no address: a tenant must not learn our network from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the webhook must use https")]
    NotHttps,
    #[error("the webhook URL has no host")]
    NoHost,
    #[error("the webhook points to a private or reserved address")]
    PrivateAddress,
}

impl Guard {
    pub(crate) fn new(allow_private: bool, allow_http: bool, allow_hosts: &[String]) -> Guard {
        let allow_hosts = allow_hosts.iter().map(|host| plain_host(host)).collect();
        Guard { allow_private, allow_http, allow_hosts: Arc::new(allow_hosts) }
    }

    /// The check before connecting: scheme, and the address if the URL names one.
    pub(crate) fn check(&self, url: &Url) -> Result<(), Refused> {
        let host = url.host().ok_or(Refused::NoHost)?;
        let vouched = self.vouches_for(&host.to_string());
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http || vouched => {}
            _ => return Err(Refused::NotHttps),
        }
        let public = match host {
            // The resolver answers for names, when the connection is made.
            Host::Domain(_) => true,
            Host::Ipv4(ip) => is_public(IpAddr::V4(ip)),
            Host::Ipv6(ip) => is_public(IpAddr::V6(ip)),
        };
        if public || vouched || self.allow_private { Ok(()) } else { Err(Refused::PrivateAddress) }
    }

    fn vouches_for(&self, host: &str) -> bool {
        self.allow_hosts.contains(&plain_host(host))
    }

    fn permits(&self, host: &str, address: SocketAddr) -> bool {
        self.allow_private || self.vouches_for(host) || is_public(address.ip())
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let permitted: Vec<SocketAddr> =
                found.filter(|address| guard.permits(&host, *address)).collect();
            if permitted.is_empty() {
                return Err(Refused::PrivateAddress.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// The refusal inside an HTTP client's error, if that is what went wrong.
pub(crate) fn refusal_in(error: &(dyn std::error::Error + 'static)) -> Option<Refused> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(*refused);
        }
        cause = error.source();
    }
    None
}

/// Whether an address belongs to the public internet.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let reserved = match ip.octets() {
        // This network, private, loopback, and everything from multicast up.
        [0 | 10 | 127 | 224..=255, ..] => true,
        // Shared by carriers (100.64/10).
        [100, 64..=127, ..] => true,
        // Link-local, which is where clouds keep their metadata.
        [169, 254, ..] => true,
        [172, 16..=31, ..] | [192, 168, ..] => true,
        // Protocol assignments, documentation, the old 6to4 relays, benchmarks.
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => true,
        [198, 51, 100, _] | [203, 0, 113, _] => true,
        _ => false,
    };
    !reserved
}

/// Only global unicast (2000::/3), and of that nothing that leads elsewhere: so v4-mapped, NAT64,
/// unique local, link-local and whatever is assigned later are refused without being listed.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let reserved = match ip.segments() {
        // Protocol assignments with Teredo (2001::/23), documentation, 6to4.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] => true,
        [0x3fff, 0..=0xfff, ..] => true,
        [0x2000..=0x3fff, ..] => false,
        _ => true,
    };
    !reserved
}

/// Lower case, without the final dot or the brackets, so that an allow list matches what it means.
fn plain_host(host: &str) -> String {
    let host = host.trim().trim_end_matches('.');
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserved_ranges_are_not_public() {
        let reserved = "0.0.0.0 0.255.255.255 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 \
            127.255.255.255 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.168.255.1 \
            198.18.0.1 198.19.255.255 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 \
            ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 2001:0:1::1 2002:7f00:1::1 fc00::1 \
            fdff::1 fe80::1 febf::1 fec0::1 ff02::1 2001:db8::1";
        for ip in reserved.split_whitespace() {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        let public = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 \
            126.255.255.255 128.0.0.1 169.253.0.1 172.15.0.1 172.32.0.1 192.0.1.1 192.167.1.1 \
            198.17.0.1 198.20.0.1 223.255.255.255 2606:4700::1111 2a00:1450::1 2001:4860::8888";
        for ip in public.split_whitespace() {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }
}
