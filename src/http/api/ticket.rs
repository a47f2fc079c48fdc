//! `POST /gbp/push/<customerid>`: the change of an ITSM ticket, published as a record.

use std::sync::Arc;

use bytes::Bytes;
use iem_sink::{Digests, Record};
use smallvec::smallvec;
use uuid::Uuid;

use super::charge::Charge;
use super::credentials;
use super::deliver_once::deliver_once;
use super::delivery::Delivery;
use super::inbound::Inbound;
use super::ingest::{self, Accepted};
use super::parse_pool::ParsePermit;
use super::rejection::Rejection;
use super::resources::Resources;
use super::response::Success;
use super::route::query_value;
use super::sender::Sender;
use crate::config::PARSE_IN_PLACE_MAX;
use crate::http::transport::Answer;
use crate::idempotency::{Digester, RequestKey};
use crate::identity::directory::Customer;
use crate::identity::{Principal, authorization};
use crate::record::{self, Form, Kind, TicketUpdate};

/// Answers the request as `docs/contract.md#4-ticket-update` says.
pub(super) async fn ticket(
    resources: &Resources,
    customer: &str,
    query: Option<&str>,
    request: &mut Inbound<'_>,
) -> Result<Answer, Rejection> {
    let principal = credentials::ticket_sender(resources, request).await?;
    authorization::may_call(principal.user())?;
    let asked = request.durability()?;
    // The key's scope is known later.
    request.idempotency_key()?;
    let customer = current_customer(resources, &principal, customer)?;
    let mut charge = Charge::take_one(resources, &customer)?;
    let sender = request.sender(resources, &principal);
    let accepted = accept(resources, &principal, &customer, query, request, &sender).await;
    let charged = accepted.and_then(|(accepted, permit)| {
        charge.add_bytes(resources, &customer, accepted.held_bytes)?;
        Ok((accepted, permit))
    });
    let (accepted, permit) = charged.inspect_err(|_| {
        charge.give_back(&resources.quotas, &smallvec![(customer, 1)], |_| true);
    })?;
    let stage = request.trace.delivery(accepted.records.len());
    let delivery = Delivery {
        resources,
        kind: Kind::Ticket,
        sender: &sender,
        asked,
        stage: &stage,
    };
    let published = deliver_once(&delivery, accepted, Some(charge), permit).await?;
    Ok(Success::TicketTaken(published).into_answer())
}

/// Returns the record of a request. A large one comes with a permit of the parse pool.
async fn accept(
    resources: &Resources,
    principal: &Principal,
    customer: &Customer,
    query: Option<&str>,
    request: &mut Inbound<'_>,
    sender: &Sender,
) -> Result<(Accepted, Option<ParsePermit>), Rejection> {
    let id = query_value(query, "integrationid")
        .filter(|id| !id.is_empty())
        .ok_or(Rejection::NoIntegration)?;
    let integration = resources
        .identity
        .directory()
        .load()
        .integration(&customer.id, &id)
        .cloned()
        .ok_or(Rejection::UnknownIntegration)?;
    let key = request.idempotency_key()?.map(|key| {
        let endpoint = [Kind::Ticket.event_type(), &*customer.id, &*integration.id];
        RequestKey::new(&principal.user().email, &endpoint, key)
    });
    let data = request.collect(resources, Kind::Ticket, sender).await?;
    let stage = request.trace.stage("parse");
    let (parsed, permit) = parse(resources, customer, &data, sender, key.as_ref()).await?;
    drop(stage);
    let Parsed { update, derived } = parsed;
    // Looked up again: the body may have been long in coming.
    let customer = current_customer(resources, principal, &customer.id)?;
    let mut context = request.context(&resources.source, Kind::Ticket, principal);
    context.integration = Some(integration.id.as_str().into());
    context.actionable_state = integration.state(update.state).map(Into::into);
    context.digests = derived.map(|(_, digests)| Box::new(digests));
    let record = Record {
        id: derived.map_or_else(|| record::next_id(context.time), |(id, _)| id),
        key: record::ordering_key(&customer.id, update.key_value.as_deref()),
        customer: Arc::clone(&customer.id),
        context: Arc::new(context),
        data,
    };
    let accepted = Accepted {
        held_bytes: record.data.len(),
        records: smallvec![record],
        customers: smallvec![(customer, 1)],
    };
    Ok((accepted, permit))
}

/// Returns the customer, if the user, as the directory has it now, may send for it.
fn current_customer(
    resources: &Resources,
    principal: &Principal,
    id: &str,
) -> Result<Arc<Customer>, Rejection> {
    let directory = resources.identity.directory().load();
    let principal = ingest::current(&directory, principal)?;
    ingest::customer(&directory, &principal, id, &resources.metrics).cloned()
}

/// A ticket's change, with the id and the digests that follow from an idempotency key.
struct Parsed {
    update: TicketUpdate,
    derived: Option<(Uuid, Digests)>,
}

/// Parses a ticket's change. A large one is parsed in the parse pool, and comes with its permit.
async fn parse(
    resources: &Resources,
    customer: &Customer,
    data: &Bytes,
    sender: &Sender,
    key: Option<&RequestKey>,
) -> Result<(Parsed, Option<ParsePermit>), Rejection> {
    let key_fields = &resources.topic(Kind::Ticket).key_fields;
    if data.len() <= PARSE_IN_PLACE_MAX {
        let update = TicketUpdate::parse(data, &customer.id, key_fields);
        let update = update.map_err(Rejection::Malformed)?;
        let derived = key.map(|key| derive(key, data));
        return Ok((Parsed { update, derived }, None));
    }
    let data = data.clone();
    let customer = Arc::clone(&customer.id);
    let key_fields = key_fields.clone();
    let memory = Arc::clone(&sender.memory);
    let key = key.cloned();
    let parse = move || {
        let update = match ingest::reserve_tape(&memory, &data, Form::Json) {
            Some(_reservation) => TicketUpdate::parse(&data, &customer, &key_fields),
            None => TicketUpdate::parse_by_text(&data, &customer, &key_fields),
        }?;
        let derived = key.as_ref().map(|key| derive(key, &data));
        Ok(Parsed { update, derived })
    };
    let (parsed, permit) = resources.parse_pool.run(sender, parse).await?;
    Ok((parsed.map_err(Rejection::Malformed)?, Some(permit)))
}

fn derive(key: &RequestKey, data: &[u8]) -> (Uuid, Digests) {
    let mut digester = Digester::new(key);
    (digester.next_id(data), digester.finish())
}
