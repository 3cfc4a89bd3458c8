//! Days in a person's language.
//!
//! Why here: messages and the hosted page must name the same day in the same words.
//!
//! What must stay true: a day is the day in the customer's zone; a weekday stands with every day
//! that somebody is to act on.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::locale::Language;

/// The names of a language, Monday first, January first.
struct Names {
    weekdays: [&'static str; 7],
    months: [&'static str; 12],
}

const EN: Names = Names {
    weekdays: ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
    months: ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
};

const ES: Names = Names {
    weekdays: ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
    months: [
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ],
};

const PT: Names = Names {
    weekdays: [
        "segunda-feira",
        "terça-feira",
        "quarta-feira",
        "quinta-feira",
        "sexta-feira",
        "sábado",
        "domingo",
    ],
    months: [
        "janeiro",
        "fevereiro",
        "março",
        "abril",
        "maio",
        "junho",
        "julho",
        "agosto",
        "setembro",
        "outubro",
        "novembro",
        "dezembro",
    ],
};

const FR: Names = Names {
    weekdays: ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
    months: [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
};

const IT: Names = Names {
    weekdays: ["lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"],
    months: [
        "gennaio",
        "febbraio",
        "marzo",
        "aprile",
        "maggio",
        "giugno",
        "luglio",
        "agosto",
        "settembre",
        "ottobre",
        "novembre",
        "dicembre",
    ],
};

fn names(language: Language) -> &'static Names {
    match language {
        Language::En => &EN,
        Language::Es => &ES,
        Language::Fr => &FR,
        Language::It => &IT,
        Language::Pt => &PT,
    }
}

/// The day of `at` in `zone`, with its weekday: `Tue 24 Nov`, `martes 24 de noviembre`.
pub fn date(at: Timestamp, zone: &str, language: Language) -> String {
    let day = day_in(at, zone);
    let weekday = weekday(day, language);
    let rest = day_and_month(day, language);
    if language == Language::Pt {
        format!("{weekday}, {rest}")
    } else {
        format!("{weekday} {rest}")
    }
}

/// The same inside a sentence, "we try again …": `on Tue 24 Nov`, `el martes 24 de noviembre`.
pub fn on_date(at: Timestamp, zone: &str, language: Language) -> String {
    let date = date(at, zone, language);
    match language {
        Language::En => format!("on {date}"),
        Language::Es => format!("el {date}"),
        Language::Fr => format!("le {date}"),
        Language::It => date,
        // From Monday to Friday they are feminine, as in "a segunda-feira".
        Language::Pt if date.contains("-feira") => format!("na {date}"),
        Language::Pt => format!("no {date}"),
    }
}

/// The day without its weekday, for a subject: `24 Nov`, `24 de noviembre`. In Italian with its
/// article, which the number decides: `il 4 dicembre`, `l'8 dicembre`.
pub fn short_date(at: Timestamp, zone: &str, language: Language) -> String {
    let day = day_in(at, zone);
    let text = day_and_month(day, language);
    match language {
        Language::It if matches!(day.day(), 8 | 11) => format!("l'{text}"),
        Language::It => format!("il {text}"),
        _ => text,
    }
}

fn weekday(day: Date, language: Language) -> &'static str {
    let at = day.weekday().to_monday_zero_offset();
    names(language).weekdays[usize::try_from(at).unwrap_or_default() % 7]
}

fn day_and_month(day: Date, language: Language) -> String {
    let at = usize::try_from(day.month()).unwrap_or(1).saturating_sub(1) % 12;
    let month = names(language).months[at];
    match (language, day.day()) {
        (Language::Es | Language::Pt, number) => format!("{number} de {month}"),
        (Language::Fr, 1) => format!("1er {month}"),
        (Language::It, 1) => format!("1º {month}"),
        (_, number) => format!("{number} {month}"),
    }
}

/// The calendar day; an unknown zone is UTC.
fn day_in(at: Timestamp, zone: &str) -> Date {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_the_customers() {
        let at: Timestamp = "2026-11-25T02:30:00Z".parse().unwrap();
        for (zone, language, text) in [
            ("America/Bogota", Language::En, "on Tue 24 Nov"),
            ("America/Bogota", Language::Es, "el martes 24 de noviembre"),
            ("Europe/Madrid", Language::Es, "el miércoles 25 de noviembre"),
            ("America/Sao_Paulo", Language::Pt, "na terça-feira, 24 de novembro"),
            ("Europe/Paris", Language::Fr, "le mercredi 25 novembre"),
            ("Europe/Rome", Language::It, "mercoledì 25 novembre"),
            ("Asia/Tokyo", Language::En, "on Wed 25 Nov"),
            ("Nowhere/Land", Language::En, "on Wed 25 Nov"),
        ] {
            assert_eq!(on_date(at, zone, language), text, "{zone}");
        }
    }

    #[test]
    fn articles_and_first_days_are_as_people_say_them() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (day, language, text) in [
            ("2026-12-08T12:00:00Z", Language::It, "l'8 dicembre"),
            ("2026-12-11T12:00:00Z", Language::It, "l'11 dicembre"),
            ("2026-12-01T12:00:00Z", Language::It, "il 1º dicembre"),
            ("2026-12-01T12:00:00Z", Language::Fr, "1er décembre"),
            ("2026-12-01T12:00:00Z", Language::Es, "1 de diciembre"),
        ] {
            assert_eq!(short_date(at(day), "UTC", language), text);
        }
        let saturday = at("2026-11-28T12:00:00Z");
        assert_eq!(on_date(saturday, "UTC", Language::Pt), "no sábado, 28 de novembro");
    }
}
