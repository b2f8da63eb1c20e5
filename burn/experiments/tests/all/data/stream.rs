use experiments::data::stream::Stream;

#[test]
fn columns_hold_consecutive_text() {
    let text: Vec<u32> = (0..11).collect();
    let stream = Stream::new(&text, 2).expect("a stream");
    assert_eq!(stream.rows(), 5);
    let windows: Vec<_> = stream.windows(3).collect();
    assert_eq!(windows.len(), 2);
    assert_eq!(windows[0].inputs, [0, 5, 1, 6, 2, 7]);
    assert_eq!(windows[0].targets, [1, 6, 2, 7, 3, 8]);
    // The last row is no input.
    assert_eq!((windows[1].length, windows[1].batch), (1, 2));
    assert_eq!((windows[1].inputs.as_slice(), windows[1].targets.as_slice()), (&[3, 8][..], &[4, 9][..]));
}

#[test]
fn every_token_is_predicted_once() {
    let text: Vec<u32> = (0..100).collect();
    for (batch, length) in [(1, 7), (4, 5), (3, 33), (50, 1)] {
        let stream = Stream::new(&text, batch).expect("a stream");
        let mut targets: Vec<u32> = stream.windows(length).flat_map(|window| window.targets).collect();
        targets.sort_unstable();
        let rows = (100 / batch) as u32;
        let expected: Vec<u32> = (0..rows * batch as u32).filter(|token| token % rows != 0).collect();
        assert_eq!(targets, expected);
    }
}

#[test]
fn windows_outside_are_none() {
    let stream = Stream::new(&[0, 1, 2, 3], 2).expect("a stream");
    assert!(stream.window(1, 5).is_none() && stream.window(9, 1).is_none() && stream.window(0, 0).is_none());
}

#[test]
fn a_short_text_is_told() {
    for batch in [0, 2] {
        let text = Stream::new(&[0, 1, 2], batch).expect_err("an error").to_string();
        assert!(text.contains("there are 3"), "{text}");
    }
}
