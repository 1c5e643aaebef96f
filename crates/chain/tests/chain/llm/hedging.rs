//! Slow models, tools, and what is left after a call.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_slow_link_is_hedged_and_the_loser_cancelled() {
    for (slow_ms, winner) in [(2_000, 1), (1_250, 0), (100, 0)] {
        let slow = Model { latency: Duration::from_millis(slow_ms), ..Model::new(&[]) };
        let quick = Model::new(&[]);
        let links = [Link { hedge_after: Some(Duration::from_secs(1)), ..slow.link() }, quick.link()];
        let line = Line::new(&links);
        line.ask(1);
        line.to.offer(LlmCommand::Commit { reply: ReplyId(1) }).unwrap();
        assert_eq!(line.answer(1).await.0.trim(), WHOLE);
        sleep(Duration::from_secs(1)).await;
        let won = format!("{:?}", [slow.seen(), quick.seen()][winner]);
        assert_eq!(won, r#"["respond r1", "commit r1"]"#, "{slow_ms}");
        let lost = [slow.seen(), quick.seen()][1 - winner].clone();
        assert!(lost.is_empty() || lost == ["respond r1", "cancel r1"], "{lost:?}");
        assert_eq!(links[1].health.totals().hedges_won, winner as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn tools_are_asked_for_once_and_their_results_go_to_who_asked() {
    let after_tool = Some((4, Fault::Ended));
    let first = Model { tool: Some(3), ..Model::new(&[after_tool]) };
    let second = Model { tool: Some(3), ..Model::new(&[]) };
    let line = Line::new(&[first.link(), second.link()]);
    line.ask(1);
    assert_eq!(line.answer(1).await, ("One two three. ".into(), 1, None));
    assert!(second.seen().is_empty(), "a reply with tools is not gone on with");
    line.ask(2);
    line.answer(2).await;
    let result = ToolResult { id: "t1~2".into(), name: "look_up".into(), outcome: Ok("it".into()) };
    line.to.offer(LlmCommand::ToolResult(result)).unwrap();
    line.to.offer(LlmCommand::Commit { reply: ReplyId(2) }).unwrap();
    line.to.offer(LlmCommand::Interrupted { reply: ReplyId(2), heard: Duration::from_secs(1) }).unwrap();
    line.to.offer(LlmCommand::Cancel { reply: ReplyId(2) }).unwrap();
    sleep(Duration::from_secs(1)).await;
    let told = ["respond r1", "respond r2", "result look_up", "commit r2", "interrupted r2", "cancel r2"];
    assert_eq!(first.seen(), told);
    assert!(second.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_reply_says_nothing_more_and_the_end_of_the_call_leaves_nothing() {
    let model = Model::new(&[]);
    let line = Line::new(&[model.link()]);
    line.ask(1);
    sleep(Duration::from_millis(500)).await;
    line.to.offer(LlmCommand::Cancel { reply: ReplyId(1) }).unwrap();
    sleep(Duration::from_secs(5)).await;
    while let Ok(event) = line.from.try_recv() {
        assert!(matches!(event, LlmEvent::Text { .. }), "{event:?}");
    }
    drop(line.to);
    assert!(line.task.await.unwrap().is_ok());
    assert_eq!(Arc::strong_count(&model.seen), 1, "the run and the link are gone");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_fails_every_reply_ends_and_nothing_is_said_twice(
        plans in proptest::collection::vec(proptest::collection::vec(plan(ANSWER.len()), 0..6), 1..4),
        styles in proptest::collection::vec(0usize..3, 4),
        latencies in proptest::collection::vec(0u64..3_000, 4),
        hedge in proptest::option::of(100u64..3_000),
        tool in proptest::option::of(0usize..12),
    ) {
        run(async {
            let styles = styles.iter().map(|n| [Style::Exactly, Style::Restarts, Style::Overlaps][*n]);
            let links: Vec<_> = plans.iter().zip(styles).zip(&latencies).map(|((plans, style), ms)| {
                let model = Model { style, tool, latency: Duration::from_millis(*ms), ..Model::new(plans) };
                link::<dyn Llm>(Arc::new(model), Deadlines::LLM, hedge)
            }).collect();
            let line = Line::new(&links);
            for reply in 1..4 {
                let began = Instant::now();
                line.ask(reply);
                let (text, tools, failed) = line.answer(reply).await;
                let text = text.trim();
                assert!(tools <= 1);
                if failed.is_none() && tools == 0 {
                    assert_eq!(text, WHOLE);
                } else {
                    assert!(WHOLE.starts_with(text), "{text}");
                }
                assert!(tools > 0 || SENTENCES.contains(&text), "{text}");
                assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
            }
            sleep(Duration::from_secs(60)).await;
            assert!(line.from.try_recv().is_err(), "nothing comes after the end");
        });
    }
}
