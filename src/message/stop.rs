//! Words by which people end reminders by SMS and WhatsApp.
//!
//! Why here: the word in our messages and the words that are obeyed must be one list.
//!
//! What must stay true: whatever language somebody got, every word of the list ends the reminders;
//! a sentence that only contains one does not.

use super::locale::Language;

/// Words that end the reminders, as they are compared: upper case, without accents.
const WORDS: [&str; 22] = [
    // CTIA's list, which carriers obey by themselves.
    "STOP",
    "STOPALL",
    "UNSUBSCRIBE",
    "CANCEL",
    "END",
    "QUIT",
    "OPTOUT",
    "REVOKE",
    // Spanish.
    "BAJA",
    "ALTO",
    "PARAR",
    "CANCELAR",
    "NO MAS",
    // Portuguese.
    "SAIR",
    "PARE",
    "DESCADASTRAR",
    // French.
    "ARRET",
    "ARRETER",
    "DESABONNER",
    // Italian.
    "FERMA",
    "DISDICI",
    "CANCELLAMI",
];

/// The word that messages in this language offer.
pub fn word(language: Language) -> &'static str {
    match language {
        Language::En | Language::Fr | Language::It => "STOP",
        Language::Es => "BAJA",
        Language::Pt => "SAIR",
    }
}

/// Whether this answer ends the reminders.
pub fn asks_to_stop(answer: &str) -> bool {
    let letters: String = answer.chars().map(plain).collect();
    let words: Vec<&str> = letters.split_whitespace().collect();
    WORDS.contains(&words.join(" ").as_str())
}

/// Upper case without accents; anything else is a gap.
fn plain(c: char) -> char {
    match c.to_lowercase().next().unwrap_or(c) {
        'á' | 'à' | 'â' | 'ã' => 'A',
        'é' | 'è' | 'ê' => 'E',
        'í' | 'ì' => 'I',
        'ó' | 'ò' | 'ô' | 'õ' => 'O',
        'ú' | 'ù' => 'U',
        'ç' => 'C',
        c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
        _ => ' ',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_is_offered_is_obeyed() {
        for language in Language::ALL {
            assert!(asks_to_stop(word(language)));
        }
    }

    #[test]
    fn spelling_does_not_matter_and_sentences_are_no_orders() {
        for answer in ["stop", " Stop. ", "BAJA", "arrêt", "ARRÊTER!", "«sair»", "No más"] {
            assert!(asks_to_stop(answer), "{answer}");
        }
        for answer in ["", "please do not stop", "non-stop", "bajar", "ok", "🛑"] {
            assert!(!asks_to_stop(answer), "{answer}");
        }
    }
}
