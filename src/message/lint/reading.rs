//! How easy a text is to read, by the measure that is usual for its language.
//!
//! Why here: who gets a message about money should understand it at the first reading.
//! Flesch (en), Szigriszt-Pazos (es), Kandel and Moles (fr), Martins and others (pt): words a
//! sentence and syllables a word. Gulpease (it): letters, no syllables. On each, 100 is very easy.
//!
//! What must stay true: the least score is that of "plain" in the measure's own scale.

use crate::message::locale::Language;

/// Below it, a text is not plain: Flesch 60 "plain English"; INFLESZ 55 "normal"; Kandel and Moles
/// 60 as Flesch; Martins 50 "easy"; Gulpease 60 for people with eight years of school.
pub(super) fn least(language: Language) -> f64 {
    match language {
        Language::En | Language::Fr | Language::It => 60.0,
        Language::Es => 55.0,
        Language::Pt => 50.0,
    }
}

/// The score of `text`; `None` for what has no words.
pub(super) fn score(text: &str, language: Language) -> Option<f64> {
    let words: Vec<&str> = text
        .split(|c: char| !c.is_alphabetic() && c != '\'')
        .filter(|word| word.chars().any(char::is_alphabetic))
        .collect();
    if words.is_empty() {
        return None;
    }
    let ends = text.split(['.', '!', '?', ':', ';', '\n']);
    let sentences = ends.filter(|part| part.chars().any(char::is_alphabetic)).count().max(1) as f64;
    let count = words.len() as f64;
    let letters: usize =
        words.iter().map(|w| w.chars().filter(|c| c.is_alphabetic()).count()).sum();
    let syllables =
        words.iter().map(|word| syllables(word, language)).sum::<usize>() as f64 / count;
    let length = count / sentences;
    Some(match language {
        Language::En => 206.835 - 1.015 * length - 84.6 * syllables,
        Language::Es => 206.835 - length - 62.3 * syllables,
        Language::Fr => 207.0 - 1.015 * length - 73.6 * syllables,
        Language::It => 89.0 + (300.0 * sentences - 10.0 * letters as f64) / count,
        Language::Pt => 248.835 - 1.015 * length - 84.6 * syllables,
    })
}

/// Groups of vowels; a silent `e` at the end of an English or French word is none.
fn syllables(word: &str, language: Language) -> usize {
    let letters: Vec<char> = word.to_lowercase().chars().filter(|c| c.is_alphabetic()).collect();
    let is_vowel = |c: &char| "aeiouyáàâãäéèêëíìîïóòôõöúùûüæœ".contains(*c);
    let starts = |at: &usize| is_vowel(&letters[*at]) && (*at == 0 || !is_vowel(&letters[*at - 1]));
    let mut count = (0..letters.len()).filter(starts).count();
    let silent = matches!(language, Language::En | Language::Fr)
        && (word.ends_with('e') || language == Language::Fr && word.ends_with("es"));
    if silent && count > 1 {
        count -= 1;
    }
    count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_are_easier_than_an_offices() {
        for (language, plain, office) in [
            (
                Language::En,
                "Your payment did not go through. You can use a new card here.",
                "Notwithstanding previous communications, remuneration obligations necessitate \
                 expeditious regularization of outstanding contractual liabilities.",
            ),
            (
                Language::Es,
                "Tu pago no pasó. Puedes usar otra tarjeta aquí.",
                "Con independencia de comunicaciones anteriores, resulta imprescindible la \
                 regularización inmediata de las obligaciones contractuales pendientes.",
            ),
            (
                Language::Fr,
                "Votre carte ne passe plus. Vous pouvez en mettre une autre ici.",
                "Nonobstant les communications antérieures, la régularisation des obligations \
                 contractuelles s'avère indispensable conformément aux dispositions générales.",
            ),
            (
                Language::It,
                "La carta non va più. Puoi usare una nuova carta qui.",
                "Indipendentemente dalle comunicazioni precedenti, risulta indispensabile la \
                 regolarizzazione delle obbligazioni contrattuali pendenti.",
            ),
            (
                Language::Pt,
                "O cartão não passou. Pode usar um novo aqui.",
                "Independentemente das comunicações anteriores, torna-se indispensável a \
                 regularização das obrigações contratuais pendentes.",
            ),
        ] {
            let of = |text| score(text, language).unwrap();
            assert!(of(plain) > least(language), "{language:?}: {}", of(plain));
            assert!(of(office) < least(language), "{language:?}: {}", of(office));
        }
        assert_eq!(score("123 …", Language::En), None);
    }
}
