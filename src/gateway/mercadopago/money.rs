//! Mercado Pago's amounts: decimals of the currency's main unit, and ISO 4217 minor units.
//!
//! Why here: amounts are JSON numbers (`29000`, `29.5`), not minor units. They are written and read
//! by their digits. An account charges in the currency of its country, and a charge names none: so
//! the country's currency must be known, or pesos of one country are taken for another's.
//!
//! What must stay true: there and back gives the same amount, for every currency; what cannot be
//! written exactly is `None`.

use serde_json::Value;

use crate::core::money::{Currency, Money};
use crate::gateway::amount::{Exponents, decimal, json_number};
use crate::gateway::facts::currency;

const EXPONENTS: Exponents = Exponents::ISO;

/// The sites of Mercado Pago, and what their accounts charge in.
const SITES: [(&str, &str); 7] = [
    ("MLA", "ARS"),
    ("MLB", "BRL"),
    ("MLC", "CLP"),
    ("MCO", "COP"),
    ("MLM", "MXN"),
    ("MPE", "PEN"),
    ("MLU", "UYU"),
];

/// What the accounts of a site charge in; `None`: no site that we know.
pub(super) fn currency_of_site(site: &str) -> Option<Currency> {
    let (_, code) = SITES.iter().find(|(name, _)| *name == site)?;
    code.parse().ok()
}

/// All currencies that there are accounts for.
pub(super) fn currencies() -> Vec<Currency> {
    SITES.iter().filter_map(|(_, code)| code.parse().ok()).collect()
}

/// The JSON number of an amount; `None` where there is none, or nothing to charge.
pub(super) fn to_number(money: Money) -> Option<Value> {
    let text = EXPONENTS.write_decimal(money).filter(|_| money.is_positive())?;
    json_number(&text)
}

/// The amount at `pointer`, in the currency that the object names.
pub(super) fn amount(object: &Value, pointer: &str) -> Option<Money> {
    let text = decimal(object.pointer(pointer)?)?;
    let named = currency(object, "/currency_id").or_else(|| currency(object, "/currency"))?;
    EXPONENTS.read_decimal(&text, named)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gateway::amount::{assert_there_and_back, every_currency};

    #[test]
    fn there_and_back_is_the_same_for_every_currency() {
        assert_there_and_back(EXPONENTS);
        for currency in every_currency() {
            for minor in [1, 29, 2900, 2905, 2950, 1_000_000, 123_456_789_012] {
                let money = Money::new(minor, currency);
                let number = to_number(money).unwrap();
                let object = json!({"transaction_amount": number, "currency_id": currency.code()});
                assert_eq!(amount(&object, "/transaction_amount"), Some(money), "{object}");
            }
        }
    }

    #[test]
    fn a_number_has_no_needless_digits() {
        let written = |minor, code: &str| {
            to_number(Money::new(minor, code.parse().unwrap())).map(|number| number.to_string())
        };
        assert_eq!(written(2_900_000, "COP").as_deref(), Some("29000"));
        assert_eq!(written(2950, "ARS").as_deref(), Some("29.5"));
        assert_eq!(written(2905, "BRL").as_deref(), Some("29.05"));
        assert_eq!(written(29_000, "CLP").as_deref(), Some("29000"));
        for nothing in [0, -1, i64::MIN] {
            assert_eq!(written(nothing, "COP"), None);
        }
    }

    #[test]
    fn what_is_no_amount_is_nothing() {
        for (number, code) in [
            ("-1", "COP"),
            ("29.005", "COP"),
            ("29.5", "CLP"),
            ("1e300", "COP"),
            ("90071992547409930", "COP"),
            ("null", "COP"),
            ("29", "XXQ"),
            ("true", "COP"),
        ] {
            let text = format!(r#"{{"transaction_amount": {number}, "currency_id": "{code}"}}"#);
            let object: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(amount(&object, "/transaction_amount"), None, "{text}");
        }
    }

    #[test]
    fn every_site_has_its_currency() {
        assert_eq!(currencies().len(), SITES.len());
        assert_eq!(currency_of_site("MCO"), "COP".parse().ok());
        assert_eq!(currency_of_site("MXX"), None);
    }
}
