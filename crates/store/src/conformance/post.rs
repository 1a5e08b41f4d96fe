//! Post: letters come out once, in their senders' order, to whom they were left for.

use bytes::Bytes;

use super::{Subject, checks};
use crate::Key;

checks![
    letters_come_out_once_and_in_order,
    a_letter_is_for_its_receiver_only,
    no_more_come_out_than_were_asked_for,
    any_bytes_are_a_letter,
];

fn letters(to: &str, bodies: &[&str]) -> Vec<(Key, Bytes)> {
    bodies.iter().map(|body| (to.into(), Bytes::copy_from_slice(body.as_bytes()))).collect()
}

async fn collect(store: &Subject, node: &str, limit: usize) -> Vec<(String, String)> {
    let letters = store.collect(node, limit).await.expect("collect");
    letters
        .into_iter()
        .map(|(from, body)| (from.to_string(), String::from_utf8_lossy(&body).into_owned()))
        .collect()
}

fn from(sender: &str, bodies: &[&str]) -> Vec<(String, String)> {
    bodies.iter().map(|body| (sender.to_owned(), (*body).to_owned())).collect()
}

async fn letters_come_out_once_and_in_order(store: Subject) {
    store.post("a", letters("b", &["1", "2"])).await.expect("post");
    store.post("a", letters("b", &["3"])).await.expect("post");
    assert_eq!(collect(&store, "b", 10).await, from("a", &["1", "2", "3"]));
    assert_eq!(collect(&store, "b", 10).await, from("a", &[]));
}

async fn a_letter_is_for_its_receiver_only(store: Subject) {
    let mut both = letters("b", &["for b"]);
    both.extend(letters("c", &["for c"]));
    store.post("a", both).await.expect("post");
    store.post("c", letters("b", &["from c"])).await.expect("post");
    assert_eq!(collect(&store, "a", 10).await, from("a", &[]));
    assert_eq!(collect(&store, "c", 10).await, from("a", &["for c"]));
    let mut at_b = from("a", &["for b"]);
    at_b.extend(from("c", &["from c"]));
    assert_eq!(collect(&store, "b", 10).await, at_b);
}

async fn no_more_come_out_than_were_asked_for(store: Subject) {
    store.post("a", letters("b", &["1", "2", "3"])).await.expect("post");
    assert_eq!(collect(&store, "b", 2).await, from("a", &["1", "2"]));
    assert_eq!(collect(&store, "b", 2).await, from("a", &["3"]));
}

async fn any_bytes_are_a_letter(store: Subject) {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    store
        .post("a", vec![("b".into(), bytes.clone().into()), ("b".into(), Bytes::new())])
        .await
        .expect("post");
    let found = store.collect("b", 10).await.expect("collect");
    assert_eq!(found, [("a".into(), Bytes::from(bytes)), ("a".into(), Bytes::new())]);
}
