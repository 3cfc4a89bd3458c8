//! The words with which people stop messages, in the five languages.
//!
//! What must stay true: a word counts when it is the whole answer, or its first word and one of the
//! unmistakable ones; "stop by the shop" is answered like a no, since a no that is not heard is
//! worse than a reminder too few.

use crate::core::consent::Standing;

/// A no, as the whole answer.
const NO: [&str; 27] = [
    "STOP",
    "STOPALL",
    "STOP ALL",
    "UNSUBSCRIBE",
    "CANCEL",
    "END",
    "QUIT",
    "OPTOUT",
    "OPT OUT",
    "REVOKE",
    "BAJA",
    "DAR DE BAJA",
    "DARME DE BAJA",
    "ALTO",
    "CANCELAR",
    "PARAR",
    "SAIR",
    "DESCADASTRAR",
    "REMOVER",
    "ARRET",
    "ARRÊT",
    "DESABONNER",
    "DÉSABONNER",
    "DESINSCRIRE",
    "ANNULLA",
    "CANCELLAMI",
    "DISISCRIVIMI",
];

/// A no, also when more follows.
const FIRST: [&str; 6] = ["STOP", "UNSUBSCRIBE", "BAJA", "SAIR", "ARRET", "ARRÊT"];

/// A yes after a no.
const YES: [&str; 7] = ["START", "UNSTOP", "ALTA", "VOLTAR", "REPRENDRE", "INIZIA", "RIATTIVA"];

/// What an answer means, and the word of the list; `None` when it is anything else.
pub(super) fn meaning(text: &str) -> Option<(Standing, &'static str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == ' ';
    let plain: String = text.chars().map(|c| if is_word(c) { c } else { ' ' }).collect();
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
    let first = plain.split(' ').next().unwrap_or_default();
    let no = NO.iter().find(|word| **word == plain);
    let no = no.or_else(|| FIRST.iter().find(|word| **word == first));
    let yes = || YES.iter().find(|word| **word == plain);
    no.map(|word| (Standing::OptedOut, *word)).or_else(|| yes().map(|w| (Standing::OptedIn, *w)))
}

/// Whether this is a status code such as `5.1.1`, and nothing that could name somebody.
pub(super) fn is_status(text: &str) -> bool {
    (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_no_is_heard_in_every_language() {
        for text in ["STOP", " stop. ", "Baja", "SAIR!", "arrêt", "Arret", "Stop please", "BAJA ya"]
        {
            assert_eq!(meaning(text).map(|(s, _)| s), Some(Standing::OptedOut), "{text}");
        }
        for text in ["START", "alta"] {
            assert_eq!(meaning(text).map(|(s, _)| s), Some(Standing::OptedIn), "{text}");
        }
        for text in ["", "gracias", "I paid already", "do not stop", "non stop", "🙂"] {
            assert_eq!(meaning(text), None, "{text}");
        }
    }
}
