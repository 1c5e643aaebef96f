//! Slow voices, and what is left after a call.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_slow_voice_is_hedged_and_sounds_soon() {
    for (slow_ms, hedge, most_ms) in [(5_000, Some(600), 800), (700, Some(600), 700), (5_000, None, 1_400)] {
        let slow = Voice { latency: Duration::from_millis(slow_ms), ..Voice::new(&[]) };
        let quick = Voice::new(&[]);
        let links = [link::<dyn Tts>(Arc::new(slow.clone()), Deadlines::TTS, hedge), quick.link()];
        let mut line = Line::new(&links);
        line.speak(1, &TEXTS);
        let began = Instant::now();
        line.heard = vec![Heard::default(); 3];
        let event = line.from.recv().await.unwrap();
        assert!(began.elapsed() <= Duration::from_millis(most_ms + 5), "{:?}", began.elapsed());
        line.take(1, event);
        while line.heard.iter().any(|heard| heard.end.is_none()) {
            let event = line.from.recv().await.unwrap();
            line.take(1, event);
        }
        check(&line.heard, &TEXTS);
        let lost = if slow_ms == 700 { quick.seen() } else { slow.seen() };
        assert!(lost.contains(&"cancel".to_owned()) || hedge.is_none(), "{lost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_bridges_a_wait_is_said_by_whoever_is_first() {
    for (text, most_ms) in [("One moment, please.", 550), ("At nine.", 1_000)] {
        let hangs = Voice { latency: Duration::from_secs(60), ..Voice::new(&[]) };
        let info = CallInfo { bridges: ["One moment, please.".to_owned()].into(), ..call_info() };
        let line = Line::with(&[hangs.link(), Voice::new(&[]).link()], info);
        line.speak(1, &[text]);
        let began = Instant::now();
        line.from.recv().await.unwrap();
        let waited = began.elapsed().as_millis();
        assert!((most_ms - 20..=most_ms + 20).contains(&waited), "{text}: {waited}");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_behind_an_earlier_utterance_is_not_slowness() {
    let only = Voice::new(&[]);
    let spare = Voice::new(&[]);
    let mut line = Line::new(&[only.link(), spare.link()]);
    line.speak(1, &["one"; 30]);
    line.speak(2, &TEXTS);
    sleep(Duration::from_secs(3)).await;
    while line.from.try_recv().is_ok() {}
    line.to.offer(TtsCommand::Cancel { utterance: UtteranceId(1) }).unwrap();
    check(&line.listen(2, 3).await, &TEXTS);
    assert!(spare.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_after_the_call() {
    let (voice, spare) = (Voice::new(&[Some((2, Fault::Hung))]), Voice::new(&[]));
    let links = [voice.link(), spare.link()];
    let owners = Arc::strong_count(&voice.seen);
    let mut line = Line::new(&links);
    line.speak(1, &TEXTS);
    drop(std::mem::replace(&mut line.to, bounded(1, WhenFull::PushBack).0));
    check(&line.listen(1, 3).await, &TEXTS);
    assert!(line.task.await.unwrap().is_ok());
    assert_eq!(Arc::strong_count(&voice.seen), owners);
    let line = Line::new(&links);
    line.speak(1, &TEXTS);
    sleep(Duration::from_millis(300)).await;
    line.task.abort();
    assert!(line.task.await.is_err());
    assert_eq!(Arc::strong_count(&voice.seen), owners);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_fails_every_segment_ends_and_no_word_is_spoken_twice(
        plans in proptest::collection::vec(proptest::collection::vec(plan(6), 0..8), 1..4),
        timed in any::<[bool; 3]>(),
        latencies in proptest::collection::vec(0u64..1_500, 3),
        hedge in proptest::option::of(100u64..1_500),
    ) {
        run(async {
            let links: Vec<_> = plans.iter().zip(timed).zip(&latencies).map(|((plans, timed), ms)| {
                let voice = Voice { timed, latency: Duration::from_millis(*ms), ..Voice::new(plans) };
                link::<dyn Tts>(Arc::new(voice), Deadlines::TTS, hedge)
            }).collect();
            let mut line = Line::new(&links);
            for utterance in 1..4 {
                line.speak(utterance, &TEXTS);
                check(&line.listen(utterance, 3).await, &TEXTS);
            }
            sleep(Duration::from_secs(60)).await;
            assert!(line.from.try_recv().is_err(), "nothing comes after the end");
        });
    }
}
