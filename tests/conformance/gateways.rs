//! What every gateway client must do with every answer, and with none.
//!
//! Why here: the rules behind "never charged twice" are the same for all gateways; only the words
//! differ. Each gateway says in its own words what happened ([`dialects`]); the expectations are
//! written once.
//!
//! What must stay true: a row that a gateway cannot pass is a defect of its client, not of the row.

use std::time::Duration;

use recoup::core::decline::{Advice, Category};
use recoup::core::effect::{ChargeOutcome, LookUpAnswer, MarkPaidOutcome};
use recoup::gateway::wire::Timeouts;
use serde_json::json;

use crate::dialect::{API_KEY, Dialect, dialects, settings};
use crate::double::{Double, Reply, nobody};

fn is_unknown(outcome: &ChargeOutcome) -> bool {
    matches!(outcome, ChargeOutcome::Unknown { .. })
}

#[tokio::test]
async fn an_approval_says_which_payment_and_how_much() {
    for dialect in dialects() {
        let (outcome, double) = dialect.charge(dialect.approved.clone()).await;
        let ChargeOutcome::Approved { payment, amount, method, .. } = outcome else {
            panic!("{}: {outcome:?}", dialect.name)
        };
        assert_eq!(payment, dialect.payment, "{}", dialect.name);
        assert_eq!(amount, Some(dialect.amount()), "{}", dialect.name);
        assert_eq!(method.token.as_deref(), Some("pm_1"), "{}", dialect.name);
        let charges = dialect.charges(&double);
        assert_eq!(charges.len(), 1, "{}: {:?}", dialect.name, double.lines());
        if let Some(header) = dialect.key_header {
            assert_eq!(charges[0].header(header), "recoup-att_1", "{}", dialect.name);
        }
        assert!(double.seen().iter().all(dialect.signed_in), "{}", dialect.name);
    }
}

#[tokio::test]
async fn a_success_that_lacks_fields_is_a_success() {
    for dialect in dialects() {
        let (outcome, _) = dialect.charge(dialect.lacking.clone()).await;
        let ChargeOutcome::Approved { payment, amount, .. } = outcome else {
            panic!("{}: {outcome:?}", dialect.name)
        };
        assert!(!payment.is_empty());
        assert_eq!(amount, None, "{}: not told, so not known", dialect.name);
    }
}

#[tokio::test]
async fn a_decline_has_its_code_and_category() {
    for dialect in dialects() {
        let (outcome, _) = dialect.charge(dialect.declined.clone()).await;
        let ChargeOutcome::Declined { payment, decline, method } = outcome else {
            panic!("{}: {outcome:?}", dialect.name)
        };
        assert_eq!(payment.as_deref(), Some(dialect.payment), "{}", dialect.name);
        assert_eq!(decline.code.as_deref(), Some(dialect.decline_code), "{}", dialect.name);
        assert_eq!(decline.category, Category::InsufficientFunds, "{}", dialect.name);
        assert_eq!(method.token.as_deref(), Some("pm_1"), "{}", dialect.name);
    }
}

#[tokio::test]
async fn a_charge_that_needs_the_customer_is_a_decline_with_that_advice() {
    for dialect in dialects() {
        let (outcome, _) = dialect.charge(dialect.wants_action.clone()).await;
        let ChargeOutcome::Declined { decline, .. } = outcome else {
            panic!("{}: {outcome:?}", dialect.name)
        };
        assert_eq!(decline.category, Category::AuthenticationRequired, "{}", dialect.name);
        assert_eq!(decline.advice, Advice::Authenticate, "{}", dialect.name);
    }
}

#[tokio::test]
async fn a_pending_charge_is_looked_up_until_it_is_decided() {
    for dialect in dialects() {
        let (outcome, _) = dialect.charge(dialect.pending.clone()).await;
        let pending = ChargeOutcome::Pending { payment: Some(dialect.payment.into()) };
        assert_eq!(outcome, pending, "{}", dialect.name);
        if !looks_up(&dialect) {
            continue;
        }
        let still = dialect.look_up(&dialect.found_pending).await;
        assert_eq!(still, LookUpAnswer::Found(pending), "{}", dialect.name);
        let then = dialect.look_up(&dialect.found_approved).await;
        let LookUpAnswer::Found(ChargeOutcome::Approved { payment, amount, .. }) = then else {
            panic!("{}: {then:?}", dialect.name)
        };
        assert_eq!((payment.as_str(), amount), (dialect.payment, Some(dialect.amount())));
    }
}

#[tokio::test]
async fn a_look_up_finds_a_decline_and_tells_not_found_from_unavailable() {
    for dialect in dialects().into_iter().filter(looks_up) {
        let found = dialect.look_up(&dialect.found_declined).await;
        let LookUpAnswer::Found(ChargeOutcome::Declined { decline, .. }) = found else {
            panic!("{}: {found:?}", dialect.name)
        };
        assert_eq!(decline.category, Category::InsufficientFunds, "{}", dialect.name);
        assert_eq!(dialect.look_up(&dialect.not_found).await, LookUpAnswer::NotFound);
        for broken in [
            Reply::Drop,
            Reply::DropInBody,
            Reply::text(200, "<html>"),
            Reply::text(200, "{}"),
            Reply::text(401, "{}"),
            Reply::text(429, "{}"),
            Reply::text(500, "{}"),
        ] {
            let answer = dialect.look_up(std::slice::from_ref(&broken)).await;
            let unavailable = matches!(answer, LookUpAnswer::Unavailable { .. });
            assert!(unavailable, "{}: {broken:?} → {answer:?}", dialect.name);
        }
    }
}

#[tokio::test]
async fn a_time_out_is_unknown_and_the_look_up_tells_before_from_after_effect() {
    let short = Timeouts { connect: Duration::from_secs(5), total: Duration::from_millis(300) };
    for dialect in dialects() {
        let double = dialect.double([Reply::Hang]).await;
        let gateway = dialect.gateway_within(&double.base, short);
        let outcome = gateway.charge(&dialect.order()).await;
        assert!(is_unknown(&outcome), "{}: {outcome:?}", dialect.name);
        assert_sent_once(&dialect, &double);
        if !looks_up(&dialect) {
            continue;
        }
        let before_effect = dialect.look_up(&dialect.not_found).await;
        assert_eq!(before_effect, LookUpAnswer::NotFound, "{}", dialect.name);
        let after_effect = dialect.look_up(&dialect.found_approved).await;
        let approved = matches!(after_effect, LookUpAnswer::Found(ChargeOutcome::Approved { .. }));
        assert!(approved, "{}: {after_effect:?}", dialect.name);
    }
}

#[tokio::test]
async fn only_a_connection_that_never_was_is_not_sent() {
    for dialect in dialects() {
        let refused = dialect.gateway(&nobody()).charge(&dialect.order()).await;
        assert!(matches!(refused, ChargeOutcome::NotSent { .. }), "{}: {refused:?}", dialect.name);
        for broken in [Reply::Drop, Reply::DropInBody] {
            let (outcome, double) = dialect.charge(broken.clone()).await;
            assert!(is_unknown(&outcome), "{}: {broken:?} → {outcome:?}", dialect.name);
            assert_sent_once(&dialect, &double);
        }
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_unknown() {
    let huge = format!("{{\"status\":\"paid\",\"x\":\"{}\"}}", "x".repeat(1024 * 1024));
    for dialect in dialects() {
        for body in ["", "<html>paid</html>", "[]", "{}", "null", "{\"status\":7}", &huge] {
            let (outcome, _) = dialect.charge(Reply::text(200, body)).await;
            let shown: String = body.chars().take(30).collect();
            assert!(is_unknown(&outcome), "{}: {shown} → {outcome:?}", dialect.name);
        }
        let (outcome, _) = dialect.charge(Reply::text(200, "{\"status\":\"brand_new\"}")).await;
        assert!(is_unknown(&outcome), "{}: {outcome:?}", dialect.name);
    }
}

#[tokio::test]
async fn every_status_has_its_meaning() {
    for dialect in dialects() {
        for status in [500, 502, 503, 504, 408, 302] {
            let reply = Reply::text(status, "{}").with("location", "http://127.0.0.1:1/");
            let (outcome, double) = dialect.charge(reply).await;
            assert!(is_unknown(&outcome), "{}: {status} → {outcome:?}", dialect.name);
            assert_sent_once(&dialect, &double);
        }
        for status in [401, 403, 404, 422] {
            let (outcome, _) = dialect.charge(Reply::text(status, "{}")).await;
            let refused = matches!(outcome, ChargeOutcome::Refused { .. });
            // Where a 422 may tell of a transaction, one without the gateway's words tells nothing.
            let nothing = status == 422 && is_unknown(&outcome);
            assert!(refused || nothing, "{}: {status} → {outcome:?}", dialect.name);
        }
        let limited = Reply::text(429, "{}").with("retry-after", "7");
        let (outcome, _) = dialect.charge(limited).await;
        assert_eq!(outcome, ChargeOutcome::Busy { retry_after_s: 7 }, "{}", dialect.name);
        let (outcome, _) = dialect.charge(Reply::text(429, "")).await;
        assert_eq!(outcome, ChargeOutcome::Busy { retry_after_s: 5 }, "{}", dialect.name);
        if let Some(in_progress) = &dialect.in_progress {
            let (outcome, _) = dialect.charge(in_progress.clone()).await;
            assert!(matches!(outcome, ChargeOutcome::Busy { .. }), "{}: {outcome:?}", dialect.name);
        }
    }
}

#[tokio::test]
async fn the_same_order_makes_the_same_bytes_and_charges_once() {
    for dialect in dialects() {
        let again = dialect.before_charge.iter().cloned().chain([dialect.approved.clone()]);
        let double = dialect.double([dialect.approved.clone()].into_iter().chain(again)).await;
        let gateway = dialect.gateway(&double.base);
        let first = gateway.charge(&dialect.order()).await;
        let second = gateway.charge(&dialect.order()).await;
        assert_eq!(first, second, "{}", dialect.name);
        assert!(matches!(first, ChargeOutcome::Approved { .. }), "{}", dialect.name);
        let charges = dialect.charges(&double);
        assert_eq!(charges.len(), 2, "{}", dialect.name);
        let same = (&charges[0].path, &charges[0].body) == (&charges[1].path, &charges[1].body);
        assert!(same, "{}", dialect.name);
        if let Some(header) = dialect.key_header {
            assert_eq!(charges[0].header(header), charges[1].header(header), "{}", dialect.name);
        }
    }
}

#[tokio::test]
async fn a_refund_is_made_once() {
    for dialect in dialects() {
        let double = Double::keyed(dialect.key_header.unwrap_or("-"), dialect.refunded.clone());
        let double = double.await;
        let gateway = dialect.gateway(&double.base);
        let refund = dialect.refund_order();
        assert_eq!(gateway.refund(&refund, "eff_1").await, Ok(()), "{}", dialect.name);
        if let Some(header) = dialect.key_header {
            let executed = double.executed();
            assert_eq!(gateway.refund(&refund, "eff_1").await, Ok(()), "{}", dialect.name);
            assert_eq!(double.executed(), executed, "{}", dialect.name);
            let keyed = double.seen().iter().any(|seen| seen.header(header) == "eff_1");
            assert!(keyed, "{}: {:?}", dialect.name, double.lines());
        }
        for (broken, transient) in [(Reply::text(500, ""), true), (Reply::text(404, "{}"), false)] {
            let double = Double::new(vec![broken; 4]).await;
            let failed = dialect.gateway(&double.base).refund(&refund, "eff_2").await.unwrap_err();
            assert_eq!(failed.is_transient(), transient, "{}: {failed}", dialect.name);
        }
    }
}

#[tokio::test]
async fn a_hosted_session_is_an_address_of_the_web_or_an_error() {
    for dialect in dialects() {
        let request = dialect.hosted_request();
        let offline = dialect.gateway(&nobody());
        let can = offline.capabilities().hosted_update;
        assert_eq!(can, dialect.session.is_some(), "{}", dialect.name);
        let Some((replies, url)) = dialect.session.clone() else {
            let refused = offline.hosted_session(&request).await.map(drop).unwrap_err();
            assert!(!refused.is_transient(), "{}: {refused}", dialect.name);
            continue;
        };
        let double = Double::keyed(dialect.key_header.unwrap_or("-"), replies.clone()).await;
        let session = dialect.gateway(&double.base).hosted_session(&request).await.unwrap();
        assert_eq!(session.url, url, "{}", dialect.name);
        for wrong in ["{}", "{\"url\":\"javascript:alert(1)\"}", "{\"url\":\"/x\"}"] {
            let mut broken = replies.clone();
            broken.pop();
            broken.push(Reply::text(200, wrong));
            let double = Double::new(broken).await;
            let session = dialect.gateway(&double.base).hosted_session(&request).await;
            assert!(session.is_err(), "{}: {wrong}", dialect.name);
        }
    }
}

#[tokio::test]
async fn an_invoice_is_marked_as_paid_unless_it_was_paid_already() {
    for dialect in dialects() {
        let mark = dialect.mark_paid_order();
        let can = dialect.gateway(&nobody()).capabilities().paid_out_of_band;
        assert_eq!(can, dialect.paid.is_some(), "{}", dialect.name);
        let Some((paid, already_paid)) = dialect.paid.clone() else {
            let said = dialect.gateway(&nobody()).mark_paid(&mark, "eff_1").await;
            let cannot = match said {
                Ok(MarkPaidOutcome::Failed { .. }) => true,
                Err(error) => !error.is_transient(),
                Ok(_) => false,
            };
            assert!(cannot, "{}", dialect.name);
            continue;
        };
        let double = Double::new(paid).await;
        let gateway = dialect.gateway(&double.base);
        for _ in 0..2 {
            let done = gateway.mark_paid(&mark, "eff_1").await;
            assert_eq!(done, Ok(MarkPaidOutcome::Done), "{}", dialect.name);
        }
        assert_eq!(double.executed(), 1, "{}", dialect.name);
        double.then(already_paid);
        let already = gateway.mark_paid(&mark, "eff_2").await;
        assert_eq!(already, Ok(MarkPaidOutcome::AlreadyPaid), "{}", dialect.name);
        double.then([Reply::text(503, "")]);
        assert!(gateway.mark_paid(&mark, "eff_3").await.unwrap_err().is_transient());
    }
}

#[tokio::test]
async fn no_text_holds_a_key_an_address_or_a_card_number() {
    let message =
        format!("key {API_KEY} of ana@example.com at https://x.example/?k=1 4242424242424242");
    let error = json!({ "error": { "message": message }, "message": message, "detail": message });
    for dialect in dialects() {
        for status in [400, 402, 404, 500] {
            let (outcome, _) = dialect.charge(Reply::json(status, error.clone())).await;
            let shown = format!("{outcome:?}");
            for secret in [API_KEY, "ana@", "x.example", "4242"] {
                assert!(!shown.contains(secret), "{}: {shown}", dialect.name);
            }
        }
        let shown = format!("{:?}", settings(&nobody()));
        assert!(!shown.contains(API_KEY));
    }
}

#[test]
fn capabilities_are_data_that_the_core_can_wait_by() {
    for dialect in dialects() {
        let gateway = dialect.gateway("http://127.0.0.1:1");
        let can = gateway.capabilities();
        let told = can.look_up || can.resend_tells;
        assert!(told, "{}: an unknown outcome must be resolvable", dialect.name);
        let own_timeout = Timeouts::default().total.as_secs();
        assert!(u64::from(can.horizon_s) >= 2 * own_timeout, "{}", dialect.name);
        let keeps_key = can.key_window_s == 0 || can.horizon_s < can.key_window_s;
        assert!(keeps_key, "{}: a re-send keeps its key", dialect.name);
        assert!(!can.resend_tells || can.key_window_s > 0, "{}", dialect.name);
        assert!(can.charges(dialect.amount().currency), "{}", dialect.name);
    }
}

#[test]
fn every_kind_has_a_dialect_and_tells_what_it_is_like() {
    let spoken: Vec<_> =
        dialects().iter().map(|d| d.gateway(&nobody()).profile().clone()).collect();
    for kind in recoup::gateway::KINDS {
        let profile = (kind.profile)();
        assert_eq!(profile.kind, kind.kind);
        assert!(spoken.contains(&profile), "{} passes no suite", kind.kind);
        assert!(!profile.events.is_empty(), "{}: which events?", kind.kind);
        let own = !profile.native_retries.what.is_empty();
        let switchable = profile.native_retries.switch_off.is_some();
        assert_eq!(profile.capabilities.native_retries_switchable, switchable, "{}", kind.kind);
        assert!(own || profile.capabilities.native_retry_window_s == 0, "{}", kind.kind);
    }
}

fn looks_up(dialect: &Dialect) -> bool {
    dialect.gateway(&nobody()).capabilities().look_up
}

fn assert_sent_once(dialect: &Dialect, double: &Double) {
    let charges = dialect.charges(double).len();
    assert_eq!(charges, 1, "{}: nothing is sent again unasked", dialect.name);
}
