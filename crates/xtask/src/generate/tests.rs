//! Every type of the tables is mapped, and what is generated holds every row.

use super::types::Type;
use super::*;
use levee_proto::types::Waiting;
use levee_proto::{ErrorType, actions, events};

#[test]
fn types_are_read_as_the_compiler_spells_them() {
    let texts = Type::List(Box::new(Type::Text));
    for spelled in ["Vec<Text>", "Vec < Text >", "Vec<Text >"] {
        assert_eq!(Type::parse(spelled).expect("known"), texts, "{spelled}");
    }
    assert_eq!(texts.typescript(), "string[]");
    assert_eq!(texts.json(), "list of string");
    let patch = Type::parse("ChannelMemberAttrsPatch").expect("known");
    assert_eq!(patch.typescript(), "Patch<ChannelMemberAttrs>");
    assert_eq!(patch.json(), "change of [channel member attributes](#channel-member-attributes)");
    assert_eq!(Type::parse("Vec<Waiting>").expect("known").typescript(), "Waiting[]");
    assert_eq!(Type::parse("Object").expect("known").typescript(), "JsonObject");
    for unknown in ["Instant", "Vec<Instant>", "HashMap<Text, Text>", "Patch", "SurpriseAttrs"] {
        assert!(Type::parse(unknown).is_err(), "{unknown}");
    }
}

#[test]
fn every_row_is_on_the_page_and_in_the_module() {
    let (page, module) = (protocol::page().expect("a page"), typescript::module().expect("a module"));
    for action in actions::ACTIONS {
        let state = if action.done { "done" } else { "planned" };
        assert!(page.contains(&format!("| `{}` | {state} |", action.name)), "{}", action.name);
        assert!(module.contains(&format!("\n  {}: ", action.name)), "{}", action.name);
    }
    for event in events::all() {
        assert!(page.contains(&format!("| `{}` | ", event.name)), "{}", event.name);
        assert!(module.contains(&format!("\n  {}: ", event.name)), "{}", event.name);
    }
    for error in ErrorType::ALL {
        assert!(page.contains(&format!("| `{}` | {}", error.name(), error.meaning())), "{}", error.name());
        assert!(module.contains(&format!("| \"{}\"", error.name())), "{}", error.name());
    }
    assert!(!page.contains("r#") && !module.contains("r#"), "a Rust word leaked into the wire's names");
}

#[test]
fn the_hand_written_interface_is_what_the_server_writes() {
    let waiting = Waiting {
        audience_id: "a".into(),
        user_id: "u".into(),
        user_name: Some("n".into()),
        request_time: 1.5,
    };
    let written = serde_json::to_value(waiting).expect("JSON");
    let module = typescript::module().expect("a module");
    let interface = module.split("export interface Waiting {").nth(1).expect("it is there");
    let interface = interface.split('}').next().expect("it ends");
    for name in written.as_object().expect("an object").keys() {
        assert!(
            interface.contains(&format!("  {name}:")) || interface.contains(&format!("  {name}?:")),
            "{name}"
        );
    }
    assert_eq!(interface.matches(';').count(), written.as_object().expect("an object").len());
}

#[test]
fn every_setting_is_on_the_page() {
    let page = configuration::page().expect("a page");
    for name in ["listen", "LEVEE_LISTEN", "--tls-self-signed", "session_buffer_events"] {
        assert!(page.contains(name), "{name}");
    }
}
