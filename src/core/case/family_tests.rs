//! Stories of one customer with several open invoices, and arbitrary ones: every message is held
//! against the policy by a checker that shares no code with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::core::card::Card;
use crate::core::case::leaving;
use crate::core::case::together::{self, Along};
use crate::core::consent::{Consent, Standing};
use crate::core::ids::{CardKey, CaseId};

/// A message that left.
struct Left {
    at: Timestamp,
    case: CaseId,
    order: MessageOrder,
    /// Whether its case was over when it left.
    ended: Option<State>,
    /// The customer's open cases at that moment that are to be told of.
    open: BTreeSet<CaseId>,
}

/// One customer, their cases, and the world around them, in which every charge is refused.
struct Family {
    policy: Policy,
    customer: Customer,
    cards: BTreeMap<CardKey, Card>,
    cases: BTreeMap<CaseId, Case>,
    queue: Vec<Effect>,
    now: Timestamp,
    left: Vec<Left>,
    ledger: Vec<String>,
    /// What the provider does with the next messages.
    provider: VecDeque<Provider>,
    opened: u32,
}

#[derive(Debug, Clone, Copy)]
enum Provider {
    Accepts,
    LiesIdle(i64),
    Refuses,
}

impl Family {
    fn new(policy: Policy) -> Self {
        let mut customer = Customer::new("cus_1");
        customer.contact.email = Some("ana@example.com".into());
        customer.contact.phone = Some("+573001234567".into());
        customer.contact.country = Some("CO".into());
        Self {
            policy,
            customer,
            cards: BTreeMap::new(),
            cases: BTreeMap::new(),
            queue: Vec::new(),
            now: "2026-12-01T15:00:00Z".parse().unwrap(),
            left: Vec::new(),
            ledger: Vec::new(),
            provider: VecDeque::new(),
            opened: 0,
        }
    }

    fn around(&self, case: Option<&Case>) -> Around {
        let others = self.cases.values().filter(|c| Some(&c.id) != case.map(|case| &case.id));
        let siblings = match case {
            Some(case) if together::may_write(case, self.now) => others
                .filter(|other| !other.state.is_ended())
                .filter_map(|other| together::sibling(other, &self.policy))
                .collect(),
            _ => Vec::new(),
        };
        Around {
            customer: self.customer.clone(),
            cards: self.cards.clone(),
            learned: Default::default(),
            siblings: together::in_order(siblings),
            stopped: Default::default(),
            held: false,
        }
    }

    fn keep(&mut self, step: Step, around: Around) {
        self.customer = around.customer;
        self.cards = around.cards;
        self.queue.extend(step.effects);
        self.queue.retain(|effect| !step.cancelled.contains(&effect.id));
        self.ledger.extend(step.ledger.into_iter().map(|entry| entry.text));
        self.cases.insert(step.case.id.clone(), step.case);
    }

    fn open(&mut self, category: Category, minor: i64) -> CaseId {
        self.opened += 1;
        let event = Event {
            id: format!("evt_{}", self.opened),
            invoice: Some(format!("in_{}", self.opened)),
            subscription: Some(format!("sub_{}", self.opened)),
            amount: Some(Money::new(minor, "USD".parse().unwrap())),
            ..failed(category, Advice::None)
        };
        let mut around = self.around(None);
        step::learn(&mut around.customer, &"stripe".into(), &event);
        let step = step::open(&event, &mut around, &self.policy, self.now).unwrap();
        let id = step.case.id.clone();
        self.keep(step, around);
        id
    }

    fn input(&mut self, id: &CaseId, input: Input) {
        let mut inputs = VecDeque::from([(id.clone(), input)]);
        while let Some((id, input)) = inputs.pop_front() {
            let Some(case) = self.cases.get(&id).cloned() else { continue };
            let mut around = self.around(Some(&case));
            let step = step::step(case.clone(), &input, &mut around, &self.policy, self.now);
            inputs.extend(together::ripples(&case.messages, &step.case));
            self.keep(step, around);
        }
    }

    fn pay(&mut self, id: &CaseId) {
        let case = self.cases[id].clone();
        let event = Event {
            invoice: Some(case.invoice.clone()),
            customer: case.customer.clone(),
            amount: Some(case.amount),
            payment: Some(format!("pi_{}", case.invoice)),
            ..Event::new(format!("evt_paid_{}", case.invoice), EventKind::PaymentSucceeded)
        };
        self.input(id, Input::Event(Box::new(event)));
    }

    fn say(&mut self, channel: Channel, standing: Standing) {
        self.customer.note_consent(Consent { channel, standing, at: self.now, how: "test".into() });
        for id in self.cases.keys().cloned().collect::<Vec<_>>() {
            self.input(&id, Input::CustomerChanged);
        }
    }

    fn advance(&mut self, hours: i64) {
        let until = self.now + SignedDuration::from_hours(hours);
        for _ in 0..2_000 {
            let effect = (0..self.queue.len()).min_by_key(|i| self.queue[*i].not_before);
            let effect = effect.filter(|i| self.queue[*i].not_before <= until);
            let due = self.cases.values().filter_map(|case| Some((case.due_at()?, &case.id)));
            let due = due.min().filter(|(at, _)| *at <= until).map(|(at, id)| (at, id.clone()));
            match (effect, due) {
                (Some(index), due)
                    if due.as_ref().is_none_or(|(at, _)| self.queue[index].not_before <= *at) =>
                {
                    let effect = self.queue.remove(index);
                    self.now = self.now.max(effect.not_before);
                    self.perform(effect);
                }
                (_, Some((at, id))) => {
                    self.now = self.now.max(at);
                    self.input(&id, Input::Due);
                }
                _ => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("it does not come to rest");
    }

    fn perform(&mut self, effect: Effect) {
        let outcome = match &effect.order {
            Order::Send(_) => match self.deliver(&effect) {
                Some(outcome) => outcome,
                None => return,
            },
            Order::Charge(_) => {
                Outcome::Charge(declined(decline(Category::InsufficientFunds, Advice::None)))
            }
            Order::Check(order) => Outcome::Checked(CheckReport {
                invoice: Some(open_invoice()),
                invoice_error: None,
                attempts: order
                    .attempts
                    .iter()
                    .map(|a| {
                        let refused = decline(Category::InsufficientFunds, Advice::None);
                        (a.charge.attempt.clone(), LookUpAnswer::Found(declined(refused)))
                    })
                    .collect(),
            }),
            _ => Outcome::Acted(Ok(())),
        };
        self.input(&effect.case.clone(), Input::Outcome(effect.id, Box::new(outcome)));
    }

    /// As the worker does it: asks once more, brings the list up to date, hands it over.
    fn deliver(&mut self, effect: &Effect) -> Option<Outcome> {
        let case = self.cases[&effect.case].clone();
        let around = self.around(Some(&case));
        if let Some(why) = leaving::withdrawn(&case, &effect.order, &around, &self.policy, self.now)
        {
            return Some(Outcome::Sent(SendOutcome::Dropped { why }));
        }
        match self.provider.pop_front().unwrap_or(Provider::Accepts) {
            Provider::LiesIdle(hours) => {
                let not_before = self.now + SignedDuration::from_hours(hours);
                self.queue.push(Effect { not_before, ..effect.clone() });
                return None;
            }
            Provider::Refuses => {
                return Some(Outcome::Sent(SendOutcome::Failed { answer: "550 no".into() }));
            }
            Provider::Accepts => {}
        }
        let Order::Send(order) = &effect.order else { unreachable!() };
        let mut order = order.clone();
        order.also_owed = order
            .also_owed
            .iter()
            .filter_map(|owed| leaving::still_owed(owed, self.cases.get(&owed.case)))
            .collect();
        let open = self.cases.values().filter(|other| {
            let told = matches!(
                other.state,
                State::AwaitingCustomer | State::Scheduled | State::Monitoring
            );
            told && other.id != case.id
        });
        self.left.push(Left {
            at: self.now,
            case: case.id.clone(),
            order,
            ended: case.state.is_ended().then_some(case.state),
            open: open.map(|other| other.id.clone()).collect(),
        });
        Some(sent())
    }
}

fn sent() -> Outcome {
    Outcome::Sent(SendOutcome::Sent {
        answer: "250 ok".into(),
        subject: String::new(),
        text: String::new(),
        html: None,
        locale: "en".into(),
    })
}

// ---- the checker: the dates by hand, no function of the policy ----

/// Colombia's public holidays of the months in which the stories play.
const HOLIDAYS: [&str; 10] = [
    "2026-12-08",
    "2026-12-25",
    "2027-01-01",
    "2027-01-11",
    "2027-03-22",
    "2027-03-25",
    "2027-03-26",
    "2027-05-01",
    "2027-05-10",
    "2027-05-31",
];

fn check(family: &Family) -> Result<(), TestCaseError> {
    let zone = TimeZone::get("America/Bogota").unwrap();
    let policy = &family.policy.contact;
    let mut ids = BTreeSet::new();
    let mut local: Vec<(Date, Timestamp, Channel)> = Vec::new();
    for left in &family.left {
        let here = left.at.to_zoned(zone.clone());
        let day = here.weekday().to_monday_zero_offset() as usize;
        let hours = policy.hours[day];
        let minutes = i32::from(here.hour()) * 60 + i32::from(here.minute());
        let open = hours.is_some_and(|(from, to)| {
            (i32::from(from) * 60..i32::from(to) * 60).contains(&minutes)
        });
        prop_assert!(open, "{here} is outside of {hours:?}");
        if policy.holidays == HolidayRule::Closed {
            let text = here.date().to_string();
            prop_assert!(!HOLIDAYS.contains(&text.as_str()), "{text} is a holiday");
        }
        prop_assert!(ids.insert(left.order.id.clone()), "{} left twice", left.order.id);
        match left.ended {
            None => prop_assert_ne!(left.order.kind, MessageKind::Recovered),
            Some(State::Recovered) => prop_assert_eq!(left.order.kind, MessageKind::Recovered),
            Some(state) => prop_assert!(false, "a message after the end: {state:?}"),
        }
        local.push((here.date(), left.at, left.order.channel));
    }
    for (date, at, channel) in &local {
        let on_day = local.iter().filter(|(other, ..)| other == date).count();
        prop_assert!(on_day <= policy.per_day as usize, "{on_day} on {date}");
        let week: Vec<_> = local
            .iter()
            .filter(|(other, ..)| (0..7).contains(&(*other - *date).get_days()))
            .collect();
        let cap = policy.per_week.unwrap_or(99) as usize;
        prop_assert!(week.len() <= cap, "{} in the week from {date}", week.len());
        let channels: BTreeSet<_> = week.iter().map(|(.., channel)| channel).collect();
        let cap = policy.channels_per_week.unwrap_or(3) as usize;
        prop_assert!(channels.len() <= cap, "{channels:?} in the week from {date}");
        if let Some(cap) = policy.per_channel.get(channel).and_then(|cap| cap.per_week) {
            let own = week.iter().filter(|(.., other)| other == channel).count();
            prop_assert!(own <= cap as usize, "{own} by {channel:?} in the week from {date}");
        }
        let gap = i64::from(policy.gap_hours) * 3600;
        let near = |other: &Timestamp| {
            let apart = (other.as_second() - at.as_second()).abs();
            other != at && apart < gap
        };
        prop_assert!(!local.iter().any(|(_, other, _)| near(other)), "too soon behind {at}");
    }
    for case in family.cases.values() {
        let own: Vec<_> = family.left.iter().filter(|left| left.case == case.id).collect();
        let thanks = own.iter().filter(|left| left.order.kind == MessageKind::Recovered).count();
        prop_assert!(thanks <= 1, "thanked {thanks} times");
        let reminders = own.len() - thanks;
        prop_assert!(reminders <= family.policy.steps.len(), "{reminders} of {}", case.id);
    }
    Ok(())
}

/// Everyone who is open and to be told of is in the list, and nobody else is.
fn check_lists(family: &Family) -> Result<(), TestCaseError> {
    for left in &family.left {
        let listed: BTreeSet<_> = left.order.also_owed.iter().map(|o| o.case.clone()).collect();
        prop_assert!(listed.is_subset(&left.open), "{listed:?} of {:?}", left.open);
    }
    Ok(())
}

fn two_weeks_campaign() -> Policy {
    Policy { silent_attempts: 0, ..policy() }
}

// ---- stories ----

#[test]
fn two_invoices_of_one_customer_get_one_message_with_both_amounts() {
    let mut family = Family::new(two_weeks_campaign());
    let first = family.open(Category::CredentialOutdated, 2900);
    let second = family.open(Category::CredentialOutdated, 1000);
    family.advance(24 * 5);
    assert_eq!(family.left.len(), 1, "one message, though each of the two had a step");
    let order = &family.left[0].order;
    assert_eq!(order.kind, MessageKind::CardUpdate);
    assert_eq!(order.totals(), [Money::new(3900, "USD".parse().unwrap())]);
    let other = if family.left[0].case == first { &second } else { &first };
    assert_eq!(order.also_owed[0].case, *other);
    assert_eq!(family.cases[other].along.len(), 1);
    assert!(family.ledger.iter().any(|line| line.starts_with("It goes along in the card update")));
    // And so it goes on: day 7 and the last notice are one message each.
    family.advance(24 * 22);
    let kinds: Vec<_> = family.left.iter().map(|left| left.order.kind).collect();
    assert_eq!(kinds, [MessageKind::CardUpdate, MessageKind::CardUpdate, MessageKind::LastNotice]);
}

#[test]
fn what_is_paid_before_the_message_leaves_is_not_in_it() {
    let mut family = Family::new(two_weeks_campaign());
    family.open(Category::CredentialOutdated, 2900);
    let second = family.open(Category::CredentialOutdated, 1000);
    family.provider.push_back(Provider::LiesIdle(1));
    family.advance(0);
    assert!(family.left.is_empty());
    family.pay(&second);
    family.advance(24);
    assert_eq!(family.left.len(), 1);
    let owed = family.left[0].order.also_owed.len();
    let lead_is_open = family.left[0].ended.is_none();
    assert!(lead_is_open && owed == 0, "{owed} listed");
}

#[test]
fn who_went_along_with_a_message_that_never_left_is_not_forgotten() {
    for refused in [false, true] {
        let mut family = Family::new(two_weeks_campaign());
        let first = family.open(Category::CredentialOutdated, 2900);
        let second = family.open(Category::CredentialOutdated, 1000);
        family.provider.push_back(match refused {
            true => Provider::Refuses,
            false => Provider::LiesIdle(2),
        });
        family.advance(0);
        let lead = if family.cases[&first].messages.is_empty() { &second } else { &first };
        let other = if lead == &first { &second } else { &first };
        if !refused {
            assert!(matches!(family.cases[other].along[..], [Along { .. }]));
            family.pay(&lead.clone());
        }
        assert!(family.cases[other].along.is_empty());
        assert_eq!(family.cases[other].steps_done, 0);
        let other = other.clone();
        family.advance(24 * 3);
        let asked: Vec<_> = family.left.iter().filter(|left| left.case == other).collect();
        assert_eq!(asked.len(), 1, "refused: {refused}");
    }
}

#[test]
fn amounts_of_two_currencies_stay_apart() {
    let mut family = Family::new(two_weeks_campaign());
    family.open(Category::CredentialOutdated, 2900);
    let second = family.open(Category::CredentialOutdated, 1000);
    let euros = Money::new(1000, "EUR".parse().unwrap());
    family.cases.get_mut(&second).unwrap().amount = euros;
    family.advance(24);
    let totals = family.left[0].order.totals();
    assert_eq!(totals.len(), 2, "{totals:?}");
    assert!(totals.contains(&euros));
}

#[test]
fn a_no_holds_and_the_next_channel_is_taken() {
    let policy = Policy { channels: vec![Channel::Sms, Channel::Email], ..two_weeks_campaign() };
    let mut family = Family::new(policy);
    family.say(Channel::Sms, Standing::OptedOut);
    family.open(Category::CredentialOutdated, 2900);
    family.advance(24);
    assert_eq!(family.left[0].order.channel, Channel::Email);
    family.say(Channel::Email, Standing::OptedOut);
    family.advance(24 * 40);
    assert_eq!(family.left.len(), 1, "nobody is written to behind a no");
}

#[test]
fn a_channel_that_asks_for_a_yes_waits_for_it() {
    let contact = ContactPolicy { consent: vec![Channel::Sms], ..policy().contact };
    let policy = Policy { channels: vec![Channel::Sms], contact, ..two_weeks_campaign() };
    let mut family = Family::new(policy);
    family.open(Category::CredentialOutdated, 2900);
    family.advance(24 * 2);
    assert!(family.left.is_empty());
    family.say(Channel::Sms, Standing::OptedIn);
    family.advance(24);
    assert_eq!(family.left.len(), 1);
}

// ---- arbitrary stories ----

#[derive(Debug, Clone)]
enum Happens {
    Advance(i64),
    Open(Category),
    Pay(usize),
    Provider(Provider),
    Say(Channel, Standing),
    Stop(usize),
}

fn happens() -> impl Strategy<Value = Happens> {
    let category = prop::sample::select(vec![
        Category::CredentialOutdated,
        Category::InsufficientFunds,
        Category::AuthenticationRequired,
        Category::GenericDecline,
    ]);
    let channel = prop::sample::select(vec![Channel::Email, Channel::Sms, Channel::Whatsapp]);
    let standing = prop::sample::select(vec![Standing::OptedIn, Standing::OptedOut]);
    let provider = prop_oneof![
        Just(Provider::Accepts),
        Just(Provider::Refuses),
        (0..60_i64).prop_map(Provider::LiesIdle),
    ];
    prop_oneof![
        5 => (0..120_i64).prop_map(Happens::Advance),
        3 => category.prop_map(Happens::Open),
        1 => (0..6_usize).prop_map(Happens::Pay),
        2 => provider.prop_map(Happens::Provider),
        1 => (channel, standing).prop_map(|(channel, said)| Happens::Say(channel, said)),
        1 => (0..6_usize).prop_map(Happens::Stop),
    ]
}

fn contact() -> impl Strategy<Value = ContactPolicy> {
    let hours = prop::sample::select(vec![
        [Some((8, 20)); 7],
        [Some((0, 24)); 7],
        [
            Some((7, 19)),
            Some((7, 19)),
            Some((7, 19)),
            Some((7, 19)),
            Some((7, 19)),
            Some((8, 15)),
            None,
        ],
        [None, Some((9, 10)), None, None, Some((22, 24)), None, Some((0, 1))],
    ]);
    let caps = (
        1..3_u32,
        prop::option::of(1..4_u32),
        prop::option::of(1..3_u32),
        prop::option::of(1..3_u32),
    );
    let gap = prop::sample::select(vec![0, 5, 48]);
    (hours, caps, gap, any::<bool>()).prop_map(|(hours, caps, gap_hours, closed)| {
        let (per_day, per_week, channels_per_week, own) = caps;
        let cap = ChannelCap { per_day: None, per_week: own };
        ContactPolicy {
            hours,
            per_day,
            per_week: per_week.map(|week| week.max(per_day)),
            channels_per_week,
            gap_hours,
            per_channel: [(Channel::Sms, cap)].into(),
            holidays: if closed { HolidayRule::Closed } else { HolidayRule::Open },
            ..ContactPolicy::closed("arbitrary")
        }
    })
}

fn live(policy: Policy, story: &[Happens]) -> Family {
    let mut family = Family::new(policy);
    for one in story {
        let ids: Vec<_> = family.cases.keys().cloned().collect();
        match one {
            Happens::Advance(hours) => family.advance(*hours),
            Happens::Open(category) if ids.len() < 6 => drop(family.open(*category, 2900)),
            Happens::Open(_) => {}
            Happens::Pay(index) => {
                if let Some(id) = ids.get(*index) {
                    family.pay(id);
                }
            }
            Happens::Provider(provider) => family.provider.push_back(*provider),
            Happens::Say(channel, standing) => family.say(*channel, *standing),
            Happens::Stop(index) => {
                if let Some(id) = ids.get(*index) {
                    let stop = OperatorAction::Stop { reason: None };
                    family.input(id, Input::Operator(stop));
                }
            }
        }
    }
    family.advance(24 * 45);
    family
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        max_shrink_iters: 60,
        ..ProptestConfig::default()
    })]

    #[test]
    fn never_one_message_outside_the_policy(
        contact in contact(),
        silent_attempts in 0..3_u32,
        story in prop::collection::vec(happens(), 1..25),
    ) {
        let channels = vec![Channel::Sms, Channel::Email, Channel::Whatsapp];
        let policy = Policy { contact, silent_attempts, channels, ..policy() };
        let family = live(policy.clone(), &story);
        check(&family)?;
        check_lists(&family)?;
        // The same story again, byte for byte.
        let again = live(policy, &story);
        prop_assert_eq!(&family.ledger, &again.ledger);
    }
}
