//! `services`: where each service listens.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use super::{
    Global,
    read::{Entries, Item, section},
};
use crate::{
    keys::nearest,
    problem::{Cause, Position, Problems},
};

section! {
    /// One of the services.
    pub struct Service {
        /// Where it listens.
        "rpc" rpc: Rpc,
    }
}

section! {
    /// Where a service listens.
    pub struct Rpc {
        /// Port of gRPC.
        "grpcPort" grpc_port: Item<u16>,
        /// Port of gossip between nodes.
        "membershipPort" membership_port: Item<u16>,
        /// Listen on 127.0.0.1.
        "bindOnLocalHost" bind_on_localhost: Item<bool>,
        /// Address to listen on. Without either a service takes the machine's own.
        "bindOnIP" bind_on_ip: Item<Option<IpAddr>>,
        /// Port of the HTTP API; 0 is none.
        "httpPort" http_port: Item<u16>,
        /// Headers that are passed on from HTTP to gRPC: names, or `prefix*`.
        "httpAdditionalForwardedHeaders" http_additional_forwarded_headers: Vec<Item<String>>,
        /// Keeps connections of other nodes alive, as the listener.
        "keepAliveServerConfig" keep_alive_server: KeepAliveServer,
        /// Keeps connections to this service alive, as the one who connects.
        "clientConnectionConfig" client_connection: ClientConnection,
    }
}

section! {
    /// Keeps connections alive, as the listener.
    pub struct KeepAliveServer {
        /// What the listener does.
        "keepAliveServerParameters" parameters: Option<ServerParameters>,
        /// What clients may do.
        "keepAliveEnforcementPolicy" enforcement: Option<EnforcementPolicy>,
    }
}

section! {
    /// What a listener does to keep connections alive.
    pub struct ServerParameters {
        /// How long a connection may be idle; none is for ever.
        "maxConnectionIdle" max_connection_idle: Option<Item<Duration>>,
        /// How old a connection may be; none is for ever.
        "maxConnectionAge" max_connection_age: Option<Item<Duration>>,
        /// How long calls may go on after that; none is for ever.
        "maxConnectionAgeGrace" max_connection_age_grace: Option<Item<Duration>>,
        /// After how much silence it pings.
        "keepAliveTime" keep_alive_time: Item<Duration> = Duration::from_secs(2 * 3600),
        /// How long it waits for the answer.
        "keepAliveTimeout" keep_alive_timeout: Item<Duration> = Duration::from_secs(20),
    }
}

section! {
    /// What clients may do to keep connections alive.
    pub struct EnforcementPolicy {
        /// Least time between their pings.
        "minTime" min_time: Item<Duration> = Duration::from_secs(5 * 60),
        /// Whether they may ping without a call.
        "permitWithoutStream" permit_without_stream: Item<bool>,
    }
}

section! {
    /// Keeps connections alive, as the one who connects.
    pub struct ClientConnection {
        /// What the client does.
        "keepAliveClientParameters" parameters: Option<ClientParameters>,
    }
}

section! {
    /// What a client does to keep connections alive.
    pub struct ClientParameters {
        /// After how much silence it pings; none is never.
        "keepAliveTime" keep_alive_time: Option<Item<Duration>>,
        /// How long it waits for the answer.
        "keepAliveTimeout" keep_alive_timeout: Item<Duration> = Duration::from_secs(20),
        /// Whether it pings without a call.
        "keepAlivePermitWithoutStream" permit_without_stream: Item<bool>,
    }
}

/// The services, with the ports that Temporal's own files give them: gRPC, membership.
const SERVICES: [(&str, u16, u16); 5] = [
    ("frontend", 7233, 6933),
    ("internal-frontend", 7236, 6936),
    ("history", 7234, 6934),
    ("matching", 7235, 6935),
    ("worker", 7239, 6939),
];
const NAMES: &[&str] = &["frontend", "internal-frontend", "history", "matching", "worker"];

/// A port that is listened on.
struct Listener {
    key: String,
    at: Position,
    port: u16,
    address: Address,
    instead: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Address {
    /// A given one, which may be all.
    Ip(IpAddr),
    /// Whatever the machine has.
    Chosen,
}

/// Looks at all services together: two listeners on one port cannot be.
pub(super) fn check(services: &Entries<Service>, global: &Global, problems: &mut Problems) {
    if services.is_empty() {
        problems.missing(
            Position::default(),
            "services",
            "services with frontend, history, matching and worker, each with rpc.grpcPort and rpc.membershipPort",
        );
    }
    let mut listeners = Vec::new();
    for (name, service) in services {
        service.check(name, problems);
        service.listeners(name, &mut listeners);
    }
    others(global, &mut listeners);
    // In the order of the files, so that the later one is told.
    listeners.sort_by_key(|listener| listener.at);
    for (index, later) in listeners.iter().enumerate() {
        if let Some(first) = listeners[..index].iter().find(|first| first.collides(later)) {
            problems.contradiction(
                later.at,
                format!(
                    "{} is {}, which is {} already; write another port{}",
                    later.key, later.port, first.key, later.instead
                ),
            );
        }
    }
}

/// What else listens.
fn others(global: &Global, listeners: &mut Vec<Listener>) {
    let ip = |host: &str| match host {
        "" => Address::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        "localhost" => Address::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        _ => host.trim_matches(['[', ']']).parse().map_or(Address::Chosen, Address::Ip),
    };
    let pprof = &global.pprof;
    let mut add = |key: String, at, port, address| {
        listeners.push(Listener { key, at, port, address, instead: String::new() });
    };
    if *pprof.port != 0 {
        add(pprof.origin.key("port"), pprof.port.place(&pprof.origin), *pprof.port, ip(&pprof.host));
    }
    let prometheus = global.metrics.as_ref().filter(|it| it.statsd.is_none()).and_then(|it| it.prometheus.as_ref());
    if let Some((prometheus, port)) = prometheus.and_then(|it| Some((it, it.port()?))).filter(|(_, port)| *port != 0) {
        let host = prometheus.listen_address.rsplit_once(':').map_or("", |(host, _)| host);
        let at = prometheus.listen_address.place(&prometheus.origin);
        add(prometheus.origin.key("listenAddress"), at, port, ip(host));
    }
}

impl Listener {
    fn collides(&self, other: &Self) -> bool {
        self.port == other.port && self.address.meets(other.address)
    }
}

impl Address {
    fn meets(self, other: Self) -> bool {
        let all = |address: Self| match address {
            Self::Ip(ip) => ip.is_unspecified(),
            Self::Chosen => false,
        };
        self == other || all(self) || all(other)
    }
}

impl Service {
    fn check(&self, name: &str, problems: &mut Problems) {
        if !NAMES.contains(&name) {
            let key = self.origin.path.clone();
            problems.add(self.origin.at, Cause::UnknownKey { key, nearest: nearest(name, NAMES), known: NAMES });
        }
        let rpc = &self.rpc;
        let origin = &rpc.origin;
        if *rpc.bind_on_localhost && rpc.bind_on_ip.is_some() {
            problems.contradiction(
                rpc.bind_on_ip.place(origin),
                format!(
                    "{} and {} exclude each other; remove one of them",
                    origin.key("bindOnLocalHost"),
                    origin.key("bindOnIP")
                ),
            );
        }
        if *rpc.http_port != 0 && !name.ends_with("frontend") {
            problems.doubt(
                rpc.http_port.place(origin),
                format!("{} has no effect: only frontends serve HTTP", origin.key("httpPort")),
            );
        }
    }

    fn listeners(&self, name: &str, listeners: &mut Vec<Listener>) {
        let rpc = &self.rpc;
        let address = match *rpc.bind_on_ip {
            _ if *rpc.bind_on_localhost => Address::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Some(ip) => Address::Ip(ip),
            None => Address::Chosen,
        };
        let usual = SERVICES.iter().find(|(known, ..)| *known == name);
        for (key, item, usual) in [
            ("grpcPort", &rpc.grpc_port, usual.map(|(_, grpc, _)| *grpc)),
            ("membershipPort", &rpc.membership_port, usual.map(|(_, _, membership)| *membership)),
            ("httpPort", &rpc.http_port, None),
        ] {
            let idle = key == "httpPort" && !name.ends_with("frontend");
            if **item != 0 && !idle {
                listeners.push(Listener {
                    key: rpc.origin.key(key),
                    at: item.place(&rpc.origin),
                    port: **item,
                    address,
                    instead: usual
                        .filter(|usual| *usual != **item)
                        .map_or_else(String::new, |usual| format!(", such as {usual}, the usual one")),
                });
            }
        }
    }
}
