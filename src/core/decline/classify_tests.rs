//! Who is believed when codes, orders and labels contradict each other.

use super::*;

const TABLE: &str = "code,category,advice,yields\n\
    soft,generic_decline,none,\n\
    funds,insufficient_funds,none,\n\
    hard,not_permitted,never,\n\
    lost,lost_or_stolen,never,\n\
    vague_hard,lost_or_stolen,never,yes\n\
    expired,credential_outdated,update_credentials,\n\
    sca,authentication_required,authenticate,\n\
    twice,outcome_unknown,check_status,\n\
    fault,processing_error,none,\n";

struct Seen {
    category: Category,
    advice: Advice,
    wait: Option<u64>,
    source: &'static str,
}

/// `code=… net=… brand=… number=… word=… text=… region=…`, as far as given.
fn seen(facts: &[(&str, &str)]) -> Seen {
    let get = |name: &str| {
        facts.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    let raw = RawDecline {
        code: get("code"),
        network_code: get("net"),
        advice_code: get("word"),
        network_advice_code: get("number"),
        network: get("brand"),
        text: get("text"),
        region: get("region"),
    };
    let table = DeclineTable::from_csv(TABLE).unwrap();
    let found = classify(Some(&table), &raw);
    Seen {
        category: found.decline.category,
        advice: found.decline.advice,
        wait: found.decline.min_delay_seconds,
        source: found.source,
    }
}

#[track_caller]
fn check(facts: &[(&str, &str)], category: Category, advice: Advice, source: &str) -> Option<u64> {
    let seen = seen(facts);
    assert_eq!((seen.category, seen.advice, seen.source), (category, advice, source), "{facts:?}");
    seen.wait
}

#[test]
fn nothing_known_is_unknown_with_no_order() {
    check(&[], Category::Unknown, Advice::None, "none");
    check(&[("code", "no_such_code")], Category::Unknown, Advice::None, "none");
    check(&[("net", "ZZ"), ("brand", "visa")], Category::Unknown, Advice::None, "none");
    let table = DeclineTable::from_csv(TABLE).unwrap();
    let raw = RawDecline { code: Some("no_such_code".into()), ..RawDecline::default() };
    assert!(!classify(Some(&table), &raw).known);
    assert!(!classify(None, &raw).known);
}

#[test]
fn a_soft_label_does_not_soften_category_one_or_a_never() {
    let never = Advice::Never;
    check(
        &[("code", "soft"), ("net", "41"), ("brand", "visa")],
        Category::LostOrStolen,
        never,
        "network_code",
    );
    check(
        &[("code", "funds"), ("net", "14"), ("brand", "visa")],
        Category::InvalidCardData,
        never,
        "network_code",
    );
    check(
        &[("code", "funds"), ("number", "03"), ("brand", "mastercard")],
        Category::InsufficientFunds,
        never,
        "advice",
    );
    check(
        &[("code", "soft"), ("number", "21"), ("brand", "mastercard")],
        Category::ConsentRevoked,
        never,
        "advice",
    );
    check(
        &[("code", "fault"), ("word", "do_not_try_again")],
        Category::ProcessingError,
        never,
        "advice",
    );
    check(
        &[("code", "sca"), ("word", "do_not_try_again")],
        Category::AuthenticationRequired,
        never,
        "advice",
    );
}

#[test]
fn a_stated_wait_undoes_a_gateways_hard_label_and_nothing_stronger() {
    let funds = Category::InsufficientFunds;
    let card = ("brand", "mastercard");
    for (number, hours) in
        [("24", 1), ("25", 24), ("26", 48), ("27", 96), ("28", 144), ("29", 192), ("30", 240)]
    {
        let wait = check(
            &[("code", "hard"), ("number", number), card],
            funds,
            Advice::RetryAfter,
            "advice",
        );
        assert_eq!(wait, Some(hours * 3600));
    }
    check(
        &[("code", "soft"), ("net", "05"), ("number", "24"), card],
        funds,
        Advice::RetryAfter,
        "advice",
    );
    check(&[("net", "51"), ("word", "30"), card], funds, Advice::RetryAfter, "advice");
    for facts in [
        &[("code", "lost"), ("number", "24"), card][..],
        &[("net", "41"), ("number", "24"), card][..],
    ] {
        assert_eq!(
            check(
                facts,
                Category::LostOrStolen,
                Advice::Never,
                if facts[0].0 == "net" { "network_code" } else { "gateway_code" }
            ),
            None
        );
    }
    let wait = check(
        &[("code", "funds"), ("number", "24"), ("word", "do_not_try_again"), card],
        funds,
        Advice::Never,
        "advice",
    );
    assert_eq!(wait, None);
}

#[test]
fn come_back_later_keeps_the_reason() {
    let later = Advice::RetryAfter;
    let wait = check(
        &[("code", "soft"), ("number", "02"), ("brand", "mastercard")],
        Category::GenericDecline,
        later,
        "advice",
    );
    assert_eq!(wait, Some(72 * 3600));
    let wait = check(
        &[("code", "funds"), ("word", "try_again_later")],
        Category::InsufficientFunds,
        later,
        "advice",
    );
    assert_eq!(wait, None);
    check(
        &[("code", "expired"), ("word", "try_again_later")],
        Category::CredentialOutdated,
        Advice::UpdateCredentials,
        "gateway_code",
    );
    check(
        &[("code", "twice"), ("word", "try_again_later")],
        Category::OutcomeUnknown,
        Advice::CheckStatus,
        "gateway_code",
    );
    check(
        &[("code", "lost"), ("word", "try_again_later")],
        Category::LostOrStolen,
        Advice::Never,
        "gateway_code",
    );
}

#[test]
fn the_number_tells_the_reason_where_the_code_hides_it() {
    let update = Advice::UpdateCredentials;
    let card = ("brand", "mastercard");
    check(&[("net", "79"), ("number", "01"), card], Category::CredentialOutdated, update, "advice");
    check(&[("net", "82"), ("number", "01"), card], Category::CredentialOutdated, update, "advice");
    check(
        &[("net", "83"), ("number", "01"), card],
        Category::FraudSuspected,
        Advice::Authenticate,
        "advice",
    );
    check(
        &[("net", "83"), ("number", "03"), card],
        Category::FraudSuspected,
        Advice::Never,
        "advice",
    );
    check(&[("net", "51"), ("number", "01"), card], Category::InsufficientFunds, update, "advice");
    check(&[("number", "41"), card], Category::InvalidCardData, update, "advice");
    check(
        &[("net", "51"), ("number", "40"), card],
        Category::InsufficientFunds,
        Advice::None,
        "network_code",
    );
    check(
        &[("net", "05"), ("number", "1"), ("brand", "visa")],
        Category::GenericDecline,
        Advice::Never,
        "advice",
    );
}

#[test]
fn words_of_advice_alone() {
    check(&[("word", "do_not_try_again")], Category::GenericDecline, Advice::Never, "advice");
    check(
        &[("word", "confirm_card_data")],
        Category::InvalidCardData,
        Advice::UpdateCredentials,
        "advice",
    );
    check(
        &[("code", "soft"), ("word", "confirm_card_data")],
        Category::GenericDecline,
        Advice::UpdateCredentials,
        "advice",
    );
    check(
        &[("code", "soft"), ("word", "no_such_word")],
        Category::GenericDecline,
        Advice::None,
        "gateway_code",
    );
}

#[test]
fn a_code_that_gives_no_reason_yields_to_one_that_does() {
    check(
        &[("code", "soft"), ("net", "51")],
        Category::InsufficientFunds,
        Advice::None,
        "network_code",
    );
    check(
        &[("code", "funds"), ("net", "05")],
        Category::InsufficientFunds,
        Advice::None,
        "gateway_code",
    );
    check(
        &[("code", "lost"), ("net", "05")],
        Category::LostOrStolen,
        Advice::Never,
        "gateway_code",
    );
    check(
        &[("code", "sca"), ("net", "65"), ("brand", "mastercard")],
        Category::AuthenticationRequired,
        Advice::Authenticate,
        "gateway_code",
    );
    check(
        &[("code", "vague_hard"), ("net", "62")],
        Category::NotPermitted,
        Advice::None,
        "network_code",
    );
    check(
        &[("code", "vague_hard"), ("net", "36")],
        Category::LostOrStolen,
        Advice::Never,
        "network_code",
    );
    check(
        &[("code", "vague_hard"), ("net", "05")],
        Category::LostOrStolen,
        Advice::Never,
        "gateway_code",
    );
    check(
        &[("code", "funds"), ("net", "00")],
        Category::InsufficientFunds,
        Advice::None,
        "gateway_code",
    );
}

#[test]
fn text_counts_only_where_no_code_is_known() {
    check(
        &[("text", "51 : Fondos insuficientes")],
        Category::InsufficientFunds,
        Advice::None,
        "text",
    );
    check(
        &[("text", "La tarjeta fue reportada como ROBADA")],
        Category::LostOrStolen,
        Advice::Never,
        "text",
    );
    check(
        &[("code", "fault"), ("text", "stolen")],
        Category::ProcessingError,
        Advice::None,
        "gateway_code",
    );
    check(&[("text", "what is this")], Category::Unknown, Advice::None, "none");
}

#[test]
fn a_raw_network_code_may_stand_in_the_gateways_place() {
    check(&[("code", "51")], Category::InsufficientFunds, Advice::None, "network_code");
    check(
        &[("code", "51 : Not sufficient funds")],
        Category::InsufficientFunds,
        Advice::None,
        "network_code",
    );
    assert_eq!(bare_code(" 51 : Not sufficient "), "51");
    assert_eq!(bare_code("Refused: by the bank"), "Refused: by the bank");
    assert_eq!(bare_code("do_not_honor"), "do_not_honor");
}

#[test]
fn words_in_the_place_of_a_code_are_not_shown() {
    let shown = |code: &str| {
        let raw = RawDecline { code: Some(code.to_owned()), ..RawDecline::default() };
        classify(None, &raw).decline.shown_code().map(str::to_owned)
    };
    assert_eq!(shown("insufficient_funds").as_deref(), Some("insufficient_funds"));
    assert_eq!(shown("51").as_deref(), Some("51"));
    for words in ["ana@mail.example said no", "+573001234567", "4242424242424242", "not now"] {
        assert_eq!(shown(words), None, "{words}");
    }
}
