//! The table of payment methods: `recoup import payment-methods wallet.csv`.
//!
//! Why here: which tokens other gateways hold for a customer is known to the merchant only. Every
//! cell is checked before anything is taken, and every mistake is named by line and column.
//!
//! What must stay true: no card number gets in; all methods of a customer are in one input, since
//! those of the gateways named there replace what was known.

use std::collections::BTreeMap;

use anyhow::bail;
use jiff::Timestamp;

use crate::core::card_number;
use crate::core::customer::PaymentMethod;
use crate::core::event::PaymentMethodFacts;
use crate::core::ids::{CardKey, GatewayId};
use crate::store::{InboxBody, InboxRecord};

/// Inputs that are appended at once.
pub(super) const PAGE: usize = 256;

/// Mistakes that are shown before the rest is only counted.
const SHOWN: usize = 20;

/// What stands below the command's help.
pub(super) const HELP: &str = "Columns, in any order; those marked * must be there:
  customer*   the billing gateway's id of the customer
  gateway*    the gateway's id in the merchant file
  token*      the gateway's token of the method, never a card number
  network     visa, mastercard, amex, …
  last4       the last four digits
  exp         2029-06
  fingerprint the gateway's fingerprint of the card
  country     where it was issued: CO, US, …
  funding     credit, debit or prepaid
  network_transaction_id   of the first payment that the customer agreed to
  gateway_customer   the gateway's own id of the customer, where it is another
  default     true or false: the one to charge at its gateway
  consent     true or false: the customer agreed that it may be charged (default: false)

What is listed for a customer at a gateway replaces what was known of them there.";

const COLUMNS: [&str; 13] = [
    "customer",
    "gateway",
    "token",
    "network",
    "last4",
    "exp",
    "fingerprint",
    "country",
    "funding",
    "network_transaction_id",
    "gateway_customer",
    "default",
    "consent",
];

const REQUIRED: [&str; 3] = ["customer", "gateway", "token"];

/// The methods of each customer.
pub(super) type Wallets = BTreeMap<String, Vec<PaymentMethod>>;

/// Reads the table; the error lists every mistake.
pub(super) fn read(table: &[u8]) -> anyhow::Result<Wallets> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(table);
    let headers = reader.headers()?.clone();
    check_columns(&headers)?;
    let mut wallets = Wallets::new();
    let mut mistakes = Vec::new();
    for row in reader.records() {
        let row = row?;
        let line = row.position().map_or(0, csv::Position::line);
        let cells = Cells { headers: &headers, row: &row };
        match cells.method() {
            Ok((customer, method)) => wallets.entry(customer).or_default().push(method),
            Err(Mistake { column, why }) => {
                mistakes.push(format!("line {line}, column {column}: {why}"));
            }
        }
    }
    if mistakes.is_empty() {
        return Ok(wallets);
    }
    let more = mistakes.len().saturating_sub(SHOWN);
    mistakes.truncate(SHOWN);
    if more > 0 {
        mistakes.push(format!("and {more} more"));
    }
    bail!("read the table; nothing was taken\n  {}", mistakes.join("\n  "))
}

fn check_columns(headers: &csv::StringRecord) -> anyhow::Result<()> {
    for name in headers {
        if !COLUMNS.contains(&name) {
            let nearest = COLUMNS.iter().max_by(|a, b| {
                strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name))
            });
            bail!(
                "line 1: there is no column `{name}`; did you mean `{}`?",
                nearest.unwrap_or(&"")
            );
        }
    }
    for name in REQUIRED {
        if !headers.iter().any(|header| header == name) {
            bail!("line 1: the column `{name}` is missing");
        }
    }
    Ok(())
}

/// What is wrong with a cell. The cell itself is not repeated: it may be a secret.
#[derive(Debug)]
struct Mistake {
    column: &'static str,
    why: &'static str,
}

struct Cells<'a> {
    headers: &'a csv::StringRecord,
    row: &'a csv::StringRecord,
}

impl Cells<'_> {
    fn cell(&self, column: &str) -> Option<&str> {
        let at = self.headers.iter().position(|header| header == column)?;
        self.row.get(at).filter(|cell| !cell.is_empty())
    }

    fn required(&self, column: &'static str) -> Result<String, Mistake> {
        self.cell(column).map(str::to_owned).ok_or(Mistake { column, why: "it is empty" })
    }

    fn checked(
        &self,
        column: &'static str,
        good: impl FnOnce(&str) -> bool,
        why: &'static str,
    ) -> Result<Option<String>, Mistake> {
        match self.cell(column) {
            Some(cell) if !good(cell) => Err(Mistake { column, why }),
            cell => Ok(cell.map(str::to_owned)),
        }
    }

    fn flag(&self, column: &'static str) -> Result<bool, Mistake> {
        match self.cell(column).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "no" | "0") => Ok(false),
            Some("true" | "yes" | "1") => Ok(true),
            Some(_) => Err(Mistake { column, why: "it is neither `true` nor `false`" }),
        }
    }

    /// The scheme's id of a payment is left out: it is digits too, of the same length.
    fn no_card_number(&self) -> Result<(), Mistake> {
        let may_hold = COLUMNS.iter().filter(|column| **column != "network_transaction_id");
        for column in may_hold {
            let cell = self.cell(column).unwrap_or_default();
            if card_number::is_one(cell) || card_number::stands_in(cell.as_bytes()) {
                let why = "it is a card number; recoup takes the gateway's tokens only";
                return Err(Mistake { column, why });
            }
        }
        Ok(())
    }

    fn method(&self) -> Result<(String, PaymentMethod), Mistake> {
        let digits =
            |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
        self.no_card_number()?;
        let token = self.required("token")?;
        let gateway = GatewayId(self.required("gateway")?);
        let funding = |text: &str| matches!(text, "credit" | "debit" | "prepaid");
        let country = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
        let facts = PaymentMethodFacts {
            token: Some(token.clone()),
            network: self.cell("network").map(str::to_ascii_lowercase),
            last4: self.checked("last4", |it| digits(it, 4), "it is not four digits")?,
            exp: self.checked("exp", is_month, "it is not a month like 2029-06")?,
            country: self
                .checked("country", country, "it is not a country like CO")?
                .map(|country| country.to_ascii_uppercase()),
            funding: self.checked("funding", funding, "it is not credit, debit or prepaid")?,
            fingerprint: self.cell("fingerprint").map(str::to_owned),
        };
        let method = PaymentMethod {
            // Which card it is, is decided when the input is applied, beside the other methods.
            card: CardKey::of_token(&gateway, &token),
            gateway,
            facts,
            gateway_customer: self.cell("gateway_customer").map(str::to_owned),
            network_transaction_id: self.cell("network_transaction_id").map(str::to_owned),
            default: self.flag("default")?,
            consent: self.flag("consent")?,
            former_exp: None,
        };
        Ok((self.required("customer")?, method))
    }
}

fn is_month(text: &str) -> bool {
    let Some((year, month)) = text.split_once('-') else { return false };
    year.len() == 4
        && month.len() == 2
        && year.parse::<u16>().is_ok()
        && month.parse::<u8>().is_ok_and(|month| (1..=12).contains(&month))
}

/// One input a customer. The time is in its id: a table that is imported again counts again.
pub(super) fn inputs(wallets: Wallets, now: Timestamp) -> Vec<InboxRecord> {
    let input = |(customer, methods): (String, Vec<PaymentMethod>)| InboxRecord {
        source: GatewayId::from("cli"),
        id: format!("wallet:{}:{customer}", now.as_millisecond()),
        received_at: now,
        body: InboxBody::PaymentMethods { customer, methods },
    };
    wallets.into_iter().map(input).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "customer,gateway,token,network,last4,exp,country,default,consent
cus_1,stripe,pm_1,Visa,4242,2029-06,co,true,yes
cus_2,adyen,tok_9,,,,,,
cus_1,adyen,tok_1,visa,4242,2029-06,CO,,true
";

    fn mistakes(table: &str) -> String {
        read(table.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn all_methods_of_a_customer_are_in_one_input() {
        let wallets = read(GOOD.as_bytes()).unwrap();
        let records = inputs(wallets, Timestamp::UNIX_EPOCH);
        assert_eq!(records.len(), 2);
        let InboxBody::PaymentMethods { customer, methods } = &records[0].body else {
            panic!("another kind");
        };
        assert_eq!((customer.as_str(), methods.len()), ("cus_1", 2));
        let first = &methods[0];
        assert_eq!(first.facts.network.as_deref(), Some("visa"));
        assert_eq!(first.facts.country.as_deref(), Some("CO"));
        assert!(first.default && first.consent && !methods[1].default);
        let bare = PaymentMethodFacts { token: Some("tok_9".into()), ..Default::default() };
        let InboxBody::PaymentMethods { methods, .. } = &records[1].body else {
            panic!("another kind");
        };
        assert_eq!(methods[0].facts, bare);
        assert!(!methods[0].consent);
    }

    #[test]
    fn every_mistake_is_named_by_line_and_column() {
        let table = "customer,gateway,token,last4,exp,country,funding,default
,stripe,pm,,,,,
c,stripe,,,,,,
c,,pm,,,,,
c,stripe,pm,42x2,,,,
c,stripe,pm,,06/29,,,
c,stripe,pm,,2029-13,,,
c,stripe,pm,,,COL,,
c,stripe,pm,,,,gift,
c,stripe,pm,,,,,maybe
c,stripe,4242 4242 4242 4242,,,,,
";
        let text = mistakes(table);
        let expected = [
            (2, "customer"),
            (3, "token"),
            (4, "gateway"),
            (5, "last4"),
            (6, "exp"),
            (7, "exp"),
            (8, "country"),
            (9, "funding"),
            (10, "default"),
            (11, "token"),
        ];
        for (line, column) in expected {
            assert!(text.contains(&format!("line {line}, column {column}:")), "{line}: {text}");
        }
        assert!(!text.contains("4242"), "a card number is not repeated");
    }

    #[test]
    fn columns_are_checked_first() {
        assert!(mistakes("customer,gatway,token\n").contains("did you mean `gateway`"));
        assert!(mistakes("customer,gateway\n").contains("`token` is missing"));
        assert!(read(b"customer,gateway,token\na,b\n").is_err(), "a row that is too short");
    }
}
