//! Where customers are: their address, what a file says of it, and whom a proxy names.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::http::{Http, escape};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use support::people::Desk;
use support::{LIMIT, Server, refused, within};

/// A file of places in a folder of its own.
fn file() -> (tempfile::TempDir, PathBuf) {
    let names = |name: &str| json!({"names": {"en": name, "fi": "toinen"}});
    let helsinki = json!({"city": names("Helsinki"), "country": {"iso_code": "FI", "names": {"en": "Finland"}},
        "subdivisions": [names("Uusimaa")],
        "location": {"latitude": 60.17, "longitude": 24.94, "time_zone": "Europe/Helsinki"}});
    let networks = [
        (Ipv4Addr::new(127, 0, 0, 0), 8, helsinki),
        (Ipv4Addr::new(192, 0, 2, 0), 24, json!({"country": {"names": {"en": "Nowhere"}}})),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("places.mmdb");
    std::fs::write(&path, levee_testbed::places(&networks)).unwrap();
    (folder, path)
}

/// What the agent is told of where the next customer is.
async fn told(desk: &Desk) -> Value {
    let accepted = desk.agent.accept_audience(&desk.queue, None).await.unwrap();
    accepted.at("/audience_metadata/geoip").clone()
}

async fn wanting(server: &Server) -> Desk {
    server.desk_with(json!({"name": "Help", "ninchat_metadata": ["geoip"]})).await
}

/// Sends an action by long polling, as a proxy does for somebody.
async fn poll(server: &Server, action: &Value, forwarded: &str) -> Value {
    let path = format!("/v2/poll?data={}", escape(&action.to_string()));
    let headers = [("X-Forwarded-For", forwarded)];
    let response = Http::new(server.address()).request("GET", &path, &headers, b"").await.unwrap();
    serde_json::from_slice(&response.body).unwrap()
}

/// A customer asks for an audience through a proxy.
async fn ask(server: &Server, desk: &Desk, forwarded: &str) {
    let create = json!({"action": "create_session", "message_types": ["*"]});
    let created = poll(server, &create, forwarded).await;
    let session = &created[0]["session_id"];
    let wish = json!({"action": "request_audience", "action_id": 1, "session_id": session,
        "queue_id": desk.queue});
    poll(server, &wish, forwarded).await;
    let next = json!({"action": "resume_session", "session_id": session,
        "event_id": created[0]["event_id"]});
    assert_eq!(poll(server, &next, forwarded).await[0]["event"], "audience_enqueued");
}

#[tokio::test]
async fn a_queue_that_wants_it_is_told_address_and_place_and_nobody_makes_them_up() {
    within(LIMIT, async {
        let (_folder, path) = file();
        let server = Server::with(&[&format!("--geoip-database={}", path.display())]).await;
        let desk = wanting(&server).await;
        let customer = server.guest("Cleo").await;
        let forged = json!({"geoip": {"ip": "8.8.8.8"}, "page": "/"});
        let wish = json!({"queue_id": desk.queue, "audience_metadata": forged});
        customer.ask("request_audience", wish.clone()).await.unwrap();
        let place = json!({"ip": "127.0.0.1", "country": "Finland", "country_code": "FI", "region": "Uusimaa",
            "city": "Helsinki", "latitude": 60.17, "longitude": 24.94, "timezone": "Europe/Helsinki"});
        assert_eq!(told(&desk).await, place);
        // A queue that does not want it is not told, nor is it for strangers to say that it does.
        let none = json!({"queue_id": desk.queue, "queue_attrs": {"ninchat_metadata": null}});
        assert_eq!(refused(customer.ask("update_queue", none.clone()).await), "permission_denied");
        desk.operator.ask("update_queue", none).await.unwrap();
        let other = server.guest("Other").await;
        other.request_audience(&desk.queue).await.unwrap();
        assert_eq!(told(&desk).await, Value::Null);
        // Nobody is believed to be a proxy without being named.
        desk.operator
            .ask(
                "update_queue",
                json!({"queue_id": desk.queue, "queue_attrs": {"ninchat_metadata": ["geoip"]}}),
            )
            .await
            .unwrap();
        ask(&server, &desk, "192.0.2.7").await;
        assert_eq!(told(&desk).await, place);
    })
    .await;
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_whom_it_names() {
    within(LIMIT, async {
        let (_folder, path) = file();
        let database = format!("--geoip-database={}", path.display());
        let server = Server::with(&[&database, "--trusted-proxies=127.0.0.0/8,10.0.0.0/8"]).await;
        let desk = wanting(&server).await;
        ask(&server, &desk, "8.8.8.8, 192.0.2.7, 10.1.1.1").await;
        assert_eq!(told(&desk).await, json!({"ip": "192.0.2.7", "country": "Nowhere"}));
        // An address that the file does not know.
        ask(&server, &desk, "2001:db8::7").await;
        assert_eq!(told(&desk).await, json!({"ip": "2001:db8::7"}));
    })
    .await;
}

#[tokio::test]
async fn without_a_file_there_is_the_address_alone_and_one_that_is_none_is_refused_at_the_start() {
    within(LIMIT, async {
        let server = Server::with(&["--geoip-database=/nowhere/places.mmdb"]).await;
        let desk = wanting(&server).await;
        let customer = server.guest("Cleo").await;
        customer.request_audience(&desk.queue).await.unwrap();
        assert_eq!(told(&desk).await, json!({"ip": "127.0.0.1"}));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.mmdb");
        std::fs::write(&path, "no such format").unwrap();
        let ended = tokio::process::Command::new(env!("CARGO_BIN_EXE_levee"))
            .args(["serve", "--listen=127.0.0.1:0", "--store=memory"])
            .arg(format!("--geoip-database={}", path.display()))
            .current_dir(folder.path())
            .output()
            .await
            .unwrap();
        let said =
            String::from_utf8_lossy(&ended.stderr).into_owned() + &String::from_utf8_lossy(&ended.stdout);
        assert!(!ended.status.success() && said.contains("geoip_database"), "{said}");
    })
    .await;
}
