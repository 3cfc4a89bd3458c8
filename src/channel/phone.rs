//! What the channels to a phone have in common: numbers, and what a failed call means.
//!
//! What must stay true: only what is certain is a refusal; a provider that broke down may have
//! taken the message before.

use super::Delivery;
use crate::core::event::Contact;
use crate::gateway::wire::{Answer, Trouble};

/// A number in E.164 with its plus sign.
pub(super) fn number_of(contact: &Contact) -> Option<String> {
    let digits: String =
        contact.phone.as_deref()?.chars().filter(|c| !" -().".contains(*c)).collect();
    let bare = digits.strip_prefix('+')?;
    let fits = (7..=15).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_digit());
    (fits && !bare.starts_with('0')).then_some(digits)
}

/// What came of one call: only what is certain is a refusal.
pub(super) fn meaning(
    sent: Result<Answer, Trouble>,
    outcome: impl FnOnce(&Answer) -> Delivery,
) -> Delivery {
    match sent {
        Err(Trouble::NotSent(answer)) => Delivery::Later { answer },
        Err(Trouble::Lost(answer)) => Delivery::Unknown { answer },
        Ok(answer) if answer.status == 429 => Delivery::Later { answer: "429 busy".to_owned() },
        // A provider that broke down may have taken it before.
        Ok(answer) if answer.status >= 500 || answer.status == 408 => {
            Delivery::Unknown { answer: format!("HTTP {}", answer.status) }
        }
        Ok(answer) => outcome(&answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_are_numbers() {
        let number =
            |phone: &str| number_of(&Contact { phone: Some(phone.into()), ..Contact::default() });
        assert_eq!(number("+57 300 123-4567").as_deref(), Some("+573001234567"));
        for wrong in ["", "3001234567", "+", "+12", "+0573001234567", "+57300x234567", "+1&To=+2"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }
}
