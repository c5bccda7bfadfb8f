//! Where agents find the coordinator: the addresses of this host, the likeliest first.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

/// Listens on a free port of all interfaces.
///
/// # Errors
/// The kernel's.
pub fn listen() -> std::io::Result<TcpListener> {
    // Where there is version 6 of the protocol, this takes version 4 as well.
    TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0"))
}

/// The addresses under which `nodes` may reach this port, the ones that lead to the first of them before all
/// others, the loopback last: an agent may run on this host, too.
pub fn of_this_host(port: u16, nodes: &[String]) -> Vec<SocketAddr> {
    let towards = nodes.iter().take(2).filter_map(|node| address_towards(node));
    let own = if_addrs::get_if_addrs().unwrap_or_default().into_iter().map(|interface| interface.ip());
    ordered(towards.chain(own), port)
}

fn ordered(found: impl Iterator<Item = IpAddr>, port: u16) -> Vec<SocketAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.filter(is_usable) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.sort_by_key(IpAddr::is_loopback);
    addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect()
}

/// Link-local addresses mean nothing without an interface, which has other names elsewhere.
fn is_usable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !(address.is_link_local() || address.is_unspecified()),
        IpAddr::V6(address) => !(address.is_unicast_link_local() || address.is_unspecified()),
    }
}

/// Our own address on the way to a node. Nothing is sent.
fn address_towards(node: &str) -> Option<IpAddr> {
    ["0.0.0.0:0", "[::]:0"].iter().find_map(|any| {
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect((node, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_comes_last_and_each_address_once() {
        let found = ["127.0.0.1", "10.1.0.7", "fe80::1", "169.254.3.4", "10.1.0.7", "::1", "192.168.0.2"];
        let found = found.iter().map(|address| address.parse().unwrap());
        let texts: Vec<String> = ordered(found, 70).iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["10.1.0.7:70", "192.168.0.2:70", "127.0.0.1:70", "[::1]:70"]);
    }

    #[test]
    fn this_host_finds_itself() {
        assert!(of_this_host(1, &["localhost".to_owned()]).iter().any(|address| address.ip().is_loopback()));
    }
}
