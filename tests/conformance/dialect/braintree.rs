//! Braintree's words: a subscription charged again, and a card beside another billing gateway.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use recoup::gateway;

use super::{API_KEY, Dialect, SENT_AT};
use crate::double::{Reply, Seen};

pub(super) fn retries_a_subscription() -> Dialect {
    let ours = |status: &str| vec![ids("bt_1"), page(&transaction(&ordered(status)))];
    Dialect {
        name: "braintree, its own subscription",
        billing: true,
        payment: "bt_1",
        currency: "USD",
        decline_code: "2001",
        before_charge: vec![set_to("pm_1")],
        key_header: None,
        signed_in,
        make: gateway::kind("braintree").unwrap().build,
        charge_line: "POST /merchants/account_1/transactions",
        approved: Reply::text(201, transaction(&plain("submitted_for_settlement", ""))),
        lacking: Reply::text(201, "<transaction><status>settled</status></transaction>"),
        declined: refused(&plain("processor_declined", "2001")),
        wants_action: refused(&plain("processor_declined", "2099")),
        pending: Reply::text(201, transaction(&plain("settlement_pending", ""))),
        found_approved: ours("submitted_for_settlement"),
        found_declined: ours("processor_declined"),
        found_pending: ours("settlement_pending"),
        not_found: vec![ids(""), subscription(SENT_AT - 86_400)],
        in_progress: None,
        paid: None,
        session: None,
        refunded: vec![
            Reply::text(200, transaction(&plain("settled", ""))),
            Reply::text(201, "<transaction><id>bt_2</id><type>credit</type></transaction>"),
        ],
    }
}

pub(super) fn beside_another() -> Dialect {
    Dialect {
        name: "braintree, beside another billing gateway",
        billing: false,
        before_charge: vec![accounts()],
        not_found: vec![ids("")],
        ..retries_a_subscription()
    }
}

fn signed_in(seen: &Seen) -> bool {
    let pair = STANDARD.encode(format!("public_1:{API_KEY}"));
    seen.header("authorization") == format!("Basic {pair}") && seen.header("x-apiversion") == "6"
}

fn plain(status: &str, code: &str) -> String {
    format!(
        "<id>bt_1</id><status>{status}</status><type>sale</type><amount>29.00</amount>\
         <currency-iso-code>USD</currency-iso-code>\
         <processor-response-code>{code}</processor-response-code>"
    )
}

fn ordered(status: &str) -> String {
    format!("{}<order-id>in_1-recoup-att_1</order-id>", plain(status, "2001"))
}

fn transaction(fields: &str) -> String {
    format!("<transaction>{fields}</transaction>")
}

fn refused(fields: &str) -> Reply {
    let told = format!(
        "<api-error-response><errors><errors type=\"array\"/></errors>\
         <message>Refused</message>{}</api-error-response>",
        transaction(fields)
    );
    Reply::text(422, told)
}

pub(crate) fn ids(id: &str) -> Reply {
    let item = if id.is_empty() { String::new() } else { format!("<item>{id}</item>") };
    Reply::text(
        200,
        format!(
            "<search-results><page-size type=\"integer\">50</page-size>\
             <ids type=\"array\">{item}</ids></search-results>"
        ),
    )
}

fn page(transactions: &str) -> Reply {
    Reply::text(
        200,
        format!(
            "<credit-card-transactions type=\"collection\">\
             <current-page-number type=\"integer\">1</current-page-number>{transactions}\
             </credit-card-transactions>"
        ),
    )
}

/// One that is charged to this payment method.
pub(crate) fn set_to(token: &str) -> Reply {
    let told = format!("<payment-method-token>{token}</payment-method-token>");
    Reply::text(200, format!("<subscription><id>sub_1</id>{told}</subscription>"))
}

/// One whose last transaction, an approved one, was made then.
pub(crate) fn subscription(at: i64) -> Reply {
    let at = jiff::Timestamp::from_second(at).unwrap();
    let made = format!("<created-at type=\"datetime\">{at}</created-at>");
    let one = transaction(&(plain("settled", "") + &made));
    Reply::text(
        200,
        format!(
            "<subscription><id>sub_1</id><status>Past Due</status>\
             <transactions type=\"array\">{one}</transactions></subscription>"
        ),
    )
}

pub(crate) fn accounts() -> Reply {
    let account = |id: &str, currency: &str, default: bool| {
        format!(
            "<merchant-account><id>{id}</id><status>active</status>\
             <currency-iso-code>{currency}</currency-iso-code>\
             <default type=\"boolean\">{default}</default></merchant-account>"
        )
    };
    let all = [
        account("euros", "EUR", true),
        account("dollars_2", "USD", false),
        account("dollars_3", "USD", false),
    ];
    Reply::text(
        200,
        format!(
            "<merchant-accounts type=\"collection\"><page-size type=\"integer\">20</page-size>{}\
             </merchant-accounts>",
            all.concat()
        ),
    )
}
