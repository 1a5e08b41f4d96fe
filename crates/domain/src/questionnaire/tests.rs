use super::*;
use levee_proto::Object;
use proptest::prelude::*;
use serde_json::{Value, json};

fn parse(value: &Value) -> Result<Questionnaire, Wrong> {
    Questionnaire::parse(&Place::root("q", value)).map(|(questionnaire, _)| questionnaire)
}

fn evaluate(questionnaire: &Value, answers: Value) -> Result<Outcome, Wrong> {
    let answers: Object = answers.as_object().cloned().unwrap();
    parse(questionnaire).unwrap().evaluate("a", &answers)
}

/// A short questionnaire with branches.
fn branches() -> Value {
    json!([
        {"name": "topic", "element": "radio", "required": true,
            "options": [{"label": "Buy", "value": "buy"}, {"label": "Help", "value": "help"}],
            "redirects": [{"pattern": "buy", "target": "order"}, {"target": "details"}]},
        {"name": "details", "type": "group", "elements": [
            {"element": "text", "label": "Tell us"},
            {"name": "what", "element": "textarea", "required": true},
            {"name": "urgent", "element": "checkbox", "label": "Urgent"}]},
        {"name": "logic-1", "logic": {"and": [{"urgent": "true"}], "tags": ["t-urgent"], "target": "_complete"}},
        {"name": "logic-2", "logic": {"or": [{"what": "nothing.*"}, {"topic": "x"}], "target": "_close"}},
        {"name": "logic-3", "logic": {"tags": ["t-help"], "target": "_register"}},
        {"name": "order", "element": "input", "pattern": "[0-9]{3}", "buttons": {"back": false}},
    ])
}

#[test]
fn answers_lead_through_pages_to_an_end_and_to_tags() {
    for (answers, end, kept, tags) in [
        (
            json!({"topic": "buy", "order": "123"}),
            End::Complete,
            json!({"topic": "buy", "order": "123"}),
            vec![],
        ),
        (json!({"topic": "buy", "order": " "}), End::Complete, json!({"topic": "buy"}), vec![]),
        (
            json!({"topic": "help", "what": "w", "urgent": "true", "order": "not asked", "tags": ["forged"]}),
            End::Complete,
            json!({"topic": "help", "what": "w", "urgent": true}),
            vec!["t-urgent"],
        ),
        (
            json!({"topic": "help", "what": "nothing at all"}),
            End::Close,
            json!({"topic": "help", "what": "nothing at all"}),
            vec![],
        ),
        (
            json!({"topic": "help", "what": "w", "urgent": false}),
            End::Register,
            json!({"topic": "help", "what": "w"}),
            vec!["t-help"],
        ),
    ] {
        let outcome = evaluate(&branches(), answers.clone()).unwrap();
        assert_eq!((outcome.end, Value::Object(outcome.answers)), (end, kept), "{answers}");
        assert_eq!(outcome.tags, tags, "{answers}");
    }
}

#[test]
fn an_answer_that_can_not_be_is_refused_by_its_name() {
    let elements = json!([
        {"name": "i", "element": "input"},
        {"name": "s", "element": "select", "options": [{"value": "1"}, {"value": 2}]},
        {"name": "l", "element": "likert"},
        {"name": "c", "element": "checkbox", "options": [{"value": "x"}, {"value": "y"}]},
        {"name": "r", "element": "checkbox", "required": true},
    ]);
    let fine = json!({"i": "x", "s": "2", "l": "agree", "c": ["y", "x"], "r": true});
    assert_eq!(Value::Object(evaluate(&elements, fine.clone()).unwrap().answers), fine);
    assert_eq!(evaluate(&elements, json!({"c": ["y", "y"], "r": true})).unwrap().answers["c"], json!(["y"]));
    let long = "x".repeat(MAX_ANSWER + 1);
    for (name, answer) in [
        ("i", json!(5)),
        ("i", json!(long)),
        ("s", json!("3")),
        ("s", json!(["1"])),
        ("l", json!("perhaps")),
        ("c", json!("z")),
        ("c", json!(["x", 5])),
        ("c", json!(["x", "x", "x"])),
        ("r", json!(false)),
        ("r", json!("yes")),
        ("r", json!(null)),
    ] {
        let mut answers = fine.clone();
        answers[name] = answer.clone();
        let wrong = evaluate(&elements, answers).unwrap_err();
        assert_eq!(wrong.path, format!("a/{name}"), "{answer:.20}");
    }
    let topic = evaluate(&branches(), json!({})).unwrap_err();
    assert_eq!(topic.to_string(), "a/topic: is required");
    let order = evaluate(&branches(), json!({"topic": "buy", "order": "1234"})).unwrap_err();
    assert_eq!(order.to_string(), "a/order: does not fit the pattern");
}

#[test]
fn a_questionnaire_whose_answers_lead_in_circles_has_no_end() {
    let circle = json!([
        {"name": "one", "element": "input"},
        {"name": "two", "element": "input", "redirects": [{"pattern": "again", "target": "one"}]},
    ]);
    assert!(evaluate(&circle, json!({"two": "again"})).unwrap_err().reason.contains("back to the page one"));
    assert_eq!(evaluate(&circle, json!({"two": "on"})).unwrap().end, End::Complete);
}

#[test]
fn what_is_shown_when_all_is_over_asks_nothing() {
    let pages = json!([
        {"name": "one", "element": "input", "buttons": {"next": true}},
        {"name": "_registered", "type": "group", "elements": [{"name": "x", "element": "input", "required": true}]},
    ]);
    assert_eq!(evaluate(&pages, json!({})).unwrap().end, End::Complete);
}

#[test]
fn what_is_not_well_formed_is_refused_with_its_place() {
    let input = |more: Value| {
        let mut element = json!({"name": "a", "element": "input"});
        element.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        json!([element])
    };
    let logic = |logic: Value| json!([{"name": "a", "element": "input"}, {"name": "l", "logic": logic}]);
    let many: Vec<Value> = (0..201).map(|n| json!({"name": n.to_string(), "element": "input"})).collect();
    let nested = format!("{}a{}", "(".repeat(50), ")".repeat(50));
    for (questionnaire, path) in [
        (json!({}), "q"),
        (json!(many), "q"),
        (json!(["x"]), "q/0"),
        (json!([{"name": "a"}]), "q/0"),
        (json!([{"element": "input"}]), "q/0"),
        (json!([{"name": "a", "element": "video"}]), "q/0/element"),
        (input(json!({"name": ""})), "q/0/name"),
        (input(json!({"name": "tags"})), "q/0"),
        (input(json!({"name": "_x"})), "q/0"),
        (input(json!({"required": "yes"})), "q/0/required"),
        (input(json!({"label": ["x"]})), "q/0/label"),
        (input(json!({"pattern": "(?=x)"})), "q/0/pattern"),
        (input(json!({"pattern": "a)|(b"})), "q/0/pattern"),
        (input(json!({"pattern": "x".repeat(513)})), "q/0/pattern"),
        (input(json!({"pattern": "(x{1000}){1000}"})), "q/0/pattern"),
        (input(json!({"pattern": nested})), "q/0/pattern"),
        (input(json!({"type": "page", "elements": []})), "q/0/type"),
        (input(json!({"type": "group"})), "q/0"),
        (input(json!({"redirects": [{"target": "b"}]})), "q/0/redirects/0/target"),
        (input(json!({"redirects": [{"pattern": "x"}]})), "q/0/redirects/0"),
        (json!([{"name": "a", "element": "input"}, {"name": "a", "element": "input"}]), "q/1"),
        (json!([{"name": "a", "element": "radio"}]), "q/0"),
        (json!([{"name": "a", "element": "radio", "options": [{"label": "x"}]}]), "q/0/options/0"),
        (
            json!([{"name": "a", "element": "radio", "options": [{"value": "x"}, {"value": "x"}]}]),
            "q/0/options/1/value",
        ),
        (json!([{"name": "a", "element": "likert", "options": [{"value": "x"}]}]), "q/0/options/0/value"),
        (json!([{"element": "a"}]), "q/0"),
        (json!([{"element": "a", "href": "javascript:alert(1)"}]), "q/0/href"),
        (json!([{"element": "a", "href": "data:text/html,x"}]), "q/0/href"),
        (logic(json!({"target": "b"})), "q/1/logic/target"),
        (logic(json!({"and": [{"b": "x"}]})), "q/1/logic/and/0/b"),
        (logic(json!({"or": {"a": "x"}})), "q/1/logic/or"),
        (logic(json!({"tags": [5]})), "q/1/logic/tags/0"),
        (logic(json!({"and": [{"a/b~": 5}]})), "q/1/logic/and/0/a~1b~0"),
    ] {
        assert_eq!(parse(&questionnaire).unwrap_err().path, path, "{questionnaire:.120}");
    }
    assert!(parse(&branches()).is_ok());
    assert!(parse(&json!([])).is_ok());
    assert!(parse(&json!([{"element": "a", "href": "https://example.org"}, {"element": "text"}])).is_ok());
}

#[test]
fn queues_and_tags_that_it_names_are_told() {
    let logic = json!([{"name": "l", "logic": {"queueId": "q1", "tags": ["t1"], "target": "_complete"}}]);
    let (_, names) = Questionnaire::parse(&Place::root("q", &logic)).unwrap();
    assert_eq!(names.queues, [("q/0/logic/queueId".to_owned(), Id::from("q1"))]);
    assert_eq!(names.tags, [("q/0/logic/tags/0".to_owned(), Id::from("t1"))]);
}

/// JSON that looks like a questionnaire now and then.
fn documents() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "a",
        "b",
        "input",
        "checkbox",
        "radio",
        "group",
        "_complete",
        "x*",
        "(",
        ".*",
        "true",
        "https:",
        "",
    ]);
    let leaf =
        prop_oneof![word.prop_map(Value::from), any::<bool>().prop_map(Value::from), Just(Value::Null)];
    let key = prop::sample::select(vec![
        "name",
        "element",
        "elements",
        "type",
        "logic",
        "and",
        "or",
        "target",
        "redirects",
        "pattern",
        "options",
        "value",
        "required",
        "href",
        "a",
        "b",
        "tags",
        "queue",
    ]);
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(key.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A questionnaire in which everything may lead anywhere.
fn mazes() -> impl Strategy<Value = Value> {
    prop::collection::vec((0..12usize, 0..12usize, "[ab.*]{0,4}"), 1..12).prop_map(|steps| {
        let size = steps.len();
        let pages = steps.into_iter().enumerate().map(|(number, (first, second, pattern))| {
            json!({"name": format!("p{number}"), "element": "input", "redirects": [
                {"pattern": pattern, "target": format!("p{}", first % size)},
                {"target": if second < 9 { format!("p{}", second % size) } else { "_complete".into() }}]})
        });
        Value::from_iter(pages)
    })
}

proptest! {
    #[test]
    fn no_document_and_no_answers_are_too_much(document in documents(), answers in documents()) {
        if let (Ok(questionnaire), Value::Object(answers)) = (parse(&document), answers) {
            let _ = questionnaire.evaluate("a", &answers);
        }
    }

    #[test]
    fn every_maze_comes_to_an_end(maze in mazes(), answers in prop::collection::vec("[ab]{0,3}", 12)) {
        if let Ok(questionnaire) = parse(&maze) {
            let given = (0..).zip(answers).map(|(n, text): (usize, _)| (format!("p{n}"), json!(text)));
            let given = given.filter(|(name, _)| questionnaire.asks_for(name)).collect();
            let outcome = questionnaire.evaluate("a", &given);
            prop_assert!(outcome.is_ok_and(|outcome| outcome.end == End::Complete)
                || questionnaire.evaluate("a", &given).is_err_and(|wrong| wrong.reason.contains("back to the page")));
        }
    }
}
