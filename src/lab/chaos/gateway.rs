//! The simulated gateways and the provider of messages: what recoup talks to in the made world.
//!
//! Why here: the same traits as in production. A call travels in virtual time: its request arrives
//! at the ledger on its own, whether or not recoup is still alive to hear the answer.
//!
//! What must stay true: no call waits in real time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::bank::{Answer, Request};
use super::trace::say;
use super::world::{NET_MAX, Next, Shared, World, lock};
use crate::core::decline::{Decline, RawDecline};
use crate::core::effect::{
    AdoptOrder, AttemptRef, ChargeOrder, ChargeOutcome, CloseOrder, InvoiceView, LookUpAnswer,
    MarkPaidOrder, MarkPaidOutcome, MessageOrder, RefundOrder, SendOutcome,
};
use crate::core::event::Event;
use crate::core::ids::{CaseId, GatewayId};
use crate::gateway::Profile;
use crate::gateway::{
    CallError, Gateway, HostedRequest, HostedSession, MalformedBody, Rejection, WebhookRequest,
};
use crate::worker::{Handed, Postman};

/// How long recoup waits for an answer.
const TIME_OUT: SignedDuration = SignedDuration::from_secs(30);

/// How a call goes.
enum Fate {
    Busy,
    Heard(u64),
    NotSent,
    Unheard(&'static str),
}

/// What the network does to a call.
#[derive(Clone, Copy)]
enum Fault {
    Busy,
    ErrorAfter,
    ErrorBefore,
    LateRequest,
    LostAnswer,
    LostRequest,
    NotSent,
}

impl World {
    fn is_out(&self, gateway: usize) -> bool {
        self.banks[gateway].outages.iter().any(|(from, to)| (*from..*to).contains(&self.now))
    }

    /// Draws how a request goes, and plans its arrival. Gives its fate and when recoup knows.
    fn send(&mut self, gateway: usize, request: Request) -> (Fate, Timestamp) {
        if self.is_out(gateway) {
            self.count("outages_met");
            let refused = self.rng.bool();
            return match refused {
                true => (Fate::NotSent, self.within(10, 500)),
                false => (Fate::Unheard("it timed out"), self.now + TIME_OUT),
            };
        }
        let late = self.now + TIME_OUT;
        match self.drawn_fault() {
            Some(Fault::NotSent) => (Fate::NotSent, self.within(10, 500)),
            Some(Fault::Busy) => (Fate::Busy, self.within(10, 500)),
            Some(Fault::ErrorBefore) => (Fate::Unheard("it answered 500"), self.within(20, 900)),
            Some(Fault::LostRequest) => {
                self.count("timeouts_injected");
                (Fate::Unheard("it timed out"), late)
            }
            Some(Fault::LateRequest) => {
                self.count("timeouts_injected");
                let at = self.within(31_000, NET_MAX.as_millis() as i64);
                self.arrival(gateway, request, at);
                (Fate::Unheard("it timed out"), late)
            }
            arrives => {
                let (at, heard) = self.times();
                self.twin(gateway, &request, at);
                let call = self.arrival(gateway, request, at);
                match arrives {
                    Some(Fault::LostAnswer) => {
                        self.count("timeouts_injected");
                        (Fate::Unheard("it timed out"), late)
                    }
                    Some(_) => (Fate::Unheard("it answered 500"), heard),
                    None => (Fate::Heard(call), heard),
                }
            }
        }
    }

    fn drawn_fault(&mut self) -> Option<Fault> {
        let s = &self.scenario;
        let faults = [
            (s.not_sent, Fault::NotSent),
            (s.busy, Fault::Busy),
            (s.lost_request, Fault::LostRequest),
            (s.late_request, Fault::LateRequest),
            (s.error_before, Fault::ErrorBefore),
            (s.lost_answer, Fault::LostAnswer),
            (s.error_after, Fault::ErrorAfter),
        ];
        self.one_of(&faults.map(|(chance, _)| chance)).map(|index| faults[index].1)
    }

    /// When a request arrives, and when its answer does.
    fn times(&mut self) -> (Timestamp, Timestamp) {
        let slow = if self.rng.u8(..20) == 0 { 12_000 } else { 900 };
        let at = self.within(20, slow);
        (at, at + SignedDuration::from_millis(self.rng.i64(20..=slow)))
    }

    fn arrival(&mut self, gateway: usize, request: Request, at: Timestamp) -> u64 {
        let call = self.number();
        self.plan(at, Next::Arrive { call, gateway, request: Box::new(request) });
        call
    }

    /// Some networks deliver a request twice; a gateway without keys is not behind one.
    fn twin(&mut self, gateway: usize, request: &Request, at: Timestamp) {
        let twice = self.scenario.duplicate_request;
        if self.banks[gateway].window > SignedDuration::ZERO && self.chance(twice) {
            self.count("duplicates_injected");
            let again = at + SignedDuration::from_millis(self.rng.i64(1..60_000));
            self.arrival(gateway, request.clone(), again);
        }
    }

    /// Whether a read is answered, and when.
    fn read(&mut self, gateway: usize) -> (bool, Timestamp) {
        let fails = self.scenario.read_error;
        let answered = !self.is_out(gateway) && !self.chance(fails);
        (answered, self.within(20, if answered { 900 } else { 20_000 }))
    }
}

/// Waits in virtual time.
struct Until(Shared, Timestamp);

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let mut world = lock(&self.0);
        if world.now >= self.1 {
            return Poll::Ready(());
        }
        world.wake = Some(self.1);
        Poll::Pending
    }
}

/// One simulated gateway.
pub(super) struct SimGateway {
    id: GatewayId,
    index: usize,
    profile: Profile,
    world: Shared,
}

impl SimGateway {
    /// The gateway of this number.
    pub(super) fn new(world: &Shared, index: usize) -> Self {
        let (id, capabilities) = {
            let world = lock(world);
            (world.banks[index].id.clone(), world.banks[index].capabilities.clone())
        };
        let profile = Profile::plain("simulated", "a simulated gateway", capabilities);
        Self { id, index, profile, world: world.clone() }
    }

    async fn until(&self, at: Timestamp) {
        Until(self.world.clone(), at).await;
    }

    async fn call(&self, request: Request) -> Result<Answer, CallError> {
        let (fate, at) = lock(&self.world).send(self.index, request);
        self.until(at).await;
        let why = match fate {
            Fate::Heard(call) => match lock(&self.world).answers.remove(&call) {
                Some(answer) => return Ok(answer),
                None => "no answer",
            },
            Fate::Busy => "busy",
            Fate::NotSent => "not reached",
            Fate::Unheard(why) => why,
        };
        Err(CallError::Transient { what: "call the gateway", why: why.into() })
    }

    async fn done(&self, request: Request) -> Result<(), CallError> {
        match self.call(request).await? {
            Answer::Refused(why) => Err(CallError::Permanent { what: "call the gateway", why }),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Gateway for SimGateway {
    fn id(&self) -> &GatewayId {
        &self.id
    }

    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn verify(&self, _: &WebhookRequest<'_>) -> Result<(), Rejection> {
        Ok(())
    }

    fn parse(&self, request: &WebhookRequest<'_>) -> Result<Vec<Event>, MalformedBody> {
        let id = String::from_utf8_lossy(request.body);
        let event = lock(&self.world).events.get(id.as_ref()).cloned();
        event.map(|event| vec![event]).ok_or_else(|| MalformedBody("no such event".into()))
    }

    fn classify(&self, raw: &RawDecline) -> Decline {
        Decline {
            code: raw.code.clone(),
            network_code: None,
            advice_code: None,
            network_advice_code: None,
            category: crate::core::decline::Category::Unknown,
            advice: crate::core::decline::Advice::None,
            min_delay_seconds: None,
        }
    }

    async fn complete(&self, event: Event) -> Result<Event, CallError> {
        Ok(event)
    }

    async fn invoice(&self, invoice: &str) -> Result<InvoiceView, CallError> {
        let (answered, at) = lock(&self.world).read(self.index);
        self.until(at).await;
        let mut world = lock(&self.world);
        let index = world.invoice_index(invoice).filter(|_| answered);
        let Some(index) = index else {
            let why = "it did not answer".to_owned();
            return Err(CallError::Transient { what: "read the invoice", why });
        };
        world.tempt(index);
        let view = world.view(index);
        world.invoices[index].read_at = Some(world.now);
        say!(world, "{invoice} is read: {:?}", view.status);
        Ok(view)
    }

    async fn charge(&self, order: &ChargeOrder) -> ChargeOutcome {
        let (fate, at) = {
            let mut world = lock(&self.world);
            world.leaves(order);
            world.send(self.index, Request::Charge(order.clone()))
        };
        self.until(at).await;
        let mut world = lock(&self.world);
        let outcome = match fate {
            Fate::Busy => ChargeOutcome::Busy { retry_after_s: world.rng.u32(0..120) },
            Fate::NotSent => ChargeOutcome::NotSent { why: "the connection was refused".into() },
            Fate::Unheard(why) => ChargeOutcome::Unknown { why: why.into() },
            Fate::Heard(call) => match world.answers.remove(&call) {
                Some(Answer::Charge(outcome)) => *outcome,
                _ => ChargeOutcome::Unknown { why: "no answer".into() },
            },
        };
        world.hears(order, &outcome);
        outcome
    }

    async fn look_up(&self, attempt: &AttemptRef) -> LookUpAnswer {
        let (answered, at) = lock(&self.world).read(self.index);
        self.until(at).await;
        let mut world = lock(&self.world);
        let answer = match answered {
            true => world.look_up(self.index, attempt),
            false => LookUpAnswer::Unavailable { why: "it did not answer".into() },
        };
        world.hears_of(attempt, &answer);
        answer
    }

    async fn refund(&self, order: &RefundOrder, _: &str) -> Result<(), CallError> {
        self.done(Request::Refund(order.clone())).await
    }

    async fn hosted_session(&self, _: &HostedRequest) -> Result<HostedSession, CallError> {
        Ok(HostedSession { url: "https://gateway.example/session".into() })
    }

    async fn adopt_method(&self, order: &AdoptOrder, _: &str) -> Result<(), CallError> {
        self.done(Request::Adopt(order.clone())).await
    }

    async fn mark_paid(
        &self,
        order: &MarkPaidOrder,
        key: &str,
    ) -> Result<MarkPaidOutcome, CallError> {
        match self.call(Request::MarkPaid(order.clone(), key.to_owned())).await? {
            Answer::MarkedPaid(outcome) => Ok(outcome),
            _ => Ok(MarkPaidOutcome::Failed { why: "no such invoice".into() }),
        }
    }

    async fn close(&self, order: &CloseOrder, _: &str) -> Result<(), CallError> {
        self.done(Request::Close(order.clone())).await
    }
}

/// The provider of messages.
pub(super) struct SimPostman(pub(super) Shared);

#[async_trait]
impl Postman for SimPostman {
    async fn send(&self, case: &CaseId, order: &MessageOrder) -> Result<Handed, String> {
        let (refused, at) = {
            let mut world = lock(&self.0);
            let busy = world.scenario.provider_busy;
            let refused = world.chance(busy);
            if !refused {
                world.message_leaves(case, order);
                world.count("messages");
            }
            (refused, world.within(50, 20_000))
        };
        Until(self.0.clone(), at).await;
        if refused {
            let mut world = lock(&self.0);
            return match world.rng.bool() {
                true => Err("try again later".to_owned()),
                false => Ok(Handed::of(SendOutcome::Failed { answer: "no such mailbox".into() })),
            };
        }
        let outcome = SendOutcome::Sent {
            answer: "accepted".into(),
            subject: order.kind.as_str().into(),
            text: "text".into(),
            html: None,
            locale: "en".into(),
        };
        Ok(Handed { to: "customer".to_owned(), ..Handed::of(outcome) })
    }
}
