use serde_json::json;

use super::*;

fn key() -> Key {
    key_of("files", "files")
}

fn key_of(server: &str, child: &str) -> Key {
    Key {
        server: ("storage".into(), server.into()),
        child: ("StatefulSet", child.into()),
    }
}

fn difference(path: &str) -> Difference {
    Difference {
        path: path.into(),
        live: json!(2),
        desired: json!(1),
    }
}

fn write<'a>(uid: Option<&'a str>, before: &[Difference], after: Vec<Difference>) -> Write<'a> {
    let before = before
        .iter()
        .map(|found| (found.path.clone(), vec!["tuner".to_owned()]));
    Write {
        key: key(),
        uid,
        asked: "1",
        before: before.collect(),
        had_hash: true,
        after,
    }
}

#[test]
fn an_answer_that_still_differs_is_not_written_again_until_something_changes() {
    let (drifts, now) = (Drifts::default(), Instant::now());
    let image = [difference("image")];
    assert_eq!(drifts.advice(&key(), Some("u"), "1", &image, now), Advice::Write);
    drifts.wrote(write(Some("u"), &image, image.to_vec()), now);
    assert_eq!(
        drifts.advice(&key(), Some("u"), "1", &image, now),
        Advice::Overridden
    );
    let more = [difference("image"), difference("replicas")];
    assert_eq!(drifts.advice(&key(), Some("u"), "1", &more, now), Advice::Write);
    assert_eq!(
        drifts.advice(&key(), Some("u"), "2", &image, now),
        Advice::Write,
        "another spec"
    );
    assert_eq!(
        drifts.advice(&key(), Some("v"), "1", &image, now),
        Advice::Write,
        "another object"
    );
}

#[test]
fn the_pauses_between_corrections_of_one_field_grow_and_end_when_it_stays() {
    let (drifts, start) = (Drifts::default(), Instant::now());
    let contested = [difference("grace")];
    let mut now = start;
    let mut writes = 0;
    while now < start + Duration::from_secs(40) {
        match drifts.advice(&key(), None, "1", &contested, now) {
            Advice::Write => {
                drifts.wrote(write(None, &contested, Vec::new()), now);
                writes += 1;
            }
            advice => assert!(matches!(advice, Advice::Wait(_)), "{advice:?}"),
        }
        now += Duration::from_millis(150);
    }
    assert!(writes <= 10, "{writes}");
    let other = [difference("grace"), difference("image")];
    assert_eq!(
        drifts.advice(&key(), None, "1", &other, now),
        Advice::Write,
        "another field"
    );
    assert!(drifts.unproven(&key(), now).is_some());
    now += Duration::from_secs(200);
    assert_eq!(drifts.unproven(&key(), now), None);
    assert_eq!(drifts.advice(&key(), None, "1", &contested, now), Advice::Write);
    drifts.wrote(write(None, &contested, Vec::new()), now);
    assert_eq!(
        drifts.advice(&key(), None, "1", &contested, now),
        Advice::Write,
        "the rounds start again"
    );
}

#[test]
fn a_program_that_removes_the_hash_as_well_is_damped_and_another_desired_state_is_not() {
    let (drifts, mut now) = (Drifts::default(), Instant::now());
    let contested = [difference("metadata.annotations[dittofs.io/applied-hash]")];
    let without_hash = |asked| Write {
        asked,
        had_hash: false,
        ..write(Some("u"), &contested, Vec::new())
    };
    let mut writes = 0;
    for _ in 0..100 {
        if drifts.advice(&key(), Some("u"), "1", &contested, now) == Advice::Write {
            drifts.wrote(without_hash("1"), now);
            writes += 1;
        }
        drifts.unproven(&key(), now);
        now += Duration::from_millis(150);
    }
    assert!(writes <= 9, "{writes}");
    for edit in ["2", "3", "4", "5", "6"] {
        assert_eq!(
            drifts.advice(&key(), Some("u"), edit, &contested, now),
            Advice::Write
        );
        drifts.wrote(without_hash(edit), now);
        assert_eq!(
            drifts.unproven(&key(), now),
            None,
            "edits of the user are no contest"
        );
    }
    now += FORGOTTEN_AFTER * 2;
    drifts.unproven(&key(), now);
    assert!(drifts.lock().is_empty(), "nothing is remembered for long");
}

#[test]
fn a_server_that_is_gone_is_forgotten_and_servers_whose_names_begin_with_its_name_are_not() {
    let (drifts, now) = (Drifts::default(), Instant::now());
    let (gone, child) = (key(), key_of("files", "files-api"));
    let others = [
        key_of("files-api", "files-api-file"),
        Key {
            server: ("other".into(), "files".into()),
            ..key()
        },
    ];
    for key in others.iter().chain([&gone, &child]) {
        let write = Write {
            key: key.clone(),
            ..write(None, &[], vec![difference("image")])
        };
        drifts.wrote(write, now);
        drifts.note_taken(key.clone(), true);
    }
    drifts.forget("storage", "files");
    let is_known = |key: &Key| {
        let advice = drifts.advice(key, None, "1", &[difference("image")], now);
        assert_eq!(advice == Advice::Overridden, drifts.is_taken(key), "{key:?}");
        drifts.is_taken(key)
    };
    assert!(others.iter().all(is_known));
    assert!(!is_known(&gone) && !is_known(&child));
    for key in others {
        drifts.forget(&key.server.0, &key.server.1);
    }
    assert!(drifts.lock().is_empty());
}

#[test]
fn a_name_that_is_free_again_is_not_remembered() {
    let drifts = Drifts::default();
    drifts.note_taken(key(), false);
    assert!(!drifts.is_taken(&key()) && drifts.lock().is_empty());
    drifts.note_taken(key(), true);
    assert!(drifts.is_taken(&key()));
    drifts.note_taken(key(), false);
    assert!(drifts.lock().is_empty());
}
