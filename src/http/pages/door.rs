//! The pages at the door: sign-in, and the link by which somebody sets a password.
//!
//! What must stay true: they work without JavaScript, and a password manager knows their fields.

use minijinja::context;

use super::{css, fill};

/// What the page at the door shows.
#[derive(Debug, Clone, Copy)]
pub struct LoginView<'a> {
    /// The merchant's name.
    pub brand: &'a str,
    /// What is wrong, above the fields.
    pub problem: Option<&'a str>,
    /// Whether there are people with accounts.
    pub people: bool,
    /// Whether there is an admin token.
    pub token: bool,
    /// The provider where people sign in, too.
    pub provider: Option<&'a str>,
}

/// `GET /login`: posts `email` and `password`, or `token`, to `/login`.
pub fn login_page(view: &LoginView<'_>) -> String {
    let LoginView { brand, problem, people, token, provider } = *view;
    let page = context! { lang => "en", dir => "ltr", css => css(None) };
    fill("login.html", context! { brand, problem, people, token, provider, ..page })
}

/// Leads in from the provider, by itself.
pub fn come_in_page(brand: &str) -> String {
    let page = context! { lang => "en", dir => "ltr", css => css(None) };
    fill("comein.html", context! { brand, ..page })
}

/// `GET /set-up/{token}`: posts `password` and `again` to its own address, and `email` where it is
/// not known yet.
pub fn set_up_page(brand: &str, email: Option<&str>, problem: Option<&str>) -> String {
    let page = context! { lang => "en", dir => "ltr", css => css(None) };
    fill("setup.html", context! { brand, email, problem, ..page })
}
