//! What learned timing promises, over arbitrary outcomes; and that days are chosen together.

use proptest::prelude::*;

use super::*;

fn context(failed_on: &str, history: History) -> Context {
    Context { group: Group::Funds, failed_on: failed_on.parse().unwrap(), history, segment: 0 }
}

fn ask(attempts: u32) -> Ask {
    Ask { declined: 0, earliest: 1, named: None, window: 28, attempts, gap: 2 }
}

/// Of ten cases six open on days 5 to 8 alone, four on days 20 to 23 alone.
fn two_kinds() -> Timing {
    let mut timing = Timing::default();
    for number in 0..2_000 {
        let early = number % 10 < 6;
        let open = move |day| if early { (5..=8).contains(&day) } else { (20..=23).contains(&day) };
        timing.learn_known(&context("2026-03-10", History::Prompt), open);
    }
    timing
}

#[test]
fn days_are_chosen_together() {
    let timing = two_kinds();
    let context = context("2026-03-10", History::Prompt);
    let one = timing.plan(&context, &ask(1)).unwrap();
    assert!((5..=8).contains(&one.days[0]), "{one:?}");
    // By themselves the four best days are 5 to 8; behind one of them the others are worth nothing.
    let two = timing.plan(&context, &ask(2)).unwrap();
    assert!((5..=8).contains(&two.days[0]) && (20..=23).contains(&two.days[1]), "{two:?}");
    assert!(two.p > one.p + 0.2);
}

#[test]
fn after_a_refusal_the_plan_is_for_those_who_are_left() {
    let timing = two_kinds();
    let context = context("2026-03-10", History::Prompt);
    let left = Ask { declined: 6, earliest: 8, ..ask(1) };
    let plan = timing.plan(&context, &left).unwrap();
    assert!((20..=23).contains(&plan.days[0]), "{plan:?}");
}

#[test]
fn a_day_that_the_network_named_comes_first() {
    let plan = two_kinds().plan(
        &context("2026-03-10", History::Prompt),
        &Ask { named: Some(4), earliest: 4, ..ask(3) },
    );
    let days = plan.unwrap().days;
    assert_eq!(days[0], 4);
    assert!(days.len() == 3 && days[1..].iter().any(|day| (20..=23).contains(day)), "{days:?}");
}

#[test]
fn the_own_history_moves_days() {
    let mut timing = Timing::default();
    for _ in 0..500 {
        let prompt = context("2026-03-10", History::Prompt);
        timing.learn_known(&prompt, |day| (3..=5).contains(&day));
        let late = context("2026-03-10", History::Late);
        timing.learn_known(&late, |day| (25..=27).contains(&day));
    }
    let first = |history| timing.plan(&context("2026-03-10", history), &ask(1)).unwrap().days[0];
    assert!((3..=5).contains(&first(History::Prompt)));
    assert!((25..=27).contains(&first(History::Late)));
}

#[test]
fn nothing_learned_gives_no_plan() {
    let context = context("2026-03-10", History::Unknown);
    assert_eq!(Timing::default().plan(&context, &ask(4)), None);
    let mut few = Timing::default();
    (0..20).for_each(|_| few.learn_known(&context, |day| day == 3));
    assert_eq!(few.plan(&context, &ask(4)), None, "a few cases are an accident");
    let other = Context { group: Group::Limit, ..context };
    assert_eq!(two_kinds().plan(&other, &ask(4)), None, "nothing is known of this group");
}

#[test]
fn without_a_pattern_the_days_stay_about_even() {
    // Every account is funded at a day of its own, and stays so: waiting longer is all that helps.
    let mut timing = Timing::default();
    for number in 0..3_000_u32 {
        let from = number * 7 % 40;
        timing.learn_known(&context("2026-03-10", History::Prompt), |day| day > from);
    }
    let days = timing.plan(&context("2026-03-10", History::Prompt), &ask(4)).unwrap().days;
    assert_eq!(*days.last().unwrap(), 28, "{days:?}");
}

#[test]
fn hopeless_cases_do_not_make_late_days_look_bad() {
    let mut timing = Timing::default();
    let context = context("2026-03-10", History::Prompt);
    for number in 0..3_000_u32 {
        // Which cases are hopeless has nothing to do with their days.
        let (day, late) = (3 + number / 3 % 10, 16 + number / 3 % 12);
        let tries = [(context, day), (context, late)];
        match number % 3 {
            // A third is never approved.
            0 => timing.learn_case(&tries, End::Declined),
            1 => timing.learn_case(&tries[..1], End::Approved),
            _ => timing.learn_case(&tries, End::Approved),
        }
    }
    // Of all cases half of those tried late were approved; of those that are not hopeless, all.
    let learnt = &timing.groups[Group::Funds as usize];
    let late = estimate::chances(learnt, &context).at(8, 22);
    assert!(late > 0.6, "{late}");
}

#[test]
fn two_merchants_merged_are_as_one() {
    let (mut one, two) = (two_kinds(), two_kinds());
    let all = context("2026-03-10", History::Prompt);
    let before = one.plan(&all, &ask(2)).unwrap();
    one.merge(&two);
    let after = one.plan(&all, &ask(2)).unwrap();
    assert_eq!(before.days, after.days);
    assert!(after.cases > 1.9 * before.cases);
}

#[test]
fn what_is_old_fades() {
    let mut timing = two_kinds();
    timing.grow_old("2056-03-10".parse().unwrap());
    assert_eq!(timing.plan(&context("2056-03-10", History::Prompt), &ask(2)), None);
}

#[test]
fn the_record_is_small_and_comes_back_as_it_was() {
    let mut timing = Timing::default();
    let mut number: u64 = 1;
    for _ in 0..100_000 {
        // Outcomes all over the tables: the worst case for their size.
        number =
            number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let part = |of: u64, by: u64| (number >> by) % of;
        let group =
            [Group::Funds, Group::Generic, Group::Limit, Group::Other][part(4, 20) as usize];
        let history = [History::Unknown, History::Prompt, History::InAWeek, History::InTwoWeeks];
        let context = Context {
            group,
            failed_on: format!("2026-03-{:02}", 1 + part(31, 33)).parse().unwrap(),
            history: history[part(4, 40) as usize],
            segment: part(16, 44) as u8,
        };
        let end = if part(2, 50) == 0 { End::Approved } else { End::Declined };
        timing.learn_case(&[(context, 1 + part(30, 55) as u32)], end);
    }
    let bytes = serde_json::to_vec(&timing).unwrap();
    assert!(bytes.len() < 1 << 20, "{} bytes", bytes.len());
    let back: Timing = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(back, timing);
}

prop_compose! {
    fn any_context()(
        group in 0..Group::COUNT,
        days in 0..20_000_i64,
        history in 0..History::COUNT,
        segment in any::<u8>(),
    ) -> Context {
        use jiff::ToSpan as _;
        let histories = [
            History::Unknown, History::Prompt, History::InAWeek, History::InTwoWeeks, History::Late,
        ];
        Context {
            group: [Group::Funds, Group::Generic, Group::Limit, Group::Other][group],
            failed_on: Date::constant(2000, 1, 1).saturating_add(days.days()),
            history: histories[history],
            segment,
        }
    }
}

fn any_end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Approved), Just(End::Declined), Just(End::Barred)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_plan_keeps_to_what_was_asked(
        cases in prop::collection::vec(
            (any_context(), prop::collection::vec(0..40_u32, 0..6), any_end()),
            0..120,
        ),
        context in any_context(),
        declined in 0..40_u32, earliest in 0..40_u32, window in 0..70_u32,
        attempts in 0..12_u32, gap in 0..9_u32, named in prop::option::of(0..40_u32),
    ) {
        let mut timing = Timing::default();
        for (known, days, end) in &cases {
            let known = Context { group: context.group, ..*known };
            let tries: Vec<_> = days.iter().map(|day| (known, *day)).collect();
            timing.learn_case(&tries, *end);
        }
        let ask = Ask { declined, earliest, named, window, attempts, gap };
        if let Some(plan) = timing.plan(&context, &ask) {
            prop_assert!(plan.days.len() <= attempts as usize && !plan.days.is_empty());
            prop_assert!(plan.days.iter().all(|day| (1..=window).contains(day) && *day > declined));
            prop_assert!(plan.days.windows(2).all(|two| two[0] < two[1]));
            for p in [plan.p, plan.first, plan.even] {
                prop_assert!(p.is_finite() && (0.0..=1.0).contains(&p), "{:?}", plan);
            }
            if plan.moved && named.is_none() {
                prop_assert!(plan.days[0] >= earliest);
                prop_assert!(plan.days.windows(2).all(|two| two[1] - two[0] >= gap));
            }
        }
    }
}
