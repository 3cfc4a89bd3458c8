//! The people of the demo: who they are, what their bank says, and what they do.
//!
//! What must stay true: everybody and everything here is made up, and follows from the seed.

/// What happens to one customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plot {
    /// Reads the mail, does nothing; the bank asks for authentication.
    Confirms,
    /// Cancels the subscription some days later.
    Cancels,
    /// The card expired; gives a new one after the first mail.
    Expired,
    /// Reads everything, does nothing, and the money never comes.
    Ignores,
    /// No balance until this many days after the failure.
    Funds(i64),
    /// Over a limit of the card for some days.
    Limit,
    /// The first gateway's bank link says no, the second's says yes.
    OtherGateway,
    /// Pays by hand some days later.
    PaysMeanwhile,
    /// The card was stolen; gives a new one after the first mail.
    Stolen,
    /// A technical fault at the first try, gone soon.
    Technical,
    /// The first retry's answer is lost, though the money was taken.
    LostAnswer,
}

/// One customer.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) locale: &'static str,
    pub(super) zone: &'static str,
    pub(super) country: &'static str,
    /// Minor units of US dollars.
    pub(super) amount: i64,
    /// Hours after the beginning at which the payment fails.
    pub(super) fails_after_h: i64,
    pub(super) plot: Plot,
}

const NAMES: [&str; 40] = [
    "Ana Ruiz",
    "Ben Carter",
    "Camila Rojas",
    "Daniel Ortiz",
    "Elena Prieto",
    "Frank Miller",
    "Gloria Mejía",
    "Hugo Salas",
    "Irene Castro",
    "Jack Turner",
    "Karla Núñez",
    "Liam Brooks",
    "Mateo Vargas",
    "Nora Fields",
    "Óscar Peña",
    "Paula Gil",
    "Quentin Ward",
    "Rosa Lozano",
    "Sam Porter",
    "Teresa Vega",
    "Uriel Mora",
    "Vera Stone",
    "Walter Reed",
    "Ximena Ríos",
    "Yolanda Paz",
    "Zoe Grant",
    "Andrés Luna",
    "Beth Palmer",
    "Carlos Duarte",
    "Dora Lane",
    "Emilio Soto",
    "Fay Morgan",
    "Gabriel Cano",
    "Holly Price",
    "Iván Torres",
    "Jane Foster",
    "Kevin Díaz",
    "Laura Nieto",
    "Mark Evans",
    "Nadia Cruz",
];

const PLOTS: [Plot; 40] = [
    Plot::Funds(4),
    Plot::OtherGateway,
    Plot::Expired,
    Plot::Funds(6),
    Plot::LostAnswer,
    Plot::Technical,
    Plot::Funds(9),
    Plot::Stolen,
    Plot::Funds(5),
    Plot::Confirms,
    Plot::OtherGateway,
    Plot::Funds(11),
    Plot::PaysMeanwhile,
    Plot::Ignores,
    Plot::Funds(3),
    Plot::Cancels,
    Plot::Limit,
    Plot::Funds(7),
    Plot::OtherGateway,
    Plot::Expired,
    Plot::Funds(12),
    Plot::Funds(2),
    Plot::OtherGateway,
    Plot::Technical,
    Plot::Funds(17),
    Plot::Ignores,
    Plot::Funds(6),
    Plot::Expired,
    Plot::PaysMeanwhile,
    Plot::Funds(13),
    Plot::OtherGateway,
    Plot::Funds(5),
    Plot::Confirms,
    Plot::Ignores,
    Plot::Funds(8),
    Plot::OtherGateway,
    Plot::Limit,
    Plot::Expired,
    Plot::Funds(19),
    Plot::Ignores,
];

const AMOUNTS: [i64; 6] = [900, 1_900, 2_900, 4_900, 9_900, 24_900];

/// The people, drawn from a seed.
pub(super) fn draw(seed: u64) -> Vec<Person> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut plots = PLOTS;
    // The first four stay first: a reader sees the commonest stories at the top.
    rng.shuffle(&mut plots[4..]);
    NAMES
        .iter()
        .zip(plots)
        .enumerate()
        .map(|(index, (name, plot))| {
            let spanish = rng.bool();
            let (locale, zone, country) = if spanish {
                ("es-CO", "America/Bogota", "CO")
            } else {
                ("en-US", "America/New_York", "US")
            };
            Person {
                name,
                locale,
                zone,
                country,
                amount: AMOUNTS[rng.usize(..AMOUNTS.len())],
                fails_after_h: (index as i64) * 4 + rng.i64(0..4),
                plot,
            }
        })
        .collect()
}
