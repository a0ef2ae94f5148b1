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
        content: Content::Picture {
            picture: name.into(),
            caption: format!("caption {number}"),
        },
    }
}

fn comment(number: u64, to: &str) -> Event {
    Event {
        id: id(number),
        content: Content::Comment {
            picture: to.into(),
            name: String::new(),
            text: format!("text {number}"),
        },
    }
}

fn shown(log: &Log, pictures: usize, comments: usize) -> Vec<(String, Vec<u64>)> {
    log.moments(pictures, comments)
        .iter()
        .map(|moment| {
            let comments = moment
                .comments
                .iter()
                .map(|comment| comment.id.number)
                .collect();
            (moment.picture.to_owned(), comments)
        })
        .collect()
}

#[test]
fn ids_are_stream_ids() {
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
fn the_wall_shows_the_newest_pictures_with_their_newest_comments() {
    let log = Log::new([
        picture(1, "a"),
        comment(2, "a"),
        picture(3, "b"),
        comment(4, "a"),
        comment(5, "unknown"),
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
    assert!(log.has("a") && !log.has("unknown"));
}

#[test]
fn a_known_event_changes_nothing() {
    let mut log = Log::new([picture(1, "a"), picture(2, "a"), comment(3, "a")]);
    assert!(!log.add(comment(3, "a")));
    assert!(!log.add(comment(2, "a")));
    assert!(log.add(comment(4, "a")));
    assert_eq!(shown(&log, 9, 9), [("a".into(), vec![3, 4])]);
    assert_eq!(log.moments(9, 9)[0].caption, "caption 1");
}

#[test]
fn after_returns_the_later_events() {
    let log = Log::new([picture(1, "a"), comment(3, "a"), comment(4, "a")]);
    let after = |number| {
        let later = log.after(id(number))?;
        Some(later.map(|event| event.id.number).collect::<Vec<_>>())
    };
    assert_eq!(after(1), Some(vec![3, 4]));
    assert_eq!(after(4), Some(vec![]));
    // Unknown ids: of another log, or dropped from this one.
    assert_eq!(after(2), None);
    assert_eq!(after(5), None);
    assert_eq!(after(0), None);
}

#[test]
fn a_full_log_drops_the_oldest_picture_with_its_comments() {
    let mut log = Log::new([picture(1, "a")]);
    for number in 2..=limits::EVENTS as u64 {
        log.add(comment(number, "a"));
    }
    assert_eq!(
        shown(&log, 9, 1),
        [("a".into(), vec![limits::EVENTS as u64])]
    );
    log.add(comment(limits::EVENTS as u64 + 1, "a"));
    assert_eq!(log.events().count(), limits::EVENTS);
    assert_eq!(shown(&log, 9, 1), []);
}
