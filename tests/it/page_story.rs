//! What customers do on the hosted page, over the real service, its worker and sandbox Stripe.
//!
//! What must stay true: nobody is charged twice whatever is pressed; a page never says what is not
//! so; a customer sees what is theirs and nothing else.

use recoup::sandbox::Step;
use reqwest::StatusCode;

use crate::page_world::World;

fn no_funds() -> Step {
    Step::decline("insufficient_funds")
}

/// Presses "try the same card again", and looks again when it is done.
async fn retry(world: &World, link: &str) -> String {
    world.press(link, "retry", &[]).await;
    world.settle().await;
    world.page(&format!("{link}?done=retry")).await
}

fn gone(card: &str) -> Step {
    Step::decline(card)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_card_is_tried_again_and_everything_is_paid() {
    let world = World::new().await;
    let on = world.customer("en-US", vec![no_funds(), no_funds(), Step::approve()]);
    let (invoice, link) = world.bill(&on).await;
    assert!(!world.page(&link).await.contains("/retry\""), "it was refused this minute");
    let told = world.press(&link, "retry", &[]).await;
    assert!(told.contains("possible right now"), "{told}");
    world.hours(25).await;
    let told = retry(&world, &link).await;
    assert!(told.contains("go through this time either"), "{told}");
    assert!(!told.contains("/retry\""), "not twice a day");
    world.hours(25).await;
    let told = retry(&world, &link).await;
    assert!(told.contains("Thank you") && told.contains(&invoice), "a receipt: {told}");
    assert!(!told.contains("<form"), "nothing else to do");
    let again = world.press(&link, "retry", &[]).await;
    assert!(again.contains("Thank you"), "{again}");
    assert_eq!(world.case(&invoice).await["state"], "recovered");
    assert!(world.sandbox.double_charges().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn charge_me_on_the_day_is_written_down_shown_and_kept() {
    let world = World::new().await;
    let on = world.customer("en-US", vec![no_funds(), Step::approve()]);
    let (invoice, link) = world.bill(&on).await;
    let page = world.page(&link).await;
    assert!(page.contains("min=\"2026-01-06\" max=\"2026-01-19\""), "{page}");
    for date in ["", "2026-01-05", "2026-01-20", "2026-02-30", "12/01/2026", "9999-99-99", "<b>"] {
        let told = world.press(&link, "more-time", &[("date", date)]).await;
        assert!(told.contains("date isn&#x27;t possible"), "{date}: {told}");
    }
    for _ in 0..3 {
        let told = world.press(&link, "more-time", &[("date", "2026-01-15")]).await;
        assert!(told.contains("You asked to pay on Thu 15 Jan"), "{told}");
        assert!(!told.contains("more-time\""), "one promise at a time");
    }
    world.hours(24 * 9).await;
    assert_eq!(world.case(&invoice).await["attempts"].as_array().unwrap().len(), 0);
    world.hours(36).await;
    let case = world.case(&invoice).await;
    assert_eq!(case["state"], "recovered", "{case:#}");
    let at = case["attempts"][0]["at"].as_str().unwrap();
    assert!(at.starts_with("2026-01-15"), "{at}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_card_is_charged_at_once_for_everything_that_is_owed() {
    let world = World::new().await;
    let on = world.customer("en-US", vec![gone("lost_card"), gone("lost_card")]);
    let (first, link) = world.bill(&on).await;
    let (second, other) = world.bill(&on).await;
    assert_ne!(link, other);
    let page = world.page(&link).await;
    assert!(page.contains("Also open") && page.contains("$58.00"), "all amounts: {page}");
    assert!(page.contains("Update card and pay $58.00") && page.contains(&other), "{page}");
    let mut places = Vec::new();
    for _ in 0..50 {
        let answer = world.post(&format!("{link}/update-card"), &[]).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        places.push(answer.headers()["location"].to_str().unwrap().to_owned());
    }
    places.dedup();
    assert_eq!(places.len(), 1, "a scanner that presses fifty times opens one session");
    // The customer is back before the webhook.
    let told = world.page(&format!("{link}?done=card")).await;
    assert!(told.contains("your card has arrived") && !told.contains("update-card"), "{told}");
    let saved = world.give_card(&places[0], "5555555555554444").await;
    assert!(saved.status().is_redirection() || saved.status().is_success());
    world.settle().await;
    // One attempt on a card at a time: the second invoice may have to wait for the first.
    world.hours(1).await;
    for invoice in [&first, &second] {
        let case = world.case(invoice).await;
        assert_eq!(
            (case["state"].as_str(), case["attempts"].as_array().map(Vec::len)),
            (Some("recovered"), Some(1)),
            "{case:#}"
        );
    }
    let told = world.page(&format!("{link}?done=card")).await;
    assert!(told.contains("Thank you") && !told.contains("arrived"), "{told}");
    assert!(told.contains("Paid on") && told.contains(&first), "a receipt: {told}");
    assert!(world.sandbox.double_charges().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_card_that_is_refused_is_said_so() {
    let world = World::new().await;
    let on = world.customer("en-US", vec![gone("lost_card"), no_funds()]);
    let (_, link) = world.bill(&on).await;
    let answer = world.post(&format!("{link}/update-card"), &[]).await;
    let place = answer.headers()["location"].to_str().unwrap().to_owned();
    world.give_card(&place, "5555555555554444").await;
    world.settle().await;
    let told = world.page(&format!("{link}?done=card")).await;
    assert!(told.contains("The new card didn") && told.contains("update-card"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_page_of_the_invoice_takes_any_means_and_the_case_ends() {
    let world = World::new().await;
    let on = world.customer("en-US", vec![no_funds(), Step::approve()]);
    let (invoice, link) = world.bill(&on).await;
    let answer = world.post(&format!("{link}/other-way"), &[]).await;
    let place = answer.headers()["location"].to_str().unwrap().to_owned();
    world.give_card(&place, "5555555555554444").await;
    world.settle().await;
    let case = world.case(&invoice).await;
    assert_eq!(
        (case["state"].as_str(), case["attempts"].as_array().map(Vec::len)),
        (Some("recovered"), Some(0)),
        "{case:#}"
    );
    let answer = world.post(&format!("{link}/other-way"), &[]).await;
    let back = answer.headers()["location"].to_str().unwrap();
    assert!(back.starts_with(&link), "an ended case opens no page: {back}");
}

#[tokio::test(flavor = "multi_thread")]
async fn i_already_paid_asks_the_gateway_and_tells_a_person() {
    let world = World::new().await;
    let on = world.customer("en-US", vec![no_funds()]);
    let (invoice, link) = world.bill(&on).await;
    for _ in 0..3 {
        let told = world.press(&link, "already-paid", &[]).await;
        assert!(told.contains("a person will look into it"), "{told}");
    }
    let case = world.case(&invoice).await;
    let flags = case["flags"].as_array().unwrap();
    assert!(
        flags.len() == 1 && flags[0].as_str().unwrap().contains("says that it is paid"),
        "{case:#}"
    );
    assert_eq!(case["state"], "scheduled");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_another_customers_payments_nor_acts_on_them() {
    let world = World::new().await;
    let ana = world.customer("en-US", vec![no_funds()]);
    let bob = world.customer("en-US", vec![no_funds()]);
    let (hers, link) = world.bill(&ana).await;
    let (his, his_link) = world.bill(&bob).await;
    let page = world.page(&link).await;
    assert!(page.contains("Your payments to Café Nube"), "{page}");
    assert!(!page.contains("Also open") && !page.contains(&his_link), "{page}");
    let his_token = his_link.strip_prefix("/pay/").unwrap();
    world.press(&link, "already-paid", &[("which", his_token)]).await;
    for invoice in [&hers, &his] {
        assert_eq!(world.case(invoice).await["flags"].as_array().unwrap().len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_click_in_the_mail_program_stops_the_reminders() {
    let world = World::new().await;
    let on = world.customer("en-US", vec![gone("lost_card")]);
    let (_, link) = world.bill(&on).await;
    let form = [("List-Unsubscribe", "One-Click")];
    let answer = world.post(&format!("{link}/stop-reminders"), &form).await;
    assert!(answer.status().is_redirection() || answer.status().is_success());
    let page = world.page(&link).await;
    assert!(!page.contains("stop-reminders") && page.contains("update-card"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_waits_and_who_asks_whether_it_is_genuine_learns_only_that() {
    let world = World::new().await;
    let on = world.customer("en-US", vec![no_funds()]);
    let (_, link) = world.bill(&on).await;
    let ask = async |text: String| {
        let answer = world.post("/verify", &[("text", &text)]).await;
        (answer.status(), answer.text().await.unwrap())
    };
    let (_, yes) = ask(world.url(&link)).await;
    assert!(yes.contains("this link is ours") && !yes.contains("29.00"), "{yes}");
    let (_, no) = ask(format!("https://evil.example{link}")).await;
    assert!(no.contains("recognise this"), "{no}");
    let (_, alike) = ask("https://evil.example/x".to_owned()).await;
    assert_eq!(no, alike, "what is wrong with it is not told");
    let mut last = StatusCode::OK;
    for n in 0..40 {
        let answer = world.post(&format!("/pay/guess{n}/retry"), &[]).await;
        last = answer.status();
        if last == StatusCode::TOO_MANY_REQUESTS {
            assert!(answer.headers().contains_key("retry-after"));
            break;
        }
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}
