use super::*;

fn id(number: u64) -> Id {
    Id {
        milliseconds: 1,
        number,
    }
}

fn picture(number: u64, name: &str) -> Event {
    Event {
        id: id(number),
        what: What::Picture {
            picture: name.into(),
            caption: format!("caption {number}"),
        },
    }
}

fn comment(number: u64, on: &str) -> Event {
    Event {
        id: id(number),
        what: What::Comment {
            picture: on.into(),
            name: String::new(),
            text: format!("text {number}"),
        },
    }
}

fn shown(log: &Log, pictures: usize, comments: usize) -> Vec<(String, Vec<u64>)> {
    log.moments(pictures, comments)
        .iter()
        .map(|moment| {
            let comments = moment.comments.iter().map(|it| it.id.number).collect();
            (moment.picture.to_owned(), comments)
        })
        .collect()
}

#[test]
fn ids_are_those_of_a_stream() {
    for text in ["0-0", "1-2", "1700000000000-7"] {
        assert_eq!(text.parse::<Id>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "1",
        "-",
        "1-",
        "-1",
        "+1-1",
        "1-+1",
        "1-1-1",
        "99999999999999999999-1",
        "a-1",
    ] {
        assert!(text.parse::<Id>().is_err(), "{text}");
    }
    assert!("10-0".parse::<Id>() > "9-5".parse());
}

#[test]
fn the_newest_pictures_with_their_newest_comments() {
    let log = Log::new([
        picture(1, "a"),
        comment(2, "a"),
        picture(3, "b"),
        comment(4, "a"),
        comment(5, "nobody"),
        comment(6, "a"),
        picture(7, "c"),
    ]);
    assert_eq!(
        shown(&log, 9, 2),
        [
            ("c".into(), vec![]),
            ("b".into(), vec![]),
            ("a".into(), vec![4, 6])
        ]
    );
    assert_eq!(shown(&log, 1, 2), [("c".into(), vec![])]);
    assert!(log.has("a") && !log.has("nobody"));
}

#[test]
fn what_is_there_already_changes_nothing() {
    let mut log = Log::new([picture(1, "a"), picture(2, "a"), comment(3, "a")]);
    assert!(!log.add(comment(3, "a")));
    assert!(!log.add(comment(2, "a")));
    assert!(log.add(comment(4, "a")));
    assert_eq!(shown(&log, 9, 9), [("a".into(), vec![3, 4])]);
    assert_eq!(log.moments(9, 9)[0].caption, "caption 1");
}

#[test]
fn after_an_event_come_the_later_ones() {
    let log = Log::new([picture(1, "a"), comment(3, "a"), comment(4, "a")]);
    let after = |number| {
        let later = log.after(id(number))?;
        Some(later.map(|event| event.id.number).collect::<Vec<_>>())
    };
    assert_eq!(after(1), Some(vec![3, 4]));
    assert_eq!(after(4), Some(vec![]));
    // Of another log, or gone from this one.
    assert_eq!(after(2), None);
    assert_eq!(after(5), None);
    assert_eq!(after(0), None);
}

#[test]
fn the_oldest_go_first_and_with_a_picture_its_comments() {
    let mut log = Log::new([picture(1, "a")]);
    for number in 2..=KEPT as u64 {
        log.add(comment(number, "a"));
    }
    assert_eq!(shown(&log, 9, 1), [("a".into(), vec![KEPT as u64])]);
    log.add(comment(KEPT as u64 + 1, "a"));
    assert_eq!(log.events().count(), KEPT);
    assert_eq!(shown(&log, 9, 1), []);
}
